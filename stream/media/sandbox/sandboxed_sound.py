"""SandboxedSound: a sound track that another process decodes, as the pictures are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

from stream.errors import InputError
from stream.media.sandbox.sandbox_protocol import (
    LONGEST,
    Message,
    invalid_data,
    one_line,
    receive,
    said,
)
from stream.media.sandbox.sandboxed_source import PATIENCE_S, SandboxDefectError
from stream.media.sandbox.spawn import Child, death, spawn
from stream.media.sources.sound_source import (
    LAYOUTS,
    MAX_RATE_HZ,
    PACKED,
    SoundFormat,
    SoundPart,
    SoundSource,
)


def open_sound(path: Path, index: int) -> SoundSource:
    """A sound track behind the sandbox; Windows has none.

    Raises: InputError: as `SoundSource`.
    """
    known = SoundSource if sys.platform == "win32" else SandboxedSound
    return known(path, index)


class SandboxedSound(SoundSource):
    """As `SoundSource`, at a distance. Linux and macOS.

    Raises: InputError: also while iterating: the child died or was stopped.
    """

    def __init__(self, path: Path, index: int) -> None:
        self._path = path
        self._child: Child | None = None
        self._connection, theirs = Pipe()
        try:
            self._child = spawn(
                "stream.media.sandbox.sound_child", (theirs.fileno(),), (str(path), str(index))
            )
        finally:
            theirs.close()
        try:
            self.format = _understood(self._receive())
        except ValueError as error:
            self.close()
            raise invalid_data(path) from error
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[SoundPart]:
        """As `SoundSource`."""
        while "end" not in (message := self._receive()):
            time_s = message.get("time_s")
            data = self._data()
            if not isinstance(time_s, float | None) or len(data) % self.format.bytes_each:
                raise invalid_data(self._path)
            yield SoundPart(time_s, data)

    def close(self) -> None:
        """End the child. May be called again."""
        child, self._child = self._child, None
        if child is not None:
            child.kill()
            child.wait()
        self._connection.close()

    def _receive(self) -> Message:
        self._wait()
        try:
            message = receive(self._connection)
        except (EOFError, OSError, ValueError) as error:
            raise self._gone() from error
        if "defect" in message:
            raise SandboxDefectError(str(message["defect"]))
        if "error" in message:
            raise InputError(one_line(str(message["error"])))
        return message

    def _data(self) -> bytes:
        self._wait()
        try:
            return self._connection.recv_bytes(LONGEST)
        except (EOFError, OSError) as error:
            raise self._gone() from error

    def _wait(self) -> None:
        if not self._connection.poll(PATIENCE_S):
            raise InputError(f"{self._path} gives no sound within {PATIENCE_S:.0f} s")

    def _gone(self) -> InputError:
        assert self._child is not None
        return InputError(f"the sound of {self._path} {death(self._child)}")


def _understood(message: Message) -> SoundFormat:
    """Raises: ValueError: this is no format of sound."""
    told = said(message, "sound", dict)
    made = SoundFormat(
        said(told, "rate_hz", int), said(told, "channels", int), said(told, "sample", str)
    )
    known = made.channels in LAYOUTS and made.sample in PACKED.values()
    if not known or not 0 < made.rate_hz <= MAX_RATE_HZ:
        raise ValueError(f"sound {made}")
    return made
