"""Growth: the pictures have the faces they should, and every case gets its row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench import growth
from bench.growth import frames_of, gallery, main
from stream.errors import ModelError
from stream.stages.tracking.face_detector import FaceDetector
from tests.pictures import need_models


@pytest.mark.parametrize(("size", "faces"), [((640, 360), 9), ((1280, 720), 4), ((1280, 720), 0)])
def test_pictures_have_as_many_faces_as_asked_for(size: tuple[int, int], faces: int) -> None:
    need_models()
    pictures = gallery(size, faces)
    assert {one.shape for one in pictures} == {(size[1], size[0], 3)}
    found = 0
    with FaceDetector() as detector:
        for place in range(9):
            row, column = divmod(place, 3)
            top, left = row * size[1] // 3, 4 + column * size[0] // 3
            region = (left, top, left + growth.CUT_PX, top + growth.CUT_PX)
            widths = [one.width_px for one in detector.detect(pictures[0], region)]
            assert all(25.0 < width < 60.0 for width in widths)
            found += len(widths)
    assert found == faces


def test_frames_go_forwards_and_backwards() -> None:
    pictures: Any = ["a", "b", "c"]
    shown = frames_of(pictures, 7)
    assert "".join(map(str, (one.image for one in shown))) == "abcbabc"
    assert [one.index for one in shown] == list(range(7))


def test_every_case_has_a_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cost(size: Any, faces: int, frames: int, runtime: str) -> dict[str, float | None]:
        return {"cpu_ms": size[0] * (1.0 + faces), "enhanced": float(faces), "memory_mb": None}

    monkeypatch.setattr(growth, "cost", cost)
    monkeypatch.setattr(growth, "cost_of_exemplars", lambda n, *_: cost((10, 10), n, 1, ""))
    assert main(["--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["size"]) == ["640x360", "1280x720", "1920x1080", "2560x1440", "3840x2160"]
    assert found["faces"]["9"]["cpu_ms"] == 12_800.0
    assert list(found["exemplars"]) == ["0", "1", "3", "6", "12"]
    assert list(found["length"]) == ["30 frames", "60 frames", "120 frames"]
    assert main([]) == 0
    assert "| faces | 9 | 12800 | 9 | - |" in capsys.readouterr().out


def test_one_real_case() -> None:
    need_models()
    found = growth.cost((320, 180), 0, 2, "onnxruntime-cpu")
    assert found["cpu_ms"] is not None
    assert found["cpu_ms"] > 0.0
    assert found["enhanced"] == 0.0
    exemplars = growth.cost_of_exemplars(1, 1, "onnxruntime-cpu")
    assert exemplars["cpu_ms"] is not None
    assert exemplars["cpu_ms"] > 0.0


def test_errors_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--frames", "0"]) == 2
    assert "--frames 0 is out of range" in capsys.readouterr().err

    def fails(*given: object) -> dict[str, float | None]:
        raise ModelError("no models")

    monkeypatch.setattr(growth, "cost", fails)
    assert main([]) == 2
    assert capsys.readouterr().err == "error: no models\n"
