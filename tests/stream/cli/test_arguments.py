"""Command line: options that make sense together, and one clear line for those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.media.sinks.encoder import Encoding
from stream.media.sources.devices import Device
from stream.options import LiveOptions, Options, chosen_scale

RECORDING = ["--input", "call.mp4", "--output", "better.mp4"]


def recording(*more: str) -> Options:
    options = parse([*RECORDING, *more])
    assert isinstance(options, Options)
    return options


def test_defaults_of_a_recording_and_of_the_demo() -> None:
    given = recording()
    assert given.input == Path("call.mp4")
    assert (given.framing, given.strength, given.overwrite) == ("fixed", 1.0, False)
    assert (given.passes, recording("--passes", "1").passes) == (2, 1)
    demo = parse(["--input", "demo"])
    assert isinstance(demo, Options)
    assert demo.input is None
    assert demo.passes == 1
    assert (demo.framing, demo.output, demo.overwrite) == ("auto", Path("out/demo.mp4"), True)
    mine = parse(["--input", "demo", "--output", "mine.mp4"])
    assert isinstance(mine, Options)
    assert not mine.overwrite


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--scale", "5"], "--scale 5 is out of range"),
        (["--scale", "0.5"], "--scale 0.5 is out of range"),
        (["--scale", "nan"], "--scale nan is out of range"),
        (["--scale", "two"], "invalid float value"),
        (["--strength", "1.5"], "--strength 1.5 is out of range"),
        (["--strength", "nan"], "--strength nan is out of range"),
        (["--framing", "auto", "--scale", "2"], "--scale needs --framing fixed"),
        (["--framing", "round"], "invalid choice"),
        (["--runtime", "abacus"], "invalid choice: 'abacus'"),
        (["--passes", "3"], "invalid choice"),
        (["--report", ""], "argument --report: it is empty"),
        (["--output", ""], "argument --output: it is empty"),
        (["--input", ""], "argument --input: it is empty"),
        (["--fast"], "unrecognized arguments: --fast"),
        (["--headless"], "--headless is for cameras"),
        (["--stats", "json"], "--stats is for cameras; a recording has --report"),
        (["--codec", "mpeg1"], "invalid choice: 'mpeg1'"),
        (["--crf", "52"], "--crf 52 is out of range; give 0 .* to 51"),
        (["--codec", "av1", "--crf", "64"], "to 63"),
        (["--codec", "ffv1"], "ffv1 does not fit .* end the output in .mkv"),
        (["--codec", "vp9", "--encoder", "nvenc"], "do not encode vp9"),
        (["--output", "other.mp4"], "one output"),
        (["--output", "virtualcam"], "one output"),
    ],
)
def test_options_that_cannot_be_met(more: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse([*RECORDING, *more])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["lern", "Ada"], "no command lern; there are doctor, learn, people, forget; .*--input"),
        (["call.mp4"], "no command call.mp4; .*a recording is named by --input"),
        (["two\nlines"], "no command two\\\\nlines|no command two.lines"),
        (["doctor", "--json"], "doctor takes no options"),
    ],
)
def test_what_is_no_command(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse(words)
    assert "\n" not in str(caught.value)


def test_how_a_recording_is_encoded() -> None:
    assert recording().encoding == Encoding("auto", None, "software")
    given = recording("--codec", "av1", "--crf", "0", "--encoder", "nvenc").encoding
    assert given == Encoding("av1", 0, "nvenc")
    for output, message in (("better.mov", "end the output in .mp4 or .mkv"), ("b.mkv", None)):
        arguments = ["--input", "call.mp4", "--output", output, "--codec", "av1"]
        if message is None:
            parse(arguments)
        else:
            with pytest.raises(ConfigError, match=message):
                parse(arguments)
    lossless = ["--input", "call.mp4", "--output", "better.mkv", "--codec", "ffv1", "--crf", "1"]
    with pytest.raises(ConfigError, match="leave --crf out"):
        parse(lossless)
    for what, message in (("webcam", "--crf is for recordings"), ("webrtc", "--crf is not for")):
        with pytest.raises(ConfigError, match=message):
            parse(["--input", what, "--crf", "20"])


def test_missing_options() -> None:
    with pytest.raises(ConfigError, match="--output is missing"):
        parse(["--input", "call.mp4"])
    with pytest.raises(ConfigError, match="--input"):
        parse([])


@pytest.mark.parametrize(
    ("size", "more", "scale"),
    [
        ((1280, 720), [], 2.0),
        ((480, 908), [], 2.0),
        ((1920, 1080), [], 1.0),
        ((2400, 700), [], 1.0),
        ((1280, 720), ["--framing", "auto"], 1.0),
        ((1280, 720), ["--scale", "3.2"], 3.2),
    ],
)
def test_the_canvas(size: tuple[int, int], more: list[str], scale: float) -> None:
    assert chosen_scale(size, recording(*more)) == scale


def test_a_canvas_that_is_too_large_names_the_largest_scale() -> None:
    with pytest.raises(ConfigError, match=r"5120x2880.*--scale 3\.2 or less"):
        chosen_scale((1280, 720), recording("--scale", "4"))
    with pytest.raises(ConfigError, match="make a smaller copy"):
        chosen_scale((5312, 2988), recording())


def test_a_call() -> None:
    call = parse(["--input", "lavfi:testsrc2"])
    assert isinstance(call, LiveOptions)
    assert isinstance(call.device, Device)
    assert (call.device.format, call.files, call.virtual_camera) == ("lavfi", (), False)
    assert (call.framing, call.scale, call.headless) == ("auto", 1.0, False)
    outputs = ["--output", "call.mp4", "--output", "virtualcam", "--output", "call.mkv"]
    call = parse(["--input", "lavfi:testsrc2", "--headless", "--framing", "fixed", *outputs])
    assert isinstance(call, LiveOptions)
    assert call.files == (Path("call.mp4"), Path("call.mkv"))
    assert (call.virtual_camera, call.headless, call.scale) == (True, True, 1.0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["webcam:two"], "webcam:two is no camera"),
        (["lavfi:testsrc2", "--headless"], "shows and keeps nothing"),
        (["lavfi:testsrc2", "--output", "a.mp4", "--output", "./a.mp4"], "named twice"),
        (["lavfi:testsrc2", "--stats", "xml"], "invalid choice: 'xml'"),
        (["lavfi:testsrc2", "--metrics-port", "-1"], "--metrics-port -1 is out of range"),
        (["lavfi:testsrc2", "--scale", "2"], "--scale needs --framing fixed"),
    ],
)
def test_calls_that_cannot_be_met(arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(["--input", *arguments])
