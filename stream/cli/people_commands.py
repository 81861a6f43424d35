"""People commands: `learn`, `people` and `forget`, for those who are kept for all calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from engines.personal.learning_process import lacking
from stream.errors import CloseupError, ConfigError
from stream.known_people.people_store import PeopleStore
from stream.known_people.person_learning import PersonLearning
from stream.option_table import LEARN

DEFAULT_MINUTES = 10.0
KEPT_AS_IT_WAS = "stopped; nothing of it was kept"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for every other error."""
        raise ConfigError(f"{message} ({self.prog} --help)")


def learn(arguments: Sequence[str]) -> None:
    """`closeup learn NAME --input webcam --minutes 10`. Raises: see `PersonLearning.run`."""
    parser = _Parser(
        "closeup learn", description="Learn a person for all calls; used by --person NAME."
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--input",
        nargs="+",
        action="extend",
        default=[],
        metavar="WHAT",
        help="webcam, or recordings that show the person from close by; without it what is kept "
        "is learnt again, which new shipped weights need",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=DEFAULT_MINUTES,
        help=f"how long to learn ({DEFAULT_MINUTES:g}); q or Ctrl-C ends it early",
    )
    given = parser.parse_args(arguments)
    LEARN.check(given.minutes, "--minutes")
    if "" in given.input:  # it would be the current folder
        parser.error("argument --input: it is empty")
    if (reason := lacking()) is not None:
        raise ConfigError(reason)
    PersonLearning(PeopleStore(), _say).run(given.name, given.input, given.minutes)


def people(arguments: Sequence[str]) -> None:
    """`closeup people`: who is kept, a line each."""
    _Parser("closeup people", description="List who is kept for all calls.").parse_args(arguments)
    store = PeopleStore()
    names = store.names()
    for name in names:
        print(f"{name}: {_described(store, name)}")
    print(f"kept in {store.folder}" if names else "nobody is kept")


def forget(arguments: Sequence[str]) -> None:
    """`closeup forget NAME`. Raises: ConfigError: nobody is called so. OutputError."""
    parser = _Parser("closeup forget", description="Remove everything that is kept of a person.")
    parser.add_argument("name", metavar="NAME")
    name = parser.parse_args(arguments).name
    PeopleStore().forget(name)
    print(f"{name} is forgotten")


def _described(store: PeopleStore, name: str) -> str:
    try:
        how = "encrypted" if store.encrypted(name) else "not encrypted"
        person = store.load(name)
    except CloseupError as error:
        return str(error)
    days = person.days
    span = days[0] if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"
    learnt = ", ".join(
        f"x{scale} {gain.psnr:+.2f} dB" if scale in person.weights else f"x{scale} no gain"
        for scale, gain in sorted(person.gains.items())
    )
    again = f"; other weights are shipped now: closeup learn {name}" if person.outdated else ""
    text = f"{len(person.close_ups)} close-ups ({span}), learnt {learnt}, {how}{again}"
    person.wipe()
    return text


def _say(line: str) -> None:
    print(line, file=sys.stderr)


COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {
    "learn": learn,
    "people": people,
    "forget": forget,
}
"""By the first word of the command line."""
