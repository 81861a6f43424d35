"""Numbers of close-ups that a program is asked to measure."""

from __future__ import annotations

from engines.hime.cases import SLOTS

COUNTS = (0, 1, SLOTS)


def numbers(text: str | None, most: int = SLOTS) -> tuple[int, ...]:
    """The value of --counts; of its default, those that are not above `most`.

    Raises: ValueError: it is no list of whole numbers from 0 to 16.
    """
    if text is None:
        return tuple(n for n in COUNTS if n <= most)
    try:
        counts = tuple(int(word) for word in text.split(","))
    except ValueError:
        counts = (-1,)
    if not all(0 <= n <= 16 for n in counts):
        raise ValueError(f"--counts must be numbers from 0 to 16, as in 0,1,3, not {text}")
    return counts
