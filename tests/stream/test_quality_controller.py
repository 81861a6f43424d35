"""QualityController: quality gives way in the stated order and comes back; one bad frame changes
nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from stream.frame import Exemplar, Face, Frame, Patch
from stream.quality_controller import (
    DOWN,
    FRAMES,
    LEVEL,
    LOOKED_AT,
    UP,
    UP_AFTER_S,
    QualityController,
)
from stream.quality_ladder import FIRST_PX, FULL, LADDER, QualityLevel, first_level
from stream.telemetry.metrics import Metrics

RATE = 30
BLANK = np.zeros((4, 4, 3), np.uint8)
LARGE_SHARE = 1
Cost = Callable[[QualityLevel, int, int], float]
"""Quality level, faces, frame's number → ms of work."""


def step(name: str) -> int:
    return next(level for level, quality in enumerate(LADDER) if quality.name == name)


def machine(speed: float) -> Cost:
    """What frames cost on two cores of this kind (ms, measured), times a factor."""

    def cost(quality: QualityLevel, faces: int, index: int) -> float:
        ms = 8.0 + (5.0 if index % quality.search_every == 0 else 0.0)
        ms += faces * (4.0 if index % quality.follow_every == 0 else 0.0)
        if index % quality.enhance_every == 0:
            ms += (
                min(faces, quality.max_faces)
                * {96: 35.0, 64: 20.0, 48: 11.0}[min(96, quality.largest_px)]
            )
        return speed * ms

    return cost


@dataclass
class Call:
    """A call whose worker takes as long as its quality level costs."""

    cost: Cost
    faces: int = 1
    rate: float = RATE
    side: int = 80
    """Of the crops, where the quality level has enough."""
    box_px: float = 0.0
    """Width of the face boxes, which says what their crops want to be."""
    exemplars: tuple[Exemplar, ...] = ()
    beside: Cost | None = None
    """What the network takes beside the frames for a patch, where it does not run in every one."""
    now_s: float = 0.0
    index: int = 0
    metrics: Metrics = field(default_factory=Metrics)
    levels: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.quality = FULL
        self.quality_controller = QualityController(
            self.take, 1.0 / RATE, self.metrics, lambda: self.now_s
        )

    def take(self, quality: QualityLevel) -> None:
        self.quality = quality

    def run(self, seconds: float) -> int:
        """The level at the end; the next frame is the newest that is there."""
        end_s = self.now_s + seconds
        while self.now_s < end_s:
            worked_s = self.cost(self.quality, self.faces, self.index) / 1e3
            self.step(worked_s)
        return self.quality_controller.level

    def step(self, worked_s: float) -> None:
        captured_s = self.index / self.rate
        frame = Frame(BLANK, self.index, 0, Fraction(1, 90), round(captured_s * 1e9), self.shown())
        self.now_s = max(self.now_s, captured_s) + worked_s
        beside_s = 0.0
        if self.beside is not None and self.quality.beside:
            took_ms = self.beside(self.quality, self.faces, self.index)
            beside_s = took_ms / 1e3 / self.quality.enhance_every
        self.quality_controller(frame, worked_s, beside_s)
        self.levels.append(self.quality_controller.level)
        self.index = max(self.index + 1, int(self.now_s * self.rate))

    def shown(self) -> tuple[Face, ...]:
        box = np.array([0.0, 0.0, self.box_px, self.box_px], np.float32)
        keypoints = np.zeros((6, 2), np.float32)
        side = min(self.side, self.quality.largest_px)
        patch = Patch(BLANK, (0, 0, side, side), 4)
        faces = [Face(n, box, keypoints, 1.0, self.exemplars) for n in range(self.faces)]
        most = self.quality.max_faces
        return tuple([replace(one, patch=patch) for one in faces[:most]] + faces[most:])


def test_a_fast_machine_gives_nothing_up() -> None:
    call = Call(machine(0.4))
    assert call.run(60.0) == 0
    assert call.metrics.counter(DOWN) == 0
    assert call.metrics.snapshot().gauges[LEVEL] == 0


@pytest.mark.parametrize("faces", [1, 3])
@pytest.mark.parametrize("speed", [0.8, 1.2, 1.6])
def test_it_settles_quickly_where_the_machine_keeps_up(speed: float, faces: int) -> None:
    call = Call(machine(speed), faces)
    call.run(6.0)
    settled = call.quality_controller.level
    assert settled > 0
    costs = [call.cost(LADDER[settled], faces, index) for index in range(120)]
    assert np.mean(costs) <= 1000.0 / RATE
    assert call.metrics.counter(DOWN) >= 1


def test_it_goes_down_in_the_stated_order_past_what_changes_nothing() -> None:
    three = Call(lambda quality, faces, index: 200.0, faces=3, side=160)
    three.exemplars = (Exemplar(BLANK, 200, (0.0, 0.0), 1.0, 0.0),)
    three.quality_controller.start(0, small=True, beside=True)
    assert three.run(60.0) == len(LADDER) - 1
    assert sorted(set(three.levels)) == list(range(len(LADDER)))
    one = Call(lambda quality, faces, index: 200.0, faces=1, side=160)
    one.run(60.0)
    same = {LARGE_SHARE, step("two faces"), step("one face")}
    assert same.isdisjoint(one.levels), "one face"
    nobody = Call(lambda quality, faces, index: 200.0, faces=0)
    search = step("new faces sought less often")
    assert nobody.run(60.0) == search, "only the search for faces can be had cheaper"


def test_it_does_not_flap() -> None:
    call = Call(machine(1.2))
    call.run(600.0)
    # Going up is tried again ever more seldom: at most once in about a minute in the end.
    assert call.metrics.counter(UP) <= 20
    late = call.levels[len(call.levels) // 2 :]
    assert sum(a != b for a, b in pairwise(late)) <= 16


def test_quality_comes_back_slowly_when_there_is_time_again() -> None:
    call = Call(machine(2.0))
    call.run(10.0)
    low = call.quality_controller.level
    assert low >= step("crops of 64 px")
    call.cost = machine(0.3)
    call.run(UP_AFTER_S / 2.0)
    assert call.quality_controller.level == low, "not at once"
    assert call.run(120.0) == 0
    assert call.metrics.counter(UP) >= 3


def test_a_disturbance_now_and_then_changes_nothing() -> None:
    call = Call(machine(0.4))
    for _ in range(40):
        call.run(1.0)
        call.step(0.2)
    assert set(call.levels) == {0}


def test_nothing_is_judged_before_there_is_enough_to_judge() -> None:
    call = Call(machine(0.4))
    for worked_s in (3.1, 0.3):  # models are loaded
        call.step(worked_s)
    call.run(5.0)
    assert set(call.levels) == {0}
    for worked_s, frames in ((0.05, FRAMES), (0.3, FRAMES // 2)):
        slow = Call(machine(1.0))
        for _ in range(frames - 1):
            slow.step(worked_s)
        assert slow.quality_controller.level == 0
        slow.step(worked_s)
        assert slow.quality_controller.level == step("the network in every other frame")


def test_where_the_network_runs_in_some_frames_their_latency_counts() -> None:
    def cost(quality: QualityLevel, faces: int, index: int) -> float:
        side = min(96, quality.largest_px)
        return 5.0 + (45.0 * (side / 96) ** 2 if index % quality.enhance_every == 0 else 0.0)

    call = Call(cost, side=96)
    call.run(30.0)
    assert call.quality.largest_px == 64, "96 px take 28 ms in the mean, but 50 every other time"


def test_a_camera_that_slows_down_leaves_more_time() -> None:
    def cost(quality: QualityLevel, faces: int, index: int) -> float:
        return 45.0

    assert Call(cost, rate=30).run(20.0) > 0
    assert Call(cost, rate=15).run(20.0) == 0


def test_while_nobody_is_far_nothing_is_tried() -> None:
    call = Call(machine(2.0))
    call.run(10.0)
    low = call.quality_controller.level
    call.faces = 0
    assert call.run(60.0) == low


def large(quality: QualityLevel, faces: int, index: int) -> float:
    """Of one face of 80 px on a machine that does 48 px in 4 ms."""
    return 8.0 + 4.0 * (min(160, quality.largest_px) / 48) ** 2 / quality.enhance_every


def test_a_call_begins_where_it_was_measured_and_goes_on_from_there() -> None:
    for measured_px, ways in ((160, {DOWN}), (128, set()), (64, {UP})):
        call = Call(large, side=160)
        call.quality_controller.start(first_level(measured_px))
        assert call.quality == LADDER[first_level(measured_px)]
        assert call.metrics.counter(DOWN) == 0, "a beginning is no step down"
        assert call.metrics.snapshot().gauges[LEVEL] == first_level(measured_px)
        call.run(20.0)
        assert call.quality.largest_px == 128, "160 px take 30 ms in the mean, 128 px 22"
        assert {way for way in (UP, DOWN) if call.metrics.counter(way)} == ways


def test_a_face_that_is_too_wide_for_the_budget_is_a_reason_to_go_up() -> None:
    call = Call(lambda quality, faces, index: 5.0, faces=0)
    call.quality_controller.start(step("crops of 48 px"))
    box = np.array([0.0, 0.0, 70.0, 70.0], np.float32)
    face = Face(1, box, np.zeros((6, 2), np.float32), 1.0)
    for index in range(400):
        call.now_s = index / RATE
        frame = Frame(BLANK, index, 0, Fraction(1, 90), round(call.now_s * 1e9), (face,))
        call.quality_controller(frame, 0.005)
        if call.quality.widest_px >= 140.0:
            break
    assert call.quality.widest_px >= 140.0
    assert call.quality_controller.level == step("one face"), "no further than it needs"


def same_time(ms: float, quality: QualityLevel, faces: int, index: int) -> float:
    return ms


def test_a_small_face_does_not_open_the_way_for_one_that_would_stop_the_picture() -> None:
    low = step("crops of 96 px")
    for speed, side, level in ((0.3, 80, 0), (0.9, 32, low)):
        call = Call(partial(same_time, speed * 18.0), side=side)
        call.quality_controller.start(low)
        assert call.run(60.0) == level, side


def begins(crop_ms: float, rest_ms: float, faces: int = 1) -> Call:
    """A call on a machine that nobody measured."""

    def cost(quality: QualityLevel, faces: int, index: int) -> float:
        side = min(160, quality.largest_px)
        shown = faces > 0 and index % quality.enhance_every == 0
        return rest_ms + shown * crop_ms * (side / FIRST_PX) ** 2

    call = Call(cost, faces, side=160)
    call.quality_controller.start(first_level(None), crop_ms / 1e3)
    return call


@pytest.mark.parametrize(
    ("crop_ms", "rest_ms", "faces", "largest_px"),
    [
        *((1.0, 8.0, 1, 160), (2.0, 8.0, 1, 128), (4.0, 8.0, 1, 96), (8.0, 8.0, 1, 64)),
        *((0.5, 8.0, 0, 160), (1.0, 8.0, 0, 128), (2.0, 8.0, 0, 96), (8.0, 8.0, 0, 48)),
    ],
)
def test_where_nobody_measured_the_first_frames_say_how_much_there_is_time_for(
    crop_ms: float, rest_ms: float, faces: int, largest_px: int
) -> None:
    call = begins(crop_ms, rest_ms, faces)
    assert call.quality.largest_px == FIRST_PX
    call.run((LOOKED_AT - 2) / RATE)
    assert call.quality.largest_px == FIRST_PX, "not before they were looked at"
    call.run(4.0 / RATE)
    assert call.quality.largest_px == largest_px, "at once, not step by step"
    call.run(4.0)
    assert call.quality.largest_px == largest_px
    assert call.metrics.counter(UP) == 0, "a beginning is no step up"
    assert call.metrics.counter(DOWN) == 0, "it was not too much"


def test_with_the_first_far_face_it_looks_again() -> None:
    call = begins(4.0, 8.0, faces=0)
    call.run(3.0)
    assert call.quality.largest_px == 64, "it does not know what else there is to do with a face"
    call.faces = 1
    call.run((LOOKED_AT + 4) / RATE)
    assert call.quality.largest_px == 96
    assert call.metrics.counter(UP) == 0


def test_where_not_even_the_smallest_crop_keeps_up_it_goes_down_from_there() -> None:
    call = begins(40.0, 8.0)
    call.run(3.0)
    assert call.quality_controller.level == len(LADDER) - 1


def test_the_first_frames_choose_once() -> None:
    call = begins(1.0, 40.0)
    call.run(LOOKED_AT / RATE + 1.0)
    low = call.quality_controller.level
    assert call.quality.largest_px == FIRST_PX
    call.cost = machine(0.1)
    call.run(1.0)
    assert call.quality_controller.level == low, "from now on slowly"


def test_room_while_nobody_is_far_is_none_for_whoever_comes() -> None:
    call = begins(24.0, 8.0, faces=0)
    call.run(20.0)
    low, alone = call.quality_controller.level, len(call.levels)
    call.faces = 1
    call.run(20.0)
    assert call.quality.largest_px == FIRST_PX
    assert set(call.levels[alone:]) == {low}, "64 px would be too much, and was not tried"
    call.cost = machine(0.1)
    call.run(60.0)
    assert call.quality_controller.level == 0
