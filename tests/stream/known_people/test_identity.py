"""Who a face is, by descriptors that say so; real people are not shipped."""

from __future__ import annotations

import numpy as np

from stream.frame import Face, Floats, Image
from stream.known_people.identity import SURE, Identity
from stream.known_people.known_person import KeptCloseUp
from stream.stages.exemplars.dlib_descriptor import DlibDescriptor
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from tests.kept_people import close_up


class ByBrightness:
    """A face's descriptor is an angle, by how bright the picture is."""

    same = 0.9

    def __init__(self, name: str) -> None:
        self.name = name

    def describe(self, image: Image, face: Face) -> Floats:
        angle = float(image.mean()) / 100.0
        return np.array([np.cos(angle), np.sin(angle)], np.float32)


def recogniser(*close_ups: KeptCloseUp) -> Identity:
    return Identity(close_ups, ByBrightness(DlibDescriptor.name))


def test_likeness_is_that_of_the_close_up_most_alike() -> None:
    identity = recogniser(close_up(100), close_up(140))
    shown = close_up(145)
    likeness = identity.likeness(shown.image, shown.face)
    assert likeness is not None
    assert np.isclose(likeness, np.cos(0.05), atol=1e-4)
    assert identity.sure == SURE[DlibDescriptor.name]


def test_a_face_that_shows_too_little_is_not_compared() -> None:
    identity = recogniser(close_up(100))
    shown = close_up(100)
    small = Face(1, shown.face.box / 8.0, shown.face.keypoints / 8.0, 0.9)
    assert identity.likeness(shown.image, small) is None
    assert recogniser().likeness(shown.image, shown.face) is None


def test_strangers_are_found_by_a_recogniser_and_by_nothing_less() -> None:
    kept = [close_up(100), close_up(102)]
    assert recogniser(*kept).is_stranger([close_up(160)])
    assert not recogniser(*kept).is_stranger([close_up(104)])
    assert not recogniser(*kept).is_stranger([])
    assert not recogniser().is_stranger([close_up(160)])
    assert recogniser().across_days
    gradients = Identity(kept, ByBrightness(HogDescriptor.name))
    assert not gradients.across_days
    assert not gradients.is_stranger([close_up(160)])


def test_nothing_is_left_of_it() -> None:
    identity = recogniser(close_up(100))
    kept = identity._descriptors[0]
    identity.wipe()
    assert not kept.any()
    assert identity.likeness(close_up(100).image, close_up(100).face) is None
