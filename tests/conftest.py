"""What all tests share."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from engines import self_measurement, speed_profile
from stream.media.sinks import scheduling
from tests.fakes import Loopback, OneFace, OpenedRuntimes

if TYPE_CHECKING:
    from tests.wiring import Made

REAL_TIME = (
    *("stream/rtc/", "stream/test_live", "stream/cli/test_stopping", "bench/test_soak"),
    *("stream/media/sources/test_camera_source", "stream/media/sinks/test_preview"),
    "test_faulty_network",
)
"""Tests that work by the clock: calls, cameras, signals. `make test` runs them after all others.
They wait more than they compute, so three processes do not slow each other down on two cores."""
NOT_REAL_TIME = (
    *("stream/rtc/test_relay_options", "stream/rtc/ice/test_ice_options"),
    "stream/rtc/test_freshness",
    *("stream/rtc/reception/test_bandwidth", "stream/rtc/reception/test_frame_buffer"),
    *("stream/rtc/reception/test_missing_packets", "stream/rtc/reception/test_picture_header"),
)
"""Those beside them that have a clock of their own, or none."""
LONGEST = (
    *("stream/rtc/test_page_network", "stream/rtc/clients/test_outage"),
    *("stream/rtc/reception/test_video_receiver", "stream/rtc/test_page_faults"),
    *("stream/test_live_start", "bench/test_soak", "stream/rtc/test_relay_page"),
    *("stream/rtc/test_enhanced_track", "stream/rtc/test_whip_ffmpeg", "stream/rtc/test_sound"),
    *("engines/personal/test_learning", "bench/test_bench", "stream/recordings/batch"),
    *("engines/hime/test_release", "engines/test_shipped_sizes", "bench/test_changed_people"),
    *("calibration/quantisation/test_quantisation", "engines/tensorrt/test_tensorrt_api"),
    *("bench/test_strangers", "engines/test_parity", "stream/recordings/resume"),
    *("bench/test_passes", "calibration/camera", "stream/media/sinks/test_stream_sink"),
)
"""Files that take longest begin first, so that no process is still busy with one when the others
have nothing left."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave alone files of which no test is asked for: importing all of them takes a while."""
    asked = config.getoption("markexpr")
    if collection_path.suffix != ".py" or asked not in ("real_time", "not real_time"):
        return None
    # Not False, which would let in what others ignore.
    return (is_real_time(collection_path) != (asked == "real_time")) or None


def pytest_runtest_setup() -> None:
    """PyTorch computes on one thread: the layers of tests are small, and threads that wait for each
    other take twice the processor time, or more where two processes test."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


def is_real_time(path: Path) -> bool:
    """Whether the tests of a file work by the clock."""
    place = place_of(path)
    return place.startswith(REAL_TIME) and not place.startswith(NOT_REAL_TIME)


def place_of(path: Path) -> str:
    """A path below `tests`."""
    return path.relative_to(Path(__file__).parent).as_posix()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that work in real time; put the files that take longest first."""

    def turn(item: pytest.Item) -> int:
        found = [n for n, one in enumerate(LONGEST) if place_of(item.path).startswith(one)]
        return min(found, default=len(LONGEST))

    items.sort(key=turn)
    for item in items:
        if is_real_time(item.path):
            item.add_marker(pytest.mark.real_time)


@pytest.fixture(scope="session", autouse=True)
def signals_of_a_terminal() -> Iterator[None]:
    """Signals work as at a terminal: a shell that starts the tests in the background ignores
    Ctrl-C, and nohup the end of the terminal."""
    usual: dict[str, Any] = {"SIGINT": signal.default_int_handler, "SIGHUP": signal.SIG_DFL}
    numbers = {name: getattr(signal, name) for name in usual if hasattr(signal, name)}
    before = {number: signal.signal(number, usual[name]) for name, number in numbers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def usual_scheduling() -> Iterator[None]:
    """No test leaves this process, and browsers that later ones start, before all others of the
    machine: SVT-AV1 does where root runs it."""
    with scheduling.usual_scheduling():
        yield


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing was measured yet, whatever this machine's owner has measured, and nothing will be."""
    monkeypatch.setenv(self_measurement.SWITCH, "1")
    monkeypatch.setattr(speed_profile, "folder", lambda: tmp_path / "no speed profile")


@pytest.fixture(autouse=True)
def no_people(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nobody is kept, whomever this machine's owner keeps. Returns: where people would be."""
    monkeypatch.setenv("CLOSEUP_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "people"


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> OneFace:
    """Stands in for the detector."""
    one = OneFace()
    monkeypatch.setattr("stream.graph.FaceDetector", one.made)
    return one


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> OpenedRuntimes:
    """Stands in for the network."""
    runtimes = OpenedRuntimes()
    monkeypatch.setattr("stream.graph.open_runtime", runtimes)
    monkeypatch.setattr(
        "run_pipeline.weights_used", lambda *_, weights, network="full": {"all": weights}
    )
    return runtimes


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> type[Loopback]:
    """Stands in for pyvirtualcam and its camera."""
    module = SimpleNamespace(Camera=Loopback, PixelFormat=SimpleNamespace(RGB="RGB"))
    monkeypatch.setitem(sys.modules, "pyvirtualcam", module)
    monkeypatch.setattr(Loopback, "opened", [])
    return Loopback


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, camera: OneFace, opened: OpenedRuntimes) -> Made:
    """Real parts but for detector and network, and notes of how they are made."""
    # Late: most tests need none of the parts that it knows.
    from tests.wiring import Made

    camera.width = 30.0
    return Made(monkeypatch, camera)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of an untrained network, scale 4."""
    # Late: PyTorch takes seconds to import, and most tests do not need it.
    import torch

    from engines.hime.model import Hime

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.pt"
    torch.save({"ema": Hime().state_dict()}, path)
    return path
