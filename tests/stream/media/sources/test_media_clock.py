"""When a stream's frames were captured, by their times and their arrival."""

from __future__ import annotations

import pytest

from stream.media.sources.media_clock import DRIFT, MediaClock

S = 1_000_000_000


def test_sound_and_picture_of_one_moment_stay_together() -> None:
    clock = MediaClock()
    assert clock.captured_ns(10.0, 100 * S) == 100 * S
    assert clock.captured_ns(10.5, int(100.8 * S)) == pytest.approx(100.5 * S, abs=DRIFT * S)
    assert clock.captured_ns(10.5, int(100.6 * S)) == pytest.approx(100.5 * S, abs=DRIFT * S)


def test_a_faster_way_moves_the_clock_and_nothing_is_captured_after_it_arrived() -> None:
    clock = MediaClock()
    clock.captured_ns(10.0, 100 * S)
    now = int(100.9 * S)
    assert clock.captured_ns(11.0, now) == now


def test_a_slower_clock_makes_no_frame_older_and_older() -> None:
    clock = MediaClock()
    for second in range(600):
        now = int((100 + second * 1.001) * S)
        assert now - clock.captured_ns(10.0 + second, now) < 0.05 * S


def test_times_that_begin_anew_begin_the_clock_anew() -> None:
    clock = MediaClock()
    clock.captured_ns(1000.0, 100 * S)
    assert clock.captured_ns(0.0, 101 * S) == 101 * S
