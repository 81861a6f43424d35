"""ConfigFile: a TOML file of options, with the names of the command line.

input = "webcam"
output = ["virtualcam", "call.mp4"]
strength = 0.8
headless = true

[camera]        # as `python -m calibration.camera` writes it
near-px = 240
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from stream.camera_profile import CameraProfile, read_table
from stream.declared_option import DeclaredOption
from stream.errors import ConfigError

Value = str | int | float | bool | list[str] | Path | CameraProfile
CAMERA = "camera"
"""The one table that a file may have."""


def read_config(path: Path, options: Sequence[DeclaredOption[Any]]) -> dict[str, Value]:
    """What a file asks for, checked as the command line would be.

    Args:    path: TOML 1.0, UTF-8, without other tables than [camera].
             options: those that may be given.
    Returns: keys (`metrics_port`) and values of the options in the file, and "camera".
    Raises:  ConfigError: it cannot be read, is not TOML, or names an option that does not exist or
             cannot have that value.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
        repr(given)  # hexadecimal numbers are read at any length, but not written
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"--config {path} is not TOML: it is not UTF-8 text") from error
    except ValueError as error:  # also a number of more digits than Python reads or writes
        raise ConfigError(f"--config {path} is not TOML: {error}") from error
    except RecursionError as error:
        raise ConfigError(f"--config {path} is nested too deeply") from error
    read: dict[str, Value] = {}
    by_name = {option.name: option for option in options}
    for name, value in given.items():
        if name == CAMERA:
            read[name] = _camera(path, value)
            continue
        if name not in by_name:
            names = [*by_name, CAMERA]
            raise ConfigError(f"{path}: there is no option {name}{_suggestion(name, names)}")
        option = by_name[name]
        read[option.key] = _checked(path, value, option)
    return read


def _camera(path: Path, table: object) -> CameraProfile:
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {CAMERA} is a table; write [{CAMERA}] and its values below it")
    try:
        return read_table(table)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _suggestion(name: str, options: Collection[str]) -> str:
    written = name.strip("-").replace("_", "-").lower()
    near = difflib.get_close_matches(written, options, 1)
    return f"; did you mean {near[0]}?" if near else f"; there are {', '.join(sorted(options))}"


def _checked(path: Path, value: object, option: DeclaredOption[Any]) -> Value:
    """The value as the command line would have it; TOML already knows what is a number."""
    wanted, fits = "a text", isinstance(value, str)
    if option.kind is bool:
        wanted, fits = "true or false", isinstance(value, bool)
    elif option.choices:
        wanted, fits = f"one of {', '.join(map(str, option.choices))}", value in option.choices
    elif option.kind is int:
        wanted, fits = "a whole number", isinstance(value, int) and not isinstance(value, bool)
    elif option.kind is float:
        wanted, fits = "a number", isinstance(value, int | float) and not isinstance(value, bool)
    elif option.many:
        wanted, one = "a text or a list of texts", [value] if isinstance(value, str) else value
        fits = isinstance(one, list) and all(isinstance(text, str) for text in one)
        value = one
    if not fits:
        raise ConfigError(f"{path}: {option.name} is {_written(value)}; it takes {wanted}")
    if option.default != "" and "" in (value if isinstance(value, list) else [value]):
        raise ConfigError(f"{path}: {option.name} is empty")
    if option.kind is Path:
        return Path(str(value))
    if option.kind is float:
        return float(str(value))
    assert isinstance(value, str | int | list)
    return value


def _written(value: object) -> str:
    """As in the file, more or less."""
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)
