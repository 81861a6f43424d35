"""CameraProfile: what one camera really gives, as far as the stages act on it.

`python -m calibration.camera` measures one and writes its profile
as the table [camera] of a file for `--config`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from stream.errors import ConfigError
from stream.frame import Floats

LIMITS = {
    "near_px": (64.0, 2048.0),
    "least_px": (48.0, 2048.0),
    "least_sharpness": (0.0, 0.5),
    "noise": (0.0, 32.0),
}
"""Smallest and largest value of each, in the unit of the profile."""


@dataclass(frozen=True, kw_only=True)
class CameraProfile:
    """Raises: ConfigError: a value is outside `LIMITS`, or `least_px` is larger than `near_px`."""

    near_px: float = 220.0
    """A headshot of this side or more is a good exemplar."""
    least_px: float = 96.0
    """A headshot of this side or more may serve while there is nothing better."""
    least_sharpness: float = 0.05
    """No exemplar is blunter than this (`stream.stages.exemplars.quality.sharpness`). The default
    is below any usable recording and above a face out of focus."""
    noise: tuple[float, float] | None = None
    """Standard deviation of a channel where it is 0, and where it is 255, in 8-bit levels; the
    variance grows evenly between. Guessed from each picture where there is none, or less."""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            for number in value if isinstance(value, tuple) else (value,):
                least, most = LIMITS[one.name]
                if number is not None and not least <= number <= most:
                    raise ConfigError(
                        f"{_written(one.name)} {number:g} of the camera is out of range; it lies "
                        f"between {least:g} and {most:g}"
                    )
        if self.least_px > self.near_px:
            raise ConfigError(
                f"least-px {self.least_px:g} of the camera is larger than near-px {self.near_px:g}"
            )

    def noise_at(self, levels: Floats) -> Floats:
        """Standard deviation of the noise: float32, the shape of `levels` (0..255).

        Raises: ValueError: the profile has no noise.
        """
        if self.noise is None:
            raise ValueError("this profile has no noise")
        dark, bright = (deviation**2 for deviation in self.noise)
        share = np.clip(levels, 0.0, 255.0) / 255.0
        return np.asarray(np.sqrt(dark + (bright - dark) * share), np.float32)


ANY_CAMERA = CameraProfile()
"""What may be taken for granted of a camera that nobody measured."""


def read_table(table: Mapping[str, object]) -> CameraProfile:
    """The table [camera] of a TOML file.

    Raises: ConfigError: it has a name or a value that no profile has.
    """
    names = {_written(one.name): one.name for one in fields(CameraProfile)}
    given: dict[str, float | tuple[float, float]] = {}
    for name, value in table.items():
        if name not in names:
            known = ", ".join(sorted(names))
            raise ConfigError(f"[camera] has no {name}; it takes {known}")
        if name == "noise":
            if not isinstance(value, list) or len(value) != 2 or not all(map(_is_number, value)):
                raise ConfigError("[camera]: noise takes two numbers, at black and at white")
            given[name] = (float(value[0]), float(value[1]))
        elif _is_number(value):
            given[names[name]] = float(str(value))
        else:
            raise ConfigError(f"[camera]: {name} is {value!r}; it takes a number")
    return CameraProfile(**given)  # type: ignore[arg-type]


def format_table(profile: CameraProfile) -> str:
    """A profile as `read_table` takes it, with a header."""
    lines = ["[camera]"]
    for one in fields(profile):
        value = getattr(profile, one.name)
        if isinstance(value, tuple):
            lines.append(
                f"{_written(one.name)} = [{', '.join(f'{number:.3g}' for number in value)}]"
            )
        elif value is not None:
            lines.append(f"{_written(one.name)} = {value:.4g}")
    return "\n".join(lines) + "\n"


def _written(name: str) -> str:
    return name.replace("_", "-")


def _is_number(value: object) -> bool:
    """Whether it is finite; for TOML's integers beyond all floats `math.isfinite` raises."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    return abs(value) <= sys.float_info.max
