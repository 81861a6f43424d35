"""Learning: between the passes over a recording the network learns the people who are far away.

Close-ups that the first pass has taken in are the training pairs (`engines.personal`). What is
learnt lives in memory, and, for a recording that can be gone on with, in its work folder.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from engines.personal.close_ups import LEAST_CLOSE_UPS, SIDES, CloseUp, crop_side
from engines.personal.gain import Gain
from engines.personal.learning_process import Learning, LearningProcess, Task
from engines.personal.personal_weights import PersonalWeights
from stream.recordings.first_pass import FirstPass
from stream.recordings.learning_watch import STEPS, LearningWatch
from stream.recordings.outcome import Note, Outcome
from stream.recordings.resume.work_dir import WorkDir
from stream.stages.enhancement.crop_selector import SMALLEST_X4, X8_ZOOM
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.exemplars.bank import SMALL_SIDE_PX
from stream.telemetry.keys import Keys
from stream.telemetry.progress import MakeMeter

MOST_PEOPLE = 8
"""So many are learnt at most: each has compiled networks of its own, 100 MB."""
LEAST_SIDE_PX = 110
"""Smaller headshots are no truth: what is learnt from has 128 px."""
LEAST_FRAMES = 12
"""People who are far away in fewer pictures are not learnt."""
NOBODY = Note(
    f"nobody was learnt: that takes {LEAST_CLOSE_UPS} close-ups of somebody who is far away, too"
)
RESULT = "result"


@dataclass(frozen=True)
class LearntPerson:
    """What learning somebody has brought, for the report."""

    person: int
    scale: int
    close_ups: int
    steps: int
    gain_db: float
    """PSNR in the face, over the shipped weights, on close-ups that were not learnt from."""
    gain_coherence: float
    used: bool
    """False: the shipped weights are as good, and are used."""


@dataclass(frozen=True)
class _Candidate:
    person: int
    scale: int
    side: int
    """Of the crops that are learnt from, px."""
    far_frames: int
    close_ups: tuple[CloseUp, ...]

    @property
    def name(self) -> str:
        """In the work folder."""
        return f"learnt-{self.person}-x{self.scale}"


class PeopleLearning:
    """Learns the people of a recording, those who are far away the longest first.

    Args: minutes: for each of them. zoom: output px for each of the recording's.
          meter: is told of every step.
          place: keeps what was learnt until the recording is done.
          learns: starts the process that learns.
    """

    def __init__(
        self,
        minutes: float,
        zoom: float,
        meter: MakeMeter,
        place: WorkDir | None = None,
        learns: Callable[[Task], LearningProcess] = LearningProcess,
    ) -> None:
        self._minutes = minutes
        self._zoom = zoom
        self._meter = meter
        self._place = place
        self._learns = learns
        self.runtimes = PersonalRuntimes()
        """Of those who gain by it."""
        self.learnt: list[LearntPerson] = []
        """Whom, in the order in which it was done."""

    def run(self, first_pass: FirstPass) -> PersonalRuntimes:
        """Learn everybody who is worth it.

        Returns: `runtimes`; the caller's to close.
        Raises:  EngineError: learning has failed. KeyboardInterrupt: a second one; the first ends
                 the learning with what there is.
        """
        people = self._candidates(first_pass)
        with Keys() as keys:
            watch = LearningWatch(self._meter, keys)
            for number, one in enumerate(people, start=1):
                if watch.stopped:
                    break
                label = f"learning person {number} of {len(people)}: "
                weights = self._weights(one, label, watch)
                if weights is not None:
                    self.runtimes.put(one.person, weights)
                    weights.wipe()
        return self.runtimes

    def told_in(self, outcome: Outcome) -> Outcome:
        """The outcome of the recording, with whom the network has learnt."""
        outcome.report["learnt"] = [asdict(one) for one in self.learnt]
        used = [one for one in self.learnt if one.used]
        if not self.learnt:
            return replace(outcome, notes=(*outcome.notes, NOBODY))
        gains = ", ".join(f"{one.gain_db:+.2f} dB" for one in used)
        text = f"learnt {len(used)} of {len(self.learnt)} people" + (gains and f" ({gains})")
        return replace(outcome, notes=(*outcome.notes, Note(text)))

    def _candidates(self, first_pass: FirstPass) -> list[_Candidate]:
        small = first_pass.tracks.frames_below(SMALL_SIDE_PX)
        tiny = first_pass.tracks.frames_below(SMALLEST_X4) if self._zoom > X8_ZOOM else {}
        exemplars = first_pass.person_index.finish()
        frames: dict[int, dict[int, int]] = {}
        for track_id, count in small.items():
            number = first_pass.person_index.number_of.get(track_id, track_id)
            of_person = frames.setdefault(number, {4: 0, 8: 0})
            of_person[8] += tiny.get(track_id, 0)
            of_person[4] += count - tiny.get(track_id, 0)
        found = []
        for person, by_scale in frames.items():
            kept = exemplars[person].all() if person in exemplars else ()
            close_ups = tuple(
                CloseUp(one.image, one.time_s) for one in kept if one.side_px >= LEAST_SIDE_PX
            )
            far = sum(by_scale.values())
            if len(close_ups) >= LEAST_CLOSE_UPS and far >= LEAST_FRAMES:
                scale = max(by_scale, key=lambda s: by_scale[s])
                sizes = [one.side_px for one in kept if one.side_px >= LEAST_SIDE_PX]
                side = crop_side(scale, self._far_px(first_pass, person, scale), sizes)
                found.append(_Candidate(person, scale, side, far, close_ups))
        found.sort(key=lambda one: (-one.far_frames, one.person))
        return found[:MOST_PEOPLE]

    @staticmethod
    def _far_px(first_pass: FirstPass, person: int, scale: int) -> float:
        """Side of a person's headshots in the median of the pictures in which they are far away,
        rounded up to a side that can be learnt; beyond all of these `SMALL_SIDE_PX`."""
        number_of = first_pass.person_index.number_of

        def count(side_px: float) -> int:
            frames = first_pass.tracks.frames_below(side_px)
            return sum(n for track, n in frames.items() if number_of.get(track, track) == person)

        most = count(SMALLEST_X4 if scale == 8 else SMALL_SIDE_PX)
        return next((side for side in SIDES[scale] if 2 * count(side) >= most), SMALL_SIDE_PX)

    def _weights(self, one: _Candidate, label: str, watch: LearningWatch) -> PersonalWeights | None:
        """What is learnt of somebody, or was by an earlier run; None: nothing that pays."""
        steps, result = self._known(one)
        if result is None:
            return self._learn(one, steps, label, watch)
        self.learnt.append(result)
        assert self._place is not None
        data = self._place.learnt_weights(one.name)
        return PersonalWeights.from_bytes(data) if result.used and data is not None else None

    def _learn(
        self, one: _Candidate, steps: int | None, label: str, watch: LearningWatch
    ) -> PersonalWeights | None:
        def keep_steps(steps: int) -> None:
            if self._place is not None:  # minutes decide once how many steps there are
                self._place.keep_learnt(one.name, {STEPS: steps})

        task = Task(one.close_ups, one.scale, self._minutes, steps, one.side)
        with self._learns(task) as process:
            news, best = watch.follow(process, label, keep_steps)
        self._finish(one, news, best)
        return best

    def _finish(self, one: _Candidate, news: Learning, best: PersonalWeights | None) -> None:
        gain = news.gain or Gain(0.0, 0.0)
        learnt = LearntPerson(
            person=one.person,
            scale=one.scale,
            close_ups=len(one.close_ups),
            steps=news.step,
            gain_db=round(gain.psnr, 3),
            gain_coherence=round(gain.coherence, 4),
            used=best is not None,
        )
        self.learnt.append(learnt)
        if self._place is not None:
            data = None if best is None else best.to_bytes()
            self._place.keep_learnt(one.name, {STEPS: news.steps, RESULT: asdict(learnt)}, data)

    def _known(self, one: _Candidate) -> tuple[int | None, LearntPerson | None]:
        """What an earlier run has decided: how many steps, and if it came so far, the result."""
        kept = None if self._place is None else self._place.learnt(one.name)
        if kept is None:
            return None, None
        result = kept.get(RESULT)
        return int(kept[STEPS]), None if result is None else LearntPerson(**result)
