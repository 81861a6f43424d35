"""Findings: what a watched camera gives, and the profile that follows from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.camera.blur import PIXEL_BLUR_PX, added_px
from calibration.camera.noise import Noise
from calibration.camera.spectrum import SIZES_PER_OCTAVE, blur_of
from calibration.camera.timing import Rhythm, rhythm, settling_s
from calibration.camera.watch import FaceSeen, Watch
from stream.camera_profile import ANY_CAMERA, LIMITS, CameraProfile
from stream.stages.exemplars.bank import HEAD_WIDTHS

SHARP_BLUR_PX = 0.7
"""Blur (with the pixel's own) of the recordings for which the usual limits were found: the median
of ten recordings of people who talk to a camera."""
WIDE_PX = 1.4
"""Edges of a face that are wider than this mix with each other."""
LEAST_FACES = 3
SHARPEST = 0.25
"""The quantile of blurs that counts: faces move, and that is not the camera."""
FLOOR = 0.35
"""An exemplar that has less than this part of the sharpness this camera gives in focus is none. Of
twelve people's sharp photos the bluntest had 0.45 of the sharpest person's usual: who is measured
must not keep the others out."""


@dataclass(frozen=True)
class Findings:
    """What was measured; None where the recording did not show it."""

    size: tuple[int, int]
    frames: int
    seconds: float
    rhythm: Rhythm | None
    settling_s: list[float]
    noise: Noise | None
    light: list[tuple[float, float]]
    """(seconds, mean brightness) of every frame."""
    faces: list[FaceSeen]
    face_blur_px: float | None
    """Of faces, with the pixel's own: of their edges, or of their detail where that is wider than
    edges can tell. From 0.5 to 4 px beyond the pixel's right within 10 % in made-up recordings."""
    picture_blur_px: float | None

    @property
    def camera_blur_px(self) -> float | None:
        """Standard deviation of what the camera adds to the width of a pixel; None: no face."""
        return None if self.face_blur_px is None else added_px(self.face_blur_px)

    @property
    def resolution(self) -> float | None:
        """Share of a headshot's side that is real: 1 for a sharp camera."""
        if self.face_blur_px is None:
            return None
        return SHARP_BLUR_PX / max(self.face_blur_px, SHARP_BLUR_PX)

    def profile(self) -> CameraProfile:
        """What stages should know of it; what was not measured stays as it is for any camera."""
        near, least, floor = (
            ANY_CAMERA.near_px,
            ANY_CAMERA.least_px,
            ANY_CAMERA.least_sharpness,
        )
        if self.resolution is not None:
            # Closer than this a head does not fit into the picture.
            most = max(2.0 * min(self.size) / HEAD_WIDTHS, LIMITS["near_px"][0])
            near = min(near / self.resolution, most, LIMITS["near_px"][1])
            least = min(least / self.resolution, near)
        close = [face.sharpness for face in self.faces if face.side_px >= near]
        if len(close) >= LEAST_FACES:
            floor = min(
                FLOOR * float(np.quantile(close, 1.0 - SHARPEST)), LIMITS["least_sharpness"][1]
            )
        noise = None
        if self.noise is not None:
            most = LIMITS["noise"][1]
            noise = (min(self.noise.dark, most), min(self.noise.bright, most))
        return CameraProfile(
            near_px=round(near), least_px=round(least), least_sharpness=floor, noise=noise
        )

    def lines(self) -> list[str]:
        """For people: a line for everything measured, or why it was not."""
        width, height = self.size
        lines = [f"{width}x{height}, {self.frames} frames in {self.seconds:.1f} s"]
        if self.rhythm is not None:
            r = self.rhythm
            lines.append(
                f"a frame every {r.interval_ms:.1f} ms, jitter {r.jitter_ms:.2f} ms, "
                f"{r.gaps:.1%} gaps, {r.repeated:.1%} repeated"
            )
        if self.settling_s:
            lag = float(np.median(self.settling_s))
            lines.append(f"exposure settles in {lag:.2f} s ({len(self.settling_s)} changes)")
        else:
            lines.append("exposure lag: not measured, no sudden change of the light was answered")
        if self.noise is None:
            lines.append("noise: not measured, too few frames")
        else:
            lines.append(
                f"noise {self.noise.dark:.2f} levels at black, {self.noise.bright:.2f} at white; "
                f"{self.noise.frozen:.0%} of the picture was not sent again"
            )
        if self.resolution is None or self.face_blur_px is None:
            lines.append(f"sharpness: not measured, a face was seen {len(self.faces)} times")
        else:
            sides = [face.side_px for face in self.faces]
            lines.append(
                f"blur {added_px(self.face_blur_px):.2f} px beyond the pixel's own "
                f"{PIXEL_BLUR_PX:g}; {self.resolution:.0%} of the pixels are real "
                f"({len(self.faces)} faces, headshots of {min(sides):.0f} to {max(sides):.0f} px)"
            )
        return lines


def findings(watch: Watch) -> Findings:
    """What follows from everything that was watched."""
    seen = [(face.side_px, face.blur_px) for face in watch.faces if face.blur_px is not None]
    # Edges of a small face lie too close to each other.
    large = float(np.median([side for side, _ in seen])) if seen else 0.0
    blurs = [blur for side, blur in seen if side >= large]
    times = watch.times_s
    return Findings(
        size=watch.size,
        frames=len(times),
        seconds=times[-1] - times[0] if times else 0.0,
        rhythm=rhythm(times, watch.repeated),
        settling_s=settling_s(times, watch.levels),
        noise=watch.noise.measure(),
        light=[(time - times[0], level) for time, level in zip(times, watch.levels, strict=True)],
        faces=watch.faces,
        face_blur_px=_face_blur(_sharpest(blurs), watch.faces),
        picture_blur_px=_sharpest(watch.blurs_px),
    )


def _sharpest(blurs: Sequence[float]) -> float | None:
    return float(np.quantile(blurs, SHARPEST)) if len(blurs) >= LEAST_FACES else None


def _face_blur(edges_px: float | None, faces: Sequence[FaceSeen]) -> float | None:
    """Of edges, where they can tell; else of the detail of the sharper half at each size."""
    if (edges_px is not None and edges_px <= WIDE_PX) or len(faces) < LEAST_FACES:
        return edges_px
    sizes: dict[int, list[FaceSeen]] = {}
    for face in faces:
        sizes.setdefault(round(SIZES_PER_OCTAVE * math.log2(face.side_px)), []).append(face)
    sharper = [
        face.spectrum
        for group in sizes.values()
        for face in sorted(group, key=lambda one: -one.sharpness)[: (len(group) + 1) // 2]
    ]
    found = blur_of(sharper)
    return edges_px if found is None else math.hypot(found, PIXEL_BLUR_PX)
