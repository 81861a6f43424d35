"""Album: who is who in a recording, and what is kept of each."""

from __future__ import annotations

import numpy as np

from stream.frame import Frame
from stream.recordings import album
from stream.recordings.album import Album
from stream.stages.bank import Bank
from stream.stages.exemplars import CAPACITY
from tests.helpers import frame_of
from tests.test_bank import face, scene


def frames(width: float, start: int, count: int, track_id: int = 1) -> list[Frame]:
    """Somebody in front of a camera, who looks around."""
    return [
        frame_of(scene(width), i, faces=(face(width, 0.3 * float(np.sin(i / 10)), track_id),))
        for i in range(start, start + count)
    ]


def test_the_start_is_served_with_close_ups_of_the_end() -> None:
    far, close = frames(40, 0, 60), frames(200, 60, 120)
    with Album() as people:
        for frame in far + close:
            people.see(frame)
        kept = people.finish()
        bank = Bank()
        bank.start_with(kept)
        (first,) = bank(far[0]).faces
        assert len(first.exemplars) == 3
        assert all(one.side_px == 400 and one.time_s >= 2.0 for one in first.exemplars)
        assert (people.people, people.merged, people.harvested) == (1, 0, len(kept[1]))


def test_the_second_pass_takes_nothing_in_and_forgets_nobody() -> None:
    with Album() as people:
        for frame in frames(200, 0, 120):
            people.see(frame)
        bank = Bank()
        bank.start_with(people.finish())
        before = bank.exemplars_of(1)
        for frame in frames(200, 9000, 60, track_id=2):
            bank(frame)
        assert bank.exemplars_of(1) == before
        assert bank.exemplars_of(2) == ()
        assert bank.harvested == 0
        (far,) = bank(frames(40, 20_000, 1)[0]).faces
        assert len(far.exemplars) == 3


def test_close_ups_of_a_long_recording_do_not_grow_old() -> None:
    """The sharpest minute counts, whenever it was; and what is kept stays bounded."""
    with Album() as people:
        for minute in range(4):
            for frame in frames(200, 1800 * minute, 240):
                people.see(frame)
        kept = people.finish()[1]
        times = [one.time_s for one in kept.all()]
        assert len(kept) <= CAPACITY
        assert min(times) < 10.0


def test_everything_is_wiped_at_the_end() -> None:
    with Album() as people:
        for frame in frames(200, 0, 60) + frames(200, 200, 60, track_id=2):
            people.see(frame)
        pictures = [one.image for own in people.finish().values() for one in own.all()]
        assert all(image.any() for image in pictures)
    assert len(pictures) == people.harvested
    assert not any(image.any() for image in pictures)


def test_whom_nobody_asked_for_is_wiped_too() -> None:
    """Ctrl-C, or an error, in the first pass."""
    with Album() as people:
        for frame in frames(200, 0, 60):
            people.see(frame)
        pictures = [one.image for one in people._bank.exemplars_of(1)]
    assert pictures
    assert not any(image.any() for image in pictures)


def test_a_crowd_stays_bounded() -> None:
    with Album() as people:
        most = album.MAX_PEOPLE
        for person in range(most + 3):
            longer = 40 if person == 0 else 6
            for frame in frames(200, 90 * person, longer, track_id=person + 1):
                people.see(frame)
        kept = people.finish()
        assert len(kept) == most
        assert 1 in kept
        assert people.people == most + 3
