"""Growth: whether a recording is written to while it is read."""

from __future__ import annotations

from pathlib import Path

GREW = "{} was written to meanwhile, and what came late may be missing; run again when it is whole"


def written(path: Path) -> tuple[int, int]:
    """Bytes, and the time of the last change, ns. Raises: OSError."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
