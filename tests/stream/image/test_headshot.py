from __future__ import annotations

import numpy as np
import pytest

from stream.image import headshot
from tests.pictures import HOPPER_FACE_CENTER, hopper


def test_a_headshot_is_cut_at_whole_pixels_and_never_resampled() -> None:
    image = hopper()
    cut = headshot.cut_headshot(image, (264.4, 237.2), 100)
    np.testing.assert_array_equal(cut, image[187:287, 214:314])
    assert not np.shares_memory(cut, image)


def test_a_centre_that_moves_by_less_than_half_a_pixel_cuts_the_same_square() -> None:
    assert headshot.headshot_rect((264.1, 237.1), 99) == headshot.headshot_rect((264.4, 237.4), 99)


@pytest.mark.parametrize("side", [1, 32, 33])
def test_the_square_has_the_side_that_was_asked_for(side: int) -> None:
    x0, y0, x1, y1 = headshot.headshot_rect((50.5, 60.0), side)
    assert (x1 - x0, y1 - y0) == (side, side)


def test_beyond_the_edge_the_picture_is_mirrored() -> None:
    image = hopper()
    cut = headshot.cut_headshot(image, (10.0, 100.0), 60)
    assert cut.shape == (60, 60, 3)
    np.testing.assert_array_equal(cut[:, 20:], image[70:130, :40])
    np.testing.assert_array_equal(cut[:, :20], image[70:130, 20:0:-1])


def test_a_headshot_larger_than_the_picture_is_whole() -> None:
    assert headshot.cut_headshot(hopper(), HOPPER_FACE_CENTER, 1500).shape == (1500, 1500, 3)


def test_a_square_that_misses_the_picture_or_has_no_pixel_is_refused() -> None:
    with pytest.raises(ValueError, match="misses"):
        headshot.cut_headshot(hopper(), (-100.0, 50.0), 40)
    with pytest.raises(ValueError, match="no picture"):
        headshot.cut_headshot(hopper(), (100.0, 50.0), 0)


def test_is_inside_knows_the_edges() -> None:
    assert headshot.is_inside(hopper(), (50.0, 50.0), 100)
    assert not headshot.is_inside(hopper(), (49.0, 50.0), 100)


@pytest.mark.parametrize("side", [120, 256, 392])
def test_exemplars_have_one_size_and_keep_their_brightness(side: int) -> None:
    cut = headshot.cut_headshot(hopper(), HOPPER_FACE_CENTER, side)
    exemplar = headshot.to_exemplar(cut)
    assert exemplar.shape == (256, 256, 3)
    assert exemplar.dtype == np.uint8
    assert abs(float(exemplar.mean()) - float(cut.mean())) < 0.5
