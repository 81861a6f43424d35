"""Self-measurement: at a start, what runs the network fastest on this machine, where nobody knows.

    python -m engines.self_measurement [--behind]

is what a call starts beside itself, and a recording before itself: a process of its own, so that
no frame waits for the interpreter's lock, and its end frees all that was opened. It keeps what it
found as a speed profile. Other programs, the call among them, may slow down any turn, so the
shortest ones count, and where even those do not repeat nothing is kept: the next start tries again.
A machine that was busy all the time at one start need not be at another, so the first calls measure
again, and the shortest turns of all of them decide.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import date

import filelock

from engines import speed_profile
from engines.benchmark import pictures
from engines.contract import SCALES, Image
from engines.errors import EngineError, WeightsError
from engines.machine import cards, cores
from engines.runtime import BY_NAME_ONLY, RUNTIMES, runtime_class
from engines.runtime_candidates import (
    ALIKE,
    Candidate,
    drop_wrong,
    open_candidates,
    run,
    thread_counts,
)
from engines.speed_profile import Choice, Profile, ProfileError, load, store

Way = tuple[str, str, int]
"""Runtime, precision, threads."""
SWITCH = "CLOSEUP_NO_MEASURE"
"""Set and not empty: nothing is measured, as with --no-measure; for containers that forget."""
SCALE, SIDE_PX, EXEMPLARS = 4, 48, 3
"""Where candidates are compared; the other scale is the same network."""
TURNS, MOST_TURNS = 8, 40
"""Calls of each candidate; more where the shortest do not repeat."""
REPEATS = 1.1
"""The two shortest turns of a candidate are that near to each other, or are no measurement."""
HOPELESS = 1.6
"""A candidate that takes so many times as long after its first turns takes no more."""
LONGEST_S = 60.0
"""Of the whole process: beside a call that leaves next to nothing it gives up."""
SETTLE_S = 5.0
"""A call is left alone for so long: its models are loaded, and it finds its quality level."""
PATIENCE_S = 2.0
STARTS = 3
"""At so many starts the machine is measured. At one, beside programs that computed all the time,
ONNX Runtime had won on a processor where OpenVINO is faster."""


def needed(*, again: bool = False) -> bool:
    """Whether nobody has measured this machine as it is now, and "auto" takes a CPU runtime here.

    With a card it takes the card's, whose engines take minutes to build.

    Args:   again: also where it was measured at fewer than `STARTS` starts. Not for recordings: one
            that was interrupted goes on only with the runtime that it has begun with.
    Raises: WeightsError.
    """
    if os.environ.get(SWITCH):
        return False
    try:
        profile = load()
    except ProfileError:
        return cards() == "none"
    return again and 0 < profile.starts < STARTS and cards() == "none"


def measure_first(say: Callable[[str], None]) -> None:
    """Measure now, where that is needed, and wait for it: for what can use it at once.

    Args: say: gets one line before it begins.
    """
    if needed():
        say("finding out what runs the network fastest on this machine (once)")
        with _child() as child, suppress(subprocess.TimeoutExpired):
            child.wait(LONGEST_S + PATIENCE_S)


@contextmanager
def measuring_beside(settle_s: float = SETTLE_S) -> Iterator[None]:
    """Measure beside what is done meanwhile, at the lowest priority; ends with it at the latest.

    Args: settle_s: so long after the beginning.
    """
    over = threading.Event()

    def work() -> None:
        if over.wait(settle_s):
            return
        with _child("--behind") as child:
            while child.poll() is None and not over.wait(0.2):
                pass

    if not needed(again=True):
        yield
        return
    thread = threading.Thread(target=work, name="closeup self-measurement")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def _child(*options: str) -> Iterator[subprocess.Popen[bytes]]:
    """The measuring process; killed at the end, and by itself where this one dies."""
    command = [sys.executable, "-m", "engines.self_measurement", *options]
    flags = getattr(subprocess, "IDLE_PRIORITY_CLASS", 0) if options else 0
    paths = os.pathsep.join([*filter(None, sys.path), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": paths},
        creationflags=flags,
        start_new_session=True,  # Ctrl-C is for the call
    )
    try:
        yield child
    finally:
        assert child.stdin is not None
        child.stdin.close()
        child.kill()
        child.wait()


def measure(
    known_ms: Mapping[Way, float], now: Callable[[], float] = time.monotonic
) -> dict[Way, float]:
    """Compare what can run here: every runtime and precision, then the threads of the fastest.

    Args:    known_ms: shortest turns of earlier starts. now: seconds, never going back.
    Returns: the shortest turns, ms, of all starts; empty where nothing could be told at this one.
    Raises:  EngineError: nothing runs here, or a runtime failed.
    """
    end_s = now() + LONGEST_S
    crop, exemplars = pictures(SIDE_PX, SCALE, EXEMPLARS)
    names = [name for name, _ in RUNTIMES if name not in BY_NAME_ONLY and name.endswith("-cpu")]
    with ExitStack() as opened:
        most = max(thread_counts(min(cores(), 4)))
        found = open_candidates(SCALE, names, opened, lambda line: None, [most])
        found = drop_wrong(found, crop, exemplars, lambda line: None)
        if not found:
            raise EngineError("no runtime can run here")
        _race(found, crop, exemplars, lambda: now() < end_s)
        if not _shortest(found, {}):
            return {}
        name, precision, _ = fastest(_shortest(found, known_ms))
        for count in thread_counts(cores()):
            if count != most:
                runtime = opened.enter_context(runtime_class(name)(SCALE, precision, threads=count))
                found.append(Candidate(name, precision, count, runtime))
        same = [one for one in found if (one.name, one.precision) == (name, precision)]
        _race(same, crop, exemplars, lambda: now() < end_s)
    return _shortest(found, known_ms)


def _race(
    candidates: list[Candidate],
    crop: Image,
    exemplars: list[Image],
    goes_on: Callable[[], bool],
) -> None:
    """Let candidates take turns until their times repeat."""
    for one in candidates:
        run(one.runtime, crop, exemplars)
    for turn in range(MOST_TURNS):
        best = min((min(one.turns_ms) for one in candidates if one.turns_ms), default=0.0)
        racing = [one for one in candidates if turn < 3 or min(one.turns_ms) <= HOPELESS * best]
        for one in racing:
            one.turns_ms.append(turn_ms(one, crop, exemplars))
        if turn + 1 >= TURNS and all(repeats(one) for one in racing):
            break
        if not goes_on():
            break


def _shortest(candidates: list[Candidate], known_ms: Mapping[Way, float]) -> dict[Way, float]:
    """The shortest turns, also of earlier starts, without those of times that do not repeat."""
    found = dict(known_ms)
    for one in candidates:
        if len(one.turns_ms) >= TURNS and repeats(one):
            way = (one.name, one.precision, one.threads or 0)
            found[way] = min(min(one.turns_ms), found.get(way, math.inf))
    return found


def fastest(shortest_ms: Mapping[Way, float]) -> Way:
    """What to run: of those that are alike the one with the fewest threads.

    Args: shortest_ms: of at least one way.
    """
    best = min(shortest_ms.values())
    alike = [way for way, ms in shortest_ms.items() if ms <= ALIKE * best]
    return min(alike, key=lambda way: (way[2], shortest_ms[way]))


def turn_ms(one: Candidate, crop: Image, exemplars: list[Image]) -> float:
    """Time of one call of a candidate, ms.

    Args: one: is called. crop, exemplars: what it is given.
    """
    start = time.perf_counter()
    run(one.runtime, crop, exemplars)
    return (time.perf_counter() - start) * 1e3


def repeats(one: Candidate) -> bool:
    """Whether its two shortest turns are alike."""
    first, second = sorted(one.turns_ms)[:2]
    return second <= REPEATS * first


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and keep it. Returns: 0; 1 where nothing was kept."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--behind" in given and hasattr(os, "nice"):
        os.nice(19)
    try:
        speed_profile.folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        # One process at a time: several would measure each other.
        with filelock.FileLock(speed_profile.folder() / "measuring.lock", timeout=0):
            if not needed(again=True):
                return 1
            known_ms, starts = _known()
            if not (shortest := measure(known_ms)):
                return 1
            name, precision, threads = fastest(shortest)
            choices = dict.fromkeys(SCALES, Choice(name, precision, threads))
            told = {" ".join(map(str, way)): ms for way, ms in shortest.items()}
            store(Profile(date.today().isoformat(), 0.0, choices, told, starts + 1))
    except (EngineError, WeightsError, OSError, filelock.Timeout):
        return 1
    return 0


def _known() -> tuple[dict[Way, float], int]:
    """The shortest turns of earlier starts, and how many starts those were."""
    try:
        profile = load()
    except ProfileError:
        return {}, 0
    known_ms = {}
    for way, ms in profile.shortest_ms.items():
        name, precision, threads = way.split()
        known_ms[name, precision, int(threads)] = ms
    return known_ms, profile.starts


def _end_with_parent() -> None:
    """The other end of stdin closes when who started this is gone."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main())
