"""Session stats: what a session has done so far, as one value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionStats:
    """What a session has done so far. Faces are counted once in every frame."""

    frames: int
    """Handed on to the outputs."""
    dropped: int
    """Replaced by a newer one on the way."""
    failed_open: int
    """On which some stage did not work."""
    faces: int
    enhanced: int
    exemplars: int
    """That the bank took in."""
    level: int
    """Step of `stream.quality_ladder.LADDER`; 0 is full quality."""
    runtime: str
    """What runs the network; empty before a face has called for it."""
