"""QualityController where the network works beside the frames: each part gives way for itself."""

from __future__ import annotations

import random

from stream.image.headshot import SIDE_PER_WIDTH
from stream.quality_controller import DOWN, LOOKED_AT
from stream.quality_ladder import FIRST_PX, LADDER, QualityLevel, first_level
from tests.stream.test_quality_controller import RATE, Call, step


def beside(face_ms: float, frame_ms: float, wanted_px: int = 80) -> Call:
    """A call of one face on a machine that nobody measured, whose network works beside the frames.

    Args: face_ms: it takes for a crop of 80 px. frame_ms: all else takes.
    """

    def side(quality: QualityLevel) -> int:
        return min(wanted_px, quality.largest_px)

    def network(quality: QualityLevel, faces: int, index: int) -> float:
        return face_ms * (side(quality) / 80) ** 2 * (0.7 if quality.align_every_s else 1.0)

    def frame(quality: QualityLevel, faces: int, index: int) -> float:
        return frame_ms + (0.0 if quality.beside else network(quality, faces, index))

    call = Call(frame, side=wanted_px, box_px=wanted_px / SIDE_PER_WIDTH, beside=network)
    call.quality_controller.start(first_level(None), 0.012, beside=True)
    return call


EVERY_OTHER = "the network in every other frame"


def test_a_network_beside_the_frames_may_take_all_the_time_there_is_for_it() -> None:
    call = beside(face_ms=60.0, frame_ms=24.0)
    call.run((LOOKED_AT + 4) / RATE)
    assert call.quality_controller.level == step(EVERY_OTHER), "60 of 66 ms, at once"
    call.run(60.0)
    assert set(call.levels[LOOKED_AT + 4 :]) == {step(EVERY_OTHER)}
    assert call.metrics.counter(DOWN) == 0


def test_a_network_that_cannot_follow_gets_less_to_do_and_the_frames_keep_what_they_have() -> None:
    call = beside(face_ms=80.0, frame_ms=20.0)
    call.run(30.0)
    assert call.quality.align_every_s > 0.0, "56 of 66 ms with exemplars aligned more seldom"
    assert call.quality.largest_px >= 80
    call = beside(face_ms=300.0, frame_ms=20.0)
    call.run(30.0)
    assert call.quality.largest_px == FIRST_PX


def test_frames_that_are_late_go_down_although_the_network_has_time() -> None:
    call = beside(face_ms=20.0, frame_ms=30.0)
    call.run(20.0)
    assert call.quality.follow_every > 1
    assert call.quality.enhance_every == 2, "how often it runs beside them is nothing to them"


def test_the_network_comes_into_the_frames_only_where_it_fits_there() -> None:
    call = beside(face_ms=16.0, frame_ms=14.0)
    every = step("the network beside the frames")
    assert call.run(60.0) == every, "30 ms are too much for a frame: not even tried"
    assert call.metrics.counter(DOWN) == 0
    call = beside(face_ms=8.0, frame_ms=10.0)
    assert call.run(60.0) == 0


def beside_the_frames(small: bool, full_ms: float = 40.0) -> Call:
    """A call whose frames take 12 ms and whose network works beside them."""

    def network(quality: QualityLevel, faces: int, index: int) -> float:
        return full_ms / 2 if quality.small and small else full_ms

    def cost(quality: QualityLevel, faces: int, index: int) -> float:
        if quality.beside:
            return 12.0
        return 12.0 + network(quality, faces, index)

    call = Call(cost, beside=network)
    call.quality_controller.start(0, small=small, beside=True)
    return call


def test_the_small_network_comes_before_fewer_frames() -> None:
    assert beside_the_frames(True).run(20.0) == step("the small network")
    assert beside_the_frames(False).run(20.0) == step("the network in every other frame")
    assert beside_the_frames(True, 25.0).run(20.0) == step("the network beside the frames")


def test_from_the_small_network_it_goes_up_when_there_is_time_for_the_full_one() -> None:
    call = beside_the_frames(True)
    call.run(60.0)
    assert set(call.levels[300:]) == {step("the small network")}, "it does not try in vain"
    faster = beside_the_frames(True, 14.0)
    call.cost, call.beside = faster.cost, faster.beside
    assert call.run(60.0) < step("the network beside the frames")


def test_single_long_turns_of_the_network_do_not_take_the_crop_away() -> None:
    """Turns differ: exemplars are aligned in some, and other programs take time."""
    chance = random.Random(1)
    turn = {"ends": 0, "ms": 0.0}

    def network(quality: QualityLevel, faces: int, index: int) -> float:
        if index >= turn["ends"]:
            usual_ms = 60.0 * (min(80, quality.largest_px) / 80) ** 1.7
            if quality.align_every_s:
                usual_ms *= 1.0 if chance.random() < 1 / 3 else 0.6
            disturbed = 3.0 if chance.random() < 0.02 else 1.0
            turn["ms"] = usual_ms * disturbed * chance.lognormvariate(0.0, 0.25)
            turn["ends"] = index + max(quality.enhance_every, round(turn["ms"] / 1e3 * RATE + 0.5))
        return turn["ms"]

    def frame(quality: QualityLevel, faces: int, index: int) -> float:
        return 16.0 * chance.lognormvariate(0.0, 0.25)

    call = Call(frame, side=80, box_px=80 / SIDE_PER_WIDTH, beside=network)
    call.quality_controller.start(first_level(None), 0.012, beside=True)
    call.run(180.0)
    large = [LADDER[level].largest_px >= 64 for level in call.levels[100:]]
    assert sum(large) > 0.9 * len(large)
