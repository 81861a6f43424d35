"""Link: order, bounds, drops, and closing from both ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from stream.link import Link, LinkClosedError


def in_thread(work: Callable[[], object]) -> tuple[threading.Thread, list[object]]:
    """Run `work` in a thread; the list gets its result or its error."""
    result: list[object] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, result


def test_latest_keeps_the_newest_and_counts_the_rest() -> None:
    link: Link[int] = Link.latest()
    replaced = [link.put(item) for item in range(5)]
    assert replaced == [False, True, True, True, True]
    assert link.get() == 4
    assert link.dropped == 4


def test_ordered_keeps_everything_in_order_through_a_slow_reader() -> None:
    link: Link[int] = Link.ordered(2)

    def write() -> None:
        for item in range(20):
            link.put(item)
        link.close()

    thread, result = in_thread(write)
    got = []
    for item in link:
        time.sleep(0.001)
        got.append(item)
    thread.join()
    assert got == list(range(20))
    assert result == [None]
    assert link.dropped == 0


def test_a_full_ordered_link_blocks_until_somebody_reads() -> None:
    link: Link[int] = Link.ordered(1)
    link.put(0)
    thread, result = in_thread(lambda: link.put(1))
    thread.join(0.05)
    assert thread.is_alive()
    assert link.get() == 0
    thread.join(5)
    assert result == [False]
    assert link.get() == 1


@pytest.mark.parametrize("link", [Link[int].latest(), Link[int].ordered(3)])
def test_after_close_the_reader_drains_and_the_writer_is_refused(link: Link[int]) -> None:
    link.put(7)
    link.close()
    with pytest.raises(LinkClosedError):
        link.put(8)
    assert list(link) == [7]
    with pytest.raises(LinkClosedError):
        link.get()


def test_an_error_reaches_both_sides_at_once_and_stays() -> None:
    link: Link[int] = Link.ordered(3)
    link.put(1)
    error = OSError("the disk is full")
    link.close(error)
    link.close(ValueError("later"))
    link.close()
    for meet in (link.get, lambda: link.put(2), lambda: list(link)):
        with pytest.raises(OSError, match="the disk is full") as caught:
            meet()
        assert caught.value is error


@pytest.mark.parametrize("closing", [None, OSError("gone")])
def test_closing_wakes_a_blocked_reader_and_a_blocked_writer(closing: OSError | None) -> None:
    empty: Link[int] = Link.ordered(1)
    full: Link[int] = Link.ordered(1)
    full.put(0)
    reader, read = in_thread(empty.get)
    writer, written = in_thread(lambda: full.put(1))
    time.sleep(0.02)
    empty.close(closing)
    full.close(closing)
    reader.join(5)
    writer.join(5)
    assert not reader.is_alive()
    assert not writer.is_alive()
    for (result,) in (read, written):
        assert result is closing if closing else isinstance(result, LinkClosedError)


def test_an_error_after_a_plain_close_still_reaches_the_writer() -> None:
    link: Link[int] = Link.ordered(2)
    link.put(1)
    link.close()
    link.close(OSError("the sink failed"))
    with pytest.raises(OSError, match="the sink failed"):
        link.get()


def test_a_link_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Link[int].ordered(0)


def test_get_does_not_wait_longer_than_it_may() -> None:
    link: Link[int] = Link.latest()
    with pytest.raises(TimeoutError):
        link.get(timeout_s=0.01)
    link.put(1)
    assert link.get(timeout_s=0.01) == 1
