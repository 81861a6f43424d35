from __future__ import annotations

import numpy as np
import pytest

from stream.frame import EXEMPLARS_PER_FACE, Exemplar
from stream.stages.exemplars.exemplar_set import CAPACITY, SAME_POSE, Exemplars


def exemplar(
    yaw: float = 0.0,
    pitch: float = 0.0,
    sharpness: float = 0.15,
    time_s: float = 0.0,
    side_px: int = 300,
) -> Exemplar:
    image = np.full((256, 256, 3), 100, np.uint8)
    image.setflags(write=False)
    return Exemplar(image, side_px, (yaw, pitch), sharpness, time_s)


def somewhere(rng: np.random.Generator, sharpness: float = 0.15, time_s: float = 0.0) -> Exemplar:
    yaw, pitch = rng.uniform(-0.3, 0.3, 2)
    return exemplar(float(yaw), float(pitch), sharpness, time_s)


def filled(*items: Exemplar) -> Exemplars:
    kept = Exemplars()
    for item in items:
        assert kept.admit(item)
    return kept


def test_it_is_bounded_and_diverse() -> None:
    kept = Exemplars()
    rng = np.random.default_rng(0)
    for i in range(300):
        kept.admit(somewhere(rng, time_s=0.5 * i))
        assert len(kept) <= CAPACITY
    yaws = [one.pose[0] for one in kept.all()]
    assert max(yaws) - min(yaws) > 0.3


def test_of_one_pose_only_a_few_are_kept() -> None:
    kept = Exemplars()
    taken = [kept.admit(exemplar(time_s=0.1 * i)) for i in range(10)]
    assert taken == [True] * SAME_POSE + [False] * (10 - SAME_POSE)


def several(count: int = SAME_POSE - 1, time_s: float = 0.0) -> list[Exemplar]:
    return [exemplar(sharpness=0.15 + 0.01 * i, time_s=time_s) for i in range(count)]


def test_a_sharper_one_takes_the_place_of_the_bluntest_which_is_wiped() -> None:
    blunt = exemplar(sharpness=0.10)
    kept = filled(blunt, *several())
    assert not kept.admit(exemplar(sharpness=0.105, time_s=0.5))
    assert kept.admit(exemplar(sharpness=0.14, time_s=0.5))
    assert sorted(one.sharpness for one in kept.all())[:2] == [0.14, 0.15]
    assert not blunt.image.any()


def test_one_of_these_minutes_takes_the_place_of_an_old_one() -> None:
    old = exemplar()
    kept = filled(old, *several(time_s=30.5))
    assert kept.admit(exemplar(time_s=31.0))
    assert old not in kept.all()


def test_the_latest_three_follow_the_present_and_the_others_stay() -> None:
    kept = Exemplars()
    for i in range(125):
        kept.admit(exemplar(time_s=0.2 * i))
    times = [one.time_s for one in kept.all()]
    assert times[:3] == pytest.approx([0.0, 0.2, 0.4])
    assert min(times[3:]) > 24.8 - 2.5
    chosen = kept.choose((0.0, 0.0), 80.0)
    assert {one.time_s for one in chosen[:3]} == set(times[3:])
    assert set(chosen[3:]) == set(kept.all()[:3]), "the others follow"


def test_where_a_whole_recording_is_looked_through_time_counts_for_nothing() -> None:
    kept = Exemplars(rolling=False)
    for i in range(125):
        kept.admit(exemplar(time_s=0.2 * i))
    assert [one.time_s for one in kept.all()] == pytest.approx([0.0, 0.2, 0.4])


def test_what_is_in_use_is_never_let_go() -> None:
    mine = [exemplar(0.01 * i, sharpness=0.05) for i in range(3)]
    kept = filled(*mine)
    rng = np.random.default_rng(0)
    for i in range(200):
        kept.admit(somewhere(rng, sharpness=0.2, time_s=0.5 * i), mine)
    assert all(one in kept.all() and one.image.all() for one in mine)


def test_makeshift_ones_go_when_there_are_enough_real_ones() -> None:
    kept = filled(*(exemplar(time_s=0.5 * i, side_px=110) for i in range(3)))
    for i in range(EXEMPLARS_PER_FACE):
        assert kept.admit(exemplar(time_s=3.0 + i, side_px=240))
    assert [one.side_px for one in kept.all()] == [240] * EXEMPLARS_PER_FACE


def test_the_choice_is_the_nearest_pose() -> None:
    kept = filled(*(exemplar(0.1 * i) for i in range(-3, 4)))
    chosen = kept.choose((0.2, 0.0), 80.0)
    assert chosen[0].pose[0] == pytest.approx(0.2)
    assert sorted(one.pose[0] for one in chosen[:3]) == pytest.approx([0.1, 0.2, 0.3])
    assert [one.pose[0] for one in chosen[3:]] == pytest.approx([0.0, -0.1, -0.2, -0.3])


def test_of_equal_poses_the_sharper_is_chosen() -> None:
    kept = filled(*(exemplar(0.07 * i, sharpness=0.1 + 0.02 * i) for i in range(5)))
    assert kept.choose((0.14, 0.0), 80.0)[0].pose[0] >= 0.14


def test_of_near_copies_one_gives_way_to_another_view() -> None:
    copies = [exemplar(0.0, 0.001 * i) for i in range(3)]
    other = exemplar(0.062)
    chosen = filled(*copies, other).choose((0.03, 0.0), 80.0)
    assert other in chosen[:3]


def test_a_choice_stays_until_another_is_clearly_better() -> None:
    kept = filled(*(exemplar(0.1 * i) for i in range(-3, 4)))
    present = kept.choose((0.0, 0.0), 80.0)
    assert kept.choose((0.05, 0.0), 80.0, present) is present
    assert kept.choose((0.3, 0.0), 80.0, present) is not present


def test_more_is_better_than_what_there_was() -> None:
    kept = filled(exemplar())
    present = kept.choose((0.0, 0.0), 80.0)
    assert len(present) == 1
    kept.admit(exemplar(0.1))
    assert len(kept.choose((0.0, 0.0), 80.0, present)) == 2


def test_a_makeshift_one_serves_only_much_smaller_faces() -> None:
    kept = filled(exemplar(side_px=120))
    assert len(kept.choose((0.0, 0.0), 74.0)) == 1
    assert kept.choose((0.0, 0.0), 80.0) == ()


def test_a_real_one_replaces_a_makeshift_one_at_once() -> None:
    kept = filled(*(exemplar(0.1 * i, side_px=120) for i in range(3)))
    present = kept.choose((0.1, 0.0), 60.0)
    real = exemplar(0.1, side_px=240)
    kept.admit(real, present)
    assert real in kept.choose((0.1, 0.0), 60.0, present)


def test_wiping_overwrites_the_pictures() -> None:
    items = [exemplar(0.1 * i) for i in range(5)]
    kept = filled(*items)
    kept.wipe()
    assert len(kept) == 0
    assert not any(one.image.any() for one in items)
    assert kept.choose((0.0, 0.0), 80.0) == ()
