"""The example programs run as their first lines say, on media made here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.pictures import need_models, scene_with_face
from tests.recording_files import times_of

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"


def run(*command: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run one example in a process of its own."""
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody who sits close for two seconds, and then far away for one; 10 frames a second."""
    need_models()
    path = tmp_path_factory.mktemp("examples") / "call.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = 480, 270, "yuv420p"
        for index in range(30):
            width = 110.0 if index < 20 else 30.0
            image = scene_with_face(width, (480, 270), noise=1.0, seed=index)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def test_enhance_file_keeps_every_frame_and_sharpens_the_far_face(
    recording: Path, tmp_path: Path
) -> None:
    target = tmp_path / "better.mp4"
    done = run("examples/enhance_file.py", str(recording), str(target))
    assert done.returncode == 0, done.stderr
    assert "30 frames" in done.stdout
    assert times_of(target) == times_of(recording)
    with av.open(str(target)) as container:
        last = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)][-1]
    with av.open(str(recording)) as container:
        before = [
            frame.reformat(960, 540, format="rgb24").to_ndarray()
            for frame in container.decode(video=0)
        ][-1]
    assert last.shape == (540, 960, 3)
    changed = np.abs(last.astype(int) - before.astype(int)).mean(axis=2)
    face, corner = changed[240:300, 450:510].mean(), changed[:60, :60].mean()
    assert face > corner + 1.0


def test_aiortc_track_sends_the_call_back(recording: Path) -> None:
    pytest.importorskip("aiortc", reason="WebRTC needs the extra webrtc")
    done = run("examples/aiortc_track.py", str(recording), "--seconds", "4")
    assert done.returncode == 0, done.stderr
    status, count_line = done.stdout.strip().splitlines()
    assert re.match(r"\d+\.\d fps, \d+ ms later, \d+ of \d+ faces enhanced(: .+)?$", status)
    count = int(count_line.split()[0])
    assert count > 5


def test_watch_stats_reads_a_real_call(tmp_path: Path) -> None:
    need_models()
    call = run(
        "run_pipeline.py", "--input", "lavfi:testsrc2=size=320x240:rate=20:duration=3",
        "--headless", "--output", str(tmp_path / "call.mp4"), "--stats", "json",
    )  # fmt: skip
    assert call.returncode == 0, call.stderr
    fine = run("examples/watch_stats.py", "--latency", "10000", given=call.stdout)
    assert "call of" in fine.stdout, fine.stderr
    late = run("examples/watch_stats.py", "--latency", "0", given=call.stdout)
    assert late.returncode == 1
    assert "is late: p95" in late.stdout


def test_watch_stats_says_what_was_given_up() -> None:
    line = {"time_s": 1.0, "final": False, "fps": 20.0, "frames_failed_open": 3,
            "quality_level": 2.0, "age_ms": {"preview": {"p95": 20.0}}}  # fmt: skip
    done = run("examples/watch_stats.py", given=json.dumps(line) + "\n")
    assert done.returncode == 1
    assert "3 frames were not enhanced" in done.stdout
    assert "quality level 2" in done.stdout
    assert run("examples/watch_stats.py", given="").returncode == 2
