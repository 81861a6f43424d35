"""Link: a bounded queue between two threads, closable from both ends.

Link.latest()     one slot; a newer item replaces an older one, which counts as dropped (live)
Link.ordered(n)   every item in order; a full link blocks the one who puts (recordings)
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Self, TypeVar

T = TypeVar("T")


class LinkClosedError(Exception):
    """The link was closed without an error: nothing more goes in, and nothing is left in it."""


class Link(Generic[T]):
    """Hands items from one thread to another.

    Either side may `close`. Without an error the reader still gets what is inside and then the
    iteration ends. With an error what is inside is thrown away and both sides meet that very
    error at their next call, also when they are blocked in one.
    """

    def __init__(self, size: int, *, replace: bool) -> None:
        """Use `latest` or `ordered`.

        Raises: ValueError: `size` is below one.
        """
        if size < 1:
            raise ValueError(f"a link holds at least one item, not {size}")
        self._size = size
        self._replace = replace
        self._items: deque[T] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._dropped = 0

    @classmethod
    def latest(cls) -> Self:
        """A link for live pictures: bounded age, never a queue."""
        return cls(1, replace=True)

    @classmethod
    def ordered(cls, n: int) -> Self:
        """A link for recordings: no item is lost, at most `n` wait."""
        return cls(n, replace=False)

    @property
    def dropped(self) -> int:
        """How many items were replaced before anybody read them."""
        with self._changed:
            return self._dropped

    def put(self, item: T) -> bool:
        """Hand over one item; blocks while an ordered link is full.

        Returns: True if it replaced one that nobody had read.
        Raises: LinkClosedError: the link was closed.
                the error with which the link was closed.
        """
        with self._changed:
            while not self._closed and not self._replace and len(self._items) >= self._size:
                self._changed.wait()
            self._raise_error()
            if self._closed:
                raise LinkClosedError("put into a closed link")
            replaces = len(self._items) >= self._size
            if replaces:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()
            return replaces

    def get(self, timeout_s: float | None = None) -> T:
        """Take the oldest item; blocks while there is none.

        Args:   timeout_s: wait no longer than this; None waits for ever.
        Raises: LinkClosedError: the link was closed and is empty.
                TimeoutError: nothing came in time.
                the error with which the link was closed.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._items, timeout_s):
                raise TimeoutError(f"nothing came within {timeout_s} s")
            self._raise_error()
            if not self._items:
                raise LinkClosedError("the link is closed and empty")
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self, error: BaseException | None = None) -> None:
        """End the traffic. May be called again; the first error stays."""
        with self._changed:
            self._closed = True
            if error is not None and self._error is None:
                self._error = error
                self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        """Items until the link is closed; raises the error with which it was closed."""
        while True:
            try:
                item = self.get()
            except LinkClosedError:
                return
            yield item

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error
