"""Speed profile: what runs the network fastest on this machine, as `calibration.speed` or, at a
start, `engines.self_measurement` measured it.

It lies in the cache folder and holds for one machine, one set of versions and one set of weights:
what has changed since then makes it void, and is named.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engines.contract import SCALES, WEIGHTS
from engines.errors import EngineError
from engines.files import write_whole
from engines.machine import describe
from engines.tensorrt.engine_cache import default_folder, read_own
from engines.weights.manifest import network_name, read_manifest

SCHEMA = 3
HOW = "the next start measures one, python -m calibration.speed more thoroughly"


class ProfileError(EngineError):
    """There is no profile, or it is not of this machine as it is now; says why."""


@dataclass(frozen=True)
class Choice:
    """The fastest way to run the network of one scale."""

    runtime: str
    precision: str
    threads: int | None
    """None for what computes on a card."""
    largest_px: int | None = None
    """Side of the largest crop that holds the frame rate; 0: none does; None: not measured."""

    def __str__(self) -> str:
        threads = f", {self.threads} thread{'s' * (self.threads > 1)}" if self.threads else ""
        if self.largest_px is None:
            return f"{self.runtime} {self.precision}{threads}, measured at a start"
        largest = f"crops up to {self.largest_px} px" if self.largest_px else "no crop"
        return f"{self.runtime} {self.precision}{threads}, {largest}"


@dataclass(frozen=True)
class Profile:
    """What was measured."""

    date: str
    """ISO 8601, of the day."""
    rate: float
    """Frames a second that were to be held; 0: no size of crop was measured."""
    choices: dict[int, Choice]
    """By scale."""
    shortest_ms: dict[str, float] = field(default_factory=dict)
    """What was measured at starts: runtime, precision and threads → its shortest turn so far."""
    starts: int = 0
    """At so many starts; 0: by `calibration.speed`, which is more thorough."""


def folder() -> Path:
    """Where the profile lies: beside the engines, out of reach of what makes room for them."""
    return default_folder() / "speed"


def key() -> dict[str, str]:
    """All that a profile depends on. Raises: WeightsError."""
    manifest = read_manifest()
    # of all that can be asked for: what is fastest holds for each of them
    names = [network_name(scale, weights=one) for one in WEIGHTS for scale in SCALES]
    weights = {
        name: checksum[:16]
        for kind in ("networks", "quantised")
        for network in names
        for name, checksum in manifest.get(kind, {}).get(network, {"files": {}})["files"].items()
    }
    return describe() | weights


def store(profile: Profile) -> Path:
    """Keep a profile. Returns: where. Raises: OSError, WeightsError."""
    path = folder() / "profile.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    choices = {str(scale): asdict(choice) for scale, choice in profile.choices.items()}
    card = {"schema": SCHEMA, "key": key(), **asdict(profile), "choices": choices}
    write_whole(path, json.dumps(card, indent=1), durable=True)
    return path


def load() -> Profile:
    """The profile of this machine.

    Raises: ProfileError: none was measured, it cannot be read, or something has changed since.
            WeightsError.
    """
    path = folder() / "profile.json"
    try:
        card = json.loads(read_own(path))
    except FileNotFoundError:
        raise ProfileError(f"none of this machine; {HOW}") from None
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path} cannot be read ({error}); {HOW}") from error
    try:
        if card["schema"] != SCHEMA:
            raise ProfileError(f"made by another version of Closeup; {HOW}")
        then, now = card["key"], key()
        if changed := [
            name for name in sorted(now.keys() | then) if now.get(name) != then.get(name)
        ]:
            name = changed[0]
            more = f" and {len(changed) - 1} more" if changed[1:] else ""
            raise ProfileError(
                f"of {card['date']}, not for this machine as it is now: {name} was "
                f"{then.get(name)} and is {now.get(name)}{more}; {HOW}"
            )
        choices = {int(scale): Choice(**choice) for scale, choice in card["choices"].items()}
        shortest = {str(way): float(ms) for way, ms in card["shortest_ms"].items()}
        return Profile(card["date"], float(card["rate"]), choices, shortest, int(card["starts"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ProfileError(f"{path} is damaged; {HOW}") from error
