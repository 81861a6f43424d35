"""Progress: one line on a terminal, a line for each tenth in a file."""

from __future__ import annotations

import io

from stream.telemetry.progress import Progress


class Terminal(io.StringIO):
    """Says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """A clock that the test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_file_gets_a_line_for_each_tenth() -> None:
    stream, clock = io.StringIO(), Clock()
    progress = Progress(200, stream, clock)
    for _ in range(200):
        clock.now_s += 0.1
        progress.advance()
    progress.finish()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[4] == "100/200 frames (50 %), 10.0 fps, 0:10 left"
    assert "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_goes_away() -> None:
    stream, clock = Terminal(), Clock()
    progress = Progress(1000, stream, clock)
    for _ in range(100):
        clock.now_s += 0.05
        progress.advance()
    text = stream.getvalue()
    assert "\n" not in text
    assert 20 <= text.count("\r") <= 26
    assert "20.0 fps, 0:45 left" in text
    progress.finish()
    assert stream.getvalue().endswith("\r")


def test_without_a_total_and_beyond_it() -> None:
    clock = Clock()
    unknown = Progress(None, io.StringIO(), clock)
    short = Progress(2, io.StringIO(), clock)
    for _ in range(4):
        clock.now_s += 1.0
        unknown.advance()
        short.advance()
    assert unknown.line == short.line == "4 frames, 1.0 fps"


def test_hours() -> None:
    clock = Clock()
    progress = Progress(7201, io.StringIO(), clock)
    clock.now_s += 1.0
    progress.advance()
    assert progress.line.endswith("2:00:00 left")


def test_before_the_first_frame() -> None:
    assert Progress(10, io.StringIO(), Clock()).line.endswith("? left")


def test_the_first_news_says_no_pace() -> None:
    clock = Clock()
    progress = Progress(120, io.StringIO(), clock, unit="steps")
    progress.reach(8, "+0.10 dB so far")
    assert progress.line == "8/120 steps (6 %), ? left, +0.10 dB so far"
    clock.now_s += 2.0
    progress.reach(16)
    assert progress.line == "16/120 steps (13 %), 4.0 steps/s, 0:26 left"
