"""Soak: a long call on a synthetic camera in real time: does latency or memory grow?

    python -m bench.soak --minutes 30
    python -m bench.soak --size 640x480 --faces 3 --disturb 10 --json
    python -m bench.soak --rate 8 --minutes 10 --learn-live      # and the same without it

The real stages run as in a call without a window; the camera is `bench.synthetic_camera`, the
output only measures. Exit status: 0 measured, 2 an error that one line on stderr explains.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction

from bench.picture_size import parse_size
from bench.soak_log import Log, Result
from bench.synthetic_camera import MOST_PEOPLE, SyntheticCamera
from engines.errors import reported, run_program
from engines.runtime import DEFAULT_WEIGHTS, RUNTIMES, EngineError, check_network
from stream.errors import CloseupError, ConfigError
from stream.events import notes_to
from stream.frame import Frame
from stream.graph import Stages
from stream.image.resample import Size
from stream.live import Ending
from stream.live_learning import LiveLearning, check_learning
from stream.option_table import NETWORK
from stream.pipeline import Pipeline
from stream.protocols import Stage
from stream.quality_ladder import LADDER, QualityLevel
from stream.session import EnhancementSession
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.metrics import Metrics
from stream.telemetry.stats import Stats

TICK_S = 0.5
TABLE_EVERY_S = 10.0
LEAST_FRAMES = 2
"""Of fewer there is no rate, no slope, and no result."""


@dataclass(frozen=True)
class Case:
    """What is measured."""

    size: Size
    rate: Fraction
    faces: int
    minutes: float
    warm_up_s: float
    """At the start, not counted."""
    disturb_s: float | None
    """Seconds between disturbances; None for none."""
    disturb_ms: float
    runtime: str
    network: str = NETWORK.default
    learns: bool = False
    """The people of the call are learnt, as with `--learn-live`."""
    learning_threads: int | None = None
    """Of the process that learns; None: as in a call."""


class Disturbance(Stage):
    """A stage that sleeps now and then."""

    name = "disturbance"

    def __init__(self, every_s: float, sleep_s: float, log: Log) -> None:
        self._every_s = every_s
        self._sleep_s = sleep_s
        self._log = log
        self._next_s: float | None = None

    def __call__(self, frame: Frame) -> Frame:
        """The same frame, sometimes late."""
        if self._next_s is None:  # the models are there
            self._next_s = time.monotonic() + self._every_s
        if time.monotonic() >= self._next_s:
            self._next_s += self._every_s
            self._log.disturbed(frame)
            time.sleep(self._sleep_s)
        return frame


class LevelLog(Stage):
    """The last stage: writes down at which level of quality a frame was worked on."""

    name = "levels"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._level = 0

    def __call__(self, frame: Frame) -> Frame:
        """The same frame."""
        self._log.worked(self._level)
        return frame

    def apply(self, quality: QualityLevel) -> None:
        """See `Stage.apply`."""
        self._level = LADDER.index(quality)


class Observer:
    """A sink that takes frames at once and writes down how old they are."""

    name = "soak"

    def __init__(self, log: Log) -> None:
        self._log = log

    def send(self, frame: Frame) -> None:
        """Take one frame."""
        self._log.taken(frame, time.monotonic_ns())

    def close(self) -> None:
        """Nothing to finish."""

    abort = close


def soak(case: Case, *, quiet: bool) -> Result:
    """Run one case.

    Args:   quiet: no progress and no figures on stderr.
    Raises: CloseupError, EngineError: it cannot begin.
    """

    def drawn(part: float) -> None:
        if not quiet:
            print(f"\rdrawing the scene {part:4.0%}", end="", file=sys.stderr, flush=True)

    seconds = 60.0 * case.minutes
    camera = SyntheticCamera(
        case.size, case.rate, people=case.faces, duration_s=seconds, drawn=drawn
    )
    if not quiet:
        print(file=sys.stderr)
    metrics = Metrics()
    log = Log(round(seconds * case.rate) + 1, round(seconds / TICK_S) + 100)
    personal = PersonalRuntimes() if case.learns else None
    stages = Stages.build(
        *(case.size, case.rate),
        framing="auto",
        runtime=case.runtime,
        network=case.network,
        live=True,
        personal=personal,
    )
    stages = replace(stages, to_load=(*stages.to_load, log.models_ready))
    stages.all.append(LevelLog(log))
    if case.disturb_s is not None:
        stages.all.insert(0, Disturbance(case.disturb_s, case.disturb_ms / 1e3, log))

    def say(line: str) -> None:
        print(f"note: {line}", file=sys.stderr)

    session = EnhancementSession(
        stages, live_rate=case.rate, metrics=metrics, on_event=notes_to(say)
    )
    pipeline = Pipeline(camera, session, [Observer(log)])
    stats = nullcontext() if quiet else Stats(metrics, "table", sys.stderr, TABLE_EVERY_S)
    learning = (
        nullcontext()
        if personal is None
        else LiveLearning(session, personal, threads=case.learning_threads)
    )
    with stats, Ending() as ending, learning:
        pipeline.start()
        try:
            while pipeline.running and not ending.asked:
                time.sleep(TICK_S)
                log.sample_memory()
                log.count(metrics)
                if case.learns:
                    log.learning(metrics.gauges)
        finally:
            camera.stop()
            pipeline.stop()
            pipeline.wait()
    return log.result(metrics, case.warm_up_s, session.stats().runtime)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.soak", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--minutes", type=float, default=30.0)
    add("--size", default="1280x720", metavar="WxH", help="of the camera (default 1280x720)")
    add("--rate", type=float, default=30.0, metavar="N", help="pictures a second (default 30)")
    add("--faces", type=int, default=1, choices=range(1, MOST_PEOPLE + 1), help="far ones")
    add("--warm-up", type=float, metavar="S", help="seconds at the start that do not count "
        "(default: 60, or a quarter of the time)")  # fmt: skip
    add("--disturb", type=float, metavar="S", help="every S seconds a stage sleeps")
    add("--disturb-ms", type=float, default=200.0, metavar="MS", help="for so long (default 200)")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--network", choices=NETWORK.choices, default=NETWORK.default, help="see closeup --help")
    add("--learn-live", action="store_true", help="learn the people meanwhile (extra learn)")
    add("--learn-threads", type=int, metavar="N", help="of the process that learns "
        "(default: all cores but two)")  # fmt: skip
    add("--json", action="store_true", help="the result as JSON on stdout")
    add("--quiet", action="store_true", help="no figures on stderr meanwhile")
    given = parser.parse_args(arguments)
    try:
        case = _case(given)
        result = soak(case, quiet=given.quiet)
        if result["frames"] < LEAST_FRAMES:
            raise ConfigError(
                f"{result['frames']} frames came after the first {case.warm_up_s:g} s, which do "
                f"not count (--warm-up): {LEAST_FRAMES} are needed"
            )
    except (CloseupError, EngineError) as error:
        return reported(error)
    print(json.dumps(result) if given.json else _table(result))
    return 0


def _case(given: argparse.Namespace) -> Case:
    """Raises: ConfigError: a number is out of range."""
    size = parse_size(given.size, even=False)
    check_network(given.network, DEFAULT_WEIGHTS)
    if given.learn_live:
        check_learning(DEFAULT_WEIGHTS)
    elif given.learn_threads is not None:
        raise ConfigError("--learn-threads needs --learn-live")
    for name, value, least, most in (
        ("--minutes", given.minutes, 0.1, 10_000.0),
        ("--rate", given.rate, 1.0, 120.0),
        ("--disturb", given.disturb, 0.5, 3600.0),
        ("--disturb-ms", given.disturb_ms, 1.0, 10_000.0),
        ("--warm-up", given.warm_up, 0.0, 50.0 * given.minutes),
        ("--learn-threads", given.learn_threads, 1, 64),
    ):
        if value is not None and not least <= value <= most:
            raise ConfigError(f"{name} {value:g} is out of range; give {least:g} to {most:g}")
    return Case(
        size=size,
        rate=Fraction(given.rate).limit_denominator(1001),
        faces=given.faces,
        minutes=given.minutes,
        warm_up_s=min(60.0, 15.0 * given.minutes) if given.warm_up is None else given.warm_up,
        disturb_s=given.disturb,
        disturb_ms=given.disturb_ms,
        runtime=given.runtime,
        network=given.network,
        learns=given.learn_live,
        learning_threads=given.learn_threads,
    )


def _table(result: Result) -> str:
    lines = []
    for name, value in result.items():
        shown = "-" if value is None else value
        if isinstance(value, dict):
            shown = "   ".join(f"{key}: {one:g}" for key, one in value.items()) or "-"
        lines.append(f"{name.replace('_', ' '):<28}{shown}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_program(main)
