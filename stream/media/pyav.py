"""What differs between the releases of PyAV that are allowed, said in one place.

PyAV 19 has rationals of its own, whose arithmetic with each other rounds to 32 bits, and a false
one where 18 had None. It keeps titles in an unknown encoding byte for byte; 18 has to be told what
to do with them.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol

import av

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
