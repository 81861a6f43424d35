"""LiveLearning: the network learns the people of a call, with what the machine has to spare.

A thread looks a few times a second. Learning itself is in a process of its own at the lowest
priority (`engines.personal`). It runs while frames leave room, and rests while they do not; what
held-out close-ups say is better is opened and made ready here, beside what runs, and then takes
its place between two frames.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol, Self

from engines.machine import cores
from engines.personal.close_ups import CALL_FAR_PX, LEAST_CLOSE_UPS, CloseUp, crop_side
from engines.personal.gain import Gain
from engines.personal.learning_process import Learning, LearningProcess, Task, lacking
from engines.personal.personal_weights import PersonalWeights
from engines.runtime import EngineError
from stream.errors import ConfigError
from stream.events import Event, LearningFailed, PersonLearnt
from stream.frame import Exemplar
from stream.option_table import WEIGHTS
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.metrics import Metrics

TICK_S = 0.5
ROUND_MINUTES = 8.0
"""Of one learning, which is judged again and again; then it begins anew with what has come."""
MORE = 1.5
"""A person is learnt again with so many times as many close-ups."""
LEAST_SIDE_PX = 110
"""Smaller headshots are no truth: what is learnt from has 128 px."""
ROOM, TIGHT = 0.5, 0.8
"""Share of the time between frames that they take: below the first learning goes on, above the
second it rests. The time is taken while it runs, so what it costs the call is in it."""
REST_S, MOST_REST_S = 5.0, 160.0
"""A rest is twice as long when the last one was soon followed by another."""
LEARNING = "learning"
"""Gauge: 1 while somebody is learnt, 0 while it rests."""
GAIN = "learnt gain db"
"""Gauge: PSNR in the face over the shipped weights, of the person who was learnt last, dB."""


def check_learning(weights: str) -> None:
    """Raises: ConfigError: nobody can be learnt here, or not from these weights, one of
    `engines.runtime.WEIGHTS`."""
    if (reason := lacking()) is not None:
        raise ConfigError(reason)
    if weights != WEIGHTS.default:
        raise ConfigError(f"people are learnt from the {WEIGHTS.default} weights, not {weights}")


def learning_in_words(gauges: Mapping[str, float]) -> str:
    """For the window: "learning", "learning rests", with the gain so far; empty without learning.

    Args: gauges: of the session's metrics.
    """
    going, gain_db = gauges.get(LEARNING), gauges.get(GAIN)
    if going is None:
        return ""
    gained = "" if gain_db is None else f" {gain_db:+.1f} dB"
    return ("learning" if going else "learning rests") + gained


class LearntCall(Protocol):
    """What is asked of a session."""

    metrics: Metrics

    @property
    def load(self) -> float:
        """Share of the time between frames that they take."""
        ...

    @property
    def track_ids(self) -> Sequence[int]:
        """Of whom exemplars are kept."""
        ...

    def exemplars_of(self, track_id: int) -> tuple[Exemplar, ...]:
        """Of one person."""
        ...

    def person_number(self, track_id: int) -> int:
        """Another one when they are of somebody else; 0: there are none."""
        ...

    def tell(self, event: Event) -> None:
        """It happened now."""
        ...


class LearningPermit:
    """One person is learnt at a time, of all calls that share a permit, and only while none of
    these calls is short of time. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._holder: object | None = None
        self._loads: dict[int, float] = {}

    def highest_load(self, caller: object, load: float) -> float:
        """Of all calls, when that of the caller's is `load`."""
        with self._lock:
            self._loads[id(caller)] = load
            return max(self._loads.values())

    def take(self, caller: object) -> bool:
        """Whether the caller may learn, until `give_back`."""
        with self._lock:
            if self._holder is None:
                self._holder = caller
            return self._holder is caller

    def give_back(self, caller: object) -> None:
        """Let others learn."""
        with self._lock:
            if self._holder is caller:
                self._holder = None

    def leave(self, caller: object) -> None:
        """The caller's call has ended."""
        self.give_back(caller)
        with self._lock:
            self._loads.pop(id(caller), None)


@dataclass
class _Running:
    """Somebody who is learnt now."""

    track_id: int
    close_ups: int
    process: LearningProcess
    resting: bool = False


class LiveLearning:
    """Learns while a call goes on. A context manager: the thread runs within it.

    Args: call: the session. personal: gets the runtimes of people who were learnt.
          permit: shared with other calls of this machine; None: there are none.
          threads: of the process; None: all cores but the two that a call needs, at least one.
          learns: starts the process that learns. clock: seconds, never going back.
    """

    def __init__(
        self,
        call: LearntCall,
        personal: PersonalRuntimes,
        *,
        permit: LearningPermit | None = None,
        threads: int | None = None,
        learns: Callable[[Task], LearningProcess] = LearningProcess,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._call = call
        self._personal = personal
        self._permit = permit or LearningPermit()
        self._threads = threads or max(1, cores() - 2)
        self._learns = learns
        self._clock = clock
        self._running: _Running | None = None
        self._learnt: dict[int, int] = {}
        """By track_id, from how many close-ups."""
        self._used: set[int] = set()
        self._persons: dict[int, int] = {}
        """By track_id, `LearntCall.person_number` of who is learnt."""
        self._rest_until_s = 0.0
        self._rest_s = REST_S
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="closeup learning", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._permit.leave(self)

    def look(self) -> None:
        """Begin, rest, go on, take what is better; what the thread does every `TICK_S`."""
        self._let_go()
        room = self._is_room()
        if self._running is None:
            if room:
                self._begin()
            return
        running = self._running
        if running.resting == room:
            running.resting = not room
            if room:
                running.process.resume()
            else:
                running.process.pause()
        self._call.metrics.set(LEARNING, 0 if running.resting else 1)
        try:
            news = running.process.news()
        except EngineError as error:
            self._call.tell(LearningFailed(str(error)))
            self._stop()
            return
        if news is not None:
            self._take(running, news)

    def _run(self) -> None:
        try:
            while not self._ended.wait(TICK_S):
                self.look()
        finally:
            self._stop()

    def _is_room(self) -> bool:
        now_s, load = self._clock(), self._permit.highest_load(self, self._call.load)
        if self._running is not None and not self._running.resting and load > TIGHT:
            soon = now_s - self._rest_until_s < 2.0 * self._rest_s
            self._rest_s = min(2.0 * self._rest_s, MOST_REST_S) if soon else REST_S
            self._rest_until_s = now_s + self._rest_s
            return False
        going = self._running is not None and not self._running.resting
        return now_s >= self._rest_until_s and load <= (TIGHT if going else ROOM)

    def _begin(self) -> None:
        persons = {
            track_id: self._call.person_number(track_id) for track_id in self._call.track_ids
        }
        known = {track_id: self._close_ups(track_id) for track_id in persons}
        wanted = {
            track_id: close_ups
            for track_id, close_ups in known.items()
            if len(close_ups) >= max(LEAST_CLOSE_UPS, MORE * self._learnt.get(track_id, 0))
        }
        if not wanted or not self._permit.take(self):
            return
        track_id = max(wanted, key=lambda one: len(wanted[one]))
        close_ups = wanted[track_id]
        self._learnt[track_id] = len(close_ups)
        # read before the close-ups: who changes meanwhile is let go
        self._persons[track_id] = persons[track_id]
        task = Task(
            close_ups, 4, ROUND_MINUTES, threads=self._threads, lowest_priority=True,
            side=crop_side(4, CALL_FAR_PX, [one.side_px for one in self._large(track_id)]),
        )  # fmt: skip
        try:
            self._running = _Running(track_id, len(close_ups), self._learns(task))
        except EngineError as error:
            self._call.tell(LearningFailed(str(error)))
            self._permit.give_back(self)

    def _close_ups(self, track_id: int) -> tuple[CloseUp, ...]:
        # a copy: the bank wipes its own at any time
        return tuple(CloseUp(one.image.copy(), one.time_s) for one in self._large(track_id))

    def _large(self, track_id: int) -> list[Exemplar]:
        kept = self._call.exemplars_of(track_id)
        return [one for one in kept if one.side_px >= LEAST_SIDE_PX]

    def _take(self, running: _Running, news: Learning) -> None:
        if news.weights is not None:
            self._use(running.track_id, news.weights, news.gain or Gain(0.0, 0.0))
        if news.done:
            self._stop()

    def _use(self, track_id: int, weights: PersonalWeights, gain: Gain) -> None:
        def wanted() -> bool:
            return self._call.person_number(track_id) == self._persons[track_id]

        within_s = ROUND_MINUTES * 60.0 / 8.0
        try:
            used = self._personal.put(track_id, weights, ready_within_s=within_s, wanted=wanted)
        except EngineError as error:
            self._call.tell(LearningFailed(str(error)))
            return
        finally:
            weights.wipe()
        if not used:
            return  # who was learnt has been forgotten meanwhile; the next look sees to it
        self._used.add(track_id)
        self._call.metrics.set(GAIN, round(gain.psnr, 2))
        self._call.tell(PersonLearnt(track_id, gain.psnr, gain.coherence))

    def _let_go(self) -> None:
        """Of whom no exemplar is kept any more, nothing else is, also where there are somebody
        else's already."""
        persons = self._persons.items()
        kept = {one for one, number in persons if self._call.person_number(one) == number}
        for track_id in (self._used | self._learnt.keys()) - kept:
            self._personal.remove(track_id)
            self._used.discard(track_id)
            self._learnt.pop(track_id, None)
            self._persons.pop(track_id, None)
        if self._running is not None and self._running.track_id not in kept:
            self._stop()

    def _stop(self) -> None:
        running, self._running = self._running, None
        self._call.metrics.set(LEARNING, 0)
        if running is not None:
            with suppress(EngineError):
                running.process.close()
        self._permit.give_back(self)
