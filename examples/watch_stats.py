"""Watch the figures of a running call, and warn when it is late or gives up quality.

    closeup --input webcam --stats json | python examples/watch_stats.py --latency 80

Reads the lines of `--stats json` from stdin; docs/figures.md explains the keys. Exit status: 0 the
call was fine, 1 there were warnings, 2 there was nothing to read.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import Any


def warnings_of(line: dict[str, Any], latency_ms: float) -> list[str]:
    """What is wrong in one line of figures.

    Args: latency_ms: the most that the p95 of any output may have.
    """
    found = []
    for output, latency in line["age_ms"].items():
        if latency["p95"] > latency_ms:
            found.append(f"{output} is late: p95 {latency['p95']:.0f} ms")
    if line["frames_failed_open"]:
        found.append(f"{line['frames_failed_open']} frames were not enhanced (failed open)")
    if line.get("quality_level", 0) > 0:
        found.append(f"quality level {line['quality_level']:.0f}: this machine is too slow for all")
    return found


def watch(lines: Iterable[str], latency_ms: float) -> int:
    """Print warnings while the call runs and a summary at its end; return the exit status."""
    seen = warned = 0
    for text in lines:
        line = json.loads(text)
        seen += 1
        if line["final"]:
            faces = f"{line['faces_enhanced']} of {line['faces_seen']} faces enhanced"
            print(f"call of {line['time_s']:.0f} s: {line['fps']:.1f} fps, {faces}")
            break
        for warning in warnings_of(line, latency_ms):
            warned += 1
            print(f"{line['time_s']:6.1f} s  {warning}", flush=True)
    return 2 if not seen else 1 if warned else 0


def main() -> int:
    """Read the command line and watch stdin."""
    parser = argparse.ArgumentParser(description="Warn when a call is late.")
    parser.add_argument("--latency", type=float, default=100.0, help="ms, of the p95 (100)")
    return watch(sys.stdin, parser.parse_args().latency)


if __name__ == "__main__":
    sys.exit(main())
