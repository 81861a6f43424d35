"""Segments: a recording is written in pieces, so that an interruption costs one of them at most.

A piece begins at a picture that is fixed beforehand, with an encoder of its own: what is in it
depends on its pictures alone. With what the stages remember
(`stream.recordings.resume.stage_checkpoint`) this makes the result the same, byte for byte, with
and without an interruption.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from stream.frame import Frame
from stream.media.sinks.file_sink import FileSink, writing
from stream.media.sinks.provenance import Provenance
from stream.media.stream_copy import StreamCopy
from stream.recordings.resume.concat import Concat
from stream.recordings.resume.stage_checkpoint import StageCheckpoint
from stream.recordings.resume.work_dir import WorkDir


class SegmentedSink:
    """A sink that writes segments, and joins them at the end.

    Args: place: where the segments are. checkpoint: of the stages.
          make_sink: opens the sink of a segment at a path.
          copied streams: closed by this sink. rate: pictures a second on average.
          provenance: what the file says when a face was enhanced.
    """

    name = "write"

    def __init__(
        self,
        place: WorkDir,
        checkpoint: StageCheckpoint,
        make_sink: Callable[[Path], FileSink],
        stream_copy: StreamCopy,
        rate: Fraction,
        provenance: Provenance | None = None,
    ) -> None:
        self._place = place
        self._checkpoint = checkpoint
        self._make_sink = make_sink
        self._stream_copy = stream_copy
        self._rate = rate
        self._provenance = provenance
        self._sink: FileSink | None = None
        self._number = len(place.segments)
        self.packets_left_out = 0
        """Damaged packets of the copied streams that could not be written."""
        self.notes: tuple[str, ...] = ()
        """What did not go as asked for."""
        self._last_s = 1 / rate
        """How long the last picture is shown, seconds."""

    def send(self, frame: Frame) -> None:
        """Write a frame, unless its segment is there already.

        Raises: OutputError: it cannot be written.
        """
        if frame.native is not None and frame.native.duration:
            self._last_s = frame.native.duration * frame.time_base
        if frame.index < self._checkpoint.first:
            return
        if self._sink is not None and frame.index % self._place.segment_frames == 0:
            self._keep(self._sink)
        if self._sink is None:
            self._sink = self._make_sink(self._place.growing)
            self.notes = self._sink.notes
        self._sink.send(frame)

    def close(self) -> None:
        """Finish the last segment and join all of them.

        Raises: OutputError: it cannot be written.
        """
        if self._sink is not None:
            self._keep(self._sink)
        join = Concat(
            self._place.segments, self._provenance, enhanced=self._checkpoint.enhanced > 0
        )
        join.write(self._place.target, self._rate, self._last_s, self._stream_copy)
        self.packets_left_out = join.packets_left_out
        self._stream_copy.close()

    def abort(self) -> None:
        """Drop the segment that is not whole; the others stay for the next time."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.abort()
        with suppress(OSError):
            self._place.growing.unlink(missing_ok=True)
        self._stream_copy.close()

    def _keep(self, sink: FileSink) -> None:
        sink.close()
        self._sink = None
        with writing(self._place.target):
            known = self._checkpoint.before((self._number + 1) * self._place.segment_frames)
            self._place.keep(self._number, known)
        self._number += 1
