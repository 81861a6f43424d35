"""Pauses before a lost camera or server is tried again."""

from __future__ import annotations

from stream.media.retry_pauses import SERVER_MOST_S, RetryPauses


def test_pauses_grow_up_to_a_limit_and_begin_anew() -> None:
    pauses = RetryPauses()
    assert [pauses.next_s() for _ in range(6)] == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]
    pauses.reset()
    assert pauses.next_s() == 0.5


def test_a_server_is_asked_more_often() -> None:
    """After an outage the picture should be there within seconds."""
    pauses = RetryPauses(SERVER_MOST_S)
    assert [pauses.next_s() for _ in range(4)] == [0.5, 1.0, 2.0, 2.0]
