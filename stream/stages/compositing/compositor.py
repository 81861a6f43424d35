"""Compositor: draws what the viewer sees, the enlarged picture with the sharp faces in it.

Two promises: what the camera saw is never contradicted (a patch, shrunk back, equals the camera's
crop within its noise and damage), and there is no seam (a patch fades out before its border, and
its colours, brightness and grain are the camera's).
"""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import Face, Floats, Frame, Image, Patch, View
from stream.image.resample import aligned, cut_square, resample
from stream.image.touched import plain_part, touched
from stream.picture_options import STRENGTH
from stream.protocols import Stage

NOISE_LEAST, NOISE_MOST = 0.5, 4.0
"""Bounds of the camera's noise, standard deviation in 8-bit levels. What fine texture adds to the
estimate must not excuse a patch that contradicts the camera."""
TOLERANCE = 2.0
"""Differences within this many standard deviations are noise, and stay out."""
DAMAGE = 0.5
"""So are differences within this part of the local contrast: a codec errs most where the picture is
busy, and adding its damage back would undo the network's work. Measured in the bench's `walk` on
four recordings: patches of 29.41 dB become 29.47 dB with it, 29.36 with a quarter and 29.48 with
all; the same patches two pixels of the camera aside, which the consistency check would not let
pass, are pulled from 15.9 to 23.5 dB, with a quarter to 25.3 and with all to 20.6."""
GRAIN = 0.7
"""Of the camera's own grain, which the network takes out, so much is put back: a smooth face before
a background that is not looks pasted in. It is that of the very frame, so it changes as the
background does. Chosen on two people in the bench's `frozen`. The demo's face has 0.94 times the
grain around it in the camera's enlarged picture; without this it had 0.67, with it 0.91."""
GRAIN_PX = 1.0
"""What changes over more than this, in px of the camera, is not grain: a codec's damage mostly."""
CONTRAST_PX = 1.5
LIGHT_PART = 1.0 / 12.0
"""Brightness: what changes over more than this part of the crop; always matched."""
LIGHT_LEAST_PX = 3.0
COLOUR_PX = 8.0
"""Colour, likewise, in px of the camera. What is finer a codec has hardly sent: given back over as
little as brightness, it took a quarter of a decibel of what exemplars know of colour."""
INNER = 0.75
"""The mask is 1 within this part of its radius and falls to 0 at the radius."""
MAD_TO_DEVIATION = 1.4826
_LUMA = np.array([[0.299, 0.587, 0.114]], np.float32)
# A second difference in both directions: zero on linear gradients; its response to white noise has
# 6 times the deviation (Immerkaer, Fast noise variance estimation, 1996).
_HIGH_PASS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32) / 6.0


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
        self._camera = camera

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
            matched = back_project(face.patch.image, crop, self._camera)
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


def back_project(
    patch: Image, crop: Image, camera: CameraProfile = ANY_CAMERA, grain: float = GRAIN
) -> Image:
    """Make a patch agree with what the camera saw.

    The patch is shrunk back and compared with the crop. Of the difference, colour and brightness
    (low frequencies) are added back in full, the rest as far as it exceeds what the camera's noise
    and the codec explain; of what is as fine and as faint as noise, a part.

    Args:    patch: RGB uint8 (s*b, s*b, 3). crop: RGB uint8 (b, b, 3), the camera's pixels.
             camera: its noise counts where it is more than a guess from the crop.
             grain: that part, 0..1.
    Returns: RGB uint8 (s*b, s*b, 3), a new array.
    """
    side = crop.shape[0]
    seen = crop.astype(np.float32)
    shrunk = cv2.resize(patch, (side, side), interpolation=cv2.INTER_AREA)
    difference = seen - shrunk.astype(np.float32)
    grey = np.repeat(_luma(difference), 3, axis=2)
    colour = difference - grey
    light = cv2.GaussianBlur(grey, (0, 0), max(LIGHT_LEAST_PX, LIGHT_PART * side))
    hue = cv2.GaussianBlur(colour, (0, 0), COLOUR_PX)
    low = light + hue
    mean, contrast = _local(seen)
    noise = noise_level(seen)
    if camera.noise is not None:
        # Each may miss some: the guess what neighbouring pixels share, the profile what a codec
        # has done since.
        noise = np.maximum(camera.noise_at(mean), noise)
    excess = _beyond(grey - light, TOLERANCE * noise + DAMAGE * _luma(contrast))
    excess += _beyond(colour - hue, TOLERANCE * noise + DAMAGE * contrast)
    fine = difference - low
    speckle = np.clip(fine, -TOLERANCE * noise, TOLERANCE * noise)
    speckle -= cv2.GaussianBlur(speckle, (0, 0), GRAIN_PX)
    correction = low + excess + grain * speckle
    enlarged = cv2.resize(
        correction, (patch.shape[1], patch.shape[0]), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(np.clip(np.rint(patch + enlarged), 0.0, 255.0), np.uint8)


def noise_level(crop: Floats) -> Floats:
    """The camera's noise in a crop: float32 (3,), standard deviation of each channel, bounded.

    A median, so that edges, which are few, do not count as noise.
    """
    response = np.abs(cv2.filter2D(crop, cv2.CV_32F, _HIGH_PASS, borderType=cv2.BORDER_REFLECT))
    deviation = MAD_TO_DEVIATION * np.median(response.reshape(-1, 3), axis=0)
    return np.asarray(np.clip(deviation, NOISE_LEAST, NOISE_MOST), np.float32)


def _beyond(difference: Floats, tolerance: Floats) -> Floats:
    """What a difference is more than what is tolerated of it."""
    return np.asarray(difference - np.clip(difference, -tolerance, tolerance), np.float32)


def _luma(picture: Floats) -> Floats:
    """Rec. 601: float32 (h, w, 1)."""
    return np.asarray(cv2.transform(picture, _LUMA), np.float32)[..., None]


def _local(crop: Floats) -> tuple[Floats, Floats]:
    """Local mean and standard deviation of each channel: float32 (b, b, 3) both."""
    mean = np.asarray(cv2.GaussianBlur(crop, (0, 0), CONTRAST_PX), np.float32)
    power = np.asarray(cv2.GaussianBlur(crop * crop, (0, 0), CONTRAST_PX), np.float32)
    return mean, np.sqrt(np.maximum(power - mean * mean, 0.0))


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
