"""Chroma: where the colour samples of a picture lie, which PyAV neither tells nor lets us say.

FFmpeg's conversion to RGB looks at it, so a picture must keep it on its way from one process to the
other. It is found by trying which place gives the same RGB, and set by a filter.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from stream.frame import Image
from stream.media.colour import Colour, colour_of, to_rgb

PLACES = ("left", "unspecified", "topleft")
"""The usual one first. "unspecified" is converted like "center"."""
NEVER_SAID = {"vp8": "unspecified", "mjpeg": "unspecified", "mpeg1video": "unspecified"}
"""Codecs whose pictures are not "left", for as long as no picture has shown it."""
CLOCK = Fraction(1, 1000)
PART_PX = 320
MOST_TRIES = 20
"""Pictures without colour edges, such as black ones, look the same in any place."""


class ChromaFinder:
    """Says the place for each picture of a recording. Args: codec: FFmpeg's name."""

    def __init__(self, codec: str) -> None:
        self._place = NEVER_SAID.get(codec, PLACES[0])
        self._tries = MOST_TRIES
        self._rgb = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> str:
        """A name of `PLACES`; "unspecified" where every pixel has colours of its own."""
        if not _subsampled(frame):
            return "unspecified"
        if self._tries:
            self._tries -= 1
            part, colour = _part(frame, self._tries), colour_of(frame)
            truth = self._convert(part, colour)
            alike = [
                place
                for place in PLACES
                if np.array_equal(truth, self._convert(ChromaSetter()(part, place), colour))
            ]
            if 0 < len(alike) < len(PLACES):
                self._place, self._tries = alike[0], 0
        return self._place

    def _convert(self, frame: av.VideoFrame, colour: Colour) -> Image:
        return to_rgb(self._rgb, frame, colour, (frame.width, frame.height))


class ChromaSetter:
    """Puts the place on pictures; keeps the filter as long as they are alike."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str, str] | None = None
        self._graph = av.filter.Graph()

    def __call__(self, frame: av.VideoFrame, place: str) -> av.VideoFrame:
        """The same picture with the place, without pts.

        Raises: ValueError: no such place.
        """
        if place not in PLACES:
            raise ValueError(f"chroma {place}")
        if place == "unspecified":
            return frame
        kind = (frame.width, frame.height, frame.format.name, place)
        if kind != self._kind:
            graph = _graph(frame, ("setparams", f"chroma_location={place}"))
            self._graph, self._kind = graph, kind
        return _through(self._graph, frame)


def top_down(frame: av.VideoFrame) -> av.VideoFrame:
    """The picture itself, or a copy where its lines lie in memory from the bottom up, as some
    decoders leave them (AMV): PyAV gives no bytes of those."""
    if all(plane.line_size >= 0 for plane in frame.planes):
        return frame
    copy = _through(_graph(frame, ("copy", "")), frame)
    copy.pts, copy.duration = frame.pts, frame.duration
    for name in ("colorspace", "color_range", "color_primaries", "color_trc"):
        setattr(copy, name, getattr(frame, name))
    return copy


def _subsampled(frame: av.VideoFrame) -> bool:
    colours = [one for one in frame.format.components if one.is_chroma]
    return any(one.width < frame.width for one in colours)


def _part(frame: av.VideoFrame, number: int) -> av.VideoFrame:
    """A square of the picture, each time another one, or all of a small picture."""
    if max(frame.width, frame.height) <= PART_PX:
        return frame
    width, height = min(frame.width, PART_PX), min(frame.height, PART_PX)
    across = (frame.width - width) * ((number * 7 + 3) % 11) // 10
    down = (frame.height - height) * ((number * 3 + 5) % 11) // 10
    graph = _graph(frame, ("crop", f"{width}:{height}:{across}:{down}"))
    return _through(graph, frame)


def _through(graph: av.filter.Graph, frame: av.VideoFrame) -> av.VideoFrame:
    pts, time_base = frame.pts, frame.time_base
    frame.pts, frame.time_base = 0, CLOCK
    graph.push(frame)
    frame.pts = pts
    if time_base is not None:
        frame.time_base = time_base
    pulled = graph.pull()
    assert isinstance(pulled, av.VideoFrame)
    return pulled


def _graph(frame: av.VideoFrame, filter_: tuple[str, str]) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    chain = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=CLOCK,
        ),
        graph.add(*filter_),
        graph.add("buffersink"),
    ]
    for link, following in pairwise(chain):
        link.link_to(following)
    graph.configure()
    return graph
