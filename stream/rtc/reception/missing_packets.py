"""MissingPackets: which lost packets are asked for again, and when (NACK, RFC 4585 6.2.1).

aiortc (1.16) asks only when a new gap appears, for all that is missing, and never again.
"""

from __future__ import annotations

from dataclasses import dataclass

RETRIES = 10
"""A packet is asked for so often."""
FIRST_RETRY_S = 0.1
"""Until a round trip has been measured."""
LEAST_RETRY_S, MOST_RETRY_S = 0.03, 0.3
MOST_REORDERING_S = 0.05
"""A gap is not asked for while it may only be reordering; at most so long."""
KEPT = 500
"""More missing packets mean that the network was away: only a key frame helps."""


@dataclass
class _Missing:
    since_s: float
    asked_s: float | None = None
    times: int = 0


class MissingPackets:
    """Numbers are unwrapped; times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._missing: dict[int, _Missing] = {}
        self._newest: int | None = None
        self._trip_s: float | None = None
        self._reordering_s = 0.0

    def __len__(self) -> int:
        return len(self._missing)

    def add(self, number: int, now_s: float) -> None:
        """A packet has come."""
        if self._newest is None:
            self._newest = number
        if number > self._newest:
            first = max(self._newest + 1, number - KEPT)
            for missing in range(first, number):
                self._missing[missing] = _Missing(now_s)
            self._newest = number
        elif found := self._missing.pop(number, None):
            self._learn(found, now_s)

    def forget_before(self, number: int) -> None:
        """Nobody waits for packets before this one any more."""
        for old in [one for one in self._missing if one < number]:
            del self._missing[old]

    def due(self, now_s: float) -> list[int]:
        """Numbers to ask for now, at most `KEPT`; they count as asked for."""
        retry_s = FIRST_RETRY_S if self._trip_s is None else 1.5 * self._trip_s
        retry_s = min(max(retry_s, LEAST_RETRY_S), MOST_RETRY_S)
        due = []
        for number, one in sorted(self._missing.items()):
            waited_s = now_s - (one.since_s if one.asked_s is None else one.asked_s)
            if waited_s < (self._reordering_s if one.asked_s is None else retry_s):
                continue
            if one.times >= RETRIES:
                del self._missing[number]
                continue
            one.asked_s, one.times = now_s, one.times + 1
            due.append(number)
        return due[:KEPT]

    def _learn(self, found: _Missing, now_s: float) -> None:
        if found.asked_s is None:
            late_s = min(now_s - found.since_s, MOST_REORDERING_S)
            self._reordering_s = max(late_s, 0.95 * self._reordering_s)
        elif found.times == 1:
            trip_s = now_s - found.asked_s
            self._trip_s = trip_s if self._trip_s is None else 0.8 * self._trip_s + 0.2 * trip_s
