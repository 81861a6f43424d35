"""Fake stages: short stand-ins for the real stages, which need models, under the real command
line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from run_pipeline import main
from stream.frame import Face, Frame, Patch, View
from stream.graph import Opener, Stages
from stream.protocols import Stage
from stream.stages.compositing.compositor import Compositor
from stream.stages.exemplars.bank import Bank

Meet = Callable[[Frame], None]


def run_main(*arguments: object) -> int:
    """The command line; no thread is left afterwards."""
    before = set(threading.enumerate())
    status = main([str(one) for one in arguments])
    assert set(threading.enumerate()) == before
    return status


class See(Stage):
    """The tracker of a first pass: the same face in every frame, or none."""

    name = "tracker"

    def __init__(self, face: bool, meet: Meet) -> None:
        self.face = face
        self.meet = meet

    def __call__(self, frame: Frame) -> Frame:
        self.meet(frame)
        return replace(frame, faces=(_face(),) if self.face else ())


class Enlarge(Stage):
    """All stages in one: a face in every frame, the whole picture on a larger canvas."""

    name = "enlarge"

    def __init__(self, size: tuple[int, int], face: bool, meet: Meet) -> None:
        self.size = size
        self.face = face
        self.meet = meet
        self.closed = False

    def __call__(self, frame: Frame) -> Frame:
        self.meet(frame)
        image = np.asarray(frame.image)
        height, width = image.shape[:2]
        face = replace(_face(), patch=Patch(image, (0, 0, width, height), 4))
        output = cv2.resize(image, self.size, interpolation=cv2.INTER_CUBIC)
        return replace(
            frame,
            faces=(face,) if self.face else (),
            view=View((0.0, 0.0, float(width), float(height)), self.size),
            output=np.asarray(output, np.uint8),
        )

    def close(self) -> None:
        self.closed = True


def use_fake_stages(
    monkeypatch: pytest.MonkeyPatch,
    face: bool = True,
    meet: Meet = lambda frame: None,
    first_pass: Meet = lambda frame: None,
) -> None:
    """Put the stand-ins into the graph.

    Args: face: whether there is one in every frame. meet: called with each frame that is worked on.
          first_pass: called with each frame of a first pass.
    """

    def build(source: tuple[int, int], _: object, *, scale: float, **__: object) -> Stages:
        size = (round(source[0] * scale), round(source[1] * scale))
        whole = View((0.0, 0.0, float(source[0]), float(source[1])), size)
        return Stages([Enlarge(size, face, meet)], Bank(), Compositor(), Opener("auto"), whole)

    monkeypatch.setattr(Stages, "build", build)
    monkeypatch.setattr(Stages, "tracker", lambda events: See(face, first_pass))


def _face() -> Face:
    return Face(1, np.array([8, 8, 40, 40], np.float32), np.zeros((6, 2), np.float32), 1.0)
