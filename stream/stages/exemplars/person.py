"""Person: what the bank keeps of one person, and how long somebody has been unlike it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from stream.frame import Exemplar
from stream.stages.exemplars.exemplar_set import Exemplars, Key

STRANGER_S = 5.0
"""A close face that does not resemble its exemplars for so long is somebody else's."""
PASSING_S = 2.0
"""Who was seen for less and has no exemplars has passed by, or was no face."""


@dataclass
class Person:
    """Of one track_id."""

    exemplars: Exemplars
    number: int
    """Another one whenever the exemplars are another person's."""
    first_s: float
    seen_s: float = -math.inf
    picked: tuple[Exemplar, ...] = ()
    version: int = 0
    picked_s: float = -math.inf
    admitted_s: float = -math.inf
    looked_s: float = -math.inf
    largest_px: float = 0.0
    is_small: bool = False
    compared_s: float = -math.inf
    doubted: bool = False
    """Whether the face was unlike its exemplars when it was last compared."""
    own: frozenset[Key] = frozenset()
    """Which exemplars were kept when a face was last taken for this person's."""
    unlike_since_s: float | None = None
    """From when on close looks are unlike them; None: the last one was not."""

    def is_stranger(self, like: bool, time_s: float) -> bool:
        """Whether it is somebody else by now; ask with every close look.

        Args: like: whether this look resembles the exemplars. time_s: of the look.
        """
        if like:
            self.unlike_since_s = None
            return False
        if self.unlike_since_s is None or time_s < self.unlike_since_s:
            self.unlike_since_s = time_s
        return time_s - self.unlike_since_s >= STRANGER_S

    def look_anew(self) -> None:
        """What was picked and compared before says nothing about the next look."""
        self.picked_s, self.compared_s, self.doubted = -math.inf, -math.inf, False

    def worth(self, time_s: float) -> tuple[bool, bool, float]:
        """Whose is least is let go first: of those who are not here who passed by, then who was
        not seen for longest.

        Args: time_s: of the present frame.
        """
        stayed = bool(len(self.exemplars)) or self.seen_s - self.first_s >= PASSING_S
        return self.seen_s == time_s, stayed, self.seen_s
