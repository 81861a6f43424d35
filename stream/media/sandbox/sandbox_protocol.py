"""Sandbox protocol: the messages of the two processes, in JSON, because pickles can do anything.

child → parent                                    parent → child
{"holds": [...]}       what confines it
{"alive": n}           packets looked through
{"facts": {...}}       of the recording           {"slots": n, "bytes": b}
{"grow": b}            a picture needs more       {"slots": n, "bytes": b}
{"picture": {...}}     it lies in a slot          {"free": slot}
{"end": {...}}         no more pictures
{"error": "..."}       and no more messages
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from fractions import Fraction
from multiprocessing.connection import Connection
from typing import Any

from av import VideoFrame

from stream.media.video_format import side_data_of

LONGEST = 1 << 16
"""Bytes of a message."""
LONGEST_LINE = 500
MATRIX = bytes(9 * 4)

Message = dict[str, Any]


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


def one_line(text: str) -> str:
    """What may be shown on a terminal, whoever wrote it."""
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
        name: _pair(getattr(stream, name))
        for name in ("sample_aspect_ratio", "time_base", "average_rate", "guessed_rate")
    } | {name: getattr(stream, name) for name in ("duration", "start_time", "frames")}
    return facts


def beside(frame: VideoFrame) -> Message:
    """What planes do not tell of the first picture, as part of a message."""
    sides = {name: data.hex() for name, data in side_data_of(frame).items()}
    return {"sides": sides, "interlaced": frame.interlaced_frame}


def understand_beside(facts: Message) -> tuple[dict[str, bytes], bool]:
    """Side data by name, and whether the pictures are interlaced.

    Raises: ValueError, KeyError, AttributeError: these are no facts.
    """
    sides = {str(name): bytes.fromhex(data) for name, data in facts["sides"].items()}
    if len(sides.get("DISPLAYMATRIX", MATRIX)) != len(MATRIX):
        raise ValueError("a matrix has nine numbers")
    return sides, bool(facts["interlaced"])


def understand(facts: Message) -> Container:
    """Raises: ValueError, KeyError, TypeError, ArithmeticError: these are no facts."""
    told = facts["stream"]
    fractions = {
        name: _fraction(told[name])
        for name in ("sample_aspect_ratio", "time_base", "average_rate", "guessed_rate")
    }
    duration, start_time = _number(told["duration"]), _number(told["start_time"])
    frames = _number(told["frames"]) or 0
    stream = Stream(**fractions, duration=duration, start_time=start_time, frames=frames)
    streams = (stream,) if facts["alone"] else (stream, None)
    return Container(_number(facts["duration"]), _number(facts["start_time"]), streams)


def _pair(fraction: Fraction | None) -> list[int] | None:
    return None if fraction is None else [fraction.numerator, fraction.denominator]


def _fraction(pair: list[int] | None) -> Fraction | None:
    return None if pair is None else Fraction(int(pair[0]), int(pair[1]))


def _number(value: int | None) -> int | None:
    return None if value is None else int(value)
