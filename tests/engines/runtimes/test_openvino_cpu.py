"""OpenVINO on the CPU: buckets, slots, memory, and every failure in one line."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("openvino", reason="the openvino extra is not installed")

from engines.benchmark import pictures
from engines.install import install_command
from engines.runtime import EngineError, UnavailableError, WeightsError
from engines.runtimes import cpu
from engines.runtimes.openvino_cpu import ANY, KEPT, RESTS_AFTER, OpenVinoCpu
from stream.telemetry.process_memory import resident_bytes


@pytest.fixture
def runtime() -> OpenVinoCpu:
    return OpenVinoCpu(4, "fp32")


def test_fewer_exemplars_share_the_network_of_three(runtime: OpenVinoCpu) -> None:
    crop, known = pictures(16, 4, 5)
    for count in (0, 1, 2, 3, 4, 5):
        runtime.enhance(crop, runtime.encode(known[:count]) if count else None)
    assert [slots for _, slots in runtime._enhancers] == [0, 3, 4, 5]


def test_any_number_of_exemplars_shares_the_network_that_encodes(runtime: OpenVinoCpu) -> None:
    _, known = pictures(16, 4, 5)
    every = runtime.encode(known)
    for count in (1, 3):
        for some, all_five in zip(runtime.encode(known[:count]), every, strict=True):
            assert np.abs(some - all_five[:count]).max() < 1e-5
    assert list(runtime._encoders) == [(16, ANY)]


def test_no_thread_is_bound_to_a_core(runtime: OpenVinoCpu) -> None:
    """All networks of all processes would be bound to the same one."""
    crop, _ = pictures(16, 4, 1)
    runtime.enhance(crop, None)
    assert not runtime._last.get_compiled_model().get_property("ENABLE_CPU_PINNING")


def test_pixels_detail_and_confidence_are_exact_in_bf16() -> None:
    """What is shown of exemplars is not rounded; only what the network concludes from them is."""
    try:
        narrow = OpenVinoCpu(4, "bf16")
    except UnavailableError as error:
        pytest.skip(str(error))
    _, known = pictures(24, 4, 3)
    wide = OpenVinoCpu(4, "fp32").encode(known)
    hr, query = narrow.encode(known)
    channels = hr.shape[1]
    assert np.abs(query[:, channels:] - wide[1][:, channels:]).max() < 1e-6
    for made, exact in ((hr, wide[0]), (query[:, :channels], wide[1][:, :channels])):
        apart = float(np.square(made - exact).mean() / np.square(exact).mean())
        assert 1e-9 < apart < 1e-3


def test_a_size_is_ready_with_all_that_a_call_needs_of_it(runtime: OpenVinoCpu) -> None:
    crop, known = pictures(16, 4, 3)
    assert not runtime.at_once(16)
    runtime.enhance(crop, runtime.encode(known))
    assert not runtime.at_once(16, soon=True), "without exemplars it is not yet"
    runtime._compiler.close()
    assert runtime.at_once(16)
    assert list(runtime._encoders) == [(16, ANY)]
    assert set(runtime._enhancers) == {(16, 0), (16, 3)}


def test_a_slot_that_is_filled_up_has_no_say(runtime: OpenVinoCpu) -> None:
    crop, (first, second, _) = pictures(24, 4, 3)
    alone = runtime.enhance_float(crop, runtime.encode([first])).copy()
    both = runtime.enhance_float(crop, runtime.encode([first, second])).copy()
    assert not np.array_equal(alone, both)
    exact = runtime._graph.build(24, 1, "fp32")
    request = runtime._compile(exact)
    hr, query = runtime.encode([first])
    given = {"crop": crop.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)}
    given |= {"hr": hr, "query": query, "validity": np.ones((1, 1), np.float32)}
    request.infer(given)
    assert np.abs(request.get_output_tensor(0).data[0] - alone).max() < 1e-5


def test_pixels_are_the_rounded_floats(runtime: OpenVinoCpu) -> None:
    crop, known = pictures(16, 4, 2)
    features = runtime.encode(known)
    floats = runtime.enhance_float(crop, features).copy()
    pixels = runtime.enhance(crop, features)
    assert np.array_equal(pixels, super(OpenVinoCpu, runtime)._pixels(floats))
    kept = pixels.copy()
    runtime.enhance(255 - crop, features)
    assert np.array_equal(pixels, kept)  # a new array each time


def test_old_networks_are_let_go(runtime: OpenVinoCpu) -> None:
    for side in range(8, 8 + 2 * (KEPT + 2), 2):
        crop, known = pictures(side, 4, 1)
        runtime.encode(known)
        runtime.enhance(crop, None)
    for kept, slots in ((runtime._enhancers, 0), (runtime._encoders, ANY)):
        assert len(kept) == KEPT
        assert (8, slots) not in kept
        assert (8 + 2 * (KEPT + 1), slots) in kept
    runtime.__exit__(None, None, None)
    assert not len(runtime._enhancers) + len(runtime._encoders)


def test_a_network_that_others_have_run_after_rests_and_answers_again(runtime: OpenVinoCpu) -> None:
    crop, known = pictures(24, 4, 3)
    other, others_known = pictures(16, 4, 1)
    first = runtime.enhance(crop, runtime.encode(known))
    assert runtime._enhancers.awake == {(24, 3)}
    for _ in range(RESTS_AFTER):
        assert (24, 3) in runtime._enhancers.awake
        runtime.enhance(other, runtime.encode(others_known))
    assert runtime._enhancers.awake == {(16, 3)}
    assert runtime._encoders.awake == {(16, ANY)}
    assert (24, 3) in runtime._enhancers
    assert np.array_equal(runtime.enhance(crop, runtime.encode(known)), first)
    assert runtime._enhancers.awake == {(16, 3), (24, 3)}


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="needs glibc")
def test_what_a_network_needs_goes_back_to_the_system_when_it_rests(runtime: OpenVinoCpu) -> None:
    large, small = pictures(128, 4, 3), pictures(16, 4, 1)
    runtime.enhance(small[0], runtime.encode(small[1]))
    runtime.enhance(large[0], runtime.encode(large[1]))
    before = resident_bytes()
    for _ in range(RESTS_AFTER):
        runtime.enhance(small[0], runtime.encode(small[1]))
    after = resident_bytes()
    assert before is not None
    assert after is not None
    assert before - after > 20_000_000


def test_what_cannot_run_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnavailableError, match="computes in bf16, fp32, int8, not fp16"):
        OpenVinoCpu(4, "fp16")
    monkeypatch.setitem(sys.modules, "engines.runtimes.openvino_graph", None)
    with pytest.raises(UnavailableError) as raised:
        OpenVinoCpu(4)
    assert f"install it with: {install_command('openvino', upgrade=True)}" in str(raised.value)


def test_bf16_only_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from engines.runtimes import openvino_graph

    core = openvino_graph.open_core()

    class Plain:
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "INT8"]

        def __getattr__(self, name: str) -> Any:
            return getattr(core, name)

    monkeypatch.setattr(openvino_graph, "open_core", Plain)
    with pytest.raises(UnavailableError, match="no bfloat16 instructions"):
        OpenVinoCpu(4, "bf16")
    assert OpenVinoCpu(4).precision == "fp32"


def test_failures_are_one_line(
    runtime: OpenVinoCpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crop, known = pictures(16, 4, 1)
    features = runtime.encode(known)
    broken = (features[0][:, :5], features[1])
    with pytest.raises(EngineError) as caught:
        runtime.enhance(crop, broken)
    assert "\n" not in str(caught.value)
    runtime.__exit__(None, None, None)
    with pytest.raises(EngineError, match="openvino-cpu is closed"):
        runtime.encode(known)
    with pytest.raises(EngineError, match="openvino-cpu is closed"):
        runtime.enhance(crop, None)
    damaged = tmp_path / "x.onnx"
    damaged.write_bytes(b"no network")
    with pytest.raises(UnavailableError, match="cannot run the network") as unreadable:
        OpenVinoCpu(4, files=(damaged, damaged))
    assert "\n" not in str(unreadable.value)

    def missing(scale: int, *, weights: str) -> tuple[Path, Path]:
        raise WeightsError("gone")

    monkeypatch.setattr(cpu, "weights_files", missing)
    with pytest.raises(WeightsError, match="gone"):
        OpenVinoCpu(4)


def test_signals_are_heard_after_it_was_closed_in_another_thread() -> None:
    program = (
        "import gc, signal, threading\n"
        "from engines.runtimes.openvino_cpu import OpenVinoCpu\n"
        "held = [OpenVinoCpu(8)]\n"
        "def end():\n"
        "    held.pop().__exit__(None, None, None)\n"
        "    gc.collect()\n"
        "thread = threading.Thread(target=end)\n"
        "thread.start()\n"
        "thread.join()\n"
        "signal.signal(signal.SIGINT, lambda *_: print('heard'))\n"
        "signal.raise_signal(signal.SIGINT)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n")


def test_it_reports_to_nobody(tmp_path: Path) -> None:
    pytest.importorskip("openvino_telemetry", reason="nothing that could report is installed")
    program = (
        "import sys, threading\n"
        "from engines.runtimes.openvino_cpu import OpenVinoCpu\n"
        "OpenVinoCpu(4)\n"
        "assert not any(name.startswith('openvino_telemetry') for name in sys.modules)\n"
        "assert threading.active_count() == 1\n"
        "import openvino_telemetry\n"
    )
    found = []
    for first in ("", "import openvino\n"):
        home = tmp_path / str(len(first))
        home.mkdir()
        done = subprocess.run(
            [sys.executable, "-c", first + program],
            env=os.environ | {"HOME": str(home), "CI": "", "https_proxy": "http://127.0.0.1:9"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found.append((done.returncode == 0, bool(list(home.rglob("*")))))
        assert found[0][0], done.stderr
    assert found[0] == (True, False), "nothing is kept to be reported"
    assert found[1] == (False, True), "otherwise it would be"
