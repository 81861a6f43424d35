"""Network timing: how long the network takes for a face, tried out on this machine."""

from __future__ import annotations

import time

import numpy as np

from engines.runtime import SCALES, Runtime
from stream.frame import EXEMPLARS_PER_FACE
from stream.quality_ladder import FIRST_PX

TRIES = 5


def seconds_a_face(runtime: Runtime) -> float:
    """Run the network as for a face with exemplars, on a blank crop of `FIRST_PX`.

    Returns: seconds that it takes; the first run, which may compile something, does not count.
    Raises:  EngineError: it fails.
    """
    scale = runtime.scale
    side = FIRST_PX * SCALES[0] // scale
    crop = np.zeros((side, side, 3), np.uint8)
    exemplar = np.zeros((scale * side, scale * side, 4), np.uint8)
    runtime.enhance(crop, None)
    features = runtime.encode([exemplar] * EXEMPLARS_PER_FACE)
    runtime.enhance(crop, features)
    taken_s = []
    for _ in range(TRIES):
        started_s = time.perf_counter()
        runtime.enhance(crop, features)
        taken_s.append(time.perf_counter() - started_s)
    # The fastest: other work makes it slower, nothing faster.
    return min(taken_s)
