"""Options of archives: many recordings into a folder, in several processes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from stream.errors import ConfigError
from stream.media.sinks.file_sink import FORMATS
from stream.recordings.batch.discovery import names_several
from stream.recordings.resume.work_dir import SEGMENT_FRAMES

DEFAULTS: dict[str, Any] = dict.fromkeys(
    ("jobs", "progress", "resume", "segment", "cluster", "cluster_cpus", "cluster_gpus")
)
"""By argparse's names; None is what was not given."""
MOST_JOBS = 256
MOST_SEGMENT_FRAMES = 100_000


def add_arguments(add: Callable[..., None]) -> None:
    """The options of their own. Args: add: takes a name without dashes, then as `argparse`."""
    add("jobs", type=int, metavar="N", help="recordings at the same time, each in a process (1)")
    add("cluster", nargs="?", const="local", metavar="ADDRESS", help="on a Ray cluster; without "
        "an address on one that is started here (extra cluster)")  # fmt: skip
    add("cluster-cpus", type=float, metavar="N", help="CPUs there for each recording (1)")
    add("cluster-gpus", type=float, metavar="N", help="GPUs there for each recording (0)")
    switch: Any = {"action": argparse.BooleanOptionalAction, "default": argparse.SUPPRESS}
    add("resume", **switch, help="keep what is finished of a recording when it is interrupted, and "
        "go on there next time (archives always do)")  # fmt: skip
    add("segment", type=int, metavar="N", help=f"what is finished is kept every N pictures "
        f"({SEGMENT_FRAMES})")  # fmt: skip
    add("progress", choices=("text", "json"), help="json: lines on stdout for programs")


def segment_frames(given: argparse.Namespace) -> int:
    """Raises: ConfigError: it is out of range."""
    frames = SEGMENT_FRAMES if given.segment is None else int(given.segment)
    if not 1 <= frames <= MOST_SEGMENT_FRAMES:
        raise ConfigError(f"--segment {frames} is out of range; give 1 to {MOST_SEGMENT_FRAMES}")
    return frames


def is_batch(inputs: list[str], outputs: list[str]) -> bool:
    """Whether many recordings are meant, or one that goes into a folder."""
    into_folder = len(outputs) == 1 and (
        outputs[0].endswith(("/", os.sep)) or Path(outputs[0]).is_dir()
    )
    return len(inputs) > 1 or into_folder or any(names_several(one) for one in inputs)


def check(given: argparse.Namespace) -> None:
    """Raises: ConfigError: an option is out of range or makes no sense for an archive."""
    if len(given.output or ()) != 1:
        raise ConfigError("an archive has one --output, a folder")
    output = Path(given.output[0])
    if output.suffix.lower() in FORMATS and not output.is_dir():
        raise ConfigError(f"--output {output} names one recording; several need a folder")
    if given.report is not None:
        raise ConfigError("--report is for one recording; an archive has manifest.jsonl")
    if given.cluster is not None and given.jobs is not None:
        raise ConfigError("--jobs is for this machine; a cluster takes what --cluster-cpus allows")
    if given.cluster is None and (given.cluster_cpus or given.cluster_gpus):
        raise ConfigError("--cluster-cpus and --cluster-gpus need --cluster")
    if min(given.cluster_cpus or 1.0, 1.0 + (given.cluster_gpus or 0.0)) <= 0.0:
        raise ConfigError("--cluster-cpus and --cluster-gpus cannot be negative")
    if given.jobs is not None and not 1 <= given.jobs <= MOST_JOBS:
        raise ConfigError(f"--jobs {given.jobs} is out of range; give 1 to {MOST_JOBS}")


def given_names(given: argparse.Namespace) -> list[str]:
    """Which of these options were given, for those that are no archive."""
    return [f"--{one.replace('_', '-')}" for one in DEFAULTS if getattr(given, one) is not None]
