"""Transparency: how opaque each pixel of a recording is, beside its colours."""

from __future__ import annotations

import av
import numpy as np
from av.video.format import VideoFormat as PixelFormat
from av.video.reformatter import VideoReformatter

from stream.image.resample import Rect, Size, resample
from stream.media.planes import Layout, Samples, planes_of

ALPHA = "yuva"
"""Begins the names of planar YUV formats with a plane more."""


def is_transparent(name: str) -> bool:
    """Whether a pixel format, by FFmpeg's name, has transparency."""
    return any(part.is_alpha for part in PixelFormat(name).components)


def opaque(name: str) -> str:
    """FFmpeg's name of a planar YUV format → of the same one without transparency."""
    return "yuv" + name.removeprefix(ALPHA) if name.startswith(ALPHA) else name


class Transparency:
    """Puts the transparency of decoded pictures behind the planes of the outputs.

    Args: name: FFmpeg's name of the pixel format to make; begins with `ALPHA`.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        layout = Layout.of(opaque(name))
        if layout is None:
            raise ValueError(f"{name} is not planar YUV")
        self._layout = layout
        self._convert = VideoReformatter()

    def of(self, decoded: av.VideoFrame, rect: Rect, size: Size) -> Samples:
        """That of the part of a decoded picture that the output shows, at the output's size.

        Args:    rect: xyxy px of the picture. size: (width, height), px.
        Returns: (height, width), in the depth of the format to make.
        """
        frame = decoded
        if frame.format.name != self._name:
            frame = self._convert.reformat(frame, format=self._name)
        samples = self._plane(frame)
        if rect == (0.0, 0.0, *map(float, size)) and samples.shape == (size[1], size[0]):
            return samples
        shown: Samples = np.minimum(resample(samples, rect, size), self._layout.most)
        return shown

    def onto(self, picture: av.VideoFrame, alpha: Samples) -> av.VideoFrame:
        """A picture of the same format without transparency, with it; without times and tags."""
        made = av.VideoFrame(picture.width, picture.height, format=self._name)
        colours = zip(planes_of(made, self._layout), planes_of(picture, self._layout), strict=True)
        for target, samples in colours:
            target[...] = samples
        self._plane(made)[...] = alpha
        return made

    def _plane(self, frame: av.VideoFrame) -> Samples:
        """A view of the last plane."""
        plane = frame.planes[3]
        samples = np.asarray(memoryview(plane)).view(
            np.uint8 if self._layout.depth == 8 else np.uint16
        )
        rows = samples.reshape(-1, plane.line_size // samples.itemsize)
        return rows[: plane.height, : plane.width]
