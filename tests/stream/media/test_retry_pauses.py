"""Pauses before a lost camera or server is tried again."""

from __future__ import annotations

from stream.media.retry_pauses import RetryPauses


def test_pauses_grow_up_to_a_limit_and_begin_anew() -> None:
    pauses = RetryPauses()
    assert [pauses.next_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    pauses.reset()
    assert pauses.next_s() == 0.5
