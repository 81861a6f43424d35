"""calibration.reidentification: who returns is more alike than strangers are."""

from __future__ import annotations

import numpy as np
import pytest

from calibration.reidentification import likenesses, measure
from stream.errors import InputError
from stream.frame import Image
from stream.stages.exemplars.hog_descriptor import HogDescriptor
from tests.pictures import hopper, need_models


def views(head: Image, count: int) -> list[Image]:
    """Photos of one session: the head moves a little."""
    return [np.ascontiguousarray(np.roll(head, 2 * k, axis=1)) for k in range(count)]


def test_a_session_in_two_halves_and_two_people() -> None:
    need_models()
    head = np.ascontiguousarray(hopper()[40:440, 60:460])
    other = np.ascontiguousarray(head[:, ::-1])
    people = {("one", "a"): views(head, 4), ("other", "a"): views(other, 4)}
    found = likenesses(people, HogDescriptor(), 0)
    assert len(found.returns) == 2
    assert len(found.strangers) == 2, "each one's far half and the other's close one"
    assert len(found.trembles) == 2
    assert found.returns.min() > 0.95 > found.strangers.max()
    assert np.abs(found.trembles).max() < 0.1
    result = measure(people, HogDescriptor(), 0)
    assert (result["returns"], result["recognised"], result["merged"]) == (2, 2, 0)
    with pytest.raises(InputError, match="too few photos"):
        likenesses({("one", "a"): views(head, 4)}, HogDescriptor(), 0)
