"""The first seconds of a call: the camera's picture at once, then the real network, and no stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.runtime import UnavailableError, runtime_class
from stream.events import Event, RuntimeChosen
from stream.frame import Frame, View
from stream.graph import Stages
from stream.pipeline import Pipeline
from stream.quality_ladder import FIRST_PX, LADDER, first_level
from stream.session import EnhancementSession
from stream.stages.enhancement.enhancer import Enhancer
from stream.telemetry.session_stats import SessionStats
from tests.pictures import need_models, scene_with_face
from tests.places import ROOT
from tests.stream.stages.enhancement.test_enhancer import exemplars, face

SIZE, RATE = (320, 240), Fraction(15)
PATIENCE_S = 120.0
"""Against hanging alone."""
CPU = ("onnxruntime-cpu", "openvino-cpu")


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture(autouse=True)
def nobody_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.graph.measured_largest", lambda name: None)


def can_run(name: str) -> None:
    try:
        runtime_class(name)(4).__exit__(None, None, None)
    except UnavailableError as error:
        pytest.skip(str(error))


class Camera:
    """Somebody far away, in real time, until `stop`."""

    width, height = SIZE
    rate, live, frames_total = RATE, True, None
    time_base = Fraction(1, 90_000)

    def __init__(self) -> None:
        self.image = scene_with_face(30.0, SIZE)
        self.stopped = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        started_ns, end_s = time.monotonic_ns(), time.monotonic() + PATIENCE_S
        index = 0
        while not self.stopped.wait(1.0 / RATE) and time.monotonic() < end_s:
            now_ns = time.monotonic_ns()
            pts = round((now_ns - started_ns) / 1e9 / self.time_base)
            yield Frame(self.image, index, pts, self.time_base, now_ns)
            index += 1


class Keep:
    """A sink that remembers what came, without the pictures."""

    name = "keep"

    def __init__(self) -> None:
        self.indices: list[int] = []
        self.enhanced = threading.Event()

    def send(self, frame: Frame) -> None:
        assert frame.output is not None
        self.indices.append(frame.index)
        if frame.enhanced:
            self.enhanced.set()

    def close(self) -> None:
        pass

    abort = close


@pytest.mark.parametrize("name", CPU)
def test_the_picture_moves_while_the_models_are_loaded(name: str) -> None:
    need_models()
    can_run(name)
    sink, camera = Keep(), Camera()
    stages = Stages.build(SIZE, RATE, framing="fixed", runtime=name, live=True)
    began: list[tuple[int, SessionStats]] = []

    class Beginning(EnhancementSession):
        def prepare(self, stopped: Callable[[], bool] = lambda: False) -> bool:
            done = super().prepare(stopped)
            began.append((len(sink.indices), self.stats()))
            return done

    assert stages.opener.opened is None, "nothing is loaded before the first frame"
    pipeline = Pipeline(camera, Beginning(stages, live_rate=RATE), [sink])
    pipeline.start()
    assert sink.enhanced.wait(PATIENCE_S), "nothing was enhanced"
    camera.stopped.set()
    pipeline.wait()
    ((shown, stats),) = began
    assert shown > 0, "the camera's picture, before the network was there"
    assert stats.failed_open == 0, "start-up work is no failure"
    assert LADDER[stats.level].largest_px == FIRST_PX
    assert sink.indices == sorted(set(sink.indices))
    # Only the frame that was captured while the stages took over may be missing.
    first = sink.indices[:shown]
    assert first[-1] - first[0] <= len(first) + 1


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_a_call_that_ends_while_it_begins_leaves_nothing(steps: int) -> None:
    need_models()
    camera, sink, happened = Camera(), Keep(), list[Event]()
    stages = Stages.build(SIZE, RATE, framing="auto", runtime="onnxruntime-cpu", live=True)
    every = stages.to_load
    assert len(every) == 2
    pipeline: Any = None

    def stop() -> None:
        pipeline.stop()
        camera.stopped.set()

    session = EnhancementSession(
        replace(stages, to_load=(*every[:steps], stop, *every[steps:])),
        live_rate=RATE, on_event=happened.append,
    )  # fmt: skip
    pipeline = Pipeline(camera, session, [sink])
    pipeline.start()
    pipeline.wait()
    assert (stages.opener.opened is None) == (steps < 2), "what comes after it is left out"
    assert all(isinstance(event, RuntimeChosen) for event in happened), "nothing failed"
    assert len(happened) == (steps == 2)
    assert session.stats().failed_open == 0


def test_what_cannot_be_loaded_ends_the_call_with_its_reason() -> None:
    need_models()

    def refuse() -> None:
        raise UnavailableError("no network today")

    camera, sink = Camera(), Keep()
    stages = Stages.build(SIZE, RATE, framing="auto", runtime="onnxruntime-cpu", live=True)
    stages = replace(stages, to_load=(*stages.to_load, refuse))
    pipeline = Pipeline(camera, EnhancementSession(stages, live_rate=RATE), [sink])
    with pytest.raises(UnavailableError, match="no network today"):
        pipeline.run()


class Desk:
    """An enhancer as in a call, with a real network."""

    view = View((0.0, 0.0, 640.0, 360.0), (1280, 720))
    scene = np.random.default_rng(0).integers(0, 256, (360, 640, 3), np.uint8)

    def __init__(self, runtime: Any, *, waits: bool = False) -> None:
        self.runtime, self.index = runtime, 0
        self.stage = Enhancer(lambda scale: runtime, Fraction(25), waits=waits)
        self.stage.try_out()

    def crop_px(self, side: float) -> int:
        """Of the patch of a face with exemplars; 0: it has none."""
        one = replace(face(side), exemplars=exemplars(3), exemplars_version=1)
        frame = Frame(self.scene, self.index, self.index, Fraction(1, 25), 0, (one,), self.view)
        self.index += 1
        patch = self.stage(frame).faces[0].patch
        return 0 if patch is None else patch.box[2] - patch.box[0]

    def wait_for(self, bucket: int) -> None:
        end_s = time.monotonic() + PATIENCE_S
        while not self.runtime.at_once(bucket):
            assert time.monotonic() < end_s, f"{bucket} px were not made ready"
            time.sleep(0.01)


def test_no_frame_waits_while_another_size_is_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    can_run("openvino-cpu")
    from engines.runtimes.openvino_cpu import KEPT, OpenVinoCpu

    runtime = OpenVinoCpu(4)
    compiled_in: list[str] = []
    compiled = runtime._compile
    go = threading.Event()

    def slowly(model: Any) -> Any:
        compiled_in.append(threading.current_thread().name)
        if threading.current_thread() is not threading.main_thread():
            assert go.wait(PATIENCE_S)
        return compiled(model)

    monkeypatch.setattr(runtime, "_compile", slowly)
    desk = Desk(runtime)
    assert len(compiled_in) == 3, "exemplars themselves, with them and without"
    assert desk.crop_px(48.0) == 48
    assert desk.crop_px(60.0) == 48, "the size that is ready shows the whole face"
    assert desk.crop_px(60.0) == 48
    assert desk.crop_px(130.0) == 48, "the present crop goes on until a better one is there"
    go.set()
    desk.wait_for(64)
    assert desk.crop_px(60.0) == 64
    desk.wait_for(160)
    assert desk.crop_px(130.0) == 160
    for bucket in (32, 80, 96, 112, 128):
        runtime.at_once(bucket, soon=True)
        desk.wait_for(bucket)
    assert len(runtime._enhancers) == KEPT, "the oldest are let go"
    assert not runtime.at_once(64)
    assert len(compiled_in) == 3 * 8
    assert set(compiled_in[3:]) == {"closeup behind_0"}, "never in the thread of the frames"
    desk.stage.close()


def test_a_new_face_waits_for_a_crop_that_shows_it_and_fades_in_then() -> None:
    can_run("openvino-cpu")
    from engines.runtimes.openvino_cpu import OpenVinoCpu

    desk = Desk(OpenVinoCpu(4))
    assert desk.crop_px(130.0) == 0, "48 px would be a part of the face"
    desk.wait_for(160)
    assert desk.crop_px(130.0) == 160
    desk.stage.close()


def test_a_network_that_cannot_be_compiled_is_no_endless_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    can_run("openvino-cpu")
    from engines.runtimes.openvino_cpu import OpenVinoCpu

    runtime = OpenVinoCpu(4)
    desk = Desk(runtime)

    def refuse(*_: Any) -> Any:
        raise RuntimeError("no room")

    monkeypatch.setattr(runtime._graph, "build", refuse)
    runtime.at_once(64, soon=True)
    desk.wait_for(64)
    with pytest.raises(Exception, match="no room"):
        desk.crop_px(60.0)
    desk.stage.close()


def test_a_recording_waits_for_the_size_that_suits() -> None:
    with runtime_class("onnxruntime-cpu")(4) as runtime:
        desk = Desk(runtime, waits=True)
        assert [desk.crop_px(side) for side in (30.0, 60.0)] == [32, 64]
        assert not any("ahead" in thread.name for thread in threading.enumerate())


@pytest.mark.skipif(not hasattr(os, "setpriority"), reason="no priorities here")
@pytest.mark.skipif(sys.platform != "linux", reason="priorities are of processes here")
def test_what_runs_the_network_keeps_its_priority() -> None:
    can_run("openvino-cpu")
    from engines.runtimes.openvino_cpu import OpenVinoCpu

    def nice() -> dict[int, tuple[int, int]]:
        """Of each thread: its priority, and the time it has worked."""
        found = {}
        for task in Path("/proc/self/task").iterdir():
            words = (task / "stat").read_text().rsplit(")", 1)[1].split()
            found[int(task.name)] = (int(words[16]), int(words[11]) + int(words[12]))
        return found

    runtime = OpenVinoCpu(4)
    desk = Desk(runtime)
    own = nice()[threading.get_native_id()][0]
    runtime.at_once(64, soon=True)
    desk.wait_for(64)
    before = nice()
    for _ in range(20):
        assert desk.crop_px(60.0) == 64
    worked = {task: at[0] for task, at in nice().items() if at[1] > before.get(task, at)[1]}
    assert set(worked.values()) == {own}
    desk.stage.close()


def test_a_machine_that_nobody_measured_begins_low() -> None:
    assert LADDER[first_level(None)].largest_px == FIRST_PX


@pytest.mark.parametrize("loaded", ["numpy", "stream.live", "openvino", "onnxruntime"])
def test_ctrl_c_at_any_moment_of_the_beginning(tmp_path: Path, loaded: str) -> None:
    """When the last import was that of `loaded`."""
    need_models()
    output = tmp_path / "call.mp4"
    camera = "lavfi:testsrc2=size=320x240:rate=15"
    command = [sys.executable, "-X", "importtime", "run_pipeline.py", "--input", camera]
    call = subprocess.Popen(
        [*command, "--headless", "--runtime", "onnxruntime-cpu", "--output", str(output)],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert call.stderr is not None
    for line in call.stderr:
        if line.rsplit("|", 1)[-1].strip() == loaded:
            break
    call.send_signal(signal.SIGINT)
    _, said = call.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in said
    assert call.returncode in (0, 130, -signal.SIGINT), said
    left = [path.name for path in tmp_path.iterdir()]
    assert left == (["call.mp4"] if call.returncode == 0 else []), said
