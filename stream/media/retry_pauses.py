"""RetryPauses: how long to wait before a lost camera or server is tried again."""

from __future__ import annotations

RETRY_S, RETRY_MOST_S = 0.5, 8.0
SERVER_MOST_S = 2.0
"""Of a server: it should be seen again soon after an outage, and asking costs little."""


class RetryPauses:
    """Each pause is twice as long as the one before it.

    Args: most_s: the longest one; None: `RETRY_MOST_S`.
    """

    def __init__(self, most_s: float | None = None) -> None:
        self._most_s = RETRY_MOST_S if most_s is None else most_s
        self.reset()

    def reset(self) -> None:
        """It is back: the next pause is the first again."""
        self._next_s = RETRY_S

    def next_s(self) -> float:
        """How long to wait now, in seconds."""
        pause_s = self._next_s
        self._next_s = min(2.0 * pause_s, self._most_s)
        return pause_s
