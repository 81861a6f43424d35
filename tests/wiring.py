"""Wiring: who was made with what, on the way from an option to the part that must obey it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from stream.camera_profile import CameraProfile
from stream.declared_option import Use
from stream.graph import Stages
from stream.media.sinks.file_sink import FileSink
from stream.option_table import OPTIONS, WEIGHTS
from stream.protocols import Stage
from stream.quality_ladder import QualityLevel
from stream.session import EnhancementSession
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.exemplars.bank import Bank
from stream.stages.framing.framing import Framing
from tests.fakes import OneFace

Call = dict[str, Any]
"""The arguments of a call by name, with the defaults of those that were left out."""
PICTURE: Call = {"framing": "fixed", "strength": 0.4, "detail": 0.2}
"""Options of the picture, none at its default."""
SIZE = (128, 96)
"""Of the pictures."""
CAMERA = CameraProfile(near_px=240.0)
OTHER_WEIGHTS = next(str(one) for one in WEIGHTS.choices or () if one != WEIGHTS.default)
"""Not the default ones."""
CAMERA_TOML = "[camera]\nnear-px = 240\n"


def record(monkeypatch: pytest.MonkeyPatch, kind: type, *, real: bool = True) -> list[Call]:
    """Note how objects of a class are made. Nothing is swallowed: it takes what the class takes.

    Args: real: whether they are made.
    """
    make: Callable[..., None] = kind.__init__  # type: ignore[misc]
    signature, calls = inspect.signature(make), list[Call]()

    def noted(self: Any, *given: Any, **named: Any) -> None:
        calls.append(_bound(signature, self, *given, **named))
        if real:
            make(self, *given, **named)

    monkeypatch.setattr(kind, "__init__", noted)
    return calls


def stand_in(
    monkeypatch: pytest.MonkeyPatch, place: str, does: Callable[..., Any], answer: Any = None
) -> list[Call]:
    """Put something in the place of a function that takes just the same arguments, and notes them.

    Args: place: "module.name". does: the real function. answer: what it returns.
    """
    signature, calls = inspect.signature(does), list[Call]()

    def noted(*given: Any, **named: Any) -> Any:
        calls.append(_bound(signature, *given, **named))
        return answer

    monkeypatch.setattr(place, noted)
    return calls


def _bound(signature: inspect.Signature, *given: Any, **named: Any) -> Call:
    bound = signature.bind(*given, **named)
    bound.apply_defaults()
    return {name: value for name, value in bound.arguments.items() if name != "self"}


def arguments(way: str, folder: Path, values: Mapping[str, Any]) -> list[str]:
    """Options as the command line has them, or a file that holds them.

    Args: way: "argv" or "toml". values: by name; lists for options that may be given often.
    """
    file = folder / "options.toml"
    if way == "toml":
        lines = [f"{name} = {_toml(value)}\n" for name, value in values.items()]
        file.write_text("".join(lines) + CAMERA_TOML, encoding="utf-8")
        return ["--config", str(file)]
    file.write_text(CAMERA_TOML, encoding="utf-8")
    words = ["--config", str(file)]
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            switch = f"--{name}" if one is True else f"--no-{name}"
            words += [switch] if isinstance(one, bool) else [f"--{name}", str(one)]
    return words


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value) if isinstance(value, int | float) else f'"{value}"'


def names_of(use: Use) -> set[str]:
    """Every option that applies to a use."""
    return {option.name for option in OPTIONS if use in option.uses}


class Made:
    """What the stages, the sinks and the pipeline were made with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, detector: OneFace) -> None:
        self.framing = record(monkeypatch, Framing)
        self.compositor = record(monkeypatch, Compositor)
        self.bank = record(monkeypatch, Bank)
        self.enhancer = record(monkeypatch, Enhancer)
        self.file = record(monkeypatch, FileSink)
        self.session = record(monkeypatch, EnhancementSession)
        self.detector = detector

    @property
    def stages(self) -> list[Stage]:
        """Of the last session."""
        stages = self.session[-1]["stages"]
        assert isinstance(stages, Stages)
        return stages.all

    @property
    def level(self) -> QualityLevel:
        """What the last session's stages were told to spend."""
        (stage,) = [one for one in self.stages if isinstance(one, Enhancer)]
        return stage._quality

    def check_stages(
        self, framing: str, scale: float, strength: float, detail: float, rate: float
    ) -> None:
        """The last ones that were made."""
        assert self.framing[-1]["mode"] == framing
        assert self.framing[-1]["scale"] == scale
        assert abs(float(self.framing[-1]["rate"]) - rate) < 0.1
        assert self.framing[-1]["source_size"] == SIZE
        assert self.compositor[-1]["strength"] == strength
        assert self.enhancer[-1]["detail"] == detail
        assert self.compositor[-1]["camera"] == self.bank[-1]["camera"] == CAMERA
        assert abs(float(self.enhancer[-1]["rate"]) - rate) < 0.1


def enhancer_of(stages: list[Stage]) -> Enhancer:
    """The stage that runs the network."""
    (one,) = [stage for stage in stages if isinstance(stage, Enhancer)]
    return one
