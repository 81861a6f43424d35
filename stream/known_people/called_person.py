"""CalledPerson: somebody who is kept, in a call (`--person`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engines.install import install_command
from engines.runtime import EngineError
from stream.known_people.identity import Identity
from stream.known_people.known_person import KnownPerson
from stream.known_people.people_store import PeopleStore
from stream.stages.enhancement.runtime_set import KNOWN, PersonalRuntimes
from stream.stages.exemplars.known_face import KnownFace


class CalledPerson:
    """What a call needs of a person.

    Args: person: its weights and close-ups are wiped when they are loaded or not needed.
          say: gets a line for what the person cannot have here.
    """

    def __init__(self, person: KnownPerson, say: Callable[[str], None]) -> None:
        self._person = person
        self._say = say
        self._identity = Identity(person.close_ups)
        if not self._identity.across_days:
            say(
                f"{person.name} is recognised in light like that of the close-ups only; in any "
                f"other with a face recogniser: {install_command('identity')}"
            )
        self.runtimes = PersonalRuntimes()
        """Of the person; the stages' to close."""
        self.face = KnownFace(
            [one.exemplar() for one in person.close_ups],
            self._identity.likeness,
            self._identity.sure,
        )
        """For the bank, which closes it."""

    def load(self) -> None:
        """Open the personal weights; takes seconds."""
        name = self._person.name
        try:
            if self._person.outdated:
                self._say(
                    f"{name} was learnt with other weights than are shipped now; the shipped ones "
                    f"run until {name} is learnt again: closeup learn {name}"
                )
            for weights in self._person.usable_weights():
                self.runtimes.put(KNOWN, weights)
        except (EngineError, ImportError) as error:
            self._say(f"what was learnt of {name} cannot be used: {error}")
        self._person.wipe()

    def close(self) -> None:
        """Wipe everything. May be called again."""
        self.face.close()
        self._identity.wipe()
        self._person.wipe()


@contextmanager
def called_person(
    name: str | None, say: Callable[[str], None], store: PeopleStore | None = None
) -> Iterator[CalledPerson | None]:
    """Somebody who is kept, as long as a call lasts; None where no name is given.

    Args:   say: gets one line where something of the person cannot be used.
    Raises: ConfigError: nobody is called so, or the key is missing. InputError: it is damaged.
    """
    if name is None:
        yield None
        return
    called = CalledPerson((store or PeopleStore()).load(name), say)
    try:
        yield called
    finally:
        called.close()
