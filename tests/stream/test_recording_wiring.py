"""How fast a recording is to be worked on reaches the parts that must obey it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import run_pipeline
from run_pipeline import main
from stream.quality_ladder import RECORDED
from tests.fakes import OpenedRuntimes
from tests.recording_files import write_recording
from tests.wiring import OTHER_WEIGHTS, SIZE, Made, arguments


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.mp4"
    write_recording(path, size=SIZE, pts=range(0, 36_000, 3600))
    return path


@pytest.mark.parametrize("way", ["argv", "toml"])
@pytest.mark.parametrize(
    ("asked", "network"),
    [
        ({}, "full"),
        ({"network": "auto"}, "full"),
        ({"network": "small"}, "small"),
        ({"speed": "fast"}, "small"),
        ({"speed": "fast", "network": "full"}, "full"),
        ({"speed": "fast", "weights": OTHER_WEIGHTS}, "full"),
    ],
)
def test_the_network_of_a_recording(
    way: str, asked: dict[str, str], network: str, made: Made, recording: Path,
    opened: OpenedRuntimes,
) -> None:  # fmt: skip
    output, report = recording.with_name("better.mp4"), recording.with_name("report.json")
    values = {"input": [str(recording)], "output": [str(output)], **asked}
    assert main(arguments(way, recording.parent, {**values, "report": str(report)})) == 0
    assert made.enhancer[-1]["always_small"] == (network == "small")
    opener = made.enhancer[-1]["open_small"].__self__
    assert opener.network == network, "nothing changes on the way"
    speed = asked.get("speed", "best")
    assert made.level is RECORDED[speed]
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["network"], written["speed"]) == (network, speed)
    said = "every other" in made.file[0]["provenance"].statement
    assert said == (speed == "fast")


def test_threads_of_a_recording_share_heaps(
    made: Made, recording: Path, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each thread's own would hold on to what it has freed: tens of MB."""
    before: list[bool] = []
    monkeypatch.setattr(run_pipeline, "use_few_arenas", lambda: before.append(not made.session))
    output = recording.with_name("better.mp4")
    values = {"input": [str(recording)], "output": [str(output)]}
    assert main(arguments("argv", recording.parent, values)) == 0
    assert before == [True]
    assert made.session


def test_a_network_that_is_not_there_is_missed_before_the_work(
    made: Made, recording: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = recording.with_name("better.mp4")
    values = {"input": [str(recording)], "output": [str(output)], "network": "small"}
    others = {"weights": OTHER_WEIGHTS}
    assert main(arguments("argv", recording.parent, {**values, **others})) == 2
    assert f"no small network for {OTHER_WEIGHTS} weights" in capsys.readouterr().err
    assert not made.session
