"""ConfigFile: the names of the command line, which wins, and one line for what cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from run_pipeline import main
from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.media.sources.devices import Device
from stream.options import LiveOptions, Options


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "closeup.toml"
    path.write_text(text, encoding="utf-8")
    return path


CALL = """
input = "lavfi:testsrc2"
output = ["call.mp4", "virtualcam"]
headless = true
overwrite = true
framing = "fixed"
scale = 2
strength = 0.5
report = "report.json"
runtime = "onnxruntime-cpu"
stats = "json"
metrics-port = 9100
"""


def test_the_file_gives_every_option(tmp_path: Path) -> None:
    call = parse(["--config", str(written(tmp_path, CALL))])
    assert isinstance(call, LiveOptions)
    assert isinstance(call.device, Device)
    assert call.device.address == "testsrc2"
    assert (call.files, call.virtual_camera) == ((Path("call.mp4"),), True)
    assert (call.headless, call.overwrite, call.framing) == (True, True, "fixed")
    assert (call.scale, call.strength) == (2.0, 0.5)
    assert (call.stats, call.metrics_port) == ("json", 9100)
    assert (call.report, call.runtime) == (Path("report.json"), "onnxruntime-cpu")


def test_the_command_line_wins(tmp_path: Path) -> None:
    more = ["--input", "call.mp4", "--output", "better.mp4", "--no-headless", "--no-overwrite"]
    text = "".join(line for line in CALL.splitlines(True) if not line.startswith(("stats", "metr")))
    more += ["--scale", "3", "--strength", "1", "--runtime", "auto"]
    recording = parse(["--config", str(written(tmp_path, text)), *more])
    assert isinstance(recording, Options)
    assert recording.input == Path("call.mp4")
    assert recording.output == Path("better.mp4"), "replaced, not added to"
    assert not recording.overwrite
    assert (recording.scale, recording.strength, recording.runtime) == (3.0, 1.0, "auto")


def test_one_output_needs_no_list(tmp_path: Path) -> None:
    path = written(tmp_path, 'output = "better.mp4"')
    recording = parse(["--input", "call.mp4", "--config", str(path)])
    assert isinstance(recording, Options)
    assert recording.output == Path("better.mp4")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strenght = 0.5", "there is no option strenght; did you mean strength?"),
        ("--strength = 0.5", "there is no option --strength; did you mean strength?"),
        ('config = "b.toml"', "there is no option config"),
        ("xyzzy = 1", "there are badge, bit-rate, c2pa-cert, c2pa-key, camera"),
        ("[call]\nheadless = true", "there is no option call"),
        ('strength = "high"', 'strength is "high"; it takes a number'),
        ("strength = true", "strength is true; it takes a number"),
        ("strength = 2", "--strength 2 is out of range"),
        ("strength = nan", "--strength nan is out of range"),
        ("overwrite = 1", "overwrite is 1; it takes true or false"),
        ('framing = "round"', 'framing is "round"; it takes one of auto, fixed'),
        ("framing = []", r"framing is \[\]; it takes one of auto, fixed"),
        ("metrics_port = 1", "there is no option metrics_port; did you mean metrics-port?"),
        ("metrics-port = 1.5", "metrics-port is 1.5; it takes a whole number"),
        ("report = 3", "report is 3; it takes a text"),
        ("output = [1]", r"output is \[1\]; it takes a text or a list of texts"),
        ("output = {a = 1}", "it takes a text or a list of texts"),
        ("strength 0.5", "is not TOML: .*line 1"),
        ("crf = " + "9" * 6000, "is not TOML: "),
        ("crf = 0x" + "F" * 6000, "is not TOML: "),
        ("a = " + "[" * 3000 + "]" * 3000, "is nested too deeply"),
        ('report = ""', "report is empty"),
        ('output = ["", "a.mp4"]', "output is empty"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError, match=message) as caught:
        parse(["--input", "call.mp4", "--output", "better.mp4", "--config", str(path)])
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary = tmp_path / "closeup.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    for path, why in ((binary, "UTF-8"), (tmp_path, "directory"), (tmp_path / "no", "No such")):
        assert main(["--config", str(path)]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("error: --config ")
        assert why in line
