"""Profile: where the time of a frame goes, part by part, in a call and in a recording.

    python -m bench.profile [call | recording | plain]... [--size 1280x720] [--seconds 10] [--json]

"plain" is a recording without the network. For every stage, and the parts of it that take long: ms
a frame (p50, p95), the processor time of the thread that runs it, as a share of all cores too, and
the pictures that it makes anew. Beside them: the processor time of every thread (decoders, encoders
and the network's own are "native"), how long threads wait for each other at the links between them,
and for the interpreter's lock. Exit status: 0 measured, 2 an error that one line explains.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from bench.part_timer import PartTimer
from bench.picture_size import parse_size
from bench.synthetic_camera import SyntheticCamera
from bench.throughput import make_recording
from engines.errors import reported, run_program
from engines.machine import cores
from engines.option_types import named_path
from engines.runtime import RUNTIMES, EngineError
from stream.errors import CloseupError, ConfigError
from stream.frame import Frame
from stream.graph import Stages
from stream.image.resample import Size
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams
from stream.pipeline import Pipeline
from stream.protocols import Sink
from stream.session import EnhancementSession
from stream.telemetry.metrics import ENHANCED, FRAMES, Metrics

CASES = ("call", "recording", "plain")
RATE = Fraction(30)
FAR_S = 600.0
WAITS = "waits: "
"""How the labels of the links between threads begin."""
_TRACKING, _ENHANCEMENT = "stream.stages.tracking", "stream.stages.enhancement"
_COMPOSITOR = "stream.stages.compositing.compositor"
PARTS = {
    "to RGB": "stream.media.planar_image:to_rgb",
    "tracker: scene signature": f"{_TRACKING}.tracker:scene_signature",
    "tracker: face signature": f"{_TRACKING}.tracker:face_signature",
    "tracker: detector": f"{_TRACKING}.face_detector:FaceDetector.detect",
    "enhancer: crop": f"{_ENHANCEMENT}.crop_selector:cut_square",
    "enhancer: align exemplars": f"{_ENHANCEMENT}.exemplar_alignment:ExemplarAlignment.align",
    "enhancer: encode exemplars": "engines.runtimes.cpu:CpuRuntime.encode",
    "enhancer: network": "engines.runtimes.cpu:CpuRuntime.enhance",
    "enhancer: finish detail": f"{_ENHANCEMENT}.face_network:finished",
    "enhancer: temporal filter": f"{_ENHANCEMENT}.temporal_filter:TemporalFilter.__call__",
    "enhancer: carry the detail": f"{_ENHANCEMENT}.detail_carrier:DetailCarrier.__call__",
    "check: difference": f"{_ENHANCEMENT}.consistency_check:difference",
    "compositor: view": f"{_COMPOSITOR}:resample",
    "compositor: back-project": f"{_COMPOSITOR}:back_project",
    "compositor: draw a patch": f"{_COMPOSITOR}:_draw",
    "write: native picture": "stream.media.sinks.native:Native.__call__",
    "write: enlarge planes": "stream.media.sinks.native:show",
    "write: add differences": "stream.media.sinks.native:add",
    "write: RGB to YUV": "stream.media.colour:ToYuv.__call__",
    WAITS + "put into a link": "stream.link:Link.put",
    WAITS + "get from a link": "stream.link:Link.get",
}


class Nothing:
    """A sink that takes frames and drops them: what a call costs without its outputs."""

    name = "taken"

    def send(self, frame: Frame) -> None:
        """Take one."""

    def close(self) -> None:
        """Nothing to finish."""

    abort = close


def profile(
    case: str,
    size: Size,
    seconds: float,
    scale: float,
    runtime: str,
    recording: Path | None = None,
) -> dict[str, Any]:
    """Run one case.

    Args:    case: of `CASES`. size: of the pictures, px. seconds: of them. scale: of a recording's
             canvas. runtime: "auto" or a name of `RUNTIMES`.
             recording: in place of one of this size and length that is made.
    Returns: what `--json` prints for it.
    Raises:  CloseupError, EngineError.
    """
    metrics = Metrics()
    with tempfile.TemporaryDirectory(prefix="closeup-") as folder:
        if case == "call":
            camera = SyntheticCamera(size, RATE, far_s=FAR_S, duration_s=seconds)
            stages = Stages.build(size, RATE, framing="auto", runtime=runtime, live=True)
            session = EnhancementSession(stages, live_rate=RATE, metrics=metrics)
            timer = _timed(Pipeline(camera, session, [Nothing()]), size)
        else:
            path = Path(folder) / "call.mkv"
            if recording is None:
                make_recording(path, size, seconds / 60.0)
            with FileSource(recording or path, lazy=True) as source:
                size = (source.width, source.height)
                stages = Stages.build(
                    size, source.rate, framing="fixed", scale=scale, runtime=runtime,
                    eager=case != "plain",
                )  # fmt: skip
                stages.compositor.whole = False
                if case == "plain":
                    stages.all[:] = [one for one in stages.all if one.name != "enhancer"]
                session = EnhancementSession(stages, metrics=metrics)
                sink: Sink = FileSink(
                    Path(folder) / "better.mkv", stages.output_size, source.rate, source.time_base,
                    video_format=source.video_format, encoding=Encoding(),
                    stream_copy=CopiedStreams(source.path),
                )  # fmt: skip
                timer = _timed(Pipeline(source, session, [sink]), size)
    return result(case, timer, metrics, session.stats().runtime)


def _timed(pipeline: Pipeline, size: Size) -> PartTimer:
    with PartTimer(PARTS, size[0] * size[1] * 3) as timer:
        pipeline.run()
        timer.stop()
    return timer


def result(case: str, timer: PartTimer, metrics: Metrics, runtime: str) -> dict[str, Any]:
    """What was measured, for programs.

    Args: case: its name. timer: of its parts. metrics: of its stages. runtime: of the network.
    """
    frames = max(1, metrics.counter(FRAMES))
    all_ms = timer.seconds * 1e3 * cores()
    stages = {
        name: {"p50_ms": round(one.p50_ms, 2), "p95_ms": round(one.p95_ms, 2)}
        for name, one in metrics.summaries().items()
        if not name.startswith("age")
    }
    parts: dict[str, dict[str, float]] = {}
    for label, part in timer.parts.items():
        if part.wall_ms:
            p50, p95 = np.percentile(part.wall_ms, (50, 95))
            parts[label] = {
                "calls_a_frame": round(len(part.wall_ms) / frames, 2),
                "p50_ms": round(float(p50), 2),
                "p95_ms": round(float(p95), 2),
                "cpu_ms_a_frame": round(part.cpu_ms / frames, 3),
                "share_of_cores": round(part.cpu_ms / all_ms, 4),
                "waited_ms_a_frame": round((sum(part.wall_ms) - part.cpu_ms) / frames, 3),
                "pictures_a_frame": round(part.pictures / frames, 2),
                "picture_mb_a_frame": round(part.picture_bytes / 1e6 / frames, 2),
            }
    waits = np.percentile(timer.gil_ms or [0.0], (50, 95)).round(2)
    return {
        "case": case,
        "runtime": runtime,
        "seconds": round(timer.seconds, 2),
        "frames": metrics.counter(FRAMES),
        "faces_enhanced": metrics.counter(ENHANCED),
        "cores": cores(),
        "cpu_ms_a_frame": round(sum(timer.threads_ms.values()) / frames, 2),
        "stages": stages,
        "parts": parts,
        "threads_ms_a_frame": {
            name: round(ms / frames, 2)
            for name, ms in sorted(timer.threads_ms.items(), key=lambda one: -one[1])
            if ms / frames >= 0.01
        },
        "interpreter_waited_ms": {"p50": float(waits[0]), "p95": float(waits[1])},
    }


def table(found: dict[str, Any]) -> str:
    """For people, in Markdown, without a line break at its end."""
    head = (
        f"**{found['case']}**: {found['frames']} frames in {found['seconds']:g} s, "
        f"{found['faces_enhanced']} faces enhanced, network: {found['runtime'] or 'none'}; "
        f"{found['cpu_ms_a_frame']:g} ms of {found['cores']} cores a frame"
    )
    lines = [head, "", "| stage | p50 ms | p95 ms |", "|---|---|---|"]
    for name, one in found["stages"].items():
        lines.append(f"| {name} | {one['p50_ms']:g} | {one['p95_ms']:g} |")
    lines += [
        "",
        "| part | calls a frame | p50 ms | p95 ms | CPU ms a frame | of the cores "
        "| not running, ms a frame | new pictures a frame | MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for label, one in found["parts"].items():
        cells = (
            *(label, one["calls_a_frame"], one["p50_ms"], one["p95_ms"], one["cpu_ms_a_frame"]),
            *(f"{one['share_of_cores']:.1%}", one["waited_ms_a_frame"]),
            *(one["pictures_a_frame"], one["picture_mb_a_frame"]),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    threads = ", ".join(f"{name} {ms:g}" for name, ms in found["threads_ms_a_frame"].items())
    waits = found["interpreter_waited_ms"]
    lines += [
        "",
        f"threads, CPU ms a frame: {threads}",
        f"a thread that slept waited for the interpreter: p50 {waits['p50']:g} ms, "
        f"p95 {waits['p95']:g} ms (its timer and the scheduler included)",
    ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.profile", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("cases", nargs="*", metavar="CASE", help=f"some of {', '.join(CASES)} (all)")
    add("--size", default="1280x720", metavar="WxH", help="of the pictures (default 1280x720)")
    add("--seconds", type=float, default=10.0, help="of pictures, each case (default 10)")
    whole = "a recording, instead of one that is made; all of it, at its size"
    add("--input", type=named_path, metavar="FILE", help=whole)
    add("--scale", type=float, default=1.0, help="of a recording's canvas (default 1)")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--json", action="store_true", help="the result as JSON on stdout")
    given = parser.parse_args(arguments)
    try:
        size = parse_size(given.size)
        if unknown := set(given.cases) - set(CASES):
            raise ConfigError(f"there is no case {unknown.pop()}; there are {', '.join(CASES)}")
        if not 0.5 <= given.seconds <= 3600.0:
            raise ConfigError(f"--seconds {given.seconds:g} is out of range; give 0.5 to 3600")
        if not 1.0 <= given.scale <= 4.0:
            raise ConfigError(f"--scale {given.scale:g} is out of range; give 1 to 4")
        found = [
            profile(case, size, given.seconds, given.scale, given.runtime, given.input)
            for case in given.cases or CASES
        ]
    except (CloseupError, EngineError) as error:
        return reported(error)
    print(json.dumps(found) if given.json else "\n\n".join(map(table, found)))
    return 0


if __name__ == "__main__":
    run_program(main)
