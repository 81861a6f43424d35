"""Memory of training on a CPU: glibc must be told before the program starts."""

from __future__ import annotations

import os
import sys

MALLOC = {
    # glibc hands large blocks back to the kernel at once and gets them again page by page; to keep
    # them doubles the speed of training on a CPU
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "500000000",
    "MALLOC_ARENA_MAX": "1",
}


def keep_memory(module: str) -> None:
    """Start this program anew, on Linux, unless it was started so that large blocks are kept.

    Args: module: which `python -m` runs.
    """
    if sys.platform == "linux" and any(os.environ.get(k) != v for k, v in MALLOC.items()):
        command = [sys.executable, "-m", module, *sys.argv[1:]]
        os.execve(sys.executable, command, os.environ | MALLOC)
