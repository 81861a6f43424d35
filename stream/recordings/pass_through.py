"""Pass-through: a recording in which there is no face to enhance is copied, not encoded anew."""

from __future__ import annotations

from pathlib import Path

from stream.errors import OutputError
from stream.media.remux import copy_recording
from stream.media.sources.file_source import FileSource
from stream.options import Options
from stream.recordings.outcome import Note, notes_of
from stream.recordings.picture_properties import PictureProperties

CONVERTED = Note("no face was found: the picture is not enhanced, only converted", is_result=True)
PASSED_THROUGH = Note(
    "no face was found: the recording was passed through unchanged", is_result=True
)


def pass_through(
    source: FileSource, options: Options, *, overwrite: bool
) -> tuple[Note, ...] | None:
    """Write an unchanged copy: there is no face to enhance.

    Args:    options: name the output. overwrite: whether it may be there already.
    Returns: what there is to say of it; None when the kind of the output cannot hold the
             recording's pictures as they are.
    """
    try:
        told = copy_recording(source.path, options.output, overwrite=overwrite)
    except OutputError:
        return None
    return (PASSED_THROUGH, *notes_of(*told, _lost(source, options.output)))


def _lost(source: FileSource, output: Path) -> str | None:
    """What this kind of file does not say of pictures that were copied, one line."""
    copied = PictureProperties.read(output)
    lost = [] if copied is None else PictureProperties.of(source).lost_in(copied)
    return f"not all could be copied: {', '.join(lost)}" if lost else None
