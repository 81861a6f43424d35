"""Compositor: draws what the viewer sees, the enlarged picture with the sharp faces in it.

Two promises: what the camera saw is never contradicted (a patch, shrunk back, equals the camera's
crop within its noise and damage), and there is no seam (a patch fades out before its border, and
its colours, brightness and grain are the camera's).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engines.back_projection import back_project
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import Face, Floats, Frame, Image, Patch, View
from stream.image.resample import aligned, cut_square, resample
from stream.image.touched import plain_part, touched
from stream.picture_options import STRENGTH
from stream.protocols import Stage

INNER = 0.75
"""The mask is 1 within this part of its radius and falls to 0 at the radius."""


class Compositor(Stage):
    """Sets `frame.output`, and `frame.view` to what it shows: a view that stands, moved by up to an
    output pixel, which cannot be seen and is much cheaper to draw; one that moves as it is, because
    a slow pan in steps of whole pixels can be seen.

    Args:   strength: 0 shows the enlarged picture alone, 1 the whole enhancement.
            camera: its noise, where that was measured.
    Raises: ConfigError: the strength is not within 0..1.
    """

    name = "compositor"

    def __init__(
        self, strength: float = STRENGTH.default, camera: CameraProfile = ANY_CAMERA
    ) -> None:
        self.strength = STRENGTH.check(strength)
        self.whole = True
        """Whether the output is drawn where nothing is enhanced, too. A recording's own pictures
        are written there, so that nobody looks at it: then it is black."""
        self._noise_at = camera.noise_at if camera.noise is not None else None

    def __call__(self, frame: Frame) -> Frame:
        """Draw one frame; its output is the camera's picture itself where nothing changes it.

        Raises: ValueError: framing has not chosen a view.
        """
        view = frame.view
        if view is None:
            raise ValueError("the compositor needs a view: framing comes first")
        height, width = frame.image.shape[:2]
        if not view.moving:
            view = replace(view, rect=aligned(view.rect, view.size, (width, height)))
        patched = [f for f in frame.faces if f.is_enhanced and self.strength > 0.0]
        output = self._canvas(frame, view, bool(patched))
        if patched and output is frame.image:
            output = output.copy()
        # The nearer of two people covers the other.
        for face in sorted(patched, key=lambda f: f.width_px):
            assert face.patch is not None
            crop = cut_square(frame.image, face.patch.box)
            matched = back_project(face.patch.image, crop, self._noise_at)
            _draw(output, matched, face, face.patch, view, self.strength)
        return replace(frame, view=view, output=output)

    def _canvas(self, frame: Frame, view: View, patched: bool) -> Image:
        """The output before any patch is drawn, for a frame that has some or not."""
        height, width = frame.image.shape[:2]
        same = view.rect == (0.0, 0.0, width, height) and view.size == (width, height)
        if self.whole or frame.native is None or (same and not patched):
            return resample(frame.image, view.rect, view.size)
        # Memory that nobody writes to costs nothing.
        canvas = np.zeros((view.size[1], view.size[0], 3), np.uint8)
        for x0, y0, x1, y1 in touched(frame, view.rect, view.size):
            canvas[y0:y1, x0:x1] = plain_part(frame, view.rect, view.size, (x0, y0, x1, y1))
        return canvas

    def replay(self, frame: Frame) -> Frame:
        """The same frame: no drawing depends on an earlier one."""
        return frame


def _draw(
    output: Image, patch_image: Image, face: Face, patch: Patch, view: View, strength: float
) -> None:
    """Blend a patch into the output, in place, within the patch's own rectangle only."""
    zoom_x = view.size[0] / (view.rect[2] - view.rect[0])
    zoom_y = view.size[1] / (view.rect[3] - view.rect[1])
    left, top, right, bottom = patch.box
    x0 = max(0, math.floor((left - view.rect[0]) * zoom_x))
    y0 = max(0, math.floor((top - view.rect[1]) * zoom_y))
    x1 = min(view.size[0], math.ceil((right - view.rect[0]) * zoom_x))
    y1 = min(view.size[1], math.ceil((bottom - view.rect[1]) * zoom_y))
    if x1 <= x0 or y1 <= y0:
        return
    # The output's pixels in the measure of the frame, then of the patch.
    in_frame = (
        view.rect[0] + x0 / zoom_x,
        view.rect[1] + y0 / zoom_y,
        view.rect[0] + x1 / zoom_x,
        view.rect[1] + y1 / zoom_y,
    )
    in_patch = (
        (in_frame[0] - left) * patch.scale,
        (in_frame[1] - top) * patch.scale,
        (in_frame[2] - left) * patch.scale,
        (in_frame[3] - top) * patch.scale,
    )
    sharp = resample(patch_image, in_patch, (x1 - x0, y1 - y0))
    across = in_frame[0] + (np.arange(x1 - x0, dtype=np.float32) + 0.5) / zoom_x
    down = in_frame[1] + (np.arange(y1 - y0, dtype=np.float32) + 0.5) / zoom_y
    mask = _mask(across, down, face, patch) * (patch.weight * strength)
    area = output[y0:y1, x0:x1]
    plain = area.astype(np.float32)
    plain += mask[..., None] * (sharp - plain)
    area[...] = np.rint(plain).astype(np.uint8)


def _mask(
    across: NDArray[np.floating], down: NDArray[np.floating], face: Face, patch: Patch
) -> Floats:
    """Where the patch shows: 1 on the face, falling smoothly to 0 at the headshot's border.

    It follows the face, not the crop: crops jump by whole pixels, the mask must not.

    Args:    across, down: (w,), (h,): where the pixels lie in the frame, px.
    Returns: float32 (h, w), 0..1.
    """
    x, y = face.center
    half = face.headshot_side_px / 2.0
    left, top, right, bottom = patch.box
    radius_x = max(min(half, x - left, right - x), 1.0)
    radius_y = max(min(half, y - top, bottom - y), 1.0)
    # A rounded square: |x|⁴ + |y|⁴ = 1.
    u = ((across - x) / radius_x) ** 2
    v = ((down - y) / radius_y) ** 2
    radius = np.sqrt(np.sqrt((u * u)[None, :] + (v * v)[:, None]))
    part = np.clip((1.0 - radius) / (1.0 - INNER), 0.0, 1.0)
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * part), np.float32)
