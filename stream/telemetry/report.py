"""Report: what a run did, for people (a short table) and for programs (JSON)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from engines.files import write_whole
from engines.runtime import SMALL, OpenedRuntime, ProfileState
from stream.errors import OutputError
from stream.picture_options import SPEED
from stream.telemetry.check import Check, format_check
from stream.telemetry.metrics import (
    DROPPED,
    ENHANCED,
    FACE_LIMIT,
    FACES,
    FAILED_OPEN,
    FRAMES,
    Metrics,
)


class StageTimes(TypedDict):
    """Time of one part for one frame."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class Report(TypedDict):
    """The JSON of a run. Faces are counted once in every frame they appear in."""

    input: str
    output: str
    frames: int
    faces_seen: int
    faces_enhanced: int
    """Of those seen: a patch was shown."""
    faces_passed_through: int
    """Of those seen: the rest."""
    face_limit: int | None
    """More far faces than these were in the picture at once, and stayed as they were; None: every
    face that was found was followed."""
    exemplars: int
    """Exemplars that the bank took in."""
    people: int | None
    """Different people, as far as that was clear; None where nobody looked first."""
    merged_tracks: int | None
    """How often somebody who had been out of sight was recognised; None likewise."""
    frames_dropped: int
    """Live: replaced by a newer one on the way to a sink."""
    frames_failed_open: int
    """Live: the camera's picture was let through, because a stage failed or was late."""
    fps: float
    """Frames per second of processing, start-up left out."""
    duration_s: float
    """How long the processing took."""
    runtime: str
    """What ran the network; empty when no face called for it."""
    profile: str
    """What "auto" said of the speed profile: which is in use, or why none is; else empty."""
    network: NotRequired[str]
    """Recordings: which network was asked for, "full" or "small"."""
    speed: NotRequired[str]
    """Recordings: "best", it ran in every picture, or "fast", in every other one."""
    passed_over: list[str]
    """Runtimes that "auto" tried first, each with the reason why it was not taken."""
    stages: dict[str, StageTimes]
    """The stages, and the source and sinks, which run beside them in threads of their own."""
    learnt: NotRequired[list[dict[str, Any]]]
    """Recordings with --learn: `stream.recordings.people_learning.LearntPerson` of each."""
    check: NotRequired[Check]
    """Recordings: the output compared with the input."""


def make_report(
    metrics: Metrics,
    *,
    duration_s: float,
    exemplars: int,
    input_name: str,
    output_name: str,
    opened: OpenedRuntime | None = None,
    people: int | None = None,
    merged_tracks: int | None = None,
    first_pass: Metrics | None = None,
    network: str | None = None,
    speed: str | None = None,
) -> Report:
    """Put together what was counted and measured.

    Args: metrics: of the pipeline. duration_s: of the whole run. opened: what ran the network; None
          when nothing did. first_pass: of a first pass. network, speed: what a recording was asked
          for.
    """
    frames, faces = metrics.counter(FRAMES), metrics.counter(FACES)
    enhanced = metrics.counter(ENHANCED)
    times = (
        {f"look {name}": one for name, one in first_pass.summaries().items()} if first_pass else {}
    )
    times |= metrics.summaries()
    report = Report(
        input=input_name,
        output=output_name,
        frames=frames,
        faces_seen=faces,
        faces_enhanced=enhanced,
        faces_passed_through=faces - enhanced,
        face_limit=limit_of(metrics) or (limit_of(first_pass) if first_pass else None),
        exemplars=exemplars,
        people=people,
        merged_tracks=merged_tracks,
        frames_dropped=metrics.counter(DROPPED),
        frames_failed_open=metrics.counter(FAILED_OPEN),
        fps=round(frames / duration_s, 2) if duration_s > 0 else 0.0,
        duration_s=round(duration_s, 3),
        runtime=opened.runtime.name if opened else "",
        profile=profile_line(opened.profile) if opened else "",
        passed_over=passed_over_lines(opened) if opened else [],
        stages={
            name: StageTimes(
                p50_ms=round(time.p50_ms, 3),
                p95_ms=round(time.p95_ms, 3),
                p99_ms=round(time.p99_ms, 3),
            )
            for name, time in times.items()
        },
    )
    if network is not None:
        report["network"] = network
    if speed is not None:
        report["speed"] = speed
    return report


def network_line(report: Report) -> str:
    """What ran the network, and which, where it was not the full one in every picture; "": none."""
    if not report["runtime"]:
        return ""
    small = ", the small one where there is one" if report.get("network") == SMALL else ""
    seldom = (
        "" if report.get("speed", SPEED.default) == SPEED.default else (", in every other picture")
    )
    return f"network run by {report['runtime']}{small}{seldom}"


def limit_of(metrics: Metrics) -> int | None:
    """How many faces were followed at most, where there were more."""
    limit = metrics.snapshot().gauges.get(FACE_LIMIT)
    return None if limit is None else int(limit)


def profile_line(state: ProfileState | None) -> str:
    """Which speed profile is in use, or why none is; "" where nobody asked for it."""
    if state is None:
        return ""
    if state.choice is None:
        return f"speed profile passed over: {state.reason}"
    return f"speed profile: {state.choice}"


def passed_over_lines(opened: OpenedRuntime) -> list[str]:
    """What "auto" did without, a profile that does not hold among it, each with the reason."""
    lines = [f"{one.name} passed over: {one.reason}" for one in opened.passed_over]
    if opened.profile is not None and opened.profile.choice is None:
        lines.insert(0, profile_line(opened.profile))
    return lines


def format_report(report: Report) -> str:
    """The report as a short table, without a line break at its end."""
    counts = [
        ("frames", f"{report['frames']}"),
        ("faces seen", f"{report['faces_seen']}"),
        ("  enhanced", f"{report['faces_enhanced']}"),
        ("  passed through", f"{report['faces_passed_through']}"),
        ("close-ups", f"{report['exemplars']}"),
        ("fps", f"{report['fps']:.1f}"),
    ]
    if report["people"] is not None:
        counts.append(("people", f"{report['people']}"))
    if report["merged_tracks"]:
        counts.append(("recognised again", f"{report['merged_tracks']}"))
    if report["frames_dropped"]:
        counts.append(("dropped", f"{report['frames_dropped']}"))
    if report["frames_failed_open"]:
        counts.append(("failed open", f"{report['frames_failed_open']}"))
    lines = [f"{name:<18}{value:>10}" for name, value in counts]
    if report["face_limit"]:
        lines.append(f"more than {report['face_limit']} faces at once: the others are as they were")
    if line := network_line(report):
        lines.append(line)
    if report["profile"]:
        lines.append(report["profile"])
    lines.append(f"{'ms a frame':<18}{'p50':>10}{'p95':>10}{'p99':>10}")
    for name, times in report["stages"].items():
        row = "".join(f"{times[key]:>10.1f}" for key in ("p50_ms", "p95_ms", "p99_ms"))
        lines.append(f"  {name:<16}{row}")
    if "check" in report:
        lines.append(format_check(report["check"]))
    return "\n".join(lines)


def write_report(path: Path, report: Report) -> None:
    """Write the JSON; the file is there completely or not at all.

    Raises: OutputError: it cannot be written.
    """
    try:
        write_whole(path, json.dumps(report, indent=2) + "\n")
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
