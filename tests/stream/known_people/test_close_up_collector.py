"""Whose close-ups are taken from an input: of the person who is seen longest, or nobody's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from stream.errors import ConfigError
from stream.frame import Exemplar, Frame
from stream.image.detection import Detection
from stream.known_people import close_up_collector
from stream.known_people.close_up_collector import CloseUpCollector
from stream.recordings.people.person_index import PersonIndex
from stream.stages.exemplars.exemplar_set import Exemplars
from stream.telemetry.progress import Progress
from tests.fakes import OneFace
from tests.pictures import detection, frame_of
from tests.recording_files import write_recording
from tests.stream.stages.exemplars.test_bank import face, scene


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A recording, and a detector for its close-ups, which sees no face in dark ones."""
    path = tmp_path / "call.mp4"
    write_recording(path)
    os.utime(path, (1_767_787_200, 1_767_787_200))

    class Detector(OneFace):
        def detect(self, image: np.ndarray, *given: object) -> list[Detection]:
            assert image.shape == (512, 512, 3)
            aside, middle = detection(100, 100, 60), detection(260, 250, 128)
            return [aside, middle] if image.mean() > 50 else [aside]

    monkeypatch.setattr(close_up_collector, "FaceDetector", Detector)
    return path


def people(monkeypatch: pytest.MonkeyPatch, seen: dict[int, int], sides: list[int]) -> None:
    """Whoever is looked through shows these: number -> pictures; close-ups of these sides."""
    kept = {}
    for number in seen:
        kept[number] = Exemplars(capacity=64)
        for k, side in enumerate(sides):
            image = np.full((256, 256, 3), 40 + 20 * k + number, np.uint8)
            kept[number].admit(Exemplar(image, side, (0.2 * k, 0.0), 0.1, float(k)))
    monkeypatch.setattr(PersonIndex, "finish", lambda self: kept)
    monkeypatch.setattr(PersonIndex, "pictures_of", lambda self: seen)
    monkeypatch.setattr(CloseUpCollector, "_read", lambda self, path, index: None)


def collector() -> CloseUpCollector:
    return CloseUpCollector(Progress, lambda line: None)


def test_of_several_people_the_one_seen_longest(
    monkeypatch: pytest.MonkeyPatch, found: Path
) -> None:
    people(monkeypatch, {1: 59, 2: 100}, [240, 240, 240, 60])
    kept = collector().collect(str(found))
    # the first is too dark for its face to be found again, the last too small
    assert [int(one.image[0, 0, 0]) for one in kept] == [62, 82]
    expected = detection(260, 250, 128).keypoints - 128.0
    assert np.allclose(kept[0].keypoints, expected, atol=0.01)
    assert kept[0].day == date.fromtimestamp(1_767_787_200).isoformat()
    assert kept[0].pose == (0.2, 0.0)


def test_two_who_are_seen_about_as_long_are_refused(
    monkeypatch: pytest.MonkeyPatch, found: Path
) -> None:
    people(monkeypatch, {1: 61, 2: 100}, [240])
    with pytest.raises(ConfigError, match="2 people are seen about as long in"):
        collector().collect(str(found))


def test_nobody_is_said(monkeypatch: pytest.MonkeyPatch, found: Path) -> None:
    people(monkeypatch, {}, [])
    with pytest.raises(ConfigError, match="no face was found in"):
        collector().collect(str(found))


def test_a_recording_is_looked_through_to_its_end(
    monkeypatch: pytest.MonkeyPatch, camera: OneFace, found: Path
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(PersonIndex, "see", lambda self, frame: seen.append(frame.index))
    with pytest.raises(ConfigError, match="no face"):
        collector().collect(str(found))
    assert seen == list(range(len(seen)))
    assert len(seen) > 5
    assert camera.closed


def test_a_camera_is_watched_until_there_are_enough(
    monkeypatch: pytest.MonkeyPatch, found: Path
) -> None:
    shown: list[int] = []

    def faces(source: object) -> Iterator[Frame]:
        for index in range(100_000):
            shown.append(index)
            yield frame_of(scene(200), index, faces=(face(200, yaw=0.3 * np.sin(index / 10)),))

    monkeypatch.setattr(close_up_collector, "_with_faces", faces)
    monkeypatch.setattr(close_up_collector, "ENOUGH", 4)
    said: list[str] = []
    kept = CloseUpCollector(Progress, said.append).collect("lavfi:color=size=64x48:rate=30")
    assert len(kept) == 4
    assert len(shown) < 200
    assert kept[0].day == date.today().isoformat()
    assert "turn your head" in said[0]


def test_ctrl_c_ends_the_watching(monkeypatch: pytest.MonkeyPatch, found: Path) -> None:
    def faces(source: object) -> Iterator[Frame]:
        for index in range(60):
            yield frame_of(scene(200), index, faces=(face(200, yaw=0.3 * np.sin(index / 10)),))
        raise KeyboardInterrupt

    monkeypatch.setattr(close_up_collector, "_with_faces", faces)
    kept = collector().collect("lavfi:color=size=64x48:rate=30")
    assert len(kept) >= 2
