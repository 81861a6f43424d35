"""Every option of calls and of the API, and every key, reaches the part that must obey it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

import run_pipeline
from engines.personal.close_ups import MOST_CLOSE_UPS
from run_pipeline import main
from stream import live
from stream.api import Enhancer
from stream.camera_profile import CameraProfile
from stream.events import PersonRecognised, StageFailedOpen
from stream.known_people.called_person import CalledPerson
from stream.known_people.people_store import PeopleStore
from stream.live_learning import LiveLearning
from stream.media.sinks.preview import Controls, Preview
from stream.media.sources.camera_source import CameraSource
from stream.option_table import WEIGHTS
from stream.session import EnhancementSession
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.exemplars.exemplar_set import CAPACITY
from stream.stages.exemplars.known_face import KnownFace
from stream.telemetry.metrics import Metrics
from stream.telemetry.prometheus import serve
from stream.telemetry.stats import Stats
from tests.fakes import Loopback, OpenedRuntimes
from tests.kept_people import Plain, known_person
from tests.pictures import backdrop
from tests.stream.test_live import Screen
from tests.wiring import (
    CAMERA,
    OTHER_WEIGHTS,
    PICTURE,
    SIZE,
    Made,
    arguments,
    enhancer_of,
    names_of,
    record,
)

CLIP = "lavfi:testsrc2=size=128x96:rate=30:duration=0.8"

SERVER_OPTIONS = {"input-token", "output-token", "bit-rate"}


def test_threads_of_a_call_have_heaps_of_their_own(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, opened: OpenedRuntimes
) -> None:
    """They would wait for each other's, and frames for them."""
    shared: list[bool] = []
    monkeypatch.setattr(run_pipeline, "use_few_arenas", lambda: shared.append(True))
    assert main(["--input", CLIP, "--output", str(tmp_path / "call.mp4"), "--headless"]) == 0
    assert made.session
    assert not shared


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
        **{**PICTURE, "scale": 1.5, "headless": True, "stats": "json"},
        **{"metrics-port": 9123, "report": str(tmp_path / "report.json")},
        **{
            "runtime": "onnxruntime-cpu",
            "weights": WEIGHTS.default,
            "network": "small",
            "person": "Ada",
            "measure": False,
        },
    }
    PeopleStore(encryption=Plain()).save(known_person("Ada"))
    wired = record(monkeypatch, CalledPerson)
    assert names_of("call") == {*values, *SERVER_OPTIONS, "learn-live"}
    assert main(arguments(way, tmp_path, values)) == 0
    made.check_stages("fixed", 1.5, 0.4, 0.2, rate=30.0)
    assert set(opened.weights) == {WEIGHTS.default}, "what was learnt of Ada fits no others"
    assert set(opened.names) == {"onnxruntime-cpu"}
    assert cameras[0]["device"].address == CLIP.removeprefix("lavfi:")
    (sink,) = made.file
    assert (sink["path"], sink["size"], sink["overwrite"]) == (output, (192, 144), True)
    assert loopback.opened[0].size == (192, 144, 30.0, "RGB")
    assert not previews
    assert [one["form"] for one in stats] == ["json"]
    assert ports == [9123]
    assert capsys.readouterr().err.count("figures for Prometheus") == 1, "say reaches everybody"
    assert made.detector.made_later == [True]
    assert not made.framing[-1]["odd"], "players and virtual cameras want even sides"
    session = made.session[-1]
    assert session["live_rate"] == 30
    assert session["stages"].whole.size == (192, 144)
    assert session["stages"].to_load, "the models are loaded while the camera's picture is shown"
    assert session["metrics"] is stats[0]["metrics"]
    assert not made.enhancer[-1]["waits"]
    assert made.enhancer[-1]["beside"], "no frame waits for the network"
    assert made.enhancer[-1]["always_small"]
    assert wired[0]["person"].name == "Ada"
    assert isinstance(made.enhancer[-1]["personal"], PersonalRuntimes)
    known = made.bank[-1]["known"]
    assert isinstance(known, KnownFace)
    assert not known.exemplars(), "wiped at the end"
    assert not wired[0]["person"].close_ups
    session["on_event"](StageFailedOpen("enhancer", "raised", "gone"))
    assert "gone" in capsys.readouterr().err
    written = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert written["input"] == CLIP.removeprefix("lavfi:") or written["input"] == CLIP
    assert written["output"] == f"{output}, virtualcam"
    assert written["runtime"] == "bicubic"
    assert 0.1 < written["duration_s"] < 60.0


class StoodError(Exception):
    """The end of a call that cannot go on without a server."""


def test_a_call_between_servers(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options of streams, by WebRTC and by FFmpeg, reach who opens them."""
    pytest.importorskip("aiortc", reason="needs aiortc")
    from stream.rtc.clients.whep_reader import WhepReader
    from stream.rtc.clients.whip_sink import WhipSink

    tokens = {"input-token": "in-secret", "output-token": "out-secret"}
    outputs = ["whip+https://b.example/2", "rtmp://c.example/live/3", "virtualcam"]
    values = {"input": ["whep+https://a.example/1"], "output": outputs, "headless": True,
              "bit-rate": 1500, **tokens}  # fmt: skip
    assert set(values) - {"input", "output", "headless"} == SERVER_OPTIONS
    cameras, pictures = record(monkeypatch, CameraSource, real=False), list[Any]()

    def opened(self: WhepReader, *given: Any) -> None:
        pictures.append(given)
        raise StoodError

    monkeypatch.setattr(WhepReader, "__init__", opened)
    monkeypatch.setattr(CameraSource, "__exit__", lambda *_: None)
    monkeypatch.setattr(CameraSource, "__enter__", lambda _: FedCamera())
    whip, streams = record(monkeypatch, WhipSink, real=False), list[dict[str, Any]]()
    monkeypatch.setattr(WhipSink, "abort", lambda _: None)

    def stream(*given: Any, **named: Any) -> Any:
        streams.append({"address": given[0], "size": given[1], "rate": given[2], **named})
        raise StoodError

    monkeypatch.setattr("stream.live_streams.StreamSink", stream)
    words = [word for name, value in values.items()
             for one in (value if isinstance(value, list) else [value])
             for word in ([f"--{name}"] if one is True else [f"--{name}", str(one)])]  # fmt: skip
    with pytest.raises(StoodError):
        main(words)
    (camera,) = cameras
    assert camera["device"].url == "https://a.example/1"
    with pytest.raises(StoodError):
        camera["open_reader"]()
    address, token, sound = pictures[0]
    assert (address.url, token) == ("https://a.example/1", "in-secret")
    (sent,) = whip
    assert (sent["address"].url, sent["token"]) == ("https://b.example/2", "out-secret")
    assert (sent["bit_rate"], sent["sound"]) == (1_500_000, True)
    (one,) = streams
    assert one["address"].url == "rtmp://c.example/live/3"
    assert (one["size"], one["rate"]) == (SIZE, 24)
    assert (one["bit_rate"], one["sound"]) == (1_500_000, True)
    for said in (sent["say"], one["say"]):
        said("the server is gone")
    assert capsys.readouterr().err.count("note: the server is gone\n") == 2
    assert len(sound._listeners) == 1, "the sink that was opened listens to the source's sound"


class FedCamera:
    """A source with sound that gives no picture."""

    width, height = SIZE
    rate, time_base, has_sound = Fraction(24), Fraction(1, 90_000), True


@pytest.mark.parametrize("way", ["argv", "toml"])
@pytest.mark.parametrize("source", [CLIP, "webrtc"])
@pytest.mark.parametrize(
    ("values", "asked"), [({}, True), ({"measure": False}, False), ({"runtime": "tensorrt"}, False)]
)
def test_calls_are_measured_beside(
    way: str, source: str, values: dict[str, Any], asked: bool, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    going_on: list[str] = []

    @contextmanager
    def beside() -> Iterator[None]:
        going_on.append("measures")
        yield
        going_on.append("ends")

    def call(options: object) -> None:
        going_on.append("call")

    monkeypatch.setattr(run_pipeline, "measuring_beside", beside)
    monkeypatch.setattr(run_pipeline, "run_live", call)
    monkeypatch.setattr(run_pipeline, "run_webrtc", call)
    assert main(arguments(way, tmp_path, {"input": [source], **values})) == 0
    assert going_on == (["measures", "call", "ends"] if asked else ["call"])


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_call_takes_the_weights_that_were_asked_for(
    way: str, made: Made, tmp_path: Path, opened: OpenedRuntimes, capsys: pytest.CaptureFixture[str]
) -> None:
    output = {"output": [str(tmp_path / "call.mp4")], "headless": True, "overwrite": True}
    values = {"input": [CLIP], **output, "weights": OTHER_WEIGHTS, "measure": False}
    assert main(arguments(way, tmp_path, values)) == 0
    assert set(opened.weights) == {OTHER_WEIGHTS}
    capsys.readouterr()
    for learning in ({"learn-live": True}, {"person": "Ada"}):
        assert main(arguments(way, tmp_path, {**values, **learning})) == 2
        (name,) = learning
        said = capsys.readouterr().err
        assert f"error: --{name} starts from the {WEIGHTS.default} weights" in said
    assert main(arguments(way, tmp_path, {**values, "network": "small"})) == 2
    said = capsys.readouterr().err
    assert said == f"error: no small network for {OTHER_WEIGHTS} weights, x4, is installed\n"


@pytest.mark.parametrize("way", ["argv", "toml"])
def test_a_call_that_learns(
    way: str, made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learning = record(monkeypatch, LiveLearning)
    output = {"output": [str(tmp_path / "call.mp4")], "headless": True, "overwrite": True}
    for on in (True, False):
        values = {"input": [CLIP], **output} | ({"learn-live": True} if on else {})
        assert main(arguments(way, tmp_path, values)) == 0
        assert made.bank[-1]["capacity"] == (MOST_CLOSE_UPS if on else CAPACITY)
    (one,) = learning
    personal = made.enhancer[0]["personal"]
    assert one["personal"] is personal
    assert personal.like == "bicubic", "the runtime of the shipped weights"
    assert isinstance(one["call"], EnhancementSession)
    assert [call["personal"] for call in made.enhancer] == [personal, None]


def test_a_known_person_and_who_is_learnt_share_their_runtimes(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr("stream.cli.arguments.lacking", lambda: None)
    learning = record(monkeypatch, LiveLearning)
    PeopleStore(encryption=Plain()).save(known_person("Ada"))
    values = {"input": [CLIP], "output": [str(tmp_path / "call.mp4")], "headless": True}
    both = {**values, "person": "Ada", "learn-live": True}
    assert main(arguments("argv", tmp_path, both)) == 0
    personal = made.enhancer[-1]["personal"]
    assert learning[-1]["personal"] is personal
    known, session = made.bank[-1]["known"], made.session[-1]
    known.on_change(7)
    assert session["stages"].events.latest[-1] == PersonRecognised(7)
    assert "person 7 is the one of --person" in capsys.readouterr().err
    assert personal._known == 7
    known.on_change(None)
    assert personal._known is None


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
    assert main(["--input", clip, "--strength", "0.5", "--detail", "0.3"]) == 0
    stages = made.stages
    assert isinstance(stages[-1], Compositor)
    assert kept[0].strength == stages[-1].strength == 0.4
    assert kept[0].detail == enhancer_of(stages).detail == 0.4


class AnyScreen(Screen):
    """A window of any size; the strength goes down by one step, the detail up."""

    def __init__(self) -> None:
        super().__init__()
        self.keys = ["-", "]", "]", "["]

    def show(self, image: Any) -> None:
        self.shown += 1


def test_the_api(made: Made, opened: OpenedRuntimes) -> None:
    with Enhancer(
        framing="fixed", scale=1.5, strength=0.4, detail=0.2, runtime="onnxruntime-cpu", rate=12.0,
        weights=OTHER_WEIGHTS, camera=CAMERA,
    ) as one:  # fmt: skip
        assert one(backdrop(SIZE)).shape == (144, 192, 3)
        made.check_stages("fixed", 1.5, 0.4, 0.2, rate=12.0)
        assert set(opened.weights) == {OTHER_WEIGHTS}
        assert set(opened.names) == {"onnxruntime-cpu"}
        assert one(backdrop((64, 48))).shape == (72, 96, 3), "another size is enlarged as much"
        assert (made.framing[-1]["mode"], made.framing[-1]["rate"]) == ("fixed", Fraction(12))
        one.strength = 0.7
        assert one._session is not None
        assert one._session._stages.compositor.strength == one.strength == 0.7
        one.detail = 0.9
        assert enhancer_of(one._session._stages.all).detail == one.detail == 0.9
    with Enhancer() as plain:
        plain(backdrop(SIZE))
    assert (made.framing[-1]["mode"], made.framing[-1]["rate"]) == ("auto", Fraction(30))
    assert made.bank[-1]["camera"] == CameraProfile()
    assert made.detector.made_later == [False, False]
