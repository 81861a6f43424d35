"""MediaClock: when each frame of a stream was captured, from its times and its arrival.

A stream's times tell how far its pictures and its sound are apart; that they arrive apart, too, is
the network's and the muxer's doing. The frame that was fastest of all tells where the clock stands.
"""

from __future__ import annotations

DRIFT = 0.002
"""How much faster or slower than ours another machine's clock may run."""
JUMP_S = 5.0
"""Times that are further off began anew: the sender was restarted."""


class MediaClock:
    """Times of one stream → ours. Of several threads one may ask."""

    def __init__(self) -> None:
        self._offset_s: float | None = None
        self._asked_s = 0.0

    def captured_ns(self, time_s: float, now_ns: int) -> int:
        """When a frame was captured, or fractions of a second later; never after `now_ns`.

        Args: time_s: of the frame, by the stream. now_ns: its arrival, `time.monotonic_ns`.
        """
        now_s = now_ns / 1e9
        offset_s = now_s - time_s
        if self._offset_s is None or abs(offset_s - self._offset_s) > JUMP_S:
            self._offset_s = offset_s
        else:
            # Without the drift, a clock that is slower than ours would make frames ever older.
            self._offset_s = min(offset_s, self._offset_s + DRIFT * (now_s - self._asked_s))
        self._asked_s = now_s
        return min(now_ns, round(1e9 * (time_s + self._offset_s)))
