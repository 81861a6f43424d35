"""Keys: single key presses on a terminal, while something else goes on."""

from __future__ import annotations

import os
import sys
from typing import Any, Self


class Keys:
    """Key presses on standard input, without Enter; none where it is no terminal. A context
    manager: the terminal is as before afterwards."""

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Self:
        if sys.platform != "win32" and _in_front():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin)
        return self

    def __exit__(self, *error: object) -> None:
        if sys.platform != "win32" and self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
            self._before = None

    def pressed(self) -> str:
        """The key that was pressed since the last call; empty: none."""
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.getwch() if msvcrt.kbhit() else ""
        if self._before is None:
            return ""
        import select

        ready, _, _ = select.select([sys.stdin], [], [], 0.0)
        return sys.stdin.read(1) if ready else ""


def _in_front() -> bool:
    """Whether standard input is the terminal of this process: who reads from it in the background
    is stopped by the system."""
    if sys.stdin is None or sys.stdin.closed or not sys.stdin.isatty():
        return False
    return sys.platform == "win32" or os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
