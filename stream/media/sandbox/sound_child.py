"""Sound child: the process that decodes one sound track. `sandboxed_sound` starts it."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from stream.media.sandbox.child import ALIVE_S, CODE, tell_errors
from stream.media.sandbox.confine import confine, more_time
from stream.media.sandbox.sandbox_protocol import LONGEST, send
from stream.media.sources.sound_source import SoundSource


def main() -> None:
    """`-c main() CONNECTION RECORDING INDEX`: a descriptor, a path, a track."""
    connection, path = Connection(int(sys.argv[1])), Path(sys.argv[2])

    def work() -> None:
        confine(path, CODE)
        _decode(path, int(sys.argv[3]), connection)

    tell_errors(path, connection, work)


def _decode(path: Path, index: int, connection: Connection) -> None:
    timed_s = time.monotonic()
    with closing(SoundSource(path, index)) as source:
        send(connection, {"sound": asdict(source.format)})
        most = LONGEST // source.format.bytes_each * source.format.bytes_each
        for part in source:
            for start in range(0, len(part.data), most):
                send(connection, {"time_s": None if start else part.time_s})
                connection.send_bytes(part.data[start : start + most])
            if time.monotonic() - timed_s > ALIVE_S:
                timed_s = time.monotonic()
                more_time()
    send(connection, {"end": True})
