"""Aligned enhancement: one crop with exemplars as the product makes it, for programs that measure.

Streams do the same a part at a time, so that what has not changed is not computed again
(`stream.stages.enhancement.face_network`).
"""

from __future__ import annotations

from collections.abc import Sequence

from engines.alignment import align
from engines.contract import Image, Runtime

ROUNDS = 2
"""How often exemplars are aligned to a picture of which nothing is known from frames before."""


def enhanced(runtime: Runtime, crop: Image, exemplars: Sequence[Image]) -> Image:
    """What the network makes of a crop with exemplars: RGB uint8 (s b, s b, 3).

    They are aligned to the crop, and a second time to what the network made with them. Detail is
    not raised (`engines.exemplar_transfer.finished`).

    Args:   runtime: of scale s. crop: RGB uint8 (b, b, 3). exemplars: RGB uint8 (s b, s b, 3) each,
            not aligned; none: without.
    Raises: ValueError: the sizes do not fit together.
    """
    made: Image | None = None
    for _ in range(ROUNDS if exemplars else 0):
        made = runtime.enhance(crop, runtime.encode(align(crop, list(exemplars), made)))
    return runtime.enhance(crop, None) if made is None else made
