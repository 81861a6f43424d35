"""The bench's command line.

    python -m bench --quick                           two minutes, the demo's people alone
    python -m bench --clips FOLDER --out out/bench    every case, and every clip once
    python -m bench --cases walk,swap --clips CLIP CLIP

Exit status: 0 measured; 1 faces are less like the truth than is promised, in rows marked "below";
2 an error that one line on stderr explains.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from bench.measures.contact_sheet import write_pictures, write_sheet, write_video
from bench.measures.evaluator import Notes
from bench.measures.likeness import Likeness
from bench.measures.stages import StageWatch, Totals, stage_table, summed
from bench.measures.summary import summarise, table
from bench.run import learn, run
from bench.scenes.call import Call
from bench.scenes.cases import CASES, QUICK, Case, after_sitting
from bench.scenes.synthetic_people import MOST_S, Clip, Photo, SyntheticPerson
from engines.errors import reported, run_program
from engines.option_types import named_path, number, output_folder, whole
from engines.runtime import (
    DEFAULT_WEIGHTS,
    FULL,
    NETWORKS,
    RUNTIMES,
    WEIGHTS,
    EngineError,
    check_network,
)
from stream.errors import CloseupError, ConfigError
from stream.media.demo.demo_scene import DemoScene
from stream.picture_options import SPEED
from stream.recordings.people_learning import NOBODY, LearntPerson
from stream.shared_runtime import SharedRuntime
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.tracking.face_detector import FaceDetector

KINDS = (".mp4", ".mkv", ".mov", ".webm")
QUICK_PACE = 0.6
LEARNED = " learned"
"""Ends the names of what was measured with people who were learnt."""
SITS_S = 12.0
"""So long people sit close first where they are learnt: about 24 close-ups."""
ONCE = "walk"
"""The case that every clip plays; the other cases take the clips in turn."""


@dataclass(frozen=True)
class Cast:
    """A case and who plays it."""

    case: str
    clips: tuple[Path, ...]
    """None for the demo's people."""

    @property
    def name(self) -> str:
        """Of the case and its people."""
        people = "+".join(path.stem for path in self.clips) or "demo"
        return f"{self.case} {people}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench. Returns the exit status."""
    options = _parser().parse_args(arguments)
    try:
        broken = measure(options)
    except (CloseupError, EngineError) as error:
        return reported(error)
    for line in broken:
        print(f"below the margin: {line}", file=sys.stderr)
    return 1 if broken else 0


def measure(options: argparse.Namespace) -> list[str]:
    """Every cast in turn; prints the table and writes what was asked for.

    Returns: a line for each promise about identity that a cast does not keep.

    Raises: CloseupError, EngineError.
    """
    names = _cases(options)
    casts = list(casting(names, _clips(options), options.seed, demo=not options.no_demo))
    if not casts:
        raise ConfigError("--no-demo leaves nobody; give --clips")
    if options.videos and options.out is None:
        raise ConfigError("--videos needs --out")
    if options.learn is not None and not options.learn > 0.0:
        raise ConfigError("--learn takes minutes, more than 0")
    if options.learn is not None and options.weights != DEFAULT_WEIGHTS:
        raise ConfigError(
            f"--learn starts from the {DEFAULT_WEIGHTS} weights; leave out one of the two"
        )
    pace = options.pace or (QUICK_PACE if options.quick else 1.0)
    scene = DemoScene()
    done: list[tuple[str, Notes]] = []
    together: dict[str, list[Notes]] = {}
    index: dict[str, dict[str, float]] = {}
    stages: list[Totals] = []
    whom: dict[str, list[LearntPerson]] = {}
    started_s = time.monotonic()
    with FaceDetector() as detector, _network(options) as network:
        likeness = None if options.no_identity else Likeness(detector)
        if likeness is not None and likeness.lacks:
            print(f"note: no figures of identity: {likeness.lacks}", file=sys.stderr)
        for number, cast in enumerate(casts):
            print(f"{number + 1} of {len(casts)}: {cast.name}", file=sys.stderr, flush=True)
            case = CASES[cast.case](pace)
            if options.learn is not None:
                case = after_sitting(case, SITS_S)
            people = _people(cast, case, scene, detector)
            if options.learn is not None and (short := _shorter(people, case)):
                print(f"note: {cast.name} is left out: {short}", file=sys.stderr)
                continue
            call = Call(case, people, options.size, options.seed)
            with StageWatch(call) if options.stages else nullcontext() as watch:
                measured = {
                    "": run(
                        call,
                        likeness,
                        scale=options.scale,
                        opener=network.lend(),
                        # of those that learn, a face is offered more close-ups
                        personal=PersonalRuntimes() if options.learn is not None else None,
                        watch=watch,
                        every=options.every,
                        behind=options.behind,
                        speed=options.speed,
                    )
                }
                if watch is not None:
                    stages.append(watch.finish())
            if options.learn is not None:
                learning = learn(call, options.learn, scale=options.scale)
                whom[cast.name] = learning.learnt
                measured[LEARNED] = run(
                    call, likeness, scale=options.scale, opener=network.lend(),
                    personal=learning.runtimes, every=options.every,
                    behind=options.behind, speed=options.speed,
                )  # fmt: skip
            for kind, notes in measured.items():
                name = f"{cast.name}{kind}"
                done.append((name, notes))
                together.setdefault(kind, []).append(notes)
                if options.out is not None and options.videos:
                    write_video(options.out / f"{name.replace(' ', '-')}.{options.videos}", notes)
                if options.pictures is not None:
                    index |= write_pictures(options.pictures, cast.name, notes, kind.strip())
                print(table([summarise(name, [notes])]).splitlines()[-1], file=sys.stderr)
    if not done:
        raise ConfigError("every clip is too short to be learnt from and judged; give longer ones")
    if options.pictures is not None:
        (options.pictures / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    rows = [summarise(name, [notes]) for name, notes in done]
    # By kind, not by name: a clip may be called so.
    rows_of_all = [summarise(f"all{kind}", notes) for kind, notes in together.items()]
    text = table([*rows, *rows_of_all])
    print(text)
    for name, learnt_people in whom.items():
        print(f"\nlearnt, {name}: {_told(learnt_people)}")
    if stages:
        print(f"\n{stage_table(summed(stages))}")
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "bench.md").write_text(text + "\n")
        result = {
            "seconds": round(time.monotonic() - started_s, 1),
            "size": list(options.size),
            "scale": options.scale,
            "seed": options.seed,
            "cases": [row.as_json() for row in rows],
            "learnt": {name: [asdict(one) for one in ones] for name, ones in whom.items()},
            **{row.name: row.as_json() for row in rows_of_all},
        }
        (options.out / "bench.json").write_text(json.dumps(result, indent=2) + "\n")
        write_sheet(options.out / "bench.png", done)
    return [f"{row.name}: {reason}" for row in rows for reason in row.broken]


def casting(
    names: Sequence[str], clips: Sequence[Path], seed: int, *, demo: bool = True
) -> Iterator[Cast]:
    """Who plays what: the demo's people everything, the clips in turn, and each clip ONCE.

    Args: names: of the cases. clips: recordings of people. seed: of their order. demo: whether the
          demo's people play, too.
    """
    if demo:
        yield from (Cast(name, ()) for name in names)
    if not clips:
        return
    order = [clips[i] for i in np.random.default_rng(seed).permutation(len(clips))]
    turn = 0
    for name in names:
        if name == ONCE:
            yield from (Cast(name, (clip,)) for clip in clips)
            continue
        needed = len(CASES[name](1.0).trajectories)
        yield Cast(name, tuple(order[(turn + i) % len(order)] for i in range(needed)))
        turn += needed


def _network(options: argparse.Namespace) -> SharedRuntime:
    """Raises: WeightsError: there is no such network: the full one would be measured instead."""
    check_network(options.network, options.weights)
    return SharedRuntime(options.runtime, options.weights, options.network)


def _people(
    cast: Cast, case: Case, scene: DemoScene, detector: FaceDetector
) -> list[SyntheticPerson]:
    if cast.clips:
        return [Clip(path, detector, max(MOST_S, case.duration_s)) for path in cast.clips]
    needed = len(CASES[cast.case](1.0).trajectories)
    return [Photo(scene, other=number % 2 == 1) for number in range(needed)]


def _shorter(people: Sequence[SyntheticPerson], case: Case) -> str:
    """Says why the call would show moments that were learnt from; empty: it does not."""
    for one in people:
        if isinstance(one, Clip) and one.duration_s < case.duration_s:
            return f"{one.name} has {one.duration_s:.1f} s, the call {case.duration_s:.1f} s"
    return ""


def _told(learnt: Sequence[LearntPerson]) -> str:
    if not learnt:
        return NOBODY.text
    return "; ".join(
        f"person {one.person}, x{one.scale}, {one.close_ups} close-ups, {one.steps} steps, "
        f"{one.gain_db:+.2f} dB and coherence {one.gain_coherence:+.3f} on those held out, "
        + ("used" if one.used else "not used")
        for one in learnt
    )


def _cases(options: argparse.Namespace) -> list[str]:
    if options.cases is None:
        return list(QUICK if options.quick else CASES)
    names = [name.strip() for name in options.cases.split(",")]
    for name in names:
        if name not in CASES:
            raise ConfigError(f"there is no case {name}; there are {', '.join(CASES)}")
    return names


def _clips(options: argparse.Namespace) -> list[Path]:
    found: list[Path] = []
    for path in options.clips:
        if not path.exists():
            raise ConfigError(f"--clips: {path} does not exist")
        inside = sorted(path.iterdir()) if path.is_dir() else [path]
        recordings = [one for one in inside if one.suffix.lower() in KINDS]
        if not recordings:
            raise ConfigError(f"--clips: {path} is, or holds, no recording ({', '.join(KINDS)})")
        found += recordings
    skipped = options.skip.split(",") if options.skip else []
    return [p for p in found if not any(fnmatch.fnmatch(p.stem, one) for one in skipped)]


def _size(text: str) -> tuple[int, int]:
    try:
        width, height = (int(part) for part in text.split("x"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no size; give one as 640x360") from error
    if width < 320 or height < 180 or width % 2 or height % 2:
        raise argparse.ArgumentTypeError(f"{text}: even, and at least 320x180")
    return width, height


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--quick", action="store_true", help=f"short calls; of the cases {', '.join(QUICK)} alone")
    add("--cases", metavar="A,B", help=f"of: {', '.join(CASES)}")
    add(
        "--pace",
        type=number(0.1, 100.0),
        metavar="P",
        help=f"1 is unhurried; with --quick {QUICK_PACE:g}",
    )
    add("--clips", nargs="+", type=named_path, default=[], metavar="PATH", help="recordings of "
        "people who sit close, or folders of them")  # fmt: skip
    add("--skip", metavar="A,B", help="clips to leave out, by name; * stands for anything")
    add("--no-demo", action="store_true", help="the clips alone")
    add("--size", type=_size, default=(640, 360), metavar="WxH", help="of the camera (640x360)")
    add("--scale", type=number(0.25, 8.0), default=2.0, help="output over camera size (2)")
    add("--seed", type=whole(), default=0, help="of the camera's noise and of the casting")
    add("--every", type=int, default=1, choices=range(1, 5), metavar="N", help="the network "
        "runs in every N-th frame, as on the quality ladder of calls (1)")  # fmt: skip
    add("--speed", choices=SPEED.choices, default=SPEED.default, help="as of a recording "
        "(%(default)s)")  # fmt: skip
    add("--behind", type=int, choices=range(1, 7), metavar="N", help="it runs beside "
        "the frames, as in calls, and what it makes is there N frames later")  # fmt: skip
    add("--no-identity", action="store_true", help="leave out what takes longest")
    add("--stages", action="store_true", help="fine detail of far faces after every stage, too")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--weights", choices=WEIGHTS, default=DEFAULT_WEIGHTS, help="of the network (%(default)s)")
    add("--network", choices=NETWORKS, default=FULL, help="of these weights (%(default)s)")
    add("--learn", type=number(0.0, 10_000.0), metavar="MINUTES", help="measure every call a "
        "second time, after so many minutes of training on each of its people, who sit close for "
        f"{SITS_S:.0f} s longer (extra learn)")  # fmt: skip
    add(
        "--out", type=output_folder, metavar="FOLDER", help="writes bench.md, bench.json, bench.png"
    )
    add("--pictures", type=output_folder, metavar="FOLDER", help="writes every far face of every "
        "frame: CASE/FACE/WAY/FRAME.png, and their scales: index.json")  # fmt: skip
    add("--videos", choices=("mp4", "webp"), metavar="KIND", help="with --out: before, after and "
        "truth of every call, as mp4 or webp")  # fmt: skip
    return parser


if __name__ == "__main__":
    run_program(main)
