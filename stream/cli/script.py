"""The console script `closeup`: the same program as run_pipeline.py."""

from __future__ import annotations

import signal


def closeup() -> int:
    """Run the command line and return the exit status."""
    at_terminal = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if at_terminal:
        # Ctrl-C while all the rest is imported, a second, ends the program without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from run_pipeline import main

    if at_terminal:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()
