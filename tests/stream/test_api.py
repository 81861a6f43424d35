"""The Python API: the documented example runs, and a picture comes out as it was promised."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import stream
from stream import Enhancer
from stream.errors import ConfigError
from stream.quality_ladder import RECORDED
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import backdrop, hopper, need_models, scene_with_face
from tests.places import DOCS
from tests.recording_files import write_recording

PAGE = DOCS / "python.md"


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> OneFace:
    """Stands in for the detector and the runtime."""
    one = OneFace()
    monkeypatch.setattr("stream.graph.FaceDetector", lambda **_: one)

    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())
    return one


def test_documented_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need_models()
    found = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    example = found.group(1)
    assert len(example.strip().splitlines()) <= 12
    write_recording(tmp_path / "call.mp4", size=(320, 240), sounds=0)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(compile(example, str(PAGE), "exec"), names)
    sharp = names["sharp"]
    assert isinstance(sharp, np.ndarray)
    assert (sharp.shape, sharp.dtype) == ((240, 320, 3), np.uint8)


def test_close_faces_are_remembered_and_far_ones_enhanced(camera: OneFace) -> None:
    close, far = scene_with_face(170.0, (640, 480)), scene_with_face(30.0, (640, 480))
    with Enhancer(framing="fixed", scale=2.0, rate=10) as enhancer:
        for step in range(12):
            assert enhancer(close, step / 10).shape == (960, 1280, 3)
        assert enhancer._session is not None
        assert enhancer._session.stats().exemplars > 0
        camera.width = 30.0
        sharp = enhancer(far, 5.0)
        enhancer.strength = 0.0
        plain = enhancer(far, 5.1)
        assert np.array_equal(plain[:200], sharp[:200])
        assert not np.array_equal(plain, sharp)
        enhancer.forget()
        assert not enhancer._session.exemplars_of(1)
        assert enhancer._session.stats().runtime == "bicubic"
    assert camera.closed


def test_speed_and_network_reach_the_stages(camera: OneFace) -> None:
    image = backdrop((320, 240)).copy()
    with Enhancer(speed="fast", network="small") as enhancer:
        enhancer(image)
        assert enhancer._session is not None
        stages = enhancer._session._stages
        assert stages.enhancer is not None
        assert stages.enhancer._quality is RECORDED["fast"]
        assert stages.opener.network == "small"
    for given in ({"speed": "faster"}, {"network": "smaller"}):
        with pytest.raises(ConfigError, match=next(iter(given))):
            Enhancer(**given)  # type: ignore[arg-type]


def test_the_callers_memory_is_neither_written_nor_kept(camera: OneFace) -> None:
    image = backdrop((320, 240)).copy()
    before = image.copy()
    with Enhancer(strength=0.0) as enhancer:
        out = enhancer(image)
    assert np.array_equal(image, before)
    assert not np.may_share_memory(out, image)


def test_the_size_may_change_on_the_way(camera: OneFace) -> None:
    with Enhancer() as enhancer:
        for size in ((320, 180), (640, 360), (320, 240)):
            assert enhancer(backdrop(size)).shape == (size[1], size[0], 3)


def test_what_is_refused(camera: OneFace) -> None:
    with pytest.raises(ConfigError, match="strength"):
        Enhancer(strength=1.5)
    with pytest.raises(ConfigError, match='needs framing "fixed"'):
        Enhancer(scale=2.0)
    with pytest.raises(ConfigError, match='not "round"'):
        Enhancer(framing="round")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="rate"):
        Enhancer(rate=0)
    with Enhancer() as enhancer:
        with pytest.raises(ValueError, match="RGB uint8"):
            enhancer(np.zeros((48, 64), np.uint8))
        with pytest.raises(ValueError, match="RGB uint8"):
            enhancer(hopper().astype(np.float32))
        with pytest.raises(ConfigError, match="too small"):
            enhancer(np.zeros((8, 8, 3), np.uint8))
        for time_s in (math.nan, math.inf):
            with pytest.raises(ValueError, match="finite number of seconds"):
                enhancer(backdrop((320, 240)), time_s=time_s)
    with pytest.raises(RuntimeError, match="closed"):
        enhancer(backdrop((320, 240)))


@pytest.mark.parametrize("name", ["strength", "detail", "scale", "rate"])
@pytest.mark.parametrize(
    "odd",
    [np.float32("nan"), np.float32(2000), np.int64(-1), "0.5", None, [0.5], np.array(0.5), 10**400],
    ids=["nan", "too large", "too small", "text", "none", "list", "array", "beyond all floats"],
)
def test_only_numbers_in_their_range_are_taken(name: str, odd: object) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} .*; give \S+ to \d+$"):
        Enhancer(framing="fixed", **{name: odd})  # type: ignore[arg-type]
    if name in ("strength", "detail"):
        with Enhancer() as enhancer, pytest.raises(ConfigError, match=rf"^{name} "):
            setattr(enhancer, name, odd)


def test_what_is_out_of_range_by_little_is_shown_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"^detail 1\.0000001 is out of range; give 0 to 1$"):
        Enhancer(detail=1.0000001)


def test_numbers_of_numpy_are_taken_as_pythons(camera: OneFace) -> None:
    half = np.float32(0.5)
    numbers = {"strength": half, "detail": half, "scale": np.float32(2), "rate": np.int64(15)}
    with Enhancer(framing="fixed", **numbers) as enhancer:  # type: ignore[arg-type]
        assert enhancer(backdrop((320, 240))).shape == (480, 640, 3)
        enhancer.detail = np.float16(0.25)  # type: ignore[assignment]
        assert (type(enhancer.strength), type(enhancer.detail)) == (float, float)


def test_the_package_itself_is_light() -> None:
    program = "import sys, stream, stream.frame; print('mediapipe' in sys.modules, dir(stream))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("False")
    with pytest.raises(AttributeError):
        stream.nothing  # noqa: B018
