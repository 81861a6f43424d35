"""Deinterlacer: pictures of two fields as whole ones, at the rate of the pictures (bwdif).

Two moments in one picture are combs to the network, and no encoder here keeps fields.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise

import av
from av.error import BlockingIOError as NotYetError
from av.error import EOFError as EndedError

CLOCK = Fraction(1, 1000)
"""Times are put back by hand: the filter only keeps the order."""


class Deinterlacer:
    """Takes the pictures of one recording, and gives as many; progressive ones as they are."""

    def __init__(self) -> None:
        self.count = 0
        """How many were interlaced."""
        self._graph: av.filter.Graph | None = None
        self._kind: tuple[int, int, str] | None = None
        self._waiting: deque[av.VideoFrame] = deque()

    def __call__(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """The next picture; what comes out may be the one before it."""
        kind = (frame.width, frame.height, frame.format.name)
        if self._graph is not None and kind != self._kind:
            yield from self.flush()
        self.count += frame.interlaced_frame
        if self._graph is None:
            if not frame.interlaced_frame:
                yield frame
                return
            self._graph, self._kind = _graph(frame), kind
        self._waiting.append(frame)
        yield from self._through(self._graph, frame)

    def flush(self) -> Iterator[av.VideoFrame]:
        """What is still inside; afterwards it begins anew."""
        graph, self._graph = self._graph, None
        if graph is not None:
            yield from self._through(graph, None)
        self._waiting.clear()

    def _through(
        self, graph: av.filter.Graph, frame: av.VideoFrame | None
    ) -> Iterator[av.VideoFrame]:
        graph.push(frame)
        while self._waiting:
            try:
                done = graph.pull()
            except (NotYetError, EndedError):
                return
            assert isinstance(done, av.VideoFrame)
            before = self._waiting.popleft()
            done.pts, done.time_base = before.pts, before.time_base
            done.duration = before.duration
            yield done


def _graph(frame: av.VideoFrame) -> av.filter.Graph:
    graph = av.filter.Graph()
    chain = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=CLOCK
        ),
        graph.add("bwdif", "mode=send_frame:deint=interlaced"),
        graph.add("format", frame.format.name),
        graph.add("buffersink"),
    ]
    for link, following in pairwise(chain):
        link.link_to(following)
    graph.configure()
    return graph
