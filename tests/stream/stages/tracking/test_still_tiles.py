from __future__ import annotations

import numpy as np
import pytest

from stream.frame import Image
from stream.stages.tracking.still_tiles import STILL_TURNS, StillTiles, block_means
from stream.stages.tracking.tiles import tiles
from stream.stages.tracking.tracker import FIRST_FRAMES, Tracker
from tests.followed_scene import FakeDetector
from tests.pictures import backdrop, frame_of, scene_with_face

LEFT, RIGHT = (0, 0, 700, 720), (580, 0, 1280, 720)


def noisy(image: Image, seed: int) -> Image:
    grain = np.random.default_rng(seed).normal(0.0, 4.0, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def test_noise_is_no_change_and_a_still_tile_has_its_turn_all_the_same() -> None:
    still = StillTiles()
    due = [still.is_due(LEFT, block_means(noisy(backdrop(), n))) for n in range(2 * STILL_TURNS)]
    assert due == 2 * [True, *([False] * (STILL_TURNS - 1))]


@pytest.mark.parametrize("width_px", [20, 40, 120])
def test_a_face_that_appears_is_a_change_of_the_tiles_that_show_it(width_px: int) -> None:
    still = StillTiles()
    for tile in (LEFT, RIGHT):
        assert still.is_due(tile, block_means(noisy(backdrop(), 1)))
    shown = block_means(noisy(scene_with_face(width_px, at=(1000.0, 400.0)), 2))
    assert not still.is_due(LEFT, shown)
    assert still.is_due(RIGHT, shown)


def test_slow_changes_add_up() -> None:
    still = StillTiles()
    room = np.full((720, 1280, 3), 90, np.uint8)
    due = []
    for n in range(6):
        room[300:400, 300:400] = 90 + n
        due.append(still.is_due(LEFT, block_means(room)))
    assert due == [True, False, False, False, True, False]


def test_light_is_no_change_unless_a_lamp_is_switched_on() -> None:
    still = StillTiles()
    for light, due in ((0.5, True), (0.55, False), (0.6, False), (0.8, True)):
        shown = noisy((light * backdrop()).astype(np.uint8), 3)
        assert still.is_due(LEFT, block_means(shown)) == due


def test_a_tracker_searches_a_still_room_less_and_finds_a_newcomer_as_soon() -> None:
    detector = FakeDetector()
    tracker = Tracker(detector)

    def show(index: int, image: Image) -> list[int]:
        frame = tracker(frame_of(noisy(image, index), index))
        return [face.track_id for face in frame.faces]

    room, cycle = backdrop(), len(tiles(1280, 720))
    for index in range(5 * cycle):
        show(index, room)
    searched = len(detector.regions) - FIRST_FRAMES * cycle
    assert searched <= 1.3 * 5 * cycle / STILL_TURNS
    detector.faces = [(900.0, 400.0, 60.0)]
    came = scene_with_face(60, at=(900.0, 400.0))
    waited = next(n for n in range(2 * cycle) if show(5 * cycle + n, came))
    assert waited <= cycle + 3


def test_what_was_lost_somewhere_is_looked_for_there() -> None:
    still = StillTiles()
    blocks = block_means(backdrop())
    assert all(still.is_due(tile, blocks) for tile in (LEFT, RIGHT))
    still.forget_at((100.0, 100.0, 140.0, 140.0))
    assert still.is_due(LEFT, blocks)
    assert not still.is_due(RIGHT, blocks)
    still.forget_at((600.0, 100.0, 640.0, 140.0))
    assert still.is_due(LEFT, blocks)
    assert still.is_due(RIGHT, blocks)


@pytest.mark.parametrize("size", [(1280, 720), (641, 359), (64, 64), (33, 20)])
def test_blocks_of_any_size(size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 77, np.uint8)
    blocks = block_means(image)
    assert blocks.shape == (-(-size[1] // 32), -(-size[0] // 32))
    np.testing.assert_allclose(blocks, 77.0, rtol=1e-5)
    assert StillTiles().is_due((0, 0, *size), blocks)
