"""Cameras: absent, busy, closed, torn, unplugged, hanging; and pictures that FFmpeg makes up."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.error import InvalidDataError

from stream.errors import ConfigError, InputError
from stream.media import retry_pauses
from stream.media.sources import camera_source
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.devices import Device, cameras_found, device_named
from stream.media.sources.live_reader import LiveReader
from tests import ctrl_c

WEBCAM = Device("webcam", "v4l2", "/dev/video0")
HANG = "hang"


class Driver:
    """Stands in for `av.open`: each opening does what the next script says, the last for ever.

    A script is an error to raise at opening, or what comes out packet by packet: a size (a
    picture), an error, or HANG. At its end the camera is unplugged.
    """

    def __init__(self, *scripts: Exception | Sequence[Any]) -> None:
        self.scripts = list(scripts)
        self.options: list[dict[str, str]] = []
        self.open = 0
        self.release = threading.Event()

    def __call__(self, address: str, *, format: str, options: dict[str, str]) -> Any:
        assert (address, format) == ("/dev/video0", "v4l2")
        assert self.open == 0, "opened twice at once"
        self.options.append(options)
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        if isinstance(script, Exception):
            raise script
        self.open += 1
        todo = iter(script)
        stream = SimpleNamespace(average_rate=Fraction(30))
        return SimpleNamespace(
            streams=SimpleNamespace(video=[stream]),
            demux=lambda _: self.demux(todo),
            close=self.close,
        )

    def close(self) -> None:
        self.open -= 1

    def demux(self, todo: Iterator[Any]) -> Iterator[Any]:
        for one in todo:
            time.sleep(0.005)
            if one == HANG:
                self.release.wait(10.0)
            elif isinstance(one, InvalidDataError):
                yield SimpleNamespace(decode=lambda error=one: raise_(error))
            elif isinstance(one, Exception):
                raise one
            else:
                image = np.full((one[1], one[0], 3), 90, np.uint8)
                decoded = [av.VideoFrame.from_ndarray(image, format="rgb24")]
                yield SimpleNamespace(decode=lambda decoded=decoded: decoded)


def raise_(error: Exception) -> None:
    raise error


def of_errno(number: int) -> OSError:
    return OSError(number, "said the driver")


@pytest.fixture
def drive(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Puts a driver in the place of PyAV, and makes all pauses short."""
    for name in ("RETRY_S", "RETRY_MOST_S"):
        monkeypatch.setattr(retry_pauses, name, 0.01)
    monkeypatch.setattr(camera_source, "SILENT_S", 0.15)
    monkeypatch.setattr(camera_source, "OPEN_S", 0.5)

    def put(*scripts: Exception | Sequence[Any]) -> Driver:
        driver = Driver(*scripts)
        monkeypatch.setattr(av, "open", driver)
        return driver

    return put


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    time.sleep(0.02)
    assert set(threading.enumerate()) <= before


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FileNotFoundError(errno.ENOENT, "none"), "is not there"),
        (of_errno(errno.ENODEV), "is not there"),
        (of_errno(errno.EBUSY), "used by another program"),
        (PermissionError(errno.EACCES, "no"), "usermod -aG video"),
        (ValueError("no container format 'v4l2'"), "PyAV was built without v4l2"),
        (of_errno(errno.ENOTTY), "gives no picture .said the driver.; is it a camera"),
    ],
)
def test_a_camera_that_cannot_be_opened_says_why_in_one_line(
    drive: Any, error: Exception, message: str
) -> None:
    driver = drive(error)
    with pytest.raises(InputError, match=message) as caught:
        CameraSource(WEBCAM)
    assert "\n" not in str(caught.value)
    assert "/dev/video0" in str(caught.value)
    assert driver.open == 0


def test_the_best_mode_comes_first_and_others_follow(drive: Any) -> None:
    refused = of_errno(errno.EINVAL)
    driver = drive(refused, refused, [(64, 48)] * 50)
    with CameraSource(WEBCAM) as source:
        assert (source.width, source.height) == (64, 48)
        assert source.rate == 30
    assert driver.options[0] == {
        "video_size": "1280x720",
        "framerate": "30",
        "input_format": "mjpeg",
    }
    assert len(driver.options) == 3
    assert driver.open == 0


def test_a_camera_that_never_sends_a_picture(drive: Any) -> None:
    driver = drive([HANG])
    threading.Timer(0.6, driver.release.set).start()
    with pytest.raises(InputError, match="unplug it"):
        CameraSource(WEBCAM)


def test_torn_pictures_cost_only_themselves(drive: Any) -> None:
    torn = InvalidDataError(errno.EINVAL, "torn")
    wait = BlockingIOError(errno.EAGAIN, "later")
    drive([(64, 48), torn, wait, *[(64, 48)] * 400])
    said: list[str] = []
    with CameraSource(WEBCAM, said.append) as source:
        frames = iter(source)
        taken = [next(frames) for _ in range(5)]
    assert [one.index for one in taken] == list(range(5))
    assert not said


@pytest.mark.parametrize("end", [of_errno(errno.ENODEV), None, HANG])
def test_unplugged_or_silent_it_comes_back(drive: Any, end: object) -> None:
    driver = drive(
        [(64, 48)] * 30 + ([end] if end else []),
        FileNotFoundError(errno.ENOENT, "none"),
        of_errno(errno.EBUSY),
        [(32, 24)] * 400,
    )
    said: list[str] = []
    timer = threading.Timer(0.5, driver.release.set)
    timer.start()
    with CameraSource(WEBCAM, said.append) as source:
        taken = []
        for frame in source:
            taken.append(frame)
            if source.reconnected and len(taken) > 5:
                break
    timer.join()
    assert source.reconnected == 1
    assert len(said) == 2
    assert "the camera is lost" in said[0]
    assert said[1] == "the camera is back"
    assert {one.image.shape for one in taken} == {(48, 64, 3)}, "one size for the whole run"
    times = [one.pts for one in taken]
    assert times == sorted(set(times))
    assert driver.open == 0


def test_stop_ends_the_wait_for_a_camera_that_is_gone(drive: Any) -> None:
    drive([(64, 48)] * 30, FileNotFoundError(errno.ENOENT, "none"))
    with CameraSource(WEBCAM) as source:
        threading.Timer(0.4, source.stop).start()
        assert list(source)


def test_a_defect_of_ours_is_not_taken_for_a_lost_camera(drive: Any) -> None:
    drive([*[(64, 48)] * 30, ZeroDivisionError()])
    with CameraSource(WEBCAM) as source, pytest.raises(ZeroDivisionError):
        list(source)


def test_what_ffmpeg_makes_up_comes_in_real_time() -> None:
    device = device_named("lavfi:testsrc2=size=64x48:rate=50:duration=0.5")
    assert device is not None
    started_s = time.monotonic()
    with CameraSource(device) as source:
        frames = list(source)
    assert 0.35 < time.monotonic() - started_s < 5.0
    assert source.rate == 50
    assert 5 <= len(frames) <= 25
    assert all(one.image.shape == (48, 64, 3) for one in frames)


def test_names() -> None:
    assert device_named("call.mp4") is None
    assert device_named("demo") is None
    assert device_named("webcam", "linux") == WEBCAM
    assert device_named("webcam:2", "linux") == Device("webcam:2", "v4l2", "/dev/video2")
    assert device_named("/dev/video2", "linux") == Device("/dev/video2", "v4l2", "/dev/video2")
    assert device_named("webcam:1", "darwin") == Device("webcam:1", "avfoundation", "1")
    assert device_named("webcam", "win32") == Device("webcam", "dshow", "0")
    for bad in ("webcam:", "webcam:x", "webcam:-1"):
        with pytest.raises(ConfigError, match="is no camera"):
            device_named(bad)
    with pytest.raises(ConfigError, match="not supported on plan9"):
        device_named("webcam", "plan9")
    with pytest.raises(InputError, match="not a picture that FFmpeg can make"):
        CameraSource(Device("lavfi:x", "lavfi", "x"))


def test_devices_are_listed_in_their_order(tmp_path: Path) -> None:
    for name in ("video10", "video2", "videodev", "null"):
        (tmp_path / name).touch()
    assert cameras_found(tmp_path) == [str(tmp_path / "video2"), str(tmp_path / "video10")]


@pytest.mark.parametrize("runs", [False, True])
def test_ctrl_c_while_the_thread_starts(
    drive: Any, monkeypatch: pytest.MonkeyPatch, runs: bool
) -> None:
    driver = drive([(64, 48)] * 1000)
    ctrl_c.in_thread_start(monkeypatch, "closeup camera", runs=runs)
    with pytest.raises(KeyboardInterrupt):
        CameraSource(WEBCAM)
    assert ctrl_c.ended("closeup camera")
    assert driver.open == 0


class Silent(LiveReader):
    """Gives no picture until it is left."""

    def __init__(self) -> None:
        super().__init__("closeup silent")

    def _read(self) -> None:
        self._left.wait(20.0)


def test_ctrl_c_while_the_first_picture_is_waited_for() -> None:
    reader = Silent()

    def interrupt(limit_s: float) -> Any:
        raise KeyboardInterrupt

    reader.pictures.get = interrupt  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        CameraSource(WEBCAM, open_reader=lambda: reader)
    assert not reader.thread.is_alive()


def test_stop_while_it_is_opened_again(drive: Any) -> None:
    """The reader that is being opened is not known yet to who stops the source."""
    drive()
    readers: list[LiveReader] = []

    def open_reader() -> LiveReader:
        readers.append(Silent())
        if len(readers) == 1:
            readers[0].pictures.put((np.zeros((48, 64, 3), np.uint8), time.monotonic_ns()))
        else:
            source.stop()
        return readers[-1]

    source = CameraSource(WEBCAM, open_reader=open_reader)
    assert len(list(source)) == 1
    for reader in readers:
        reader.thread.join(5.0)
    assert len(readers) == 2
    assert not any(reader.thread.is_alive() for reader in readers)
