from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from stream.quality_ladder import QualityLevel
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.pace import LOST_S
from stream.stages.tracking.tiles import tiles
from stream.stages.tracking.tracker import STEADY_EVERY, Tracker
from tests.followed_scene import GREY, Scene, Spot
from tests.pictures import backdrop, frame_of, hopper, need_models, scene_with_face


def test_the_first_frame_has_its_faces() -> None:
    scene = Scene()
    frame = scene.show((300, 300, 30), (900, 400, 200))
    assert sorted(round(face.center[0]) for face in frame.faces) == [300, 900]
    assert len({face.track_id for face in frame.faces}) == 2


def test_a_newcomer_is_found_in_turn_and_believed_after_a_few_frames() -> None:
    scene = Scene()
    near: Spot = (300, 300, 120)
    for _ in range(5):
        assert len(scene.ids(near)) == 1
    waited = 0
    while len(scene.ids(near, (900, 500, 30))) == 1:
        waited += 1
    assert 2 <= waited <= STEADY_EVERY * len(tiles(1280, 720)) + 3, "where everything moves"


def test_after_the_first_frames_one_crop_a_face_and_now_and_then_a_tile() -> None:
    scene = Scene()
    for _ in range(5):
        scene.show((300, 300, 120))
    scene.detector.regions.clear()
    for _ in range(2 * STEADY_EVERY):
        scene.show((300, 300, 120))
    models = [model for _, model in scene.detector.regions]
    assert (models.count("short"), models.count("full")) == (2 * STEADY_EVERY, 2)


def test_while_nobody_is_there_or_somebody_is_in_doubt_every_frame_is_searched() -> None:
    scene = Scene()
    for _ in range(5):
        scene.show()
    scene.detector.regions.clear()
    for _ in range(6):
        scene.show()
    assert [model for _, model in scene.detector.regions] == 6 * ["full"], "nobody"
    scene = Scene()
    for _ in range(5):
        scene.show((300, 300, 120))
    scene.detector.regions.clear()
    for _ in range(4):
        scene.show()  # the face is lost: sought in its place, then around it, and everywhere
    tiles_searched = [one for one, model in scene.detector.regions if one in tiles(1280, 720)]
    assert len(tiles_searched) >= 3, "lost"


def test_a_walk_away_keeps_its_id() -> None:
    for seconds, fps in ((2.0, 30), (1.0, 30), (1.5, 12)):
        scene = Scene(fps)
        steps = round(seconds * fps)
        for i in range(steps + 10):
            part = min(i / steps, 1.0)
            assert scene.ids((500 + 300 * part, 360, 230 * (40 / 230) ** part)) == [1]


def test_a_face_is_followed_further_away_than_it_is_found() -> None:
    scene = Scene()
    for width in np.linspace(30.0, 11.5, 40):
        assert scene.ids((500, 300, float(width))) == [1], width
    for _ in range(20):
        assert scene.ids((500, 300, 11.5)) == [1]
    assert scene.ids((500, 300, 10.0)) == [1], "held for a moment"
    for _ in range(20):
        last = scene.ids((500, 300, 10.0))
    assert last == []
    newcomer = Scene()
    for _ in range(30):
        assert newcomer.ids((500, 300, 13.0)) == []


def test_a_face_lost_for_a_moment_is_the_same_one() -> None:
    scene = Scene()
    for _ in range(10):
        scene.show((500, 300, 60))
    for i in range(20):
        assert scene.ids() == ([1] if i < 3 else []), "held for a moment, not longer"
    assert scene.ids((505, 302, 60)) == [1]


def test_a_face_held_over_a_missed_frame_says_so() -> None:
    scene = Scene()
    scene.show((500, 300, 60))
    (face,) = scene.show().faces
    assert face.score == 0.0


def test_a_face_lost_for_long_is_a_new_one() -> None:
    scene = Scene()
    for _ in range(10):
        scene.show((500, 300, 60))
    for _ in range(int(LOST_S * 30) + 2):
        scene.show()
    seen: list[int] = []
    for _ in range(20):
        seen += scene.ids((500, 300, 60))
    assert seen
    assert 1 not in seen


@pytest.mark.parametrize("after", [(700, 300, 60), (500, 300, 100), (500, 300, 30)])
def test_a_jump_is_a_new_person(after: Spot) -> None:
    scene = Scene()
    for _ in range(10):
        scene.show((500, 300, 60))
    later: list[int] = []
    for i in range(40):
        ids = scene.ids(after)
        later += ids if i > 3 else []
    assert later
    assert 1 not in later


def test_two_people_who_cross_are_never_confused() -> None:
    # They pass in front of each other, and only the front one is seen meanwhile.
    for speed in (6.0, 15.0, 40.0):
        scene = Scene()
        owner: dict[int, str] = {}
        for i in range(int(500 / speed)):
            left, right = 400 + speed * i, 900 - speed * i
            both = [(left, 300.0, 60.0), (right, 310.0, 60.0)]
            hidden = abs(left - right) < 45
            frame = scene.show(*(both[:1] if hidden else both))
            for face in frame.faces:
                x = face.center[0]
                if face.score == 0.0 or abs(left - right) < 70:
                    continue
                who = "left" if abs(x - left) < abs(x - right) else "right"
                assert owner.setdefault(face.track_id, who) == who


def test_people_who_sit_side_by_side_keep_their_ids_when_one_is_not_seen() -> None:
    scene = Scene()
    rng = np.random.default_rng(0)
    for i in range(200):
        left = (500 + rng.normal(0, 0.5), 300.0, 60.0)
        right = (565 + rng.normal(0, 0.5), 300.0, 60.0)
        frame = scene.show(left, right) if i % 5 else scene.show(left)
        for face in frame.faces:
            assert face.track_id == (1 if face.center[0] < 532 else 2)


def test_a_face_is_never_followed_twice() -> None:
    scene = Scene()
    for i in range(60):
        frame = scene.show((500 + i, 300, 60), (503 + i, 310, 30))
        assert len(frame.faces) == 1


def test_a_cut_ends_all_tracks_and_the_new_faces_are_there_at_once() -> None:
    scene = Scene()
    here, there = backdrop(), np.ascontiguousarray(backdrop()[::-1])
    for _ in range(5):
        assert scene.ids((500, 300, 60), image=here) == [1]
    assert scene.ids((500, 300, 60), image=there) == [2]


def test_another_face_at_the_same_place_is_another_person() -> None:
    # A tile of a group call in which the speaker changes: the scene as a whole stays.
    scene = Scene()
    one = scene_with_face(100)
    other = one.copy()
    other[260:460, 540:740] = other[260:460, 540:740][::-1]
    for _ in range(5):
        assert scene.ids((640, 360, 100), image=one) == [1]
    later: list[int] = []
    for _ in range(20):
        later += scene.ids((640, 360, 100), image=other)
    assert later
    assert 1 not in later


def test_weak_and_tiny_detections_are_not_believed() -> None:
    scene = Scene()
    scene.detector.score = 0.6
    for _ in range(40):
        assert scene.ids((500, 300, 60)) == []
    scene.detector.score = 0.9
    for _ in range(40):
        assert scene.ids((900, 600, 12)) == []


def test_a_call_that_changes_its_resolution_keeps_its_people() -> None:
    scene = Scene()
    for _ in range(5):
        assert scene.ids((250, 150, 40), image=GREY[:360, :640]) == [1]
    for _ in range(5):
        frame = scene.show((500, 300, 80))
        assert [face.track_id for face in frame.faces] == [1]
        assert frame.faces[0].width_px == pytest.approx(80, rel=0.02)


def test_a_picture_of_another_shape_is_another_scene() -> None:
    scene = Scene()
    scene.show((250, 150, 40), image=GREY[:360, :640])
    assert scene.ids((250, 150, 40), image=GREY[:640, :360]) == [2]


def test_a_face_that_leaves_the_picture() -> None:
    scene = Scene()
    for i in range(80):
        frame = scene.show((1000 + 6 * i, 300, 80))
        assert all(face.center[0] < 1290 for face in frame.faces)


@pytest.mark.parametrize("size", [(16, 16), (160, 120), (640, 360), (1920, 1080), (3840, 2160)])
def test_tiles_cover_the_picture_and_overlap(size: tuple[int, int]) -> None:
    width, height = size
    covered = np.zeros((height, width), np.uint8)
    for x0, y0, x1, y1 in tiles(width, height):
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
        covered[y0:y1, x0:x1] += 1
    assert covered.min() >= 2
    assert len(tiles(width, height)) <= 30


def test_closing_frees_the_detector() -> None:
    scene = Scene()
    scene.tracker.close()
    assert scene.detector.closed
    assert scene.tracker.name == "tracker"


def test_a_budget_makes_it_look_less_often() -> None:
    scene, spot = Scene(), (600.0, 300.0, 60.0)
    for _ in range(5):
        scene.show(spot)

    def looks(frames: int) -> int:
        scene.detector.regions.clear()
        for _ in range(frames):
            (face,) = scene.show(spot).faces
            assert face.track_id == 1
        return len(scene.detector.regions)

    assert looks(9) == 12, "a crop, and in every third frame a tile"
    scene.tracker.apply(QualityLevel("less", search_every=4))
    assert looks(8) == 10
    scene.tracker.apply(QualityLevel("less still", search_every=4, follow_every=2))
    assert looks(8) == 6
    held = [scene.show(spot).faces[0].score for _ in range(4)]
    assert sorted(held) == pytest.approx([0.0, 0.0, 0.9, 0.9]), "what was not seen says so"


def test_a_slow_camera_is_followed_in_every_frame() -> None:
    scene, spot = Scene(fps=10), (600.0, 300.0, 60.0)
    scene.tracker.apply(QualityLevel("less", follow_every=2))
    for _ in range(5):
        scene.show(spot)
    for _ in range(6):
        (face,) = scene.show(spot).faces
        assert face.score == pytest.approx(0.9)


def test_a_moving_face_keeps_its_id_when_it_is_followed_less_often() -> None:
    scene = Scene()
    scene.tracker.apply(QualityLevel("less", search_every=4, follow_every=2))
    ids = {one for n in range(60) for one in scene.ids((300.0 + 6.0 * n, 300.0, 60.0))}
    assert ids == {1}


@pytest.fixture
def real() -> Iterator[Tracker]:
    need_models()
    tracker = Tracker(FaceDetector())
    yield tracker
    tracker.close()


def test_real_a_walk_from_near_to_far_is_one_person(real: Tracker) -> None:
    for i in range(45):
        part = min(i / 36, 1.0)
        width, x = 230 * (40 / 230) ** part, 600 + 120 * part
        scene = scene_with_face(width, at=(x, 360.0), noise=4, seed=i)
        (face,) = real(frame_of(scene, i)).faces
        assert face.track_id == 1
        assert face.center == pytest.approx((x, 360.0), abs=max(3.0, 0.08 * width))
        assert face.width_px == pytest.approx(width, rel=0.08)


def test_real_a_still_far_face_is_steady(real: Tracker) -> None:
    centers, widths = [], []
    for i in range(40):
        scene = scene_with_face(40, (640, 360), at=(320.4, 180.6), noise=5, seed=i)
        (face,) = real(frame_of(scene, i)).faces
        centers.append(face.center)
        widths.append(face.width_px)
    # Raw boxes step by 0.2 px (widths by 0.4) from frame to frame here.
    steps = np.diff(np.array(centers[10:]), axis=0)
    assert float(steps.std(axis=0).max()) < 0.04
    assert float(np.diff(widths[10:]).std()) < 0.06


def test_real_two_faces_far_and_near_in_the_first_frame(real: Tracker) -> None:
    scene = scene_with_face(200, at=(300.0, 380.0))
    far = scene_with_face(32, at=(1000.0, 300.0))
    scene[:, 640:] = far[:, 640:]
    faces = real(frame_of(scene)).faces
    assert sorted(round(face.width_px, -1) for face in faces) == [30, 200]


def test_real_an_empty_room_stays_empty(real: Tracker) -> None:
    for i in range(16):
        assert real(frame_of(backdrop(), i)).faces == ()
    assert real(frame_of(hopper()[:40, :40], 16)).faces == ()
