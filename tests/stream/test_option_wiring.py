"""Every option of recordings, archives, the demo, calls and the API reaches who must obey it."""

from __future__ import annotations

import json
import shutil
import sys
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import run_pipeline
from run_pipeline import main
from stream import live
from stream.api import Enhancer
from stream.camera_profile import CameraProfile
from stream.media.demo.demo_source import DemoSource
from stream.media.sinks.c2pa_signing import C2paSigner
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sinks.preview import Controls, Preview
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams, EncodedSound
from stream.pipeline import Pipeline
from stream.recordings.batch import pool, ray_cluster
from stream.recordings.batch.task import perform
from stream.recordings.people.person_index import PersonIndex
from stream.recordings.resume.segments import SegmentedSink
from stream.recordings.resume.work_dir import WorkDir
from stream.shared_runtime import SharedRuntime
from stream.stages.compositing.badge import Badge
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement import enhancer
from stream.stages.exemplars.bank import Bank
from stream.stages.framing.framing import Framing
from stream.telemetry.metrics import Metrics
from stream.telemetry.progress import Progress
from stream.telemetry.prometheus import serve
from stream.telemetry.stats import Stats
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import backdrop
from tests.recording_files import write_recording
from tests.stream.test_live import Loopback, Screen
from tests.wiring import CAMERA, Call, arguments, names_of, record, stand_in

SIZE = (128, 96)
CLIP = "lavfi:testsrc2=size=128x96:rate=30:duration=0.8"


class Made:
    """What the stages, the sinks and the pipeline were made with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.framing = record(monkeypatch, Framing)
        self.compositor = record(monkeypatch, Compositor)
        self.bank = record(monkeypatch, Bank)
        self.enhancer = record(monkeypatch, enhancer.Enhancer)
        self.file = record(monkeypatch, FileSink)
        self.pipeline = record(monkeypatch, Pipeline)

    def check_stages(self, framing: str, scale: float, strength: float, rate: float) -> None:
        """The last ones that were made."""
        assert self.framing[-1]["mode"] == framing
        assert self.framing[-1]["scale"] == scale
        assert abs(float(self.framing[-1]["rate"]) - rate) < 0.1
        assert self.framing[-1]["source_size"] == SIZE
        assert self.compositor[-1]["strength"] == strength
        assert self.compositor[-1]["camera"] == self.bank[-1]["camera"] == CAMERA
        assert self.enhancer[-1]["restore_in_place"] == (framing == "fixed")
        assert abs(float(self.enhancer[-1]["rate"]) - rate) < 0.1


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes) -> Made:
    """Real parts but for detector and network, and notes of how they are made."""
    camera.width = 30.0
    return Made(monkeypatch)


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
        **{"framing": "fixed", "scale": 1.5, "strength": 0.4, "passes": 1, **ENCODED},
        **{"badge": True, "c2pa-key": "key.pem", "c2pa-cert": "cert.pem"},
        **{"report": str(folder / "report.json"), "runtime": "onnxruntime-cpu"},
    }
    assert names_of("recording") == set(values) | set(INTERRUPTED)
    assert main(arguments(way, folder, values)) == 0
    made.check_stages("fixed", 1.5, 0.4, rate=25.0)
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert [type(one) for one in made.pipeline[-1]["stages"]].count(Badge) == 1
    assert len(made.bank) == 1, "nothing was looked through first"
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
    made.check_stages("auto", 1.0, 1.0, rate=25.0)
    assert [one["camera"] for one in people] == [CAMERA]
    assert [one["segment_frames"] for one in work] == [4]
    assert segments[0]["provenance"].weights
    with FileSource(recording) as source:
        assert segments[0]["rate"] == source.rate
    assert len(made.file) == 3, "one for each segment"
    assert {one["encoding"] for one in made.file} == {Encoding(crf=24, repeatable=True)}
    assert {one["size"] for one in made.file} == {SIZE}
    assert all(one["video_format"] is not None for one in made.file)
    for line in capsys.readouterr().out.splitlines():
        assert isinstance(json.loads(line), dict)
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
        **{"framing": "fixed", "scale": 1.1, "strength": 0.4, **ENCODED, "badge": True},
        **{"c2pa-key": "key.pem", "c2pa-cert": "cert.pem", "report": str(tmp_path / "r.json")},
        **{"runtime": "onnxruntime-cpu"},
    }
    assert names_of("demo") == set(values)
    assert main(arguments(way, tmp_path, values)) == 0
    assert (made.framing[-1]["mode"], made.framing[-1]["scale"]) == ("fixed", 1.1)
    assert made.compositor[-1]["strength"] == 0.4
    assert made.bank[-1]["camera"] == made.compositor[-1]["camera"] == CAMERA
    assert set(opened.names) == {"onnxruntime-cpu"}
    (sink,) = made.file
    assert (sink["path"], sink["encoding"], sink["overwrite"]) == (output, ENCODING, True)
    assert isinstance(sink["stream_copy"], EncodedSound)
    assert isinstance(sink["provenance"].signer, C2paSigner)
    assert signers[-1] == {"signed": output}
    assert [type(one) for one in made.pipeline[-1]["stages"]].count(Badge) == 1
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["input"] == "demo"


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
        **{"framing": "fixed", "scale": 1.5, "strength": 0.4, "passes": 1, **ENCODED},
        **{"badge": True, "c2pa-key": "key.pem", "c2pa-cert": "cert.pem"},
        **{**INTERRUPTED, "runtime": "onnxruntime-cpu"},
    }
    cluster = {"cluster": "10.0.0.1:6379", "cluster-cpus": 2.0, "cluster-gpus": 0.5}
    assert names_of("archive") == {*values, *cluster, "jobs"}
    assert main(arguments(way, better.parent, values | {"jobs": 3})) == 0
    assert main(arguments(way, better.parent, values | cluster)) == 0
    assert here[0]["jobs"] == 3
    asked = there[0]["cluster"]
    assert (asked.address, asked.cpus, asked.gpus) == ("10.0.0.1:6379", 2.0, 0.5)
    (task,) = here[0]["tasks"]
    assert (task.options.segment, task.options.progress) == (4, "json")
    assert task.options.output == better / "call.mp4"

    def started(threads: int, runtime: str) -> None:
        assert runtime == "onnxruntime-cpu"
        raise KeyboardInterrupt

    monkeypatch.setattr(pool, "Worker", started)
    with pytest.raises(KeyboardInterrupt):
        list(pool.perform_all([task], 1))
    work = record(monkeypatch, WorkDir)
    with SharedRuntime(task.options.runtime) as shared_runtime:
        assert perform(task, Progress, shared_runtime).result == "done"
    made.check_stages("fixed", 1.5, 0.4, rate=25.0)
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert work[0]["segment_frames"] == 4
    assert [type(one) for one in made.pipeline[-1]["stages"]].count(Badge) == 1
    assert signers[0]["key"] == Path("key.pem")
    assert made.file[0]["encoding"] == Encoding("h264", 24, "auto", repeatable=True)


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> type[Loopback]:
    module = SimpleNamespace(Camera=Loopback, PixelFormat=SimpleNamespace(RGB="RGB"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    monkeypatch.setattr(Loopback, "opened", [])
    return Loopback


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_call(
    way: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: OpenedRuntimes,
    loopback: type[Loopback], capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    cameras, stats = record(monkeypatch, CameraSource), record(monkeypatch, Stats)
    previews, ports = record(monkeypatch, Preview), list[int]()

    def served(metrics: Metrics, port: int) -> Any:
        ports.append(port)
        return serve(metrics, 0)

    monkeypatch.setattr(live, "serve", served)
    output = tmp_path / "call.mp4"
    output.write_bytes(b"old")
    values: dict[str, Any] = {
        **{"input": [CLIP], "output": [str(output), "virtualcam"], "overwrite": True},
        **{"framing": "fixed", "scale": 1.5, "strength": 0.4, "headless": True, "stats": "json"},
        **{"metrics-port": 9123, "report": str(tmp_path / "report.json")},
        **{"runtime": "onnxruntime-cpu"},
    }
    assert names_of("call") == set(values)
    assert main(arguments(way, tmp_path, values)) == 0
    made.check_stages("fixed", 1.5, 0.4, rate=30.0)
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert cameras[0]["device"].address == CLIP.removeprefix("lavfi:")
    (sink,) = made.file
    assert (sink["path"], sink["size"], sink["overwrite"]) == (output, (192, 144), True)
    assert loopback.opened[0].size == (192, 144, 30.0, "RGB")
    assert not previews
    assert [one["form"] for one in stats] == ["json"]
    assert ports == [9123]
    assert capsys.readouterr().err.count("figures for Prometheus") == 1, "say reaches everybody"
    pipeline = made.pipeline[-1]
    assert pipeline["whole"].size == (192, 144)
    assert pipeline["say"] is cameras[0]["say"]
    assert pipeline["on_worked"] is not None
    assert pipeline["prepare"], "the models are loaded while the camera's picture is shown"
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["input"] == CLIP.removeprefix("lavfi:") or written["input"] == CLIP
    assert written["output"] == f"{output}, virtualcam"
    assert written["runtime"] == "bicubic"
    assert 0.1 < written["duration_s"] < 60.0


def test_the_keys_of_a_call_reach_its_stages(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Any] = []

    def preview(controls: Controls) -> Preview:
        kept.append(controls)
        return Preview(controls, AnyScreen)

    monkeypatch.setattr(live, "Preview", preview)
    monkeypatch.setattr(run_pipeline, "check_display", lambda: None)
    clip = CLIP.partition(":duration")[0]
    assert main(["--input", clip, "--strength", "0.5"]) == 0
    made_by_keys = made.pipeline[-1]["stages"][-1]
    assert isinstance(made_by_keys, Compositor)
    assert kept[0].strength == made_by_keys.strength == 0.4


class AnyScreen(Screen):
    """A window of any size; the strength goes down by one step."""

    def show(self, image: Any) -> None:
        self.shown += 1


def test_the_api(made: Made, opened: OpenedRuntimes) -> None:
    with Enhancer(
        framing="fixed", scale=1.5, strength=0.4, runtime="onnxruntime-cpu", rate=12.0,
        camera=CAMERA,
    ) as one:  # fmt: skip
        assert one(backdrop(SIZE)).shape == (144, 192, 3)
        made.check_stages("fixed", 1.5, 0.4, rate=12.0)
        assert set(opened.names) == {"onnxruntime-cpu"}
        assert one(backdrop((64, 48))).shape == (72, 96, 3), "another size is enlarged as much"
        assert (made.framing[-1]["mode"], made.framing[-1]["rate"]) == ("fixed", Fraction(12))
        one.strength = 0.7
        assert one._stages is not None
        assert one._stages.compositor.strength == one.strength == 0.7
    with Enhancer() as plain:
        plain(backdrop(SIZE))
    assert (made.framing[-1]["mode"], made.framing[-1]["rate"]) == ("auto", Fraction(30))
    assert made.bank[-1]["camera"] == CameraProfile()
