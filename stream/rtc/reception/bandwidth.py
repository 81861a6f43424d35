"""BandwidthEstimate: how fast a sender may send, for those who ask the receiver (REMB).

aiortc's estimate (1.16) takes jitter for a queue, and what it has lowered it raises by about 8 % a
second at most. Here only a delay that even the fastest packets have counts as a queue, as in LEDBAT
(RFC 6817), and growth accelerates with the time since the last queue, as in CUBIC (RFC 9438). A
queue that stays although less and less comes is none: the way has become longer. Behind a queue
packets come as fast as the link carries them, however few are sent.
Telling the sender when each packet came (transport-wide feedback) was tried and was worse: a busy
event loop notes packets late, and senders take that for a queue, too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

QUEUE_MS = 150
"""A standing queue of more lowers the estimate."""
LONG_MS, ROOM_MS = 300, 400
"""A queue of more does so at once, and one that is longer than the second lowers it further."""
WINDOW_MS = 200
"""The least delay of such a window is the queue's: jitter disappears in it."""
BASE_MS = 20_000
"""The least delay of so long is that of the empty network."""
SETTLED_MS, STAYS_MS = 400, 1000
"""A queue's first packets came before it filled the link; it is looked at again after so long."""
LESS, DRAINED_MS = 0.6, 50
"""Less than this part of what came then, and a delay that is shorter by less."""
EVERY_MS = 100
RATE_MS = 600
"""What came lately is measured over so long."""
FLOOR, CEILING = 150_000, 30_000_000
"""bits a second"""
BACK_OFF = 0.85
FAST, SLOW = 1.0, 0.08
"""Growth a second: far below what the network was seen to carry, and near it."""
DOUBLES_S = 0.7
"""Beyond, it doubles in this time."""
_WRAP = 1 << 24
_UNITS_PER_MS = (1 << 18) / 1000


@dataclass
class _Queue:
    """What looks like one."""

    since_ms: int
    before: float
    """What the network carried when it began, bits a second."""
    settled: tuple[float, float] | None = None
    """Its length (ms) and what came, a moment later."""

    def is_longer_way(self, now_ms: int, queue_ms: float, rate: float) -> bool:
        """Whether its length has stayed while less and less came."""
        age_ms = now_ms - self.since_ms
        if self.settled is None:
            if age_ms >= SETTLED_MS:
                self.settled = queue_ms, rate
            return False
        was_ms, came = self.settled
        return age_ms >= STAYS_MS and was_ms - queue_ms < DRAINED_MS and rate < LESS * came


class BandwidthEstimate:
    """Replaces `aiortc.rate.RemoteBitrateEstimator`, with its method."""

    def __init__(self) -> None:
        self._bits = 0.0
        self._received: deque[tuple[int, int]] = deque()
        self._delays: deque[tuple[int, float]] = deque()
        self._bases: deque[tuple[int, float]] = deque()
        self._ssrcs: dict[int, int] = {}
        self._sent: tuple[int, float] | None = None
        self._updated_ms: int | None = None
        self._calm_since_ms = 0
        self._queued = 0
        self._carried = 0.0
        self._queue: _Queue | None = None
        self.late_ms = 0.0
        """How much later than the fastest one of late the last packet came."""
        self.pause_ms = 0.0
        """How late this program's event loop was lately: that is no queue of the network."""

    def add(
        self, arrival_time_ms: int, abs_send_time: int, payload_size: int, ssrc: int
    ) -> tuple[int, list[int]] | None:
        """Count a packet; returns a new estimate (bits a second) and its streams now and then.

        Args: abs_send_time: 24 bits, 2^-18 s each.
        """
        self._ssrcs[ssrc] = arrival_time_ms
        delay_ms = arrival_time_ms - self._sent_ms(abs_send_time)
        self._received.append((arrival_time_ms, payload_size))
        self._delays.append((arrival_time_ms, delay_ms))
        if not self._bases or arrival_time_ms - self._bases[-1][0] > 1000:
            self._bases.append((arrival_time_ms, delay_ms))
        elif delay_ms < self._bases[-1][1]:
            self._bases[-1] = (self._bases[-1][0], delay_ms)
        self.late_ms = delay_ms - min(one for _, one in self._bases)
        for kept, span_ms in ((self._received, RATE_MS), (self._delays, WINDOW_MS)):
            while kept[0][0] < arrival_time_ms - span_ms:
                kept.popleft()
        while len(self._bases) > 1 and self._bases[0][0] < arrival_time_ms - BASE_MS:
            self._bases.popleft()
        if self._updated_ms is None:
            self._updated_ms = self._calm_since_ms = arrival_time_ms
        if arrival_time_ms - self._updated_ms < EVERY_MS:
            return None
        self._update(arrival_time_ms)
        return round(self._bits), list(self._ssrcs)

    def _sent_ms(self, sent: int) -> float:
        """Without wrapping (it wraps every 64 s)."""
        if self._sent is None:
            self._sent = (sent, sent / _UNITS_PER_MS)
        last, last_ms = self._sent
        step = (sent - last + _WRAP // 2) % _WRAP - _WRAP // 2
        self._sent = (sent, last_ms + step / _UNITS_PER_MS)
        return self._sent[1]

    def _update(self, now_ms: int) -> None:
        assert self._updated_ms is not None
        elapsed_s = min(now_ms - self._updated_ms, 1000) / 1000
        self._updated_ms = now_ms
        rate = 8000.0 / RATE_MS * sum(size for _, size in self._received)
        least_ms = min(one for _, one in self._delays)
        queue_ms = least_ms - min(one for _, one in self._bases) - self.pause_ms
        self._queued = self._queued + 1 if queue_ms > QUEUE_MS else 0
        if self._queued > 1 or queue_ms > LONG_MS:  # once may be this program's own pause
            queue = self._queue = self._queue or _Queue(now_ms, rate)
            if queue.is_longer_way(now_ms, queue_ms, rate):
                self._bases, self._queue = deque([(now_ms, least_ms)]), None
                self._bits, self._carried = max(self._bits, queue.before), 0.0
                return
            # What came through is what the network carries; a longer queue needs room to drain.
            lowered = BACK_OFF * rate * min(1.0, ROOM_MS / queue_ms)
            self._bits = min(self._bits or CEILING, max(lowered, FLOOR))
            self._carried, self._calm_since_ms = rate, now_ms
            return
        self._queue = None
        if self._bits == 0.0:
            self._bits = max(2 * rate, FLOOR)
        grown = self._bits * (1.0 + self._growth(now_ms) * elapsed_s)
        # Who sends less than it may shows nothing about the network beyond.
        self._bits = min(grown, max(self._bits, 2 * rate, 2 * FLOOR), CEILING)

    def _growth(self, now_ms: int) -> float:
        """A second: fast up to what was carried, slow around it, then faster and faster."""
        if self._bits < BACK_OFF * self._carried:
            return FAST
        calm_s = (now_ms - self._calm_since_ms) / 1000
        return (
            SLOW
            if self._bits < 1.15 * self._carried
            else min(FAST, SLOW * 2.0 ** (calm_s / DOUBLES_S - 2))
        )
