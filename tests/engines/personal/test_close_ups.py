"""What is learnt from, and what is kept back."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engines.personal.close_ups import HELD_OUT, LEAST_CLOSE_UPS, CloseUp, split


def close_ups(count: int) -> list[CloseUp]:
    return [CloseUp(np.zeros((8, 8, 3), np.uint8), float(k)) for k in range(count)]


@pytest.mark.parametrize("count", [6, 7, 9, 12, 36, 200])
def test_a_quarter_is_never_learnt_from(count: int) -> None:
    given = close_ups(count)
    learnt, held_out = split(given[::-1])
    times = [one.time_s for one in (*learnt, *held_out)]
    assert sorted(times) == [one.time_s for one in given], "each is in one of them"
    assert len(held_out) == max(2, round(HELD_OUT * count))
    assert times[: len(learnt)] == sorted(times[: len(learnt)])


def test_held_out_ones_are_neighbours_in_time_and_not_at_the_ends() -> None:
    _, held_out = split(close_ups(36))
    times = [one.time_s for one in held_out]
    blocks = 1 + sum(b - a > 1 for a, b in pairwise(times))
    assert blocks == 3
    assert 0.0 not in times
    assert 35.0 not in times


def test_too_few() -> None:
    with pytest.raises(ValueError, match=f"{LEAST_CLOSE_UPS} are needed"):
        split(close_ups(LEAST_CLOSE_UPS - 1))
