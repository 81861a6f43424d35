"""Child: the process that demuxes and decodes a recording. `sandboxed_source` starts it.

First it gives up what it does not need (`confine`), then it opens the recording, looks through all
of it once, packet by packet, and at last decodes, a picture into each free slot.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import asdict
from itertools import chain
from multiprocessing.connection import Connection
from pathlib import Path

import av
import numpy as np
from av.error import FFmpegError

from stream.errors import InputError
from stream.media.announced_end import is_cut_off
from stream.media.chroma import ChromaFinder, top_down
from stream.media.pictures_end import PicturesEnd
from stream.media.sandbox.confine import MEMORY_BYTES, confine, more_time
from stream.media.sandbox.sandbox_protocol import (
    LONGEST_DEFECT,
    TAGS,
    Message,
    beside,
    describe,
    receive,
    send,
)
from stream.media.sandbox.shared_planes import Bytes, needed_bytes, without_palette, write_planes
from stream.media.sources.file_source import FileSource, open_recording, pictures_of
from stream.media.sources.kinds import refuse_encrypted
from stream.media.time_jumps import TimeJumps

MAX_STREAMS = 64
MAX_THREADS = 4
"""More would need more memory than a recording may take."""
CODE = {Path(str(module.__file__)).parents[1] for module in (av, np)} | {Path(os.__file__).parent}
"""Packages that import more of themselves when they need it."""
DEFECTS = (TypeError, AttributeError, NameError, ImportError)
"""What only a mistake in a program raises, whatever the recording is like."""
ALIVE_S = 0.5
"""So often the survey says that it goes on."""


class _Slots:
    """The child's side of the shared memory."""

    def __init__(self, connection: Connection, memory: int) -> None:
        self._connection = connection
        self._chroma = ChromaFinder()
        self._memory = memory
        self._slots: list[Bytes] = []
        self._free: list[int] = []

    def send(self, frame: av.VideoFrame, damaged: int) -> None:
        """Wait for a free slot, fill it, and say so."""
        frame = without_palette(top_down(frame))
        needed = needed_bytes(frame)
        if not self._slots or needed > self._slots[0].size:
            self._grow(needed)
        while not self._free:
            self._free.append(int(receive(self._connection)["free"]))
        slot = self._free.pop()
        planes = write_planes(frame, self._slots[slot])
        told = {
            "slot": slot,
            "planes": planes,
            "width": frame.width,
            "height": frame.height,
            "format": frame.format.name,
            "pts": frame.pts,
            "duration": frame.duration,
            "chroma": self._chroma(frame),
            "damaged": damaged,
        } | {name: int(getattr(frame, name)) for name in TAGS}
        send(self._connection, {"picture": told})

    def _grow(self, needed: int) -> None:
        """Ask for larger slots; all of them are free by then."""
        while len(self._free) < len(self._slots):
            self._free.append(int(receive(self._connection)["free"]))
        send(self._connection, {"grow": needed})
        given = receive(self._connection)
        number, size = int(given["slots"]), int(given["bytes"])
        shared = np.frombuffer(mmap.mmap(self._memory, number * size), np.uint8)
        self._slots = list(shared.reshape(number, size))
        self._free = list(range(number))


def survey(path: Path, connection: Connection) -> int | None:
    """Read every packet once, so that nothing that is read later can bring the demuxer down.

    Returns: until when pictures are shown, in their time base, as far as the file says so.
    Raises: InputError: it cannot be opened, has too many streams, or is encrypted.
    """
    said_s = time.monotonic()
    with open_recording(path) as container:
        if len(container.streams) > MAX_STREAMS:
            raise InputError(
                f"{path} has {len(container.streams)} streams, at most {MAX_STREAMS} are taken; "
                "keep the ones you need"
            )
        pictures = pictures_of(container)
        end = None if pictures is None else PicturesEnd(path, container, pictures)
        packets, read, jumps = container.demux(), 0, TimeJumps.of(path, container)
        while True:
            try:
                packet = next(packets, None)
            except (FFmpegError, OSError):
                # A recording that breaks off is read up to there.
                packet = None
            if packet is None:
                return None if end is None else end.ticks
            jumps(packet)
            if end is not None:
                end.see(packet)
            refuse_encrypted(path, packet)
            read += 1
            now_s = time.monotonic()
            if now_s - said_s > ALIVE_S:
                said_s = now_s
                more_time()
                send(connection, {"alive": read})


def decode(path: Path, connection: Connection, memory: int, until: int | None) -> None:
    """Send every picture of a recording.

    Args:   path: of the recording. connection: to the parent. memory: descriptor of the memory that
            both share, for the slots. until: they are shown, in their time base.
    Raises: InputError.
    """
    timed_s = time.monotonic()
    with FileSource(path, threads=MAX_THREADS) as source:
        slots = _Slots(connection, memory)
        frames = source.decoded()
        first = next(frames)
        ends: Message = {"until": until, "cut_off": is_cut_off(path)}
        send(connection, {"facts": source.facts(describe) | beside(first, source.sides) | ends})
        for frame in chain([first], frames):
            slots.send(frame, source.damaged)
            if time.monotonic() - timed_s > ALIVE_S:
                timed_s = time.monotonic()
                more_time()
        end = {name: getattr(source, name) for name in ("damaged", "broke_off", "deinterlaced")}
        end |= {"findings": asdict(source.findings)}
        send(connection, {"end": end})


def tell_errors(path: Path, connection: Connection, work: Callable[[], None]) -> None:
    """Do what a child is for; whatever goes wrong is told to the parent, the last message.

    Args: path: of the recording, for the messages. connection: to the parent. work: all that the
          child does.
    """
    try:
        try:
            work()
        except InputError as error:
            send(connection, {"error": str(error)})
        except MemoryError:
            gigabytes = MEMORY_BYTES / (1 << 30)
            send(connection, {"error": f"{path} takes more than {gigabytes:.0f} GB to decode"})
        except (EOFError, OSError):
            # The parent has gone, or has had enough.
            raise
        except DEFECTS:
            # No file is to blame: the parent raises it with this traceback.
            send(connection, {"defect": traceback.format_exc()[-LONGEST_DEFECT:]})
        except Exception as error:
            kind = type(error).__name__
            send(connection, {"error": f"{path} cannot be decoded ({kind}: {error})"})
    except (EOFError, OSError):
        os._exit(1)


def main() -> None:
    """`-c main() CONNECTION MEMORY RECORDING`: two descriptors and a path."""
    connection, memory, path = Connection(int(sys.argv[1])), int(sys.argv[2]), Path(sys.argv[3])

    def work() -> None:
        send(connection, {"holds": sorted(confine(path, CODE))})
        decode(path, connection, memory, survey(path, connection))

    tell_errors(path, connection, work)
