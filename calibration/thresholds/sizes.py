"""Sizes: up to which size of a far face exemplars still gain anything.

Faces of recordings in which somebody sits close are made small and damaged as in a call; exemplars
are other moments of the same recording.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from calibration.thresholds.gains import EXEMPLARS, SCALE, SEED, psnr, resized
from calibration.thresholds.sightings import SUFFIXES
from engines.aligned_enhancement import enhanced
from engines.hime import degrade
from engines.runtime import Image, Runtime
from stream.image.headshot import cut_headshot
from stream.media.sources.file_source import FileSource
from stream.stages.tracking.face_detector import FaceDetector

SIDES_PX = (48, 96, 144, 176)
MOMENTS = 5
"""In each recording: one is the far face, the others may be exemplars."""
EVERY = 15


def gains_by_size(runtime: Runtime, folder: Path) -> list[dict[float, float]]:
    """For each recording of somebody: side of the far headshot, px → dB that exemplars gain over
    none; sizes for which it is not large enough are left out, and who has none of them."""
    rng = np.random.default_rng(SEED)
    people = []
    for path in _recordings(folder):
        heads = _headshots(path)
        if len(heads) > EXEMPLARS and (line := _line(runtime, heads, rng)):
            people.append(line)
    return people


def _line(runtime: Runtime, heads: list[Image], rng: np.random.Generator) -> dict[float, float]:
    first, *others = heads
    line = {}
    for side in SIDES_PX:
        # A truth must not be enlarged itself.
        if first.shape[0] < SCALE * side:
            continue
        truth = resized(first, SCALE * side)
        crop = degrade.call([truth], SCALE, rng)[0]
        # The bank keeps 256 px.
        kept = [resized(one, 256) for one in others[-EXEMPLARS:]]
        given = [resized(one, SCALE * side) for one in kept]
        alone = psnr(runtime.enhance(crop, None), truth)
        line[float(side)] = psnr(enhanced(runtime, crop, given), truth) - alone
    return line


def _recordings(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix.lower() in SUFFIXES)


def _headshots(path: Path) -> list[Image]:
    found = []
    with FaceDetector() as detector, FileSource(path) as source:
        for frame in islice(source, 0, MOMENTS * EVERY, EVERY):
            faces = detector.detect(frame.image, None, "full")
            if len(faces) == 1:
                box = faces[0].box
                center = (float(box[0] + box[2]) / 2.0, float(box[1] + box[3]) / 2.0)
                found.append(cut_headshot(frame.image, center, round(2.0 * faces[0].width_px)))
    return found
