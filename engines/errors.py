"""Errors: what a caller of the engines can meet; `str(error)` is one line.

EngineError             base of the errors below
├── UnavailableError    the runtime cannot run here: why, and what to install
└── WeightsError        a weights file is missing or is not the one the manifest names
"""

from __future__ import annotations


class EngineError(Exception):
    """Base of the errors of this package."""


class UnavailableError(EngineError):
    """The runtime cannot run on this machine; says why and what to install."""


class WeightsError(EngineError):
    """A weights file is missing, damaged, or not the one that the manifest names."""
