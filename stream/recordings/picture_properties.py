"""PictureProperties: what the pictures of a recording are beside their content, to compare two."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from av.video.format import VideoFormat as PixelFormat

from stream.errors import InputError
from stream.media.chroma import is_halved
from stream.media.planes import Layout
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sources.file_source import FileSource, open_recording, pictures_of
from stream.media.transparency import is_transparent
from stream.media.video_format import VideoFormat


@dataclass(frozen=True)
class PictureProperties:
    """Of pictures as they are coded."""

    format: VideoFormat
    interlaced: bool
    """Whether there are fields among them, in the file."""
    tells_chroma: bool = True
    """Whether FFmpeg reads where their colour samples lie."""

    @classmethod
    def of(cls, source: FileSource) -> Self:
        """Of an open recording, as far as it was read."""
        return cls(source.video_format, source.deinterlaced > 0)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """Of a file, by its first picture; None where that cannot be decoded."""
        try:
            with open_recording(path) as container:
                pictures = pictures_of(container)
                is_vp9 = pictures is not None and pictures.codec.name == "vp9"
                tells = not (is_vp9 and "mp4" in container.format.name)
            with closing(open_source(path)) as source:
                return replace(cls.of(source), tells_chroma=tells)
        except InputError:
            return None

    def lost_in(self, after: PictureProperties) -> list[str]:
        """What an output does not have, one line each."""
        old, new = self.format, after.format
        lines = []
        if self.interlaced and not after.interlaced:
            lines.append("the pictures are whole, no fields")
        if is_transparent(old.format) and not is_transparent(new.format):
            lines.append("the pictures are opaque")
        lines += self._samples_lost(after)
        if old.light is not None and new.light is None:
            lines.append("the HDR metadata is missing")
        if old.stereo is not None and new.stereo != old.stereo:
            lines.append("the stereo mapping is missing")
        lines += [f"{name} is missing" for name in old.unkept if name not in new.unkept]
        if old.mapping is not None and new.mapping not in (None, old.mapping):
            lines.append("360° video is mapped another way")
        if old.turn != new.turn:
            lines.append("the pictures are turned another way")
        if (old.pixel_aspect or 1) != (new.pixel_aspect or 1):
            lines.append(f"the pixels are {new.pixel_aspect or 1} wide, not {old.pixel_aspect}")
        return lines

    def _samples_lost(self, other: PictureProperties) -> list[str]:
        old, new = self.format, other.format
        before, after = (Layout.like(PixelFormat(one.format)) for one in (old, new))
        lines = []
        if after.depth < before.depth:
            lines.append(f"the samples have {after.depth} bits instead of {before.depth}")
        if before.planes == 3 and (after.sub_x > before.sub_x or after.sub_y > before.sub_y):
            lines.append(f"fewer colour samples: {new.format} instead of {old.format}")
        told = other.tells_chroma and is_halved(old.format) and is_halved(new.format)
        if told and old.chroma != new.chroma:
            lines.append(f"colour samples at the {new.chroma} instead of {old.chroma}")
        return lines
