"""Picture comparison: whether two recordings show the same, both decoded in the sandbox."""

from __future__ import annotations

import math
from contextlib import closing
from fractions import Fraction
from itertools import zip_longest
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from stream.errors import InputError
from stream.media.sandbox.sandboxed_source import open_source


def first_difference(before: Path, after: Path) -> str | None:
    """What differs first, one line; None where every decoded picture is the same to the bit, and
    shown at the same time after the first one as far as both files say when.

    Raises: InputError: `before` cannot be decoded.
    """
    source = open_source(before)
    with closing(source):
        try:
            copy = open_source(after)
        except InputError as error:
            return str(error)
        with closing(copy):
            pairs = zip_longest(source.decoded(), copy.decoded())
            shown = _Times(source.time_base, copy.time_base)
            for number, (ours, theirs) in enumerate(pairs, 1):
                if ours is None or theirs is None:
                    return f"only one of them has a picture {number}"
                if not _same(ours, theirs):
                    return f"picture {number} is another one"
                if not shown.alike(ours.pts, theirs.pts):
                    return f"picture {number} is shown at another time"
    return None


class _Times:
    """When pictures are shown. Args: before, after: seconds of a tick."""

    def __init__(self, before: Fraction, after: Fraction) -> None:
        self._ticks = (before, after)
        # Each may be rounded, the first ones as well.
        self._slack = 2 * (before + after)
        self._first: tuple[Fraction, Fraction] | None = None
        self._last = -math.inf

    def alike(self, ours: int | None, theirs: int | None) -> bool:
        """Whether the next pictures are; if only the copy says when, whether it is in order."""
        if theirs is None:
            return ours is None
        late = theirs >= self._last
        self._last = theirs
        if ours is None:
            return late
        pair = (ours * self._ticks[0], theirs * self._ticks[1])
        self._first = self._first or pair
        return abs((pair[0] - self._first[0]) - (pair[1] - self._first[1])) <= self._slack


def _same(ours: av.VideoFrame, theirs: av.VideoFrame) -> bool:
    if (ours.format.name, ours.width, ours.height) != (
        theirs.format.name,
        theirs.width,
        theirs.height,
    ):
        return False
    return np.array_equal(_samples(ours), _samples(theirs))


def _samples(frame: av.VideoFrame) -> NDArray[Any]:
    """Without the padding of its rows."""
    try:
        return frame.to_ndarray()
    except ValueError:
        # PyAV has no array for its format.
        return VideoReformatter().reformat(frame, format="rgb48le").to_ndarray()
