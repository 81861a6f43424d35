"""Association: which detection belongs to which track, and when that cannot be told.

All functions are pure. Boxes are xyxy px. A mistake here would give one person's exemplars to
another, so whatever is not clear counts as unclear: the caller drops the tracks concerned.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from stream.frame import Floats

# A face moves at most so far between two frames from where its motion predicts it: 0.7 of its own
# width is 3 m/s at 30 fps. Its size changes at most by e^0.35 = 1.4: somebody who walks from 230 px
# to 40 px in one second changes by 1.06 a frame at 30 fps and by 1.19 at 10 fps.
MAX_SHIFT_WIDTHS = 0.7
MAX_LOG_SIZE = 0.35
# A choice is clear when the runner-up costs more than twice as much and a margin on top, which is
# some ten times the noise of a detection.
CLEAR_RATIO = 2.0
CLEAR_MARGIN = 0.15


@dataclass
class Assignment:
    """What `assign` decided."""

    pairs: dict[int, int] = field(default_factory=dict)
    """Track index → detection index."""
    unclear: set[int] = field(default_factory=set)
    """Tracks that could be one of several people now."""


def cost(predicted: Floats, seen: Floats) -> float:
    """How badly a detection fits a prediction: shift in widths plus change of log size.

    Returns: 0 for a perfect fit; infinity outside the limits.
    """
    wide, wide_seen = _width(predicted), _width(seen)
    shift = _distance(predicted, seen) / max(wide, wide_seen)
    change = abs(math.log(wide_seen / wide))
    if shift > MAX_SHIFT_WIDTHS or change > MAX_LOG_SIZE:
        return math.inf
    return shift + change


def same_face(one: Floats, other: Floats) -> bool:
    """Whether two boxes can only be the same face: nearly one centre, or one inside the other."""
    smaller, larger = sorted((_width(one), _width(other)))
    if _distance(one, other) < 0.35 * larger and larger < 1.6 * smaller:
        return True
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return False
    smaller_area = min(_area(one), _area(other))
    return float(across * down) > 0.6 * smaller_area


def assign(predicted: list[Floats], seen: list[Floats]) -> Assignment:
    """Give each track its detection, cheapest pair first, where it is clear whose it is.

    Args:    predicted: where each track should be.
             seen: detections, each face once.
    Returns: pairs, and the tracks for which the choice is not clear; a track in neither was not
             seen.
    """
    costs = [[cost(track, face) for face in seen] for track in predicted]
    order = sorted(
        (value, i, j) for i, row in enumerate(costs) for j, value in enumerate(row) if value < 9.0
    )
    result = Assignment()
    taken: set[int] = set()
    for value, i, j in order:
        if i in result.pairs or i in result.unclear or j in taken:
            continue
        limit = CLEAR_RATIO * value + CLEAR_MARGIN
        rivals = {
            other
            for other, row in enumerate(costs)
            if other != i and row[j] < limit and not _has_better(row, j)
        }
        others = [k for k, price in enumerate(costs[i]) if k != j and price < limit]
        if rivals or any(not _is_anothers(costs, i, k) for k in others):
            result.unclear |= rivals | {i}
            for other in rivals:
                result.pairs.pop(other, None)
        else:
            result.pairs[i] = j
        taken.add(j)
    return result


def _has_better(row: list[float], j: int) -> bool:
    """Whether this track clearly belongs to another detection than `j`."""
    return any(CLEAR_RATIO * price < row[j] for k, price in enumerate(row) if k != j)


def _is_anothers(costs: list[list[float]], i: int, k: int) -> bool:
    """Whether detection `k` clearly belongs to another track than `i`."""
    return any(CLEAR_RATIO * row[k] < costs[i][k] for other, row in enumerate(costs) if other != i)


def _width(box: Floats) -> float:
    return max(float(box[2] - box[0]), 1e-3)


def _area(box: Floats) -> float:
    return float((box[2] - box[0]) * (box[3] - box[1]))


def _distance(one: Floats, other: Floats) -> float:
    """Between the centres, px."""
    return math.hypot(
        float(one[0] + one[2] - other[0] - other[2]) / 2.0,
        float(one[1] + one[3] - other[1] - other[3]) / 2.0,
    )
