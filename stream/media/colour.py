"""Colour: how the numbers of a video picture mean RGB, and the way there and back.

A default conversion in FFmpeg shifts luma by one and assumes BT.601 on the way back; both
conversions here are accurate and name their matrix and range.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from stream.frame import Image

UNSPECIFIED = 2
"""Of a matrix, primaries or transfer (ITU-T H.273)."""
BT709 = 1
BT601 = 6
HD_HEIGHT_PX = 720
"""From here on players take an unspecified matrix for BT.709 (the shorter side counts)."""
ACCURATE = (
    Interpolation.BICUBIC
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)
FILTER_MATRICES = {
    1: "bt709",
    4: "fcc",
    5: "bt470",
    6: "smpte170m",
    7: "smpte240m",
    9: "bt2020",
    10: "bt2020",
}
"""H.273 matrix → its name in FFmpeg's scale filter."""
SWSCALE_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""H.273 matrix → FFmpeg's swscale matrix; the others do not occur in recordings."""


LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
"""H.273 matrix → parts of red and blue in luma."""


@dataclass(frozen=True)
class Colour:
    """Code points of ITU-T H.273, as video files carry them."""

    matrix: int = BT709
    primaries: int = BT709
    transfer: int = BT709
    full_range: bool = False

    @property
    def range_tag(self) -> int:
        """FFmpeg's tag: 1 limited, 2 full."""
        return int(ColorRange.JPEG if self.full_range else ColorRange.MPEG)

    @property
    def luma_weights(self) -> tuple[float, float, float]:
        """Parts of red, green and blue in luma; they make 1."""
        red, blue = LUMA_WEIGHTS[self.matrix]
        return red, 1.0 - red - blue, blue


def colour_of(frame: av.VideoFrame) -> Colour:
    """What a decoded picture says about itself; where it is silent, what players assume."""
    assumed = BT709 if min(frame.width, frame.height) >= HD_HEIGHT_PX else BT601
    matrix = int(frame.colorspace)
    if matrix not in SWSCALE_MATRICES:
        matrix = assumed
    silent = int(frame.color_range) == ColorRange.UNSPECIFIED
    full = int(frame.color_range) == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    full = full or (silent and is_grey(frame.format.name))
    return Colour(
        matrix=matrix,
        primaries=_specified(int(frame.color_primaries), matrix),
        transfer=_specified(int(frame.color_trc), matrix),
        full_range=full,
    )


def is_grey(name: str) -> bool:
    """Whether a pixel format, by FFmpeg's name, has no colour; FFmpeg takes it for full range."""
    return name.startswith(("gray", "ya8", "ya16"))


def to_rgb(
    reformatter: VideoReformatter,
    frame: av.VideoFrame,
    colour: Colour,
    size: tuple[int, int],
    threads: int = 0,
) -> Image:
    """The picture as RGB.

    Args:    size: (width, height) px of the result; the picture is resized when it differs.
             threads: that convert it; 0 for as many as suit the machine.
    Returns: RGB uint8 (height, width, 3), a new array.
    """
    # Of 4:2:0 FFmpeg makes planes of red, green and blue in half the time, to the same samples.
    in_planes = bool(frame.format.chroma_height(2) == 1)
    rgb = reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format="gbrp" if in_planes else "rgb24",
        interpolation=ACCURATE,
        src_colorspace=SWSCALE_MATRICES[colour.matrix],
        src_color_range=colour.range_tag,
        dst_color_range=int(ColorRange.JPEG),
        threads=threads,
    )
    if not in_planes:
        return np.ascontiguousarray(rgb.to_ndarray(), dtype=np.uint8)
    green, blue, red = (
        np.asarray(memoryview(plane)).reshape(-1, plane.line_size)[: size[1], : size[0]]
        for plane in rgb.planes
    )
    return np.asarray(cv2.merge((red, green, blue)), np.uint8)


def to_format(
    reformatter: VideoReformatter,
    frame: av.VideoFrame,
    colour: Colour,
    size: tuple[int, int],
    name: str,
) -> av.VideoFrame:
    """The picture in another pixel format, and at another size where it differs.

    Args: name: FFmpeg's name of a planar YUV format.
    """
    if frame.format.name == name and (frame.width, frame.height) == size:
        return frame
    return reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format=name,
        interpolation=ACCURATE,
        src_colorspace=SWSCALE_MATRICES[colour.matrix],
        dst_colorspace=SWSCALE_MATRICES[colour.matrix],
        src_color_range=int(ColorRange.JPEG) if frame.format.is_rgb else colour.range_tag,
        dst_color_range=colour.range_tag,
    )


class ToYuv:
    """RGB pictures of one size as tagged YUV, chroma on the left luma column as in H.264.

    Through FFmpeg's scale filter: the plain converter cannot be told where chroma lies. It puts it
    between two columns, where no decoder looks for it, and colours would move to the left by half a
    pixel each time a recording passes through.

    Args: size: (width, height) px, both even. name: FFmpeg's name of the pixel format.
    """

    def __init__(self, size: tuple[int, int], colour: Colour, name: str = "yuv420p") -> None:
        self._colour = colour
        self._graph = av.filter.Graph()
        chain = [
            self._graph.add_buffer(
                width=size[0],
                height=size[1],
                format=av.VideoFormat("rgb24"),
                time_base=Fraction(1, 1000),
            ),
            self._graph.add(
                "scale",
                f"out_color_matrix={FILTER_MATRICES[colour.matrix]}"
                f":out_range={'pc' if colour.full_range else 'tv'}:out_chroma_loc=left"
                ":flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp",
            ),
            self._graph.add("format", name),
            self._graph.add("buffersink"),
        ]
        for link, following in pairwise(chain):
            link.link_to(following)
        self._graph.configure()

    def __call__(self, image: Image) -> av.VideoFrame:
        """RGB uint8 (height, width, 3) -> a new frame without pts."""
        rgb = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(image), format="rgb24")
        rgb.pts, rgb.time_base = 0, Fraction(1, 1000)
        self._graph.push(rgb)
        frame = self._graph.pull()
        assert isinstance(frame, av.VideoFrame)
        frame.pts = None
        frame.colorspace = self._colour.matrix
        frame.color_range = self._colour.range_tag
        frame.color_primaries = self._colour.primaries
        frame.color_trc = self._colour.transfer
        return frame


def _specified(tag: int, matrix: int) -> int:
    """The tag, or, where the file is silent, the one that goes with the matrix."""
    if tag not in (0, UNSPECIFIED):
        return tag
    return {1: BT709, 5: 5, 6: BT601, 7: 7, 9: 9}.get(matrix, BT709)
