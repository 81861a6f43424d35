"""Recorded motions: how real heads move, measured in recordings of people who sit before a
camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bench.motion.motions import SIZE, Cast, Motion
from bench.scenes.synthetic_people import RATE, Clip
from stream.stages.tracking.face_detector import FaceDetector

FAR_PX = 45.0
"""The head moves as in the recording, but so far away."""
SEAT = (0.5 * SIZE[0], 0.5 * SIZE[1])
SECONDS = 30.0
MOST_S = 10.0
"""So much of a recording is read; it is played to and fro."""


def recorded(path: Path, detector: FaceDetector) -> Motion:
    """The motion of the face of one recording.

    Raises: InputError: the recording cannot be read, or shows no large face for a second.
    """
    clip = Clip(path, detector, MOST_S)
    boxes = np.array([clip.face_box(i / RATE) for i in range(round(SECONDS * RATE) + 1)])
    factor = FAR_PX / clip.face_px
    centers = (boxes[:, :2] + boxes[:, 2:]) / 2.0 - np.array(clip.anchor)
    widths = factor * (boxes[:, 2] - boxes[:, 0])

    def at(time_s: float) -> Cast:
        index = min(round(time_s * RATE), len(boxes) - 1)
        x, y = SEAT + factor * centers[index]
        return [(float(x), float(y), float(widths[index]))]

    return Motion(f"clip {path.stem}"[:14], at, SECONDS)


def recordings(paths: Sequence[Path]) -> list[Path]:
    """The files, and those inside the folders, by name."""
    found = [one for path in paths for one in (path.iterdir() if path.is_dir() else [path])]
    return sorted(one for one in found if one.suffix.lower() in (".mp4", ".mkv", ".mov", ".webm"))
