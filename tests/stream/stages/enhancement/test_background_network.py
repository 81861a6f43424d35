"""The network beside the frames of a call: none waits for it, and no two threads use it at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from engines.errors import EngineError
from engines.runtime import Features
from stream.frame import Face, Frame, Image, Patch
from stream.quality_ladder import FULL
from stream.stages.enhancement.background_network import BackgroundNetwork, CarriedPatch
from stream.stages.enhancement.crop_selector import Crop
from stream.stages.enhancement.enhancer import Enhancer
from tests.fakes import BicubicRuntime
from tests.stream.stages.enhancement.test_detail_carrier import (
    CELLS,
    PLACE,
    SCALE,
    piece,
    scene,
    seen,
)
from tests.stream.stages.enhancement.test_enhancer import RATE, SCENE, WHOLE_X2, face

LONG_S = 20.0


class HeldRuntime(BicubicRuntime):
    """Works on a crop for as long as it is told to, and notes in which threads."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale)
        self.free = threading.Event()
        self.free.set()
        self.busy = 0
        self.threads: set[int] = set()
        self.fails = False

    def enhance(self, crop: Image, features: Features | None) -> Image:
        self.busy += 1
        assert self.busy == 1, "used by two threads at once"
        self.threads.add(threading.get_ident())
        assert self.free.wait(LONG_S)
        self.busy -= 1
        if self.fails:
            raise EngineError("no more")
        return super().enhance(crop, features)


class Call:
    """A face that stays, in a call whose network runs in every other frame."""

    def __init__(self, every: int = 2) -> None:
        self.runtime = HeldRuntime(4)
        self.stage = Enhancer(lambda scale: self.runtime, Fraction(RATE), waits=False, beside=True)
        self.every(every)
        self.index = 0

    def every(self, every: int) -> None:
        self.stage.apply(replace(FULL, enhance_every=every))

    def show(self, one: Face | None = None) -> Patch | None:
        faces = (one or face(60.0),)
        frame = Frame(SCENE, self.index, self.index, Fraction(1, RATE), 0, faces, WHOLE_X2)
        self.index += 1
        return self.stage(frame).faces[0].patch


@pytest.fixture
def call() -> Iterator[Call]:
    one = Call()
    yield one
    one.runtime.free.set()
    one.stage.close()


def test_no_frame_waits_for_the_network(call: Call) -> None:
    assert call.show() is not None, "the first patch is there at once"
    call.runtime.free.clear()
    for _ in range(6):
        patch = call.show()
        assert patch is not None
        assert patch.image.shape == (256, 256, 3)
    assert len(call.runtime.enhanced) == 1, "it is still at work"
    assert threading.get_ident() not in call.runtime.threads


def test_it_begins_in_every_so_many_frames(call: Call) -> None:
    for _ in range(12):
        call.show()
        call.stage._tracks[1].carried.finish()
    assert 5 <= len(call.runtime.enhanced) <= 7


def test_the_time_it_needs_is_told_while_it_works_and_afterwards(call: Call) -> None:
    call.show()
    call.runtime.free.clear()
    for _ in range(3):
        call.show()
    during_s = call.stage.beside_s
    assert during_s > 0.0
    call.runtime.free.set()
    call.stage._tracks[1].carried.finish()
    call.show()
    assert call.stage.beside_s >= during_s
    call.every(1)
    call.show()
    assert call.stage.beside_s == 0.0, "it works within the frames"


def test_it_can_work_beside_every_frame(call: Call) -> None:
    call.stage.apply(replace(FULL, beside=True))
    call.show()
    call.runtime.free.clear()
    for _ in range(4):
        assert call.show() is not None, "none waits for it"
    assert len(call.runtime.enhanced) == 1
    call.runtime.free.set()
    for number in range(1, 8):
        call.stage._tracks[1].carried.finish()
        call.show()
        assert len(call.runtime.enhanced) >= number
    assert call.stage.beside_s > 0.0
    assert threading.get_ident() not in call.runtime.threads


def test_the_quality_level_chooses_the_network() -> None:
    full, small = HeldRuntime(4), HeldRuntime(4)
    stage = Enhancer(lambda scale: full, Fraction(RATE), open_small=lambda scale: small)
    before = stage.has_small
    stage.warm_up()
    assert (before, stage.has_small) == (False, True)

    def show(index: int) -> None:
        stage(Frame(SCENE, index, index, Fraction(1, RATE), 0, (face(60.0),), WHOLE_X2))

    show(0)
    stage.apply(replace(FULL, small=True))
    show(1)
    show(2)
    stage.apply(FULL)
    show(3)
    assert (len(full.enhanced), len(small.enhanced)) == (2, 2)
    stage.close()
    always = Enhancer(
        lambda scale: full, Fraction(RATE), open_small=lambda scale: small, always_small=True
    )
    always.warm_up()
    assert not always.has_small, "no level changes it"
    always.apply(FULL)
    always(Frame(SCENE, 0, 0, Fraction(1, RATE), 0, (face(60.0),), WHOLE_X2))
    assert len(small.enhanced) == 3
    always.close()


def test_a_crop_that_jumped_is_waited_for(call: Call) -> None:
    call.show()
    call.show()
    patch = call.show(face(60.0, (420.0, 180.0)))
    assert patch is not None
    x0, y0, x1, y1 = patch.box
    assert np.array_equal(call.runtime.enhanced[-1][0], SCENE[y0:y1, x0:x1])


def test_what_it_raises_the_frame_raises(call: Call) -> None:
    call.show()
    call.show()
    call.runtime.fails = True
    call.show()
    with pytest.raises(EngineError, match="no more"):
        call.stage._tracks[1].carried.finish()
    call.runtime.fails = False
    assert call.show() is not None


def test_between_the_levels_it_is_never_used_by_two_threads(call: Call) -> None:
    made = []
    for every in (2, 1, 3, 1, 1, 2, 2):
        call.every(every)
        assert call.show() is not None, "and nothing was raised"
        made.append(len(call.runtime.enhanced))
    assert made[1] > made[0], "within the frame at full quality"


def test_forgetting_and_closing_wait_for_it(call: Call) -> None:
    call.show()
    call.runtime.free.clear()
    call.show()
    call.show()
    threading.Timer(0.2, call.runtime.free.set).start()
    call.stage.forget()
    assert call.show() is not None
    assert len(call.runtime.enhanced) == 3, "what it worked on is of no use, nor is the last patch"
    call.stage.close()
    assert call.runtime.busy == 0
    assert not call.runtime.is_open


def test_what_was_made_is_brought_to_where_the_face_is_now() -> None:
    there, network, carried = scene(), BackgroundNetwork(), CarriedPatch()
    before = piece(there, 300.0, 300.0)
    shown = [
        carried.beside(network, Crop(seen(one), PLACE, SCALE, float(CELLS)), lambda: before, n, 2)
        for n, one in enumerate((before, piece(there, 300.0 - 2.3 * SCALE, 300.0)))
    ]
    network.close()
    middle = slice(32, -32)
    now = piece(there, 300.0 - 2.3 * SCALE, 300.0)
    apart = np.abs(shown[1].astype(float) - now)[middle, middle].mean()
    assert np.abs(shown[0].astype(float) - before)[middle, middle].mean() < 2.0
    assert apart < 0.3 * np.abs(before.astype(float) - now)[middle, middle].mean()
