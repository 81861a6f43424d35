"""Process memory: how much of it a process holds, and how it gives back what is free.

Python keeps what refers to itself in a circle, as calls do, until its collector looks through all
that there is, which is seldom; and the allocator keeps what is free (`engines.allocator`).
"""

from __future__ import annotations

import gc
import os
from pathlib import Path

from engines.allocator import trim

STATM = "/proc/{}/statm"
"""Linux; the second number is resident pages. Elsewhere the standard library knows the peak only,
which says nothing about what is given back."""


def resident_bytes(process: int | None = None) -> int | None:
    """Memory that is in RAM now (RSS); None where the system does not say.

    Args: process: its id; None: this one.
    """
    statm = Path(STATM.format("self" if process is None else process))
    try:
        pages = int(statm.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def keep_for_good() -> None:
    """What there is by now stays until the program ends: `give_back` need not look through it."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Collect what has ended, and hand free memory back to the system (where that is glibc's)."""
    gc.collect()
    trim()
