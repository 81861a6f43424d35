"""Personal weights: for one person, never in doubt, and closed when they are not needed."""

from __future__ import annotations

import time
from fractions import Fraction

import numpy as np
import pytest

from engines.personal.personal_weights import PersonalWeights
from engines.runtime import Features
from stream.frame import Image
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.enhancement.runtime_set import (
    KNOWN,
    MOST_ASKED,
    PersonalRuntimes,
    RuntimeSet,
)
from tests.fakes import BicubicRuntime
from tests.stream.stages.enhancement.test_enhancer import RATE, Studio, exemplars, face


class Inverting(BicubicRuntime):
    """Of one person: it is seen who enhanced a face."""

    def enhance(self, crop: Image, features: Features | None) -> Image:
        return np.asarray(255 - super().enhance(crop, features), np.uint8)


def test_personal_weights_are_used_for_that_person_alone_and_never_in_doubt() -> None:
    personal = PersonalRuntimes(lambda weights: Inverting(weights.scale))
    studio = Studio()
    studio.stage = Enhancer(studio._open, Fraction(RATE), personal=personal)
    weights = PersonalWeights(4, {}, ())
    known = exemplars()
    known_face = face(60, known=known, version=1)
    other = face(60, (150.0, 150.0), track_id=2, known=known, version=2)
    doubted = face(60, (480.0, 250.0), track_id=3)

    def brightness() -> list[float]:
        for _ in range(20):
            faces = studio.show(known_face, other, doubted)
        return [float(one.patch.image.mean()) for one in faces if one.patch is not None]

    shipped = brightness()
    personal.put(1, weights)
    personal.put(3, weights)
    learnt = brightness()
    assert learnt[0] == pytest.approx(255 - shipped[0], abs=1.5)
    assert learnt[1:] == pytest.approx(shipped[1:], abs=0.01)
    personal.remove(1)
    assert brightness() == pytest.approx(shipped, abs=0.01)
    studio.stage.close()


def test_replaced_and_remaining_personal_runtimes_are_closed() -> None:
    opened: list[BicubicRuntime] = []

    def opens(weights: PersonalWeights) -> BicubicRuntime:
        opened.append(BicubicRuntime(weights.scale))
        return opened[-1]

    personal = PersonalRuntimes(opens)
    for _ in range(3):
        personal.put(1, PersonalWeights(4, {}, ()))
    assert personal.get(1, 4) is opened[2]
    assert [one.is_open for one in opened] == [False, False, True]
    assert personal.get(1, 8) is None
    personal.close()
    assert not any(one.is_open for one in opened)
    personal.put(1, PersonalWeights(4, {}, ()), ready_within_s=60.0)
    assert len(opened) == 4
    assert not opened[3].is_open, "what comes after the end is freed at once"
    assert personal.get(1, 4) is None


def test_a_known_person_has_the_weights_from_the_decision_on_and_nobody_else() -> None:
    personal = PersonalRuntimes(lambda weights: BicubicRuntime(weights.scale))
    personal.put(KNOWN, PersonalWeights(4, {}, ()))
    runtimes = RuntimeSet(BicubicRuntime, personal)
    shipped = runtimes.shipped(4)
    assert runtimes.of(1, 4, 48) is shipped
    personal.known_is(1)
    own = runtimes.of(1, 4, 48)
    assert own is not shipped
    assert runtimes.of(2, 4, 48) is shipped
    assert runtimes.of(1, 8, 48) is runtimes.shipped(8), "learnt for one scale"
    personal.put(1, PersonalWeights(4, {}, ()))
    assert runtimes.of(1, 4, 48) not in (own, shipped), "learnt in this call"
    personal.remove(1)
    personal.known_is(None)
    assert runtimes.of(1, 4, 48) is shipped
    runtimes.close()
    assert isinstance(own, BicubicRuntime)
    assert not own.is_open


class Compiling(BicubicRuntime):
    """Has sizes compiled when it is asked to."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale)
        self.ready: set[int] = set()
        self.wanted: set[int] = set()

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        if soon and bucket not in self.ready:
            self.wanted.add(bucket)
        return bucket in self.ready


def test_the_other_size_of_network_helps_out_while_one_is_compiled() -> None:
    full, small = Compiling(4), Compiling(4)
    runtimes = RuntimeSet(lambda scale: full, open_small=lambda scale: small)
    before = runtimes.has_small
    assert runtimes.shipped(4) is full
    assert (before, runtimes.has_small) == (False, True), "opened with the full one"
    assert runtimes.chosen(4, 48) is full, "neither is ready: the one that is to be used"
    assert not runtimes.at_once(1, 4, 48)
    full.ready = {48}
    runtimes.small_first = True
    assert runtimes.chosen(4, 48) is full, "in place of the small one, which is not ready"
    assert runtimes.at_once(1, 4, 48)
    assert small.wanted == {48}
    small.ready = {48, 64}
    assert runtimes.chosen(4, 48) is small
    runtimes.small_first = False
    assert runtimes.chosen(4, 64) is small, "in place of the full one"
    assert runtimes.chosen(4, 48) is full
    assert full.wanted == {48, 64}
    runtimes.close()
    assert not full.is_open
    assert not small.is_open


def test_pictures_of_a_recording_do_not_depend_on_what_is_compiled() -> None:
    full, small = Compiling(4), Compiling(4)
    runtimes = RuntimeSet(lambda scale: full, open_small=lambda scale: small, waits=True)
    runtimes.small_first = True
    for ready in (set[int](), {48}):
        full.ready = ready
        assert runtimes.chosen(4, 48) is small
    assert not small.wanted, "nothing is compiled beside what waits for it"
    runtimes.close()


def test_without_a_small_network_there_is_the_full_one() -> None:
    runtimes = RuntimeSet(BicubicRuntime)
    runtimes.small_first = True
    assert runtimes.chosen(4, 48) is runtimes.shipped(4)
    assert not runtimes.has_small
    runtimes.close()


def test_what_a_known_person_will_need_is_made_ready_before() -> None:
    asked: list[tuple[int, bool]] = []

    class Slow(BicubicRuntime):
        def at_once(self, bucket: int, *, soon: bool = False) -> bool:
            asked.append((bucket, soon))
            return False

    personal = PersonalRuntimes(lambda weights: Slow(weights.scale))
    personal.put(KNOWN, PersonalWeights(4, {}, ()))
    runtimes = RuntimeSet(BicubicRuntime, personal)
    assert runtimes.at_once(1, 4, 48), "nobody waits for it"
    assert asked == [(48, True)]
    runtimes.close()


def test_asking_what_is_ready_frees_nothing_that_may_be_running() -> None:
    personal = PersonalRuntimes(lambda weights: BicubicRuntime(weights.scale))
    personal.put(1, PersonalWeights(4, {}, ()))
    runtimes = RuntimeSet(BicubicRuntime, personal)
    running = runtimes.of(1, 4, 48)
    personal.put(1, PersonalWeights(4, {}, ()))
    assert runtimes.at_once(1, 4, 48)
    assert isinstance(running, BicubicRuntime)
    assert running.is_open, "the thread of the network may be using it"
    own = [running, runtimes.of(1, 4, 48)]
    assert [isinstance(one, BicubicRuntime) and one.is_open for one in own] == [False, True], (
        "it is that thread which has just asked for another"
    )
    runtimes.close()


def test_weights_of_somebody_who_is_forgotten_while_they_are_opened_are_never_used() -> None:
    opened: list[Compiling] = []

    def opens(weights: PersonalWeights) -> Compiling:
        opened.append(Compiling(weights.scale))
        return opened[-1]

    personal = PersonalRuntimes(opens)
    personal.ask(1, 4, 48)
    answers = iter((True, True))
    start_s = time.monotonic()
    used = personal.put(
        *(1, PersonalWeights(4, {}, ())), ready_within_s=60.0, wanted=lambda: next(answers, False)
    )
    assert not used
    assert time.monotonic() - start_s < 30.0, "nobody waits for what is not wanted"
    assert personal.get(1, 4) is None
    assert not opened[0].is_open
    # forgotten in the moment in which they are put in
    answers = iter((True,))
    assert not personal.put(1, PersonalWeights(4, {}, ()), wanted=lambda: next(answers, False))
    assert personal.get(1, 4) is None
    assert not opened[1].is_open, "freed by the thread that uses them"
    assert personal.put(1, PersonalWeights(4, {}, ()), wanted=lambda: True)
    assert personal.get(1, 4) is opened[2]
    personal.close()


def test_what_is_remembered_of_many_faces_stays_bounded() -> None:
    personal = PersonalRuntimes()
    for track_id in range(10 * MOST_ASKED):
        personal.ask(track_id, 4, 48)
        personal.ask(0, 4, 48)
    assert len(personal._asked) <= MOST_ASKED
    assert personal._asked[0, 4] == 48
