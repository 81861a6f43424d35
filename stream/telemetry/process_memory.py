"""Process memory: how much of it this process holds."""

from __future__ import annotations

import os
from pathlib import Path

STATM = Path("/proc/self/statm")
"""Linux; the second number is resident pages. Elsewhere the standard library knows the peak only,
which says nothing about what is given back."""


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM now (RSS); None where the system does not
    say."""
    try:
        pages = int(STATM.read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
