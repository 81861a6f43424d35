"""The virtual camera, with pyvirtualcam played by a stand-in."""

from __future__ import annotations

import sys
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.install import install_command
from stream.errors import OutputError
from stream.frame import Frame
from stream.media.sinks.virtual_camera import VirtualCamera


class Loopback:
    """pyvirtualcam.Camera as it behaves: a fixed size, RuntimeError for everything."""

    device = "/dev/video9"

    def __init__(self, width: int, height: int, fps: float, *, fmt: str) -> None:
        assert (fps, fmt) == (30.0, "RGB")
        self.size = (width, height)
        self.sent: list[Any] = []
        self.closed = 0
        self.gone = False

    def send(self, image: Any) -> None:
        assert image.flags.c_contiguous
        assert image.shape == (self.size[1], self.size[0], 3)
        if self.gone:
            raise RuntimeError("error writing frame")
        self.sent.append(image)

    def sleep_until_next_frame(self) -> None:
        raise AssertionError("it would hold the picture up")

    def close(self) -> None:
        self.closed += 1


def install(monkeypatch: pytest.MonkeyPatch, camera: object) -> None:
    module = SimpleNamespace(Camera=camera, PixelFormat=SimpleNamespace(RGB="RGB"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)


def frame() -> Frame:
    output = np.zeros((48, 128, 3), np.uint8)[:, ::2]
    return Frame(np.zeros((24, 32, 3), np.uint8), 0, 0, Fraction(1, 30), 0, output=output)


def test_pictures_go_out_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, Loopback)
    sink = VirtualCamera((64, 48), Fraction(30))
    loopback = sink._camera
    sink.send(frame())
    assert len(loopback.sent) == 1
    assert sink.device == "/dev/video9"
    with pytest.raises(ValueError, match="for a virtual camera of"):
        sink.send(Frame(np.zeros((24, 32, 3), np.uint8), 0, 0, Fraction(1, 30), 0))
    loopback.gone = True
    with pytest.raises(OutputError, match="/dev/video9 went away"):
        sink.send(frame())
    sink.abort()
    sink.close()
    assert loopback.closed == 1


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError("'v4l2loopback' backend: no device\nfound")

    install(monkeypatch, none)
    for platform, word in (("linux", "modprobe v4l2loopback"), ("darwin", "OBS")):
        monkeypatch.setattr(sys, "platform", platform)
        with pytest.raises(OutputError, match=word) as caught:
            VirtualCamera((64, 48), Fraction(30))
        assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(OutputError) as caught:
        VirtualCamera((64, 48), Fraction(30))
    assert install_command("virtualcam") in str(caught.value)
