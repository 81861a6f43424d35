"""What differs between the releases of PyAV that are allowed, said in one place.

PyAV 19 has rationals of its own, whose arithmetic with each other rounds to 32 bits, and a false
one where 18 had None. It keeps titles in an unknown encoding byte for byte; 18 has to be told what
to do with them.

Both know the kinds of side data by name and raise where a picture has one that was named later,
even if another one is asked for (EXIF in MJPEG, the view of stereoscopic HEVC): here those get a
number for a name.

And both let a picture that was asked for its side data keep them, and them the picture: a circle,
which Python's collector finds after a hundred pictures. `side_data` makes none.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

import av
from av.sidedata.sidedata import SideDataContainer, Type

RELEASE = int(av.__version__.partition(".")[0])
READING: dict[str, Any] = {"metadata_errors": "replace"} if RELEASE < 19 else {}
"""What `av.open` is told when reading: titles in an old encoding are no reason to refuse a file."""


class Rational(Protocol):
    """A `Fraction`, or PyAV's own."""

    @property
    def numerator(self) -> int: ...

    @property
    def denominator(self) -> int: ...


def exact(value: Rational | None) -> Fraction | None:
    """A time base, rate or aspect as PyAV gives it; None where the file does not say."""
    if value is None or value.numerator == 0 or value.denominator == 0:
        return None
    return Fraction(value.numerator, value.denominator)


def side_data(frame: av.VideoFrame) -> Any:
    """What `frame.side_data` is, without memory that only Python's collector frees."""
    make: Any = SideDataContainer
    return make(frame)


def copied_sound(frame: av.AudioFrame) -> av.AudioFrame:
    """A copy without a time: a resampler wants steady ones or none, and others have the frame."""
    copy = av.AudioFrame.from_ndarray(frame.to_ndarray(), frame.format.name, frame.layout.name)
    copy.sample_rate = frame.sample_rate
    return copy


def _named_later(kinds: type[Type], number: object) -> Type | None:
    """A kind of side data that this release of PyAV has no name for; see `enum.Enum._missing_`."""
    if not isinstance(number, int):
        return None
    made = object.__new__(kinds)
    made._name_ = f"UNNAMED_{number}"
    # The type stubs know the numbers of named kinds only.
    made._value_ = number  # type: ignore[assignment]
    return made


Type._missing_ = classmethod(_named_later)  # type: ignore[assignment, method-assign]
