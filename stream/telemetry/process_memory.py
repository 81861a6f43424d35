"""Process memory: how much of it a process holds."""

from __future__ import annotations

import os
from pathlib import Path

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
