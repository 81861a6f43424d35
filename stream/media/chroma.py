"""Chroma: where the colour samples of a picture lie, which PyAV neither tells nor lets us say.

FFmpeg's conversion to RGB looks at it, so a picture must keep it on its way from one process to the
other. It is found by trying which place gives the same RGB, and set by a filter.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
from av.video.format import VideoFormat as PixelFormat
from av.video.reformatter import VideoReformatter

from stream.frame import Image
from stream.media.colour import colour_of, to_rgb

PLACES = ("left", "center", "topleft", "top", "bottomleft", "bottom")
"""The usual one first. A picture that does not say is converted like "center"."""
UNSPECIFIED = "unspecified"
"""Every pixel has colours of its own, or none has any."""
CLOCK = Fraction(1, 1000)
PART_PX, FRAME_PX = 16, 8


class ChromaFinder:
    """Says the place for each picture of a recording; pictures of one kind have one place."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str] | None = None
        self._place = UNSPECIFIED

    def __call__(self, frame: av.VideoFrame) -> str:
        """A name of `PLACES`, the first where several mean the same; or `UNSPECIFIED`."""
        kind = (frame.width, frame.height, frame.format.name)
        if kind != self._kind:
            self._kind, self._place = kind, place_of(frame)
        return self._place


def is_halved(name: str) -> bool:
    """Whether pixels of a format, by FFmpeg's name, have a quarter of the colour samples (4:2:0);
    only of those do codecs say where they lie."""
    pixels = PixelFormat(name)
    return (pixels.chroma_width(4), pixels.chroma_height(4)) == (2, 2)


def place_of(frame: av.VideoFrame) -> str:
    """Where the colour samples of a picture lie: a name of `PLACES`, or `UNSPECIFIED`."""
    if not _subsampled(frame):
        return UNSPECIFIED
    part, rgb = _edges(frame), VideoReformatter()

    def converted(tried: av.VideoFrame) -> Image:
        return to_rgb(rgb, tried, colour_of(part), (part.width, part.height))

    truth, set_place = converted(part), ChromaSetter()
    alike = (one for one in PLACES if np.array_equal(truth, converted(set_place(part, one))))
    return next(alike, UNSPECIFIED)


class ChromaSetter:
    """Puts the place on pictures; keeps the filter as long as they are alike."""

    def __init__(self) -> None:
        self._kind: tuple[int, int, str, str] | None = None
        self._graph = av.filter.Graph()

    def __call__(self, frame: av.VideoFrame, place: str) -> av.VideoFrame:
        """The same picture with the place, without pts.

        Raises: ValueError: no such place.
        """
        if place == UNSPECIFIED:
            return frame
        if place not in PLACES:
            raise ValueError(f"chroma {place}")
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
    return any(one.width < frame.width or one.height < frame.height for one in colours)


def _edges(frame: av.VideoFrame) -> av.VideoFrame:
    """A corner of the picture in two frames of colour: a black one looks the same in any place."""
    width, height = min(frame.width, PART_PX), min(frame.height, PART_PX)
    graph = _graph(
        frame,
        ("crop", f"{width}:{height}:0:0"),
        *(("pad", f"iw+{FRAME_PX}:ih+{FRAME_PX}:{FRAME_PX // 2}:{FRAME_PX // 2}:{colour}")
          for colour in ("red", "blue")),
    )  # fmt: skip
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


def _graph(frame: av.VideoFrame, *filters: tuple[str, str]) -> av.filter.Graph:
    graph = av.filter.Graph()
    graph.threads = 1
    chain = [
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=CLOCK,
        ),
        *(graph.add(*one) for one in filters),
        graph.add("buffersink"),
    ]
    for link, following in pairwise(chain):
        link.link_to(following)
    graph.configure()
    return graph
