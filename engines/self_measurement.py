"""Self-measurement: at a start, what runs the network fastest on this machine, where nobody knows.

    python -m engines.self_measurement [--behind]

is what a call starts beside itself, and a recording before itself: a process of its own, so that
no frame waits for the interpreter's lock, and its end frees all that was opened. It keeps what it
found as a speed profile. Other programs, the call among them, may slow down any turn, so the
shortest ones count, and where even those do not repeat nothing is kept: the next start tries again.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
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


def needed() -> bool:
    """Whether nobody has measured this machine as it is now, and "auto" takes a CPU runtime here.

    With a card it takes the card's, whose engines take minutes to build. Raises: WeightsError.
    """
    if os.environ.get(SWITCH):
        return False
    try:
        load()
    except ProfileError:
        return cards() == "none"
    return False


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

    if not needed():
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


def measure(now: Callable[[], float] = time.monotonic) -> Choice | None:
    """Compare what can run here: every runtime and precision, then the threads of the fastest.

    Args:    now: seconds, never going back.
    Returns: the fastest; None where it could not be told.
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
        fastest = _fastest(found, crop, exemplars, lambda: now() < end_s)
        if fastest is None:
            return None
        for count in thread_counts(cores()):
            if count != most:
                kind = runtime_class(fastest.name)
                runtime = opened.enter_context(kind(SCALE, fastest.precision, threads=count))
                found.append(replace(fastest, threads=count, runtime=runtime, turns_ms=[]))
        same = [c for c in found if (c.name, c.precision) == (fastest.name, fastest.precision)]
        fastest = _fastest(same, crop, exemplars, lambda: now() < end_s)
    return None if fastest is None else Choice(fastest.name, fastest.precision, fastest.threads)


def _fastest(
    candidates: list[Candidate],
    crop: Image,
    exemplars: list[Image],
    goes_on: Callable[[], bool],
) -> Candidate | None:
    """Let candidates take turns; None where the times do not repeat."""
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
    good = [one for one in candidates if len(one.turns_ms) >= TURNS and repeats(one)]
    best = min((min(one.turns_ms) for one in good), default=0.0)
    alike = [one for one in good if min(one.turns_ms) <= ALIKE * best]
    return min(alike, key=lambda one: (one.threads or 0, min(one.turns_ms)), default=None)


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
            if not needed() or (choice := measure()) is None:
                return 1
            store(Profile(date.today().isoformat(), 0.0, dict.fromkeys(SCALES, choice)))
    except (EngineError, WeightsError, OSError, filelock.Timeout):
        return 1
    return 0


def _end_with_parent() -> None:
    """The other end of stdin closes when who started this is gone."""
    with suppress(OSError):
        while os.read(0, 1):
            pass
    os._exit(1)


if __name__ == "__main__":
    threading.Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(main())
