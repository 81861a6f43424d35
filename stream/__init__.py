"""The streaming graph: sources, stages, sinks and the links between them.

`from stream import Enhancer` is the Python API; see `stream.api`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stream.api import Enhancer

__all__ = ["Enhancer"]


def __getattr__(name: str) -> object:
    # Late: whoever wants `stream.frame` alone does not wait for a face detector.
    if name == "Enhancer":
        from stream.api import Enhancer

        return Enhancer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
