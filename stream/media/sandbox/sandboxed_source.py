"""SandboxedSource: a recording whose file is opened, parsed and decoded by another process.

A file that brings the decoder down, makes it wait for ever or asks for all the memory ends that
process, and here it is one clear line.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from multiprocessing import Pipe
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from stream.errors import InputError
from stream.media.chroma import ChromaSetter
from stream.media.pyav import exact
from stream.media.sandbox.sandbox_protocol import (
    Message,
    PictureMessage,
    invalid_data,
    maybe,
    number,
    one_line,
    receive,
    said,
    send,
    understand,
    understand_beside,
)
from stream.media.sandbox.shared_planes import Bytes, read_planes
from stream.media.sandbox.spawn import Child, death, spawn
from stream.media.sources import file_source
from stream.media.sources.file_source import FileSource
from stream.media.sources.picture_changes import Findings
from stream.media.video_format import VideoFormat

PATIENCE_S = 90.0
"""Without a picture or a step of the survey."""
SLOTS, SLOTS_BYTES = 6, 128 << 20
"""So many pictures are decoded ahead; fewer, but two, where they need more memory than this."""
MOST_BYTES_A_PIXEL = 8
"""Four channels of 16 bits."""


class SandboxDefectError(Exception):
    """A mistake in this program, met in the other process; with its traceback."""


def open_source(path: Path, *, lazy: bool = False) -> FileSource:
    """A recording behind the sandbox; Windows cannot hand its memory on, and has none.

    Args:   lazy: as of `FileSource`.
    Raises: InputError: as `FileSource`.
    """
    opened = FileSource if sys.platform == "win32" else SandboxedSource
    return opened(path, lazy=lazy)


class SandboxedSource(FileSource):
    """As `FileSource`, at a distance. Linux and macOS.

    Raises: InputError: also while iterating: the child died, was stopped, or exceeded a limit.
    """

    def __init__(self, path: Path, *, lazy: bool = False) -> None:
        """Start the child, which opens the recording and decodes its first picture.

        Args: lazy: as of `FileSource`.
        """
        self.holds: frozenset[str] = frozenset()
        """What confines the child, see `stream.media.sandbox.confine`."""
        self._child: Child | None = None
        self._slots: list[Bytes] = []
        self._chroma = ChromaSetter()
        super().__init__(path, lazy=lazy)

    def close(self) -> None:
        """End the child. May be called again."""
        self._slots = []
        child, self._child = self._child, None
        if child is not None:
            self._connection.close()
            os.close(self._memory)
            child.kill()
            child.wait()

    def peak_bytes(self) -> int | None:
        """The most addresses the child has held so far; None where the system does not say."""
        try:
            status = Path(f"/proc/{self._child.pid if self._child else 0}/status").read_text()
        except OSError:
            return None
        lines = (line.split() for line in status.splitlines())
        return next((1024 * int(line[1]) for line in lines if line[0] == "VmPeak:"), None)

    def _open(self) -> InputContainer:
        self._start()
        try:
            message = self._receive()
            self.holds = frozenset(map(str, message.get("holds", ())))
            while "facts" not in message:
                message = self._receive()
            with self._understanding():
                facts = said(message, "facts", dict)
                container = understand(facts)
                self.sides, self._interlaced = understand_beside(facts)
                self._until, self._less = number(facts, "until"), maybe(facts, "cut_off")
        except BaseException:
            self.close()
            raise
        # It has what is asked of it here.
        return cast(InputContainer, container)

    def _chosen(self) -> VideoStream:
        return cast(VideoStream, self._container.streams[0])

    def _video_format(self, first: av.VideoFrame) -> VideoFormat:
        aspect = exact(self._stream.sample_aspect_ratio) or Fraction(1)
        return VideoFormat.of(first, aspect, sides=self.sides, interlaced=self._interlaced)

    def _shown_until(self) -> int | None:
        return self._until

    def _is_cut_off(self) -> bool | None:
        return self._less

    def _decode(self) -> Iterator[av.VideoFrame]:
        while True:
            message = self._receive()
            with self._understanding():
                if "end" in message:
                    end = said(message, "end", dict)
                    self.damaged = said(end, "damaged", int)
                    self.deinterlaced = said(end, "deinterlaced", int)
                    self.broke_off = said(end, "broke_off", bool)
                    self.findings = _findings(said(end, "findings", dict))
                    return
                if "grow" in message:
                    self._grow(said(message, "grow", int))
                    continue
                told = PictureMessage.understood(message)
                self.damaged = told.damaged
                frame = self._picture(told, self._slots[told.slot])
            self._send({"free": told.slot})
            yield frame

    def _start(self) -> None:
        self._connection, theirs = Pipe()
        self._memory = _anonymous_memory()
        passed = (theirs.fileno(), self._memory)
        try:
            self._child = spawn("stream.media.sandbox.child", passed, [str(self.path)])
        except BaseException:
            self._connection.close()
            os.close(self._memory)
            raise
        finally:
            theirs.close()

    def _receive(self) -> Message:
        """The child's next message, other than that it is alive."""
        while True:
            try:
                if not self._connection.poll(PATIENCE_S):
                    raise InputError(
                        f"{self.path} gives no picture within {PATIENCE_S:.0f} s; is it damaged?"
                    )
                message = receive(self._connection)
            except (EOFError, OSError, ValueError) as error:
                assert self._child is not None
                raise InputError(f"{self.path} {death(self._child)}") from error
            if "defect" in message:
                lines = (one_line(line) for line in str(message["defect"]).splitlines())
                raise SandboxDefectError("\n".join(["in the process that decodes:", *lines]))
            if "error" in message:
                raise InputError(one_line(str(message["error"])))
            if "alive" not in message:
                return message

    def _send(self, message: Message) -> None:
        # A child that has gone is noticed when it is listened to.
        with suppress(OSError):
            send(self._connection, message)

    @contextmanager
    def _understanding(self) -> Iterator[None]:
        """Turn an invalid message into an error; only a compromised child sends one.

        Raises: InputError.
        """
        try:
            yield
        except (ValueError, LookupError, ArithmeticError) as error:
            raise invalid_data(self.path) from error

    def _grow(self, needed: int) -> None:
        """New slots, in memory that the child cannot shrink."""
        if not 0 < needed <= file_source.MAX_PIXELS * MOST_BYTES_A_PIXEL:
            raise ValueError(f"a picture of {needed} bytes")
        number = max(2, min(SLOTS, SLOTS_BYTES // needed))
        try:
            os.ftruncate(self._memory, max(number * needed, os.fstat(self._memory).st_size))
            shared = np.frombuffer(mmap.mmap(self._memory, number * needed), np.uint8)
        except OSError as error:
            # Limits of files hold for memory without a name, too.
            raise InputError(
                f"{self.path} cannot be decoded: {number * needed >> 20} MB of memory cannot be "
                f"had ({error.strerror}); free some, or lift the limit (ulimit -f)"
            ) from error
        self._slots = list(shared.reshape(number, needed))
        self._send({"slots": number, "bytes": needed})

    def _picture(self, told: PictureMessage, slot: Bytes) -> av.VideoFrame:
        if not 0 < told.width * told.height <= file_source.MAX_PIXELS:
            raise ValueError(f"a picture of {told.width}x{told.height}")
        frame = read_planes(slot, told.width, told.height, told.format, told.planes)
        frame = self._chroma(frame, told.chroma)
        frame.pts = told.pts
        frame.duration = told.duration
        if self._stream.time_base is not None:
            frame.time_base = self._stream.time_base
        for name, tag in told.tags.items():
            setattr(frame, name, tag)
        return frame


def _findings(told: Message) -> Findings:
    """Raises: ValueError: these are none."""
    lines = tuple(one_line(str(one)) for one in said(told, "changes", list))
    return Findings(lines, said(told, "missing_s", float), said(told, "joints", int))


def _anonymous_memory() -> int:
    """A descriptor of memory without a name, still empty."""
    if hasattr(os, "memfd_create"):
        memory = os.memfd_create("closeup", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        # A child that shrank it would bring us down when we read. Its limits keep it from growing.
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        return memory
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
