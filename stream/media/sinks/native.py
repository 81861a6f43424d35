"""Native: a recording's own pictures with the enhanced faces in them, never through RGB.

The network works on RGB with 8 bits. Only what it changed is turned into YUV, as a difference, and
added to the picture as the recording holds it: whatever nobody touched stays bit for bit, and 10
bits stay 10 bits.
"""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.video.frame import PictureType
from av.video.reformatter import VideoReformatter

from stream.frame import Floats, Frame
from stream.image.resample import Rect, Size
from stream.image.touched import Box, plain_part, touched
from stream.media.brightness import coded
from stream.media.colour import BT709, to_format
from stream.media.planes import Layout, add, show
from stream.media.transparency import ALPHA, Transparency, opaque
from stream.media.video_format import VideoFormat


class Native:
    """Makes the pictures to encode, in the orientation and pixel format of the recording.

    Args:   format: of the recording's pictures. size: (width, height) of the upright outputs, px.
            name: FFmpeg's name of the pixel format to make, planar YUV, perhaps with transparency,
            or grey.
    Raises: ValueError: it is of another kind.
    """

    def __init__(self, video_format: VideoFormat, size: Size, name: str) -> None:
        self._transparency = Transparency(name) if name.startswith(ALPHA) else None
        name = opaque(name)
        layout = Layout.of(name)
        if layout is None:
            raise ValueError(f"{name} is not planar YUV")
        self._layout = layout
        self._video_format = video_format
        self._upright = size
        self._name = name
        self._convert = VideoReformatter()
        self.size = video_format.turn.turned(size)
        """(width, height) px of the pictures as they are coded."""

    def __call__(self, frame: Frame) -> av.VideoFrame:
        """The picture of a frame that has its `native`; that one is used up.

        Returns: without pts, without colour tags where it was enlarged.
        """
        assert frame.native is not None
        video_format, turn = self._video_format, self._video_format.turn
        picture = to_format(
            self._convert, frame.native, video_format.colour, video_format.size, self._name
        )
        rect = (0.0, 0.0, float(self._upright[0]), float(self._upright[1]))
        if frame.view is not None:
            rect = _part(frame.view.rect, frame.view.size, self._upright)
        rect = turn.undo_rect(rect, turn.turned(video_format.size))
        alpha = None
        if self._transparency is not None:
            alpha = self._transparency.of(frame.native, rect, self.size)
        whole = rect == (0.0, 0.0, float(video_format.size[0]), float(video_format.size[1]))
        if not (whole and self.size == video_format.size):
            picture = show(picture, self._layout, rect, self.size, video_format.chroma)
        changed = list(changes(frame, video_format.colour.transfer))
        if changed:
            # The decoder may still need its picture to predict others.
            picture.make_writable()
        for touched_box, whole_difference in changed:
            box, difference = _within(touched_box, whole_difference, self._upright)
            if difference.size == 0:
                continue
            x0, y0, x1, y1 = (int(n) for n in turn.undo_rect(box, self._upright))
            add(picture, self._layout, video_format.colour, (x0, y0, x1, y1), turn.undo(difference))
        if self._transparency is not None and alpha is not None:
            picture = self._transparency.onto(picture, alpha)
        picture.pict_type = PictureType.NONE
        return picture


def changes(frame: Frame, transfer: int = BT709) -> Iterator[tuple[Box, Floats]]:
    """Where the output differs from the mere view of the camera's picture, and by how much.

    Args:    transfer: of the recording (ITU-T H.273); its frames are `ordinary`.
    Returns: boxes that do not overlap, begin at even pixels and end there or at the edge, and the
             differences, float32 (h, w, 3), RGB in 8-bit levels of the transfer; zero at the edges.
    """
    if frame.output is None or frame.output is frame.image:
        return
    high, wide = frame.output.shape[:2]
    rect = (0.0, 0.0, float(wide), float(high)) if frame.view is None else frame.view.rect
    size = (wide, high)
    for x0, y0, x1, y1 in touched(frame, rect, size):
        plain = plain_part(frame, rect, size, (x0, y0, x1, y1))
        drawn = frame.output[y0:y1, x0:x1]
        difference = coded(drawn, transfer) - coded(plain, transfer)
        if difference.any():
            yield (x0, y0, x1, y1), difference


def _part(rect: Rect, size: Size, kept: Size) -> Rect:
    """What of a view of `size` is shown by its top left `kept`: the encoder may want even sides."""
    x0, y0, x1, y1 = rect
    return x0, y0, x0 + (x1 - x0) * kept[0] / size[0], y0 + (y1 - y0) * kept[1] / size[1]


def _within(box: Box, difference: Floats, size: Size) -> tuple[Box, Floats]:
    """The part of a change that lies in the top left `size`."""
    x0, y0, x1, y1 = box
    x1, y1 = min(x1, size[0]), min(y1, size[1])
    return (x0, y0, x1, y1), difference[: max(0, y1 - y0), : max(0, x1 - x0)]
