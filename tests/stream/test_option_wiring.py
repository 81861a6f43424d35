"""Every option of recordings, archives and the demo reaches the part that must obey it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from engines.personal.close_ups import MOST_CLOSE_UPS
from run_pipeline import main
from stream.cli.arguments import parse
from stream.errors import OutputError
from stream.media.demo.demo_source import DemoSource
from stream.media.encoded_sound import EncodedSound
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sinks.c2pa_signing import C2paSigner
from stream.media.sinks.encoder import Encoding
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams
from stream.options import Options
from stream.picture_options import DETAIL
from stream.quality_ladder import RECORDED
from stream.recordings.batch import pool, ray_cluster
from stream.recordings.batch.task import perform
from stream.recordings.job import run_recording
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.people_learning import PeopleLearning
from stream.recordings.report.collector import ReportCollector
from stream.recordings.resume.segments import SegmentedSink
from stream.recordings.resume.work_dir import WorkDir
from stream.shared_runtime import SharedRuntime
from stream.stages.compositing.badge import Badge
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.progress import Progress
from tests.fakes import OpenedRuntimes
from tests.recording_files import write_recording
from tests.wiring import (
    CAMERA,
    OTHER_WEIGHTS,
    PICTURE,
    SIZE,
    Call,
    Made,
    arguments,
    names_of,
    record,
    stand_in,
)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "call.mp4"
    write_recording(path, size=SIZE, pts=range(0, 36_000, 3600))
    return path


@pytest.fixture
def signers(monkeypatch: pytest.MonkeyPatch) -> list[Call]:
    """Signatures, which would need a certificate."""
    calls = record(monkeypatch, C2paSigner, real=False)

    def sign(self: C2paSigner, part: Path, target: Path, statement: str) -> None:
        calls.append({"signed": target})

    monkeypatch.setattr(C2paSigner, "sign", sign)
    return calls


ENCODED = {"codec": "h264", "crf": 24, "encoder": "auto"}
ENCODING = Encoding("h264", 24, "auto")


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_recording(
    way: str, made: Made, recording: Path, signers: list[Call], opened: OpenedRuntimes
) -> None:
    folder = recording.parent
    output = folder / "better.mp4"
    output.write_bytes(b"old")
    values: dict[str, Any] = {
        **{"input": [str(recording)], "output": [str(output)], "overwrite": True},
        **{**PICTURE, "scale": 1.5, "passes": 1, **ENCODED},
        **{"badge": True, "c2pa-key": "key.pem", "c2pa-cert": "cert.pem"},
        **{
            "report": str(folder / "report.json"),
            "runtime": "onnxruntime-cpu",
            "weights": OTHER_WEIGHTS,
        },
        **{"measure": False, "speed": "fast", "network": "full"},
    }
    assert names_of("recording") == set(values) | set(INTERRUPTED) | {"learn"}
    assert main(arguments(way, folder, values)) == 0
    made.check_stages("fixed", 1.5, 0.4, 0.2, rate=25.0)
    assert set(opened.weights) == {OTHER_WEIGHTS}
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert [type(one) for one in made.stages].count(Badge) == 1
    assert len(made.bank) == 1, "nothing was looked through first"
    assert made.framing[-1]["odd"], "a picture keeps its size where nothing is enlarged"
    assert (made.enhancer[-1]["waits"], made.enhancer[-1]["beside"]) == (True, False)
    assert not made.enhancer[-1]["always_small"]
    assert made.level is RECORDED["fast"]
    (sink,) = made.file
    with FileSource(recording) as source:
        assert (sink["rate"], sink["time_base"]) == (source.rate, source.time_base)
        assert sink["video_format"] == source.video_format
    assert (sink["path"], sink["size"], sink["overwrite"]) == (output, (192, 144), True)
    assert sink["encoding"] == ENCODING
    assert isinstance(sink["stream_copy"], CopiedStreams)
    assert sink["provenance"].weights
    key, cert = Path("key.pem"), Path("cert.pem")
    asked = {"key": key, "certificates": cert, "recording": recording}
    assert signers == [asked, asked, {"signed": output}]
    written = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert (written["input"], written["output"]) == (str(recording), str(output))
    assert written["frames"] == 10
    assert written["runtime"] == "bicubic"
    assert written["duration_s"] > 0.0
    assert (written["network"], written["speed"]) == ("full", "fast")
    assert sink["provenance"].statement.endswith(", in every other picture")


@pytest.mark.parametrize("way", ["argv", "toml"])
@pytest.mark.parametrize(
    ("values", "asked"),
    [({}, 1), ({"measure": False}, 0), ({"runtime": "onnxruntime-cpu"}, 0)],
    ids=["auto", "switched off", "by name"],
)
def test_a_recording_measures_before_its_network_is_named(
    way: str, values: dict[str, Any], asked: int, made: Made, recording: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(run_pipeline, "measure_first", lambda say: say("it is measured"))
    files = {"input": [str(recording)], "output": [str(recording.with_name("better.mp4"))]}
    assert main(arguments(way, recording.parent, {**files, **values})) == 0
    assert capsys.readouterr().err.count("note: it is measured\n") == asked
    assert main(arguments(way, recording.parent, {**files, **values})) == 2, "exists already"
    assert "it is measured" not in capsys.readouterr().err, "checked before"


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_people_are_learnt_between_two_passes(
    way: str, made: Made, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning, people = record(monkeypatch, PeopleLearning), record(monkeypatch, PersonIndex)
    output, report = recording.with_name("better.mp4"), recording.with_name("report.json")
    values = {"input": [str(recording)], "output": [str(output)], "learn": 1.5, "scale": 2.0}
    assert main(arguments(way, recording.parent, {**values, "report": str(report)})) == 0
    (one,) = learning
    assert (one["minutes"], one["zoom"], one["place"]) == (1.5, 2.0, None)
    assert [each["capacity"] for each in people] == [MOST_CLOSE_UPS]
    assert made.bank[0]["capacity"] == MOST_CLOSE_UPS, "the bank of the first pass"
    assert isinstance(made.enhancer[-1]["personal"], PersonalRuntimes)
    assert json.loads(report.read_text(encoding="utf-8"))["learnt"] == []


def test_learning_looks_first(recording: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = recording.with_name("better.mp4")
    values = {"input": [str(recording)], "output": [str(output)], "learn": 1.0, "passes": 1}
    assert main(arguments("argv", recording.parent, values)) == 2
    assert "leave out --passes 1" in capsys.readouterr().err
    assert not output.exists()


def test_a_codec_that_an_output_cannot_hold_is_refused_before_the_work(
    made: Made, recording: Path
) -> None:
    """The command line has checked it for one output; those of an archive differ."""
    output = recording.with_name("better.mkv")
    options = parse(["--input", str(recording), "--output", str(output), "--codec", "av1"])
    assert isinstance(options, Options)
    options = replace(options, output=output.with_suffix(".mov"))
    with open_source(recording) as source, pytest.raises(OutputError, match="av1"):
        run_recording(source, options)
    assert not made.session, "nothing was looked through"


@pytest.mark.parametrize("passes", [1, 2])
def test_a_page_about_a_recording(passes: int, made: Made, recording: Path) -> None:
    page, output = recording.with_name("page"), recording.with_name("better.mp4")
    values = {"input": [str(recording)], "output": [str(output)], "passes": passes}
    assert main(arguments("argv", recording.parent, values | {"report": str(page)})) == 0
    collectors = [one for one in made.stages if isinstance(one, ReportCollector)]
    assert [one.bank is not None for one in collectors] == [True]
    assert (page / "index.html").is_file()


INTERRUPTED: dict[str, Any] = {"resume": True, "segment": 4, "progress": "json"}


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_recording_in_two_passes_that_can_be_interrupted(
    way: str, made: Made, recording: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    work, segments = record(monkeypatch, WorkDir), record(monkeypatch, SegmentedSink)
    people = record(monkeypatch, PersonIndex)
    output, report = recording.with_name("better.mkv"), recording.with_name("report.json")
    values = {
        **{"input": [str(recording)], "output": [str(output)], "framing": "auto"},
        **{"passes": 2, "crf": 24, "report": str(report), **INTERRUPTED},
    }
    assert main(arguments(way, recording.parent, values)) == 0
    made.check_stages("auto", 1.0, 1.0, DETAIL.default, rate=25.0)
    assert [one["camera"] for one in people] == [CAMERA]
    assert made.detector.made_later == [False], "the second pass takes over what the first found"
    assert [one["segment_frames"] for one in work] == [4]
    assert segments[0]["provenance"].weights
    with FileSource(recording) as source:
        assert segments[0]["rate"] == source.rate
    assert len(made.file) == 3, "one for each segment"
    assert {one["encoding"] for one in made.file} == {Encoding(crf=24, repeatable=True)}
    assert {one["size"] for one in made.file} == {SIZE}
    assert all(one["video_format"] is not None for one in made.file)
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(one["input"], one["output"]) for one in events} == {(str(recording), str(output))}
    written = json.loads(report.read_text(encoding="utf-8"))
    assert written["people"] == 1
    assert written["merged_tracks"] == 0
    assert any(name.startswith("look ") for name in written["stages"])


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_the_demo(
    way: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signers: list[Call],
    opened: OpenedRuntimes,
) -> None:  # fmt: skip
    monkeypatch.setattr(run_pipeline, "DemoSource", lambda: DemoSource(0.12))
    output = tmp_path / "demo.mp4"
    output.write_bytes(b"old")
    values: dict[str, Any] = {
        **{"input": ["demo"], "output": [str(output)], "overwrite": True, "passes": 1},
        **{**PICTURE, "scale": 1.1, **ENCODED, "badge": True},
        **{"c2pa-key": "key.pem", "c2pa-cert": "cert.pem", "report": str(tmp_path / "page")},
        **{"runtime": "onnxruntime-cpu", "weights": OTHER_WEIGHTS, "measure": False},
        **{"speed": "fast", "network": "full"},
    }
    assert names_of("demo") == set(values)
    assert main(arguments(way, tmp_path, values)) == 0
    assert (made.framing[-1]["mode"], made.framing[-1]["scale"]) == ("fixed", 1.1)
    assert made.compositor[-1]["strength"] == 0.4
    assert made.enhancer[-1]["detail"] == 0.2
    assert made.level is RECORDED["fast"]
    assert made.bank[-1]["camera"] == made.compositor[-1]["camera"] == CAMERA
    assert set(opened.weights) == {OTHER_WEIGHTS}
    assert set(opened.names) == {"onnxruntime-cpu"}
    (sink,) = made.file
    assert (sink["path"], sink["encoding"], sink["overwrite"]) == (output, ENCODING, True)
    assert isinstance(sink["stream_copy"], EncodedSound)
    assert isinstance(sink["provenance"].signer, C2paSigner)
    assert signers[-1] == {"signed": output}
    assert [type(one) for one in made.stages].count(Badge) == 1
    (collector,) = [one for one in made.stages if isinstance(one, ReportCollector)]
    assert collector.bank is not None
    assert (tmp_path / "page" / "index.html").is_file()


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_an_archive(
    way: str, made: Made, recording: Path, monkeypatch: pytest.MonkeyPatch, signers: list[Call],
    opened: OpenedRuntimes,
) -> None:  # fmt: skip
    folder, better = recording.parent / "calls", recording.parent / "better"
    folder.mkdir()
    shutil.move(recording, folder / "call.mp4")
    home = "stream.recordings.batch.batch"
    here = stand_in(monkeypatch, f"{home}.perform_all", pool.perform_all, ())
    there = stand_in(monkeypatch, f"{home}.perform_on", ray_cluster.perform_on, ())
    values: dict[str, Any] = {
        **{"input": [str(folder)], "output": [f"{better}/"], "overwrite": True},
        **{**PICTURE, "scale": 1.5, "passes": 1, **ENCODED},
        **{"badge": True, "c2pa-key": "key.pem", "c2pa-cert": "cert.pem"},
        **{**INTERRUPTED, "runtime": "onnxruntime-cpu", "weights": OTHER_WEIGHTS, "measure": False},
        **{"speed": "fast", "network": "full"},
    }
    cluster = {"cluster": "10.0.0.1:6379", "cluster-cpus": 2.0, "cluster-gpus": 0.5}
    assert names_of("archive") == {*values, *cluster, "jobs", "learn"}
    assert main(arguments(way, better.parent, values | {"jobs": 3})) == 0
    assert main(arguments(way, better.parent, values | cluster)) == 0
    assert here[0]["jobs"] == 3
    asked = there[0]["cluster"]
    assert (asked.address, asked.cpus, asked.gpus) == ("10.0.0.1:6379", 2.0, 0.5)
    (task,) = here[0]["tasks"]
    assert (task.options.segment, task.options.progress) == (4, "json")
    assert task.options.output == better / "call.mp4"
    assert task.options.network_files == (("all", OTHER_WEIGHTS),), "named in the output"

    def started(threads: int, runtime: str, weights: str, network: str) -> None:
        assert (runtime, weights, network) == ("onnxruntime-cpu", OTHER_WEIGHTS, "full")
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "Worker", started)
    with pytest.raises(KeyboardInterrupt):
        list(pool.perform_all([task], 1))
    work = record(monkeypatch, WorkDir)
    each = task.options
    with SharedRuntime(each.runtime, each.weights, each.network) as shared_runtime:
        assert perform(task, Progress, shared_runtime).result == "done"
        with open_source(folder / "call.mp4") as source:
            run_recording(source, task.options, opener=shared_runtime.lend())
    assert [one.is_open for one in opened.runtimes] == [False], "one runtime for both"
    made.check_stages("fixed", 1.5, 0.4, 0.2, rate=25.0)
    assert set(opened.weights) == {OTHER_WEIGHTS}
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert work[0]["segment_frames"] == 4
    assert [type(one) for one in made.stages].count(Badge) == 1
    assert signers[0]["key"] == Path("key.pem")
    assert made.file[0]["encoding"] == Encoding("h264", 24, "auto", repeatable=True)
    assert made.file[-1]["encoding"] == ENCODING
