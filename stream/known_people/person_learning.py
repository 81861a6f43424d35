"""PersonLearning: learns somebody from all the close-ups that are kept (`closeup learn`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from engines.personal.close_ups import CALL_FAR_PX, LEAST_CLOSE_UPS, crop_side
from engines.personal.gain import Gain
from engines.personal.learning_process import LearningProcess, Task
from stream.errors import ConfigError
from stream.known_people.close_up_collector import CloseUpCollector
from stream.known_people.identity import Identity
from stream.known_people.known_person import KeptCloseUp, KnownPerson
from stream.known_people.people_store import PeopleStore, check_name
from stream.recordings.learning_watch import LearningWatch
from stream.telemetry.keys import Keys
from stream.telemetry.progress import MakeMeter, Progress

SCALE = 4
"""The only one that is learnt: a call enlarges eight times where a face of at most 16 px is shown
more than four times as large, and the virtual camera enlarges four times at most."""


class PersonLearning:
    """Learns one person and keeps what was learnt; until that is done the store stays as it was.

    Args: store: where. say: gets lines for people. collector: finds close-ups.
          learns: starts the process that learns.
    """

    def __init__(
        self,
        store: PeopleStore,
        say: Callable[[str], None],
        meter: MakeMeter = Progress,
        collector: CloseUpCollector | None = None,
        learns: Callable[[Task], LearningProcess] = LearningProcess,
    ) -> None:
        self._store = store
        self._say = say
        self._meter = meter
        self._collector = collector or CloseUpCollector(meter, say)
        self._learns = learns

    def run(self, name: str, inputs: Sequence[str], minutes: float) -> None:
        """Take in the close-ups of the inputs, learn from all, keep it.

        Args:   inputs: recordings and cameras; none: from the close-ups that are kept.
                minutes: of learning.
        Raises: ConfigError: nobody is called so, there are too few close-ups, an input shows
                several people, or somebody else. CloseupError, EngineError: it cannot be read,
                learnt or written; that nothing can be written is said before anything is read.
                KeyboardInterrupt: a second one while it learns.
        """
        known = check_name(name) in self._store.names()
        if known or inputs:
            self._store.check_room(name)
        person = self._store.load(name) if known or not inputs else KnownPerson(name)
        try:
            for one in inputs:
                self._take_in(person, self._collector.collect(one), one)
            if len(person.close_ups) < LEAST_CLOSE_UPS:
                raise ConfigError(
                    f"{len(person.close_ups)} close-ups of {name}, {LEAST_CLOSE_UPS} are needed; "
                    "give a minute or two that shows the person from close by"
                )
            self._learn(person, minutes)
            why_plain = self._store.save(person)
            self._say(_result(person))
            if why_plain is not None:
                self._say(f"kept without encryption: {why_plain}")
        finally:
            person.wipe()

    def _take_in(self, person: KnownPerson, found: list[KeptCloseUp], source: str) -> None:
        identity = Identity(person.close_ups)
        try:
            if identity.is_stranger(found):
                for one in found:
                    one.wipe()
                raise ConfigError(
                    f"the person in {source} does not look like {person.name}; take another name, "
                    f"or begin anew: closeup forget {person.name}"
                )
        finally:
            identity.wipe()
        self._say(f"{len(found)} close-ups in {source}")
        person.add(found)

    def _learn(self, person: KnownPerson, minutes: float) -> None:
        side = crop_side(SCALE, CALL_FAR_PX, [one.side_px for one in person.close_ups])
        task = Task(person.to_learn(), SCALE, minutes, side=side)
        with Keys() as keys:
            watch = LearningWatch(self._meter, keys)
            with self._learns(task) as process:
                news, best = watch.follow(process, f"learning {person.name}: ")
        person.learn(SCALE, best, news.gain or Gain(0.0, 0.0))


def _result(person: KnownPerson) -> str:
    used = [f"x{one} {person.gains[one].psnr:+.2f} dB" for one in sorted(person.weights)]
    gains = ", ".join(used) or "the shipped weights are as good, and are used"
    close_ups = f"{len(person.close_ups)} close-ups, of {', '.join(person.days)}"
    return f"{person.name}: {close_ups}; {gains}"
