"""Preview: what the window shows, what the keys do, and that it holds nobody up."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from stream.errors import OutputError
from stream.frame import Face, Frame, Image, View
from stream.media.sinks import window
from stream.media.sinks.preview import SHOW_S, Preview

SIZE = (320, 180)


class Screen:
    """A window without a screen; keys and drags are put into it."""

    def __init__(self) -> None:
        self.shown: list[Image] = []
        self.keys: list[str] = []
        self.drag: float | None = None
        self.gone = False
        self.thread = threading.current_thread()

    def show(self, image: Image) -> None:
        assert threading.current_thread() is self.thread
        self.shown.append(image)

    def key(self) -> str:
        return self.keys.pop(0) if self.keys else ""

    def dragged_to(self) -> float | None:
        place, self.drag = self.drag, None
        return place

    def is_closed(self) -> bool:
        return self.gone

    def close(self) -> None:
        self.gone = True


class Keys:
    """Controls that remember what was asked."""

    def __init__(self) -> None:
        self.strength = 1.0
        self.detail = 0.5
        self.forgotten = 0
        self.learns = ""
        self.kept = [np.full((256, 256, 3), 250, np.uint8)]

    def forget(self) -> None:
        self.forgotten += 1
        self.kept = []

    def closeups(self, track_id: int) -> list[Image]:
        return self.kept if track_id == 7 else []

    def dropped(self) -> int:
        return 3

    def quality(self) -> str:
        return "5 (crops of 64 px)"

    def learning(self) -> str:
        return self.learns

    def failed_open(self) -> int:
        return 0


def frame_of(before: int, after: int) -> Frame:
    width, height = SIZE
    face = Face(7, np.array([8, 8, 40, 40], np.float32), np.zeros((6, 2), np.float32), 1.0)
    return Frame(
        np.full((height, width, 3), before, np.uint8), 0, 0, Fraction(1, 30), time.monotonic_ns(),
        faces=(face,),
        view=View((0.0, 0.0, float(width), float(height)), SIZE),
        output=np.full((height, width, 3), after, np.uint8),
    )  # fmt: skip


class Desk:
    """A preview, its window and its controls."""

    def __init__(self) -> None:
        self.keys, self.screen = Keys(), Screen()
        self.preview = Preview(self.keys, lambda: self.screen)

    def press(self, *keys: str) -> bool:
        self.screen.keys += keys
        going_on = [self.preview.poll() for _ in keys]
        return all(going_on)

    def middle(self, frame: Frame) -> Image:
        """The row in the middle, where neither figures nor close-ups are."""
        return np.asarray(self.preview.draw(frame)[SIZE[1] // 2], np.uint8)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_line_between_before_and_after(desk: Desk) -> None:
    frame = frame_of(40, 80)
    assert (desk.middle(frame) == 80).all()
    desk.press("b")
    row = desk.middle(frame)
    assert (row[:150] == 40).all()
    assert (row[170:] == 80).all()
    assert (row[160] == 255).all()
    desk.screen.drag = 0.25
    desk.preview.poll()
    row = desk.middle(frame)
    assert (row[:70] == 40).all()
    assert (row[90:] == 80).all()
    desk.press("b")
    assert (desk.middle(frame) == 80).all()
    assert frame.output is not None
    assert (frame.output == 80).all(), "another sink may still be reading it"


def test_keys(desk: Desk) -> None:
    assert desk.press("-", "-", "x")
    assert desk.keys.strength == 0.8
    desk.press("+", "=", "+", "+")
    assert desk.keys.strength == 1.0
    desk.press("f")
    assert desk.keys.forgotten == 1
    assert not desk.press("q")
    assert not desk.press("\x1b")
    desk.screen.gone = True
    assert not desk.preview.poll()


@pytest.mark.parametrize("name", ["strength", "detail"])
def test_each_step_of_a_key_is_seen(desk: Desk, name: str) -> None:
    """Steps of 0.1 from 0.65 on: with one digit 0.75 and 0.85 are both 0.8."""
    frame, drawn = frame_of(0, 0), []
    for value in (0.65, 0.75, 0.85, 0.95, 1.0):
        setattr(desk.keys, name, value)
        drawn.append(desk.preview.draw(frame))
    assert all((one != two).any() for one, two in pairwise(drawn))


def test_figures_help_and_closeups_are_drawn(desk: Desk) -> None:
    frame = frame_of(0, 0)
    with_help = desk.preview.draw(frame)
    assert with_help[:40].max() > 150, "figures"
    assert (with_help[-10:, :10] == 250).all(), "a close-up"
    desk.press("h")
    without = desk.preview.draw(frame)
    assert 0 < (without[:40] > 100).sum() < (with_help[:40] > 100).sum()
    desk.press("f", "h")
    assert not desk.preview.draw(frame)[-10:, :10].any()
    small = replace(frame, output=np.zeros((16, 16, 3), np.uint8), view=None)
    assert desk.preview.draw(small).shape == (16, 16, 3)


def test_learning_is_in_the_figures(desk: Desk) -> None:
    frame = frame_of(0, 0)
    without = desk.preview.draw(frame)
    desk.keys.learns = "learning +0.6 dB"
    assert (desk.preview.draw(frame) != without).any()


def test_send_waits_until_it_is_drawn_but_never_long(desk: Desk) -> None:
    sender = threading.Thread(target=desk.preview.send, args=(frame_of(1, 2),))
    sender.start()
    while not desk.screen.shown:
        assert desk.preview.poll()
    sender.join(1.0)
    assert not sender.is_alive()
    started_s = time.monotonic()
    desk.preview.send(frame_of(1, 2))
    assert SHOW_S * 0.9 < time.monotonic() - started_s < SHOW_S + 1.0
    desk.preview.close()
    desk.preview.close()
    assert desk.screen.gone
    started_s = time.monotonic()
    desk.preview.send(frame_of(1, 2))
    assert time.monotonic() - started_s < SHOW_S


def test_a_machine_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert window.display_missing({}) == "neither DISPLAY nor WAYLAND_DISPLAY is set"

    def ended(*_: object, **__: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.CompletedProcess([], -6)

    monkeypatch.setattr(subprocess, "run", ended)
    assert window.display_missing({"DISPLAY": ":9"}) == "it cannot be reached"
    assert "XWayland" in str(window.display_missing({"WAYLAND_DISPLAY": "wayland-0"}))
    with pytest.raises(OutputError, match=r"no display .*add --headless and an --output"):
        window.check_display()
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    assert window.display_missing({"DISPLAY": ":0"}) is None
