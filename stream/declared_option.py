"""DeclaredOption: name, type, range, default, help and use of one option, written once.

The command line, the TOML file, the API and the relay's page take all of it from here: the options
themselves are in `stream.picture_options` and `stream.option_table`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, Generic, Literal, TypeVar

from stream.errors import ConfigError

T = TypeVar("T")
Use = Literal["recording", "archive", "demo", "call", "relay", "api"]
"""Ways to use Closeup: one recording, many into a folder, the demo, a camera, WebRTC, a program."""
RECORDINGS: frozenset[Use] = frozenset(("recording", "archive", "demo"))
ALL: frozenset[Use] = RECORDINGS | {"call", "relay", "api"}
_PLACES: tuple[tuple[Use, str], ...] = (
    ("recording", "recordings"),
    ("archive", "several recordings, or a folder of them"),
    ("call", "cameras"),
    ("relay", "the relay, --input webrtc"),
)


@dataclass(frozen=True, kw_only=True)
class DeclaredOption(Generic[T]):
    """One option; T is what its value is."""

    name: str
    """On the command line, there with two dashes, and in a file."""
    help: str
    """For the command line; {default}, {least} and {most} are put in."""
    default: T
    """None: it depends on the input, or there is none."""
    uses: frozenset[Use]
    """Where it applies; elsewhere giving it is an error."""
    group: str
    """Heading on the command line."""
    kind: type = str
    """str, int, float, bool or Path."""
    metavar: str | None = None
    choices: tuple[T, ...] = ()
    least: float | None = None
    most: float | None = None
    above: bool = False
    """Whether `least` itself is too little."""
    many: bool = False
    """May be given more than once: its value is a sequence."""
    bare: str | None = None
    """What it means on the command line without a value, where it may have none."""
    instead: Mapping[Use, str] = field(default_factory=dict)
    """Where it does not apply: what there is in its place, or why there is nothing."""

    @property
    def key(self) -> str:
        """Its name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def range(self) -> str:
        """What it may lie between, in words."""
        if self.most is None:
            return f"more than {self.least:g}" if self.above else f"{self.least:g} or more"
        return f"up to {self.most:g}" if self.above else f"{self.least:g} to {self.most:g}"

    @property
    def help_text(self) -> str:
        """The help with its numbers."""
        values = {"default": self.default, "least": self.least, "most": self.most}
        numbers = {k: f"{v:g}" if isinstance(v, float) else v for k, v in values.items()}
        return self.help.format(**numbers)

    def check(self, value: T, called: str = "") -> T:
        """The value itself, if it may have it; a number as Python's own, whichever kind it came as.

        Args:   called: what the user knows the option by; its plain name by default.
        Raises: ConfigError: it is out of range, no number where one is wanted, or none of the
                choices.
        """
        name = called or self.name
        if self.choices and value not in self.choices:
            choices = " or ".join(f'"{one}"' for one in self.choices)
            raise ConfigError(f'{name} is {choices}, not "{value}"')
        if self.least is None and self.most is None:
            return value
        # A program may give anything: NumPy's numbers are none of Python's, and text is no number.
        if not isinstance(value, Real):
            raise ConfigError(f"{name} is a number, not {value!r:.40}; give {self.range}")
        number = _as_float(value)
        if not self._within(number):
            shown = f"{number:g}"
            if float(shown) != number and math.isfinite(number):
                shown = repr(number)  # what is out of range by little would look as if it were not
            raise ConfigError(f"{name} {shown} is out of range; give {self.range}")
        checked: T = self.kind(value)
        return checked

    def clamped(self, value: float) -> float:
        """The nearest value within the range, for keys that count up and down."""
        assert self.least is not None
        assert self.most is not None
        return min(max(value, self.least), self.most)

    def refusal(self, use: Use) -> str:
        """Why it cannot be given in a use that is none of its own; one line."""
        name = f"--{self.name}"
        if use == "relay":
            return f"{name} is not for the relay; its page and /metrics show what it does"
        place = next(words for one, words in _PLACES if one in self.uses)
        if use == "archive" and "recording" in self.uses:
            place = "one recording"
        instead = self.instead.get(use)
        return f"{name} is for {place}" + (f"; {instead}" if instead else "")

    def _within(self, value: float) -> bool:
        # Comparisons with NaN are false: it is never within.
        if self.least is not None and not (
            value > self.least if self.above else value >= self.least
        ):
            return False
        return value <= (sys.float_info.max if self.most is None else self.most)


def _as_float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


class OptionValues:
    """What was asked for: the values that were given, and the defaults of the others.

    Args:   given: by `key`; what is None or False was not asked for.
    """

    def __init__(self, given: Mapping[str, Any], options: Sequence[DeclaredOption[Any]]) -> None:
        self._given, self._options = given, options

    def __getitem__(self, option: DeclaredOption[T]) -> T:
        value: T | None = self._given.get(option.key)
        return option.default if value is None else value

    def has(self, option: DeclaredOption[Any]) -> bool:
        """Whether it was asked for."""
        value = self._given.get(option.key)
        return value is not None and value is not False

    def check(self) -> None:
        """Raises: ConfigError: a value is out of range."""
        for option in self._options:
            if (value := self._given.get(option.key)) is not None and not option.many:
                option.check(value, f"--{option.name}")

    def refuse_others(self, use: Use) -> None:
        """Raises: ConfigError: an option was asked for that has no effect in this use."""
        for option in self._options:
            if use not in option.uses and self.has(option):
                raise ConfigError(option.refusal(use))

    def fields(self, kind: type) -> dict[str, Any]:
        """The values of a dataclass's fields that are called as an option is."""
        wanted = {one.name for one in fields(kind)}
        return {one.key: self[one] for one in self._options if one.key in wanted}
