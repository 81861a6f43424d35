"""What is kept of a person survives as bytes, is bounded, and is wiped."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from stream.errors import InputError
from stream.known_people.known_person import MOST_CLOSE_UPS, KnownPerson
from tests.kept_people import BIAS, close_up, known_person


def test_as_bytes_and_back() -> None:
    person = known_person("Ada")
    again = KnownPerson.from_bytes("Ada", person.to_bytes())
    assert (again.name, again.gains, again.learnt_from) == (
        "Ada",
        person.gains,
        person.learnt_from,
    )
    for one, other in zip(again.close_ups, person.close_ups, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.keypoints, other.keypoints)
        assert (one.day, one.side_px, one.sharpness) == (other.day, other.side_px, other.sharpness)
        assert one.pose == pytest.approx(other.pose)
    assert again.weights[4].of == person.weights[4].of
    assert np.array_equal(again.weights[4].parameters[BIAS], person.weights[4].parameters[BIAS])


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"x" * 100])
def test_damage_is_one_line(data: bytes) -> None:
    with pytest.raises(InputError, match="closeup forget Ada"):
        KnownPerson.from_bytes("Ada", data)


def test_days_share_the_room_and_the_blunter_of_two_alike_goes() -> None:
    person = KnownPerson("Ada")
    person.add(close_up(1, "2026-01-05", 0.1 * k) for k in range(MOST_CLOSE_UPS))
    new = [close_up(2, "2026-01-02", 0.01 * k, 0.1 + 0.01 * (k % 2)) for k in range(30)]
    person.add(new)
    assert len(person.close_ups) == MOST_CLOSE_UPS
    assert person.days == ["2026-01-02", "2026-01-05"]
    counts = [sum(one.day == day for one in person.close_ups) for day in person.days]
    assert counts == [18, 18]
    kept = [one for one in new if one.image.any()]
    assert len(kept) == 18, "the others were overwritten with zeros"
    assert sum(one.sharpness > 0.105 for one in kept) > 12
    times = [one.time_s for one in person.to_learn()]
    assert times == sorted(times)


def test_other_shipped_weights_make_what_was_learnt_outdated() -> None:
    assert not known_person("Ada").outdated
    person = known_person("Ada")
    assert [one.scale for one in person.usable_weights()] == [4]
    person.weights[4] = replace(person.weights[4], of=("0", "1"))
    person.learnt_from[4] = ("0", "1")
    assert person.outdated
    assert not person.usable_weights()


def test_wiping_leaves_zeros() -> None:
    person = known_person("Ada")
    images = [one.image for one in person.close_ups]
    bias = person.weights[4].parameters[BIAS]
    person.wipe()
    assert not any(image.any() for image in images)
    assert not bias.any()
    assert not person.close_ups
