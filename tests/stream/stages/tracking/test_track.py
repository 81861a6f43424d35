from __future__ import annotations

import numpy as np
import pytest

from stream.frame import Floats
from stream.stages.tracking.track import Track
from tests.pictures import detection

LOOK: Floats = np.zeros(256, np.float32)


def jitter(values: list[float]) -> float:
    """Standard deviation of the step from frame to frame."""
    return float(np.diff(values).std())


def test_a_still_face_with_noise_is_steady_to_a_fraction_of_a_pixel() -> None:
    # The noise of the detector on a still face of 40 px with sensor noise: 0.15 and 0.2 px.
    rng = np.random.default_rng(0)
    raw: list[tuple[float, float]] = []
    smooth: list[tuple[float, float]] = []
    track: Track | None = None
    for i in range(150):
        seen = detection(640 + rng.normal(0, 0.15), 360, 40 + rng.normal(0, 0.2))
        track = track or Track(1, seen, LOOK, 0.0)
        track.see(seen, LOOK, i / 30)
        face = track.face(i / 30)
        raw.append((float(seen.box[0] + seen.box[2]) / 2, seen.width_px))
        smooth.append((face.center[0], face.width_px))
    for k in (0, 1):
        before, after = jitter([r[k] for r in raw]), jitter([s[k] for s in smooth])
        assert after < before / 5
        assert after < 0.05


@pytest.mark.parametrize("fps", [10, 30])
def test_a_walk_is_followed_within_three_hundredths_of_the_width(fps: int) -> None:
    track = Track(1, detection(300, 360, 80), LOOK, 0.0)
    for i in range(2 * fps + 1):
        x = 300 + 400 * i / fps  # 5 widths a second
        track.see(detection(x, 360, 80), LOOK, i / fps)
        lag = x - track.face(i / fps).center[0]
        assert abs(lag) <= 0.031 * 80
    ahead = track.predict(2 + 1 / fps)
    assert float(ahead[0] + ahead[2]) / 2 == pytest.approx(1100 + 400 / fps, abs=4)


def test_a_walk_away_is_followed_in_size() -> None:
    track = Track(1, detection(640, 360, 230), LOOK, 0.0)
    for i in range(46):
        width = 230 * (40 / 230) ** (i / 45)
        track.see(detection(640, 360, width), LOOK, i / 30)
        assert track.face(i / 30).width_px == pytest.approx(width, rel=0.031)


def test_it_is_believed_after_three_clear_sights() -> None:
    track = Track(1, detection(100, 100, 40), LOOK, 0.0)
    assert not track.confirmed
    track.see(detection(100, 100, 40), LOOK, 1 / 30)
    assert not track.confirmed
    track.see(detection(100, 100, 40), LOOK, 2 / 30)
    assert track.confirmed


def test_a_hand_that_scores_low_is_never_believed() -> None:
    track = Track(1, detection(100, 100, 40, score=0.62), LOOK, 0.0)
    for i in range(1, 60):
        track.see(detection(100, 100, 40, score=0.62), LOOK, i / 30)
    assert not track.confirmed


def test_a_prediction_does_not_run_away() -> None:
    track = Track(1, detection(100, 100, 40), LOOK, 0.0)
    track.see(detection(110, 100, 40), LOOK, 1 / 30)
    far = track.predict(10.0)
    assert float(far[0] + far[2]) / 2 == pytest.approx(130.0, abs=0.1)


def test_keypoints_stay_with_the_box() -> None:
    track = Track(1, detection(100, 100, 40), LOOK, 0.0)
    for i in range(30):
        track.see(detection(100 + 3 * i, 100, 40), LOOK, i / 30)
    face = track.face(29 / 30)
    nose = face.keypoints[2] - np.array(face.center, np.float32)
    np.testing.assert_allclose(nose, (0.0, 4.0), atol=0.05)
    assert face.score == pytest.approx(0.9)
    assert track.face(1.1).score == 0.0


def test_a_picture_of_another_size_takes_the_track_along() -> None:
    track = Track(1, detection(100, 100, 40), LOOK, 0.0)
    track.rescale(2.0, 0.1)
    face = track.face(0.1)
    assert face.center == pytest.approx((200.0, 200.0), abs=0.01)
    assert face.width_px == pytest.approx(80.0, abs=0.01)
