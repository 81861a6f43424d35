"""Budget: what the stages of a call may spend on a frame, from everything to the least.

When a machine is too slow, quality gives way step by step in the order of `LADDER`: first how often
faces are looked for, then how many are enhanced, then how much around a face, at last how often.
Recordings always have `FULL`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Budget:
    """One step of the ladder."""

    name: str
    """In a few words, for people."""
    search_every: int = 1
    """New faces are looked for in every so many frames."""
    follow_every: int = 1
    """So are the faces that are known."""
    max_faces: int = 3
    """So many faces of a frame are enhanced."""
    largest_px: int = 96
    """Side of the largest crop; of a larger headshot the middle is enhanced, which is the face."""
    enhance_every: int = 1
    """A face is enhanced in every so many frames; between them its last patch moves with it."""


FULL = Budget("full quality")


def _ladder() -> tuple[Budget, ...]:
    steps = [FULL]
    for name, change in (
        ("new faces sought less often", {"search_every": 4}),
        ("faces followed in every other frame", {"follow_every": 2}),
        ("two faces", {"max_faces": 2}),
        ("one face", {"max_faces": 1}),
        ("crops of 64 px", {"largest_px": 64}),
        ("crops of 48 px", {"largest_px": 48}),
        ("enhanced in every other frame", {"enhance_every": 2}),
    ):
        steps.append(replace(steps[-1], name=name, **change))
    return tuple(steps)


LADDER = _ladder()
"""Each step keeps the economies of those before it."""
