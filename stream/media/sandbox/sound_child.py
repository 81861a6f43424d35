"""Sound child: the process that decodes one sound track. `sandboxed_sound` starts it."""

from __future__ import annotations

import os
import sys
import time
import traceback
from contextlib import closing
from dataclasses import asdict
from multiprocessing.connection import Connection
from pathlib import Path

from stream.errors import InputError
from stream.media.sandbox.child import ALIVE_S, CODE, DEFECTS
from stream.media.sandbox.confine import confine, more_time
from stream.media.sandbox.sandbox_protocol import LONGEST, LONGEST_DEFECT, send
from stream.media.sources.sound_source import SoundSource


def main() -> None:
    """`-c main() CONNECTION RECORDING INDEX`: a descriptor, a path, a track."""
    connection, path = Connection(int(sys.argv[1])), Path(sys.argv[2])
    try:
        try:
            confine(path, CODE)
            _decode(path, int(sys.argv[3]), connection)
        except InputError as error:
            send(connection, {"error": str(error)})
        except (EOFError, OSError):
            # The parent has gone, or has had enough.
            raise
        except DEFECTS:
            send(connection, {"defect": traceback.format_exc()[-LONGEST_DEFECT:]})
        except Exception as error:
            kind = type(error).__name__
            send(connection, {"error": f"{path} cannot be decoded ({kind}: {error})"})
    except (EOFError, OSError):
        os._exit(1)


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
