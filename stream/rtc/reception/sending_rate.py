"""SendingRate: how many bits a second an encoder gets, from what the receiver says (REMB, RR).

Browsers raise their estimate (REMB) by so little after a queue that a call stays poor for a minute
(Chromium 156: 110 kbit/s 14 s after a slow line had become fast). But round trips tell of a queue,
too. While they are as short as ever, the network is asked whether it carries what it carried
before, in steps, and after a failure later and later. And who calls often has one line for both
ways: a queue on the way here, which the relay sees at once, counts for the way back.
A step is a key frame in aiortc (1.16): there are few of them.
"""

from __future__ import annotations

from collections import deque

LEAST = 100_000
"""With less nobody is recognised; bits a second."""
UP, UP_S = 1.3, 2.0
"""An encoder gets more bits when there are so many times as many, at most so often."""
DOWN, DOWN_S = 0.8, 0.5
"""And fewer when there are less than this part, at most so often."""
CALM_S = 1.0
"""Without a queue for so long, more is tried than the receiver has asked for."""
PROBE, PROBE_S, MOST_S = 3.0, 1.0, 32.0
"""So many times as much, so often; after a failure it waits twice as long, at most so long."""
FAILS_S = 4.0
"""A queue so soon after a step is its failure."""
QUEUE_S, LONG_S = 0.1, 0.4
"""A round trip that is longer than the shortest by the first is one through a queue, and by the
second through one that takes all beyond the receiver's estimate."""
BACK_OFF = 0.7
STALE_S = 4.0
"""A round trip says nothing about the network so much later."""
BASE_S = 60.0
"""The shortest round trip of so long is that of the empty network."""
LINGERS_S = 20.0
"""So long after a queue of `LONG_S` a receiver may still be misled by it (`playout_delay`)."""
LOSS = 0.1
"""More is a queue that overflows."""
LOWERED = 0.95
"""An estimate below this part of the last one is news of a queue."""


class SendingRate:
    """The bits a second of an encoder, in few steps. Times are seconds of any steady clock."""

    def __init__(self) -> None:
        self._changed_s = float("-inf")
        self._offered = self._beyond = self._used = self._usual = 0
        """What the receiver asked for, what is tried although it is more, what is sent, and what
        was sent at most: bits a second."""
        self._most: int | None = None
        """What the way here carries since a queue there."""
        self._queue_here = False
        """Whether there is a queue on the way here: none that a step of this side has made."""
        self._calm_since_s = float("inf")
        """When a report first told of none since then."""
        self._patience_s, self._raised_s = CALM_S, float("-inf")
        self._trips: deque[tuple[float, float]] = deque()
        self._long_s = float("-inf")
        """When a round trip last was one through a long queue."""

    @property
    def is_less_than_usual(self) -> bool:
        """Whether the network carries less than before."""
        return self._used < DOWN * self._usual

    def was_long(self, now_s: float) -> bool:
        """Whether there is a long queue, or was one lately."""
        return now_s - self._long_s < LINGERS_S

    def heard(self, trip_s: float, loss: float, now_s: float) -> None:
        """A report of the receiver. Args: trip_s: round trip. loss: share of packets, 0..1."""
        while self._trips and self._trips[0][0] < now_s - BASE_S:
            self._trips.popleft()
        self._trips.append((now_s, trip_s))
        queue_s = trip_s - min(trip for _, trip in self._trips)
        if queue_s > LONG_S:
            self._long_s = now_s
        if queue_s > QUEUE_S or loss > LOSS:
            self._meet_queue(now_s, long=queue_s > LONG_S or loss > LOSS)
        else:
            self._calm_since_s = min(self._calm_since_s, now_s)

    def choose(self, used: int, offered: int, now_s: float) -> int:
        """What the encoder gets from now on, bits a second.

        Args: used: what it gets now. offered: what the receiver says it can take (REMB).
        """
        lowered = offered < LOWERED * self._offered and offered < used
        self._offered = offered
        if lowered:
            self._meet_queue(now_s, long=not self._beyond)
        self._usual = max(self._usual, used)
        passed_s = now_s - self._changed_s
        more = min(self._usual, round(PROBE * used), self._most or self._usual)
        if self._is_calm(now_s) and passed_s >= PROBE_S and more > UP * used:
            self._beyond, self._raised_s = more, now_s
        if self._beyond <= offered:
            self._beyond = 0
        wanted = max(offered, self._beyond)
        wanted = max(LEAST, wanted if self._most is None else min(wanted, self._most))
        lower = wanted < DOWN * used and passed_s >= DOWN_S
        higher = wanted > UP * used and passed_s >= (PROBE_S if self._beyond else UP_S)
        self._used = wanted if lower or higher else used
        if lower or higher:
            self._changed_s = now_s
        return self._used

    def share(self, used: int, bits: int | None, now_s: float, *, has_queue: bool) -> int:
        """What the encoder gets while the way here carries less than before, bits a second.

        Often both ways are one line, and what the receiver says of the one waits in the queue of
        the other.

        Args: used: what it gets now. bits: what this side offers for the way here; None: there is
              nothing that limits it. has_queue: whether there is a queue on it.
        """
        if bits is None and self._most is not None:
            self._patience_s = CALM_S  # failures until now say nothing of the line as it is again
        self._most, self._queue_here = bits, has_queue
        if has_queue:
            self._long_s = now_s  # pictures come as late to the receiver as through one of its own
            self._meet_queue(now_s, long=True)
        return used if bits is None else self.choose(used, self._offered or used, now_s)

    def _is_calm(self, now_s: float) -> bool:
        """Whether more may be tried than the receiver has asked for."""
        newest_s = self._trips[-1][0] if self._trips else float("-inf")
        return now_s - newest_s < STALE_S and now_s - self._calm_since_s > self._patience_s

    def _meet_queue(self, now_s: float, *, long: bool) -> None:
        if now_s - self._raised_s < FAILS_S and not self._queue_here:
            self._patience_s = min(2.0 * self._patience_s, MOST_S)
        elif self._calm_since_s < now_s:
            self._patience_s = CALM_S
        self._calm_since_s, self._raised_s = float("inf"), float("-inf")
        self._beyond = 0 if long else round(BACK_OFF * self._beyond)
