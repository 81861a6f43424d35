"""BandwidthEstimate: how fast a sender may send, for those who ask the receiver (REMB).

aiortc's estimate (1.16) takes jitter for a queue, and what it has lowered it raises by about 8 % a
second at most. Here only a delay that even the fastest packets have counts as a queue, as in LEDBAT
(RFC 6817), or one that grows from packet to packet, which tells of a link that has become slow
before its queue is long. Growth accelerates with the time since the last queue, as in CUBIC
(RFC 9438). A queue that neither grows nor shrinks is put to the test with half of what comes; if it
still does not shrink it is none: the way has become longer.
Telling the sender when each packet came (transport-wide feedback) was tried and was worse: a busy
event loop notes packets late, and senders take that for a queue, too.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import pairwise

QUEUE_MS = 150
"""A standing queue of more lowers the estimate."""
LONG_MS, ROOM_MS = 300, 400
"""A queue of more does so at once, and one that is longer than the second lowers it further."""
WINDOW_MS = 200
"""The least delay of such a window is the queue's: jitter disappears in it."""
BASE_MS = 20_000
"""The least delay of so long is that of the empty network."""
RISES_MS = 100
"""A queue of `LONG_MS` in the newest picture and of so much before it is none of jitter."""
RISE_MS, RISE_OF_MS, RISE_PACKETS = 120, 300, 5
"""So much more delay within the second time, step by step in so many packets or more that did not
overtake each other, is a queue that begins, ..."""
STEP, SLOWED = 0.5, 0.6
"""... if no step is more than this part of it, and less than this part of what was sent comes."""
RISE_KEPT = 64
"""More packets are not looked at, however many come."""
STAYS_MS, STEADY_MS = 1000, 120
"""A way that is longer has the same delay, but for so much, for so long."""
TEST, LESS = 0.5, 0.8
"""Parts of what the network carries: so much is offered then, and must not be more than the second,
which a queue would feel: it would be a fifth of a second shorter within a second."""
EVERY_MS = 100
RATE_MS = 600
"""What came lately is measured over so long."""
FLOOR, CEILING = 150_000, 30_000_000
"""bits a second"""
BEGINS = 0.4
"""Of what comes while a queue grows fast: until the sender hears of it, it is twice as long."""
BACK_OFF, MORE, ROOM = 0.85, 1.15, 1.5
"""Parts of what it was seen to carry: so much is offered behind a queue, more than the second shows
that it carries more, and until then at most the third is offered."""
SURE_MS = 3000
"""Then it counts as free of queues for so long."""
FAST, SLOW = 1.0, 0.1
"""Growth a second: far below what the network was seen to carry, and near it."""
DOUBLES_S = 0.5
"""Without a queue, slow growth doubles in this time."""
FADES = 0.02
"""Of what was usual before a queue, a second, so long as less comes."""
NARROW_MS = 20_000
"""So long after a queue the network may still carry less."""
_WRAP = 1 << 24
_UNITS_PER_MS = (1 << 18) / 1000


@dataclass
class _Queue:
    """What looks like one."""

    since_ms: int
    lengths: deque[tuple[int, float]] = field(default_factory=deque)
    """Of late: when (ms), and how long it was (ms)."""
    test: tuple[int, float] | None = None
    """Since when it is tested whether it is one, and what came then (bits a second)."""

    def look(self, now_ms: int, queue_ms: float, rate: float) -> None:
        """Begin or end the test. Args: queue_ms: its length now. rate: what comes."""
        self.lengths.append((now_ms, queue_ms))
        while self.lengths[0][0] < now_ms - STAYS_MS:
            self.lengths.popleft()
        lengths = [length for _, length in self.lengths]
        steady = max(lengths) - min(lengths) < STEADY_MS
        if not steady:
            self.test = None
        elif self.test is None and now_ms - self.since_ms >= STAYS_MS and LESS * rate > FLOOR:
            self.test = now_ms, rate

    def is_longer_way(self, now_ms: int, rate: float) -> bool:
        """Whether its length has stayed although less came."""
        if self.test is None:
            return False
        since_ms, before = self.test
        return now_ms - since_ms >= STAYS_MS and rate < LESS * before


class _Rise:
    """Delay that grows from packet to packet: a link that has become slow says so within a picture,
    before its queue is long. Jitter lets packets overtake each other, and who was held up for a
    while is late at once and then less and less."""

    def __init__(self) -> None:
        self._packets: deque[tuple[int, float, int]] = deque(maxlen=RISE_KEPT)
        """When each came (ms), its delay (ms), its size; none was sent before the one before."""
        self._sent_ms = float("-inf")

    def add(self, now_ms: int, delay_ms: float, size: int) -> None:
        """Args: size: of the packet, bytes."""
        if now_ms - delay_ms < self._sent_ms:
            self._packets.clear()
        self._sent_ms = now_ms - delay_ms
        self._packets.append((now_ms, delay_ms, size))
        while self._packets[0][0] < now_ms - RISE_OF_MS:
            self._packets.popleft()

    def carried(self, usual: float, pause_ms: float) -> float | None:
        """What comes through (bits a second), or None: there is no such rise.

        Args: usual: what came before. pause_ms: so much delay may be this program's own.
        """
        delays = [delay_ms for _, delay_ms, _ in self._packets]
        first = delays.index(min(delays))
        rise_ms = delays[-1] - delays[first]
        if len(delays) - first < RISE_PACKETS or rise_ms < RISE_MS + pause_ms:
            return None
        step_ms = max(after - before for before, after in pairwise(delays[first:]))
        packets = list(self._packets)[first:]
        bits = 8000.0 * sum(size for _, _, size in packets[1:])
        rate = bits / max(1, packets[-1][0] - packets[0][0])
        return rate if step_ms < STEP * rise_ms and rate < SLOWED * usual else None


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
        self._calm_since_ms = self._queued_ms = 0
        self._queued = 0
        self._carried = self._usual = 0.0
        """By the last queue, and before it: bits a second."""
        self._queue: _Queue | None = None
        self._rise = _Rise()
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
        self._rise.add(arrival_time_ms, delay_ms, payload_size)
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
        slow = self._slowed() if self.late_ms >= RISE_MS else None
        news = slow is not None and self._queue is None
        if arrival_time_ms - self._updated_ms < EVERY_MS and not news:
            return None
        self._update(arrival_time_ms, slow)
        return round(self._bits), list(self._ssrcs)

    @property
    def has_queue(self) -> bool:
        """Whether what came last was in a queue."""
        return self._queue is not None

    @property
    def narrow_bits(self) -> int | None:
        """The estimate while there is a queue, and later until more has come through than in it;
        bits a second. None: nothing limits the way here."""
        now_ms = self._updated_ms or 0
        lately = self._carried and now_ms - self._queued_ms < NARROW_MS
        return round(self._bits) if self.has_queue or lately else None

    def _sent_ms(self, sent: int) -> float:
        """Without wrapping (it wraps every 64 s)."""
        if self._sent is None:
            self._sent = (sent, sent / _UNITS_PER_MS)
        last, last_ms = self._sent
        step = (sent - last + _WRAP // 2) % _WRAP - _WRAP // 2
        self._sent = (sent, last_ms + step / _UNITS_PER_MS)
        return self._sent[1]

    def _slowed(self) -> float | None:
        """What a link carries that has just become slow, bits a second; None: none has."""
        return self._rise.carried(self._usual, self.pause_ms)

    def _update(self, now_ms: int, slow: float | None) -> None:
        """Args: slow: as of `_slowed`."""
        assert self._updated_ms is not None
        elapsed_s = min(now_ms - self._updated_ms, 1000) / 1000
        self._updated_ms = now_ms
        rate = 8000.0 / RATE_MS * sum(size for _, size in self._received)
        if slow is not None:
            self._yield(now_ms, self.late_ms, min(rate, slow), begins=True)
            return
        least_ms = min(one for _, one in self._delays)
        base_ms = min(one for _, one in self._bases) + self.pause_ms
        queue_ms, newest_ms = least_ms - base_ms, self._delays[-1][1] - base_ms
        self._queued = self._queued + 1 if queue_ms > QUEUE_MS else 0
        rises = queue_ms > RISES_MS and newest_ms > LONG_MS
        if self._queued > 1 or queue_ms > LONG_MS or rises:  # once may be this program's own pause
            self._yield(now_ms, queue_ms, rate)
            return
        self._queue = None
        if self._bits == 0.0:
            self._bits = max(2 * rate, FLOOR)
        self._usual = max(rate, self._usual * (1.0 - FADES * elapsed_s))
        grown = self._bits * (1.0 + self._growth(now_ms) * elapsed_s)
        # Who sends less than it may shows nothing about the network beyond. Browsers follow late.
        if rate > MORE * self._carried > 0.0:
            self._carried, self._calm_since_ms = 0.0, now_ms - SURE_MS
        known = ROOM * self._carried if self._carried else self._usual
        known = max(2 * rate, 2 * FLOOR, known)
        self._bits = min(grown, max(self._bits, known), CEILING)

    def _yield(self, now_ms: int, queue_ms: float, rate: float, *, begins: bool = False) -> None:
        """Lower the estimate for a queue, unless it is a longer way.

        Args: begins: it grows fast.
        """
        if self._queue is None:
            self._queue = _Queue(now_ms)
            if self._bits < self._usual:  # it does not carry as much any more
                self._usual = max(rate, BACK_OFF * self._usual)
        queue = self._queue
        queue.look(now_ms, queue_ms, rate)
        if queue.is_longer_way(now_ms, rate):
            self._bases = deque([(now_ms, min(one for _, one in self._delays))])
            self._bits, self._carried = max(self._bits, self._usual), 0.0
            self._queue = None
            return
        # What came through is what the network carries, and while the queue lasts that is not less
        # because less is sent.
        settles = now_ms - queue.since_ms < RATE_MS
        self._carried = rate if settles else max(rate, self._carried)
        # A longer queue needs room to drain.
        lowered = BACK_OFF * self._carried * min(1.0, ROOM_MS / queue_ms)
        if begins:
            lowered = min(lowered, BEGINS * self._carried)
        if queue.test is not None:
            self._carried = queue.test[1]
            lowered = min(lowered, TEST * self._carried)
        self._bits = min(self._bits or CEILING, max(lowered, FLOOR))
        self._calm_since_ms = self._queued_ms = now_ms

    def _growth(self, now_ms: int) -> float:
        """A second: fast up to what was carried, slow around it, then faster and faster."""
        if self._bits < BACK_OFF * self._carried:
            return FAST
        calm_s = (now_ms - self._calm_since_ms) / 1000
        return min(FAST, SLOW * float(2.0 ** (calm_s / DOUBLES_S - 2)))
