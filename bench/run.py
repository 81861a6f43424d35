"""Run: one call through the real stages, and once more without its exemplars; and its people learnt
beforehand."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace

from bench.measures.evaluator import Evaluator, Notes
from bench.measures.likeness import Likeness
from bench.measures.stages import StageWatch
from bench.scenes.call import Call
from engines.personal.close_ups import MOST_CLOSE_UPS
from stream.events import EventLog
from stream.frame import Frame, Image
from stream.graph import Opener, Stages
from stream.picture_options import SPEED, Speed
from stream.protocols import Stage
from stream.quality_ladder import EVERYBODY, LADDER
from stream.recordings.first_pass import FirstPass
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people_learning import PeopleLearning
from stream.stages.enhancement.background_network import BackgroundNetwork, Job
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.progress import Progress


def run(
    call: Call,
    likeness: Likeness | None,
    *,
    scale: float = 2.0,
    opener: Opener,
    personal: PersonalRuntimes | None = None,
    watch: StageWatch | None = None,
    every: int = 1,
    behind: int | None = None,
    speed: Speed = SPEED.default,
) -> Notes:
    """A recording of the call, the whole picture on a canvas `scale` times larger.

    What finds, follows and remembers people runs once; what comes after the bank runs twice, with
    what the bank picked and without.

    Args:   opener: of the network, which may serve several calls.
            personal: of people who were learnt, see `learn`.
            watch: sees every stage of what comes after the bank, with the exemplars.
            every: the network runs in every so many frames, as on the quality ladder.
            behind: beside the frames, and what it makes of one is there so many frames later; None:
            within the frames.
            speed: as of a recording, where neither `every` nor `behind` says otherwise.
    Raises: CloseupError, EngineError: as `Stages.build`.
    """
    stages = _build(call, scale, opener, personal, every=every, behind=behind, speed=speed)
    try:
        blind = _build(call, scale, opener, every=every, behind=behind, speed=speed)
    except BaseException:
        stages.close()
        raise
    evaluator = Evaluator(call, likeness)
    after = [stage.name for stage in stages.all].index(stages.bank.name) + 1
    try:
        for frame in call:
            tracked = _through(frame, stages.all[:after])
            unknown = [replace(f, exemplars=(), exemplars_version=0) for f in tracked.faces]
            alone = _through(replace(tracked, faces=tuple(unknown)), blind.all[after:])
            with nullcontext() if watch is None else watch.watching():
                shown = _through(tracked, stages.all[after:])
            if watch is not None:
                watch.see(shown)
            evaluator.see(shown, alone)
    finally:
        blind.close()
        stages.close()
    return evaluator.notes()


def learn(call: Call, minutes: float, *, scale: float = 2.0) -> PeopleLearning:
    """Learn the people of a call from their close-ups, as between the passes over a recording.

    Args:   minutes: for each person who is far away in it.
    Returns: what was learnt; its `runtimes` are for `run`.
    Raises: CloseupError, EngineError: as `PeopleLearning.run`.
    """
    tracker = Stages.tracker(EventLog())
    with PersonIndex(capacity=MOST_CLOSE_UPS) as person_index:
        first_pass = FirstPass(person_index)
        try:
            for frame in call:
                tracked = tracker(frame)
                first_pass.tracks.add(tracked)
                person_index.see(tracked)
        finally:
            tracker.close()
        learning = PeopleLearning(minutes, scale, Progress)
        learning.run(first_pass)
    return learning


def _build(
    call: Call,
    scale: float,
    opener: Opener,
    personal: PersonalRuntimes | None = None,
    *,
    every: int,
    behind: int | None,
    speed: Speed,
) -> Stages:
    stages = Stages.build(
        call.size,
        call.rate,
        framing="fixed",
        scale=scale,
        runtime=opener,
        personal=personal,
        speed=speed,
    )
    if every > 1 or behind is not None:
        beside = behind is not None
        as_there = replace(EVERYBODY, align_per_cell=LADDER[-1].align_per_cell, beside=beside)
        for stage in stages.all:
            stage.apply(replace(as_there, enhance_every=every))
    if behind is not None and stages.enhancer is not None:
        stages.enhancer.beside = LateNetwork(behind)
    return stages


class LateNetwork(BackgroundNetwork):
    """One whose results are there after a given number of frames, however fast the machine is."""

    def __init__(self, frames: int) -> None:
        super().__init__()
        self._frames = frames

    def begin(self, job: Job) -> Future[Image]:
        """Do it now, and say so in a later frame."""
        late = _Late(self._frames)
        try:
            late.set_result(job.run())
        except Exception as error:
            late.set_exception(error)
        return late


class _Late(Future[Image]):
    def __init__(self, frames: int) -> None:
        super().__init__()
        self._left = frames

    def done(self) -> bool:
        """Asked once in every frame after the first."""
        self._left -= 1
        return self._left <= 0


def _through(frame: Frame, stages: list[Stage]) -> Frame:
    for stage in stages:
        frame = stage(frame)
    return frame
