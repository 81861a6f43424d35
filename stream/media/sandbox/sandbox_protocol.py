"""Sandbox protocol: the messages of the two processes, in JSON, because pickles can do anything.

child → parent                                    parent → child
{"holds": [...]}       what confines it
{"alive": n}           packets looked through
{"facts": {...}}       of the recording           {"slots": n, "bytes": b}
{"grow": b}            a picture needs more       {"slots": n, "bytes": b}
{"picture": {...}}     it lies in a slot          {"free": slot}
{"end": {...}}         no more pictures
{"error": "..."}       what is wrong with the recording; and no more messages
{"defect": "..."}      a traceback: what is wrong with this program; likewise
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from av import VideoFrame

from stream.errors import InputError
from stream.media.pyav import exact

LONGEST = 1 << 16
"""Bytes of a message."""
LONGEST_LINE = 500
LONGEST_DEFECT = 8000
"""Characters of a traceback; the end says most."""
MATRIX = bytes(9 * 4)
TAGS = ("colorspace", "color_range", "color_primaries", "color_trc")
"""Of a picture's colours, as PyAV names them."""

Message = dict[str, Any]
T = TypeVar("T")


def send(connection: Connection, message: Message) -> None:
    """Raises: OSError: nobody listens any more."""
    connection.send_bytes(json.dumps(message).encode())


def receive(connection: Connection) -> Message:
    """Raises: EOFError, OSError: the other side is gone. ValueError: this is no message."""
    try:
        message = json.loads(connection.recv_bytes(LONGEST))
    except RecursionError as error:
        raise ValueError("too deep") from error
    if not isinstance(message, dict):
        raise ValueError("not an object")
    return message


def invalid_data(path: object) -> InputError:
    """The error of a child that says what cannot be: only one that was taken over does."""
    return InputError(f"{path} makes the decoder return invalid data; do not use it")


def one_line(text: str) -> str:
    """Printable characters alone: what may be shown on a terminal."""
    return "".join(one if one.isprintable() else " " for one in text)[:LONGEST_LINE]


@dataclass(frozen=True)
class Stream:
    """What `FileSource` asks of the stream of pictures; as in PyAV's `VideoStream`."""

    sample_aspect_ratio: Fraction | None
    time_base: Fraction | None
    average_rate: Fraction | None
    guessed_rate: Fraction | None
    duration: int | None
    start_time: int | None
    frames: int


@dataclass(frozen=True)
class Container:
    """What `FileSource` asks of the container; as in PyAV's `InputContainer`."""

    duration: int | None
    start_time: int | None
    streams: tuple[Stream | None, ...]
    """The stream of pictures; a None after it where there are others."""

    def close(self) -> None:
        """Nothing of it is open on this side."""


def describe(container: Any, stream: Any) -> Message:
    """Facts of PyAV's container and stream, as part of a message."""
    facts: Message = {"duration": container.duration, "start_time": container.start_time}
    facts["alone"] = all(one is stream for one in container.streams)
    facts["stream"] = {
        name: _pair(exact(getattr(stream, name)))
        for name in ("sample_aspect_ratio", "time_base", "average_rate", "guessed_rate")
    } | {name: getattr(stream, name) for name in ("duration", "start_time", "frames")}
    return facts


def beside(frame: VideoFrame, side_data: Mapping[str, bytes]) -> Message:
    """What planes do not tell of the first picture, as part of a message."""
    sides = {name: data.hex() for name, data in side_data.items()}
    return {"sides": sides, "interlaced": frame.interlaced_frame}


def understand_beside(facts: Message) -> tuple[dict[str, bytes], bool]:
    """Side data by name, and whether the pictures are interlaced.

    Raises: ValueError: these are no facts.
    """
    told = said(facts, "sides", dict)
    sides = {str(name): bytes.fromhex(said(told, name, str)) for name in told}
    if len(sides.get("DISPLAYMATRIX", MATRIX)) != len(MATRIX):
        raise ValueError("a matrix has nine numbers")
    return sides, said(facts, "interlaced", bool)


def understand(facts: Message) -> Container:
    """Raises: ValueError: these are no facts."""
    told = said(facts, "stream", dict)
    fractions = {
        name: _fraction(told, name)
        for name in ("sample_aspect_ratio", "time_base", "average_rate", "guessed_rate")
    }
    duration, start_time = number(told, "duration"), number(told, "start_time")
    frames = number(told, "frames") or 0
    stream = Stream(**fractions, duration=duration, start_time=start_time, frames=frames)
    streams = (stream,) if said(facts, "alone", bool) else (stream, None)
    return Container(number(facts, "duration"), number(facts, "start_time"), streams)


@dataclass(frozen=True)
class PictureMessage:
    """What the child says of a picture that lies in a slot."""

    slot: int
    planes: tuple[tuple[int, int], ...]
    """(rows, bytes a row) of each."""
    width: int
    height: int
    format: str
    pts: int | None
    duration: int
    chroma: str
    tags: dict[str, int]
    """FFmpeg's numbers, by the names of `TAGS`."""
    damaged: int

    @classmethod
    def understood(cls, message: Message) -> PictureMessage:
        """Raises: ValueError: this is no picture."""
        told = said(message, "picture", dict)
        planes = [
            {"rows": one[0], "bytes": one[1]}
            for one in said(told, "planes", list)
            if isinstance(one, list) and len(one) == 2
        ]
        return cls(
            slot=said(told, "slot", int),
            planes=tuple((said(one, "rows", int), said(one, "bytes", int)) for one in planes),
            width=said(told, "width", int),
            height=said(told, "height", int),
            format=said(told, "format", str),
            pts=number(told, "pts"),
            duration=number(told, "duration") or 0,
            chroma=said(told, "chroma", str),
            tags={name: said(told, name, int) for name in TAGS},
            damaged=said(told, "damaged", int),
        )


def said(message: Message, name: str, kind: type[T]) -> T:
    """A value of one kind.

    Args:   message: as received. name: of the value. kind: exactly its type.
    Raises: ValueError: it is missing or of another kind.
    """
    value = message.get(name)
    if type(value) is not kind:
        raise ValueError(f"{name} is {type(value).__name__}")
    return value


def number(message: Message, name: str) -> int | None:
    """A whole number or None. Raises: ValueError: it is something else."""
    return None if message.get(name) is None else said(message, name, int)


def maybe(message: Message, name: str) -> bool | None:
    """Whether something is so, or None. Raises: ValueError: it is something else."""
    return None if message.get(name) is None else said(message, name, bool)


def _pair(fraction: Fraction | None) -> list[int] | None:
    return None if fraction is None else [fraction.numerator, fraction.denominator]


def _fraction(message: Message, name: str) -> Fraction | None:
    if message.get(name) is None:
        return None
    pair = said(message, name, list)
    if len(pair) != 2 or {type(one) for one in pair} != {int} or pair[1] == 0:
        raise ValueError(f"{name} is no fraction")
    return Fraction(pair[0], pair[1])
