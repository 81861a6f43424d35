"""Process memory: how much of it a process holds, and how it gives back what is free.

glibc gives each thread a heap of its own (an arena), up to eight for each core, and keeps what is
freed in them: a program whose calls come and go, each with threads, holds on to all of them. And
Python keeps what refers to itself in a circle, as calls do, until its collector looks through all
that there is, which is seldom.
"""

from __future__ import annotations

import ctypes
import gc
import os
from contextlib import suppress
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


ARENAS = 2
_M_ARENA_MAX = -8
"""`mallopt` (malloc.h)."""


def use_few_arenas() -> None:
    """Let threads that begin from now on share heaps; nothing where the C library is not glibc.

    `$MALLOC_ARENA_MAX` wins.
    """
    if "MALLOC_ARENA_MAX" not in os.environ and (libc := _glibc()) is not None:
        libc.mallopt(_M_ARENA_MAX, ARENAS)


def keep_for_good() -> None:
    """What there is by now stays until the program ends: `give_back` need not look through it."""
    gc.collect()
    gc.freeze()


def give_back() -> None:
    """Collect what has ended, and hand free memory back to the system (where that is glibc's)."""
    gc.collect()
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    with suppress(OSError, TypeError, AttributeError):
        libc = ctypes.CDLL(None)
        _ = libc.gnu_get_libc_version, libc.malloc_trim, libc.mallopt
        return libc
    return None
