"""No telemetry: OpenVINO without the part that reports its use to its maker."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

REPORTER = "openvino_telemetry"


@contextmanager
def without_telemetry() -> Iterator[None]:
    """Import OpenVINO in here: it does not find its reporter then, and does without.

    With it, each import sends an event with a number kept in ~/intel, from a thread of its own. A
    program that watches faces has nothing to report to anybody. Other imports of the reporter, by
    the program that uses us, go on as before.
    """
    modules: dict[str, Any] = sys.modules
    before = modules.get(REPORTER)
    modules[REPORTER] = None
    try:
        yield
    finally:
        if before is None:
            del modules[REPORTER]
        else:
            modules[REPORTER] = before
