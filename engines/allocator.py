"""Allocator: how glibc's is told to hold on to less memory.

It gives each thread a heap of its own (an arena), up to eight for each core, and keeps what is
freed in them.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

ARENAS = 2
_M_ARENA_MAX = -8
"""`mallopt` (malloc.h)."""


def use_few_arenas() -> None:
    """Let threads that begin from now on share heaps; nothing where the C library is not glibc.

    `$MALLOC_ARENA_MAX` wins.
    """
    if "MALLOC_ARENA_MAX" not in os.environ and (libc := _glibc()) is not None:
        libc.mallopt(_M_ARENA_MAX, ARENAS)


def trim() -> None:
    """Hand memory that is free back to the system, where it is glibc's."""
    if (libc := _glibc()) is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    with suppress(OSError, TypeError, AttributeError):
        libc = ctypes.CDLL(None)
        _ = libc.gnu_get_libc_version, libc.malloc_trim, libc.mallopt
        return libc
    return None
