"""No seams, no contradiction of the camera, no change where nothing is to be changed."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest

from stream.errors import ConfigError
from stream.frame import Face, Frame, Image, Patch, View
from stream.image.resample import resample
from stream.image.touched import touched
from stream.media.sinks.native import changes
from stream.stages.compositing.compositor import Compositor
from tests.pictures import enlarge, smooth_picture

SIZE = (320, 180)
WHOLE = (0.0, 0.0, 320.0, 180.0)
VIEWS = {
    "in place": View(WHOLE, SIZE),
    "x2": View(WHOLE, (640, 360)),
    "x3": View(WHOLE, (960, 540)),
    "x4": View(WHOLE, (1280, 720)),
    "a part": View((70.25, 41.75, 230.25, 131.75), (640, 360)),
    "cuts the patch": View((150 + 1 / 3, 80 + 2 / 3, 310 + 1 / 3, 170 + 2 / 3), (480, 270)),
}
"""All of them aligned, but for the test that says so."""


def a_face(patch: Patch, side: float, center: tuple[float, float], track_id: int = 1) -> Face:
    x, y = center
    quarter = side / 4
    box = np.array([x - quarter, y - quarter, x + quarter, y + quarter], np.float32)
    return Face(track_id, box, np.zeros((6, 2), np.float32), 1.0, patch=patch)


def frame_of(image: Image, view: View, *faces: Face) -> Frame:
    return Frame(image, 0, 0, Fraction(1, 25), 0, faces, view)


def composed(frame: Frame, strength: float = 1.0) -> Image:
    output = Compositor(strength)(frame).output
    assert output is not None
    return output


def with_patch(image: Image, view: View, change: int = 0, scale: int = 4) -> Frame:
    """A face whose patch is the enlarged crop, `change` levels brighter in a fine checkerboard."""
    box = (128, 66, 192, 130)
    patch_image = enlarge(image[66:130, 128:192], scale).astype(int)
    rows, columns = np.indices(patch_image.shape[:2])
    # Finer than the camera's pixels: back-projection has nothing to say about it.
    checker = np.where((rows // 2 + columns // 2) % 2 == 0, change, -change)
    patch_image = np.clip(patch_image + checker[..., None], 0, 255)
    patch = Patch(patch_image.astype(np.uint8), box, scale)
    return frame_of(image, view, a_face(patch, 62.0, (160.4, 97.8)))


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
@pytest.mark.parametrize("scale", [4, 8])
def test_an_identity_patch_changes_nothing(view: View, scale: int) -> None:
    frame = with_patch(smooth_picture(), view, scale=scale)
    plain = resample(frame.image, view.rect, view.size).astype(int)
    assert np.abs(composed(frame) - plain).max() <= 2


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_regions_without_a_patch_are_never_altered(view: View) -> None:
    frame = with_patch(smooth_picture(), view, change=60)
    plain = resample(frame.image, view.rect, view.size).astype(int)
    changed = np.abs(composed(frame) - plain).max(axis=2) > 0
    rows, columns = np.nonzero(changed)
    x = view.rect[0] + (columns + 0.5) / view.zoom
    y = view.rect[1] + (rows + 0.5) / view.zoom
    if view.zoom >= 2.0:  # in place, the checkerboard averages out
        assert changed.any()
    assert ((x > 128) & (x < 192) & (y > 66) & (y < 130)).all()


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS.keys())
def test_where_a_recordings_own_pictures_are_written_nothing_is_drawn(view: View) -> None:
    native = av.VideoFrame(*SIZE, format="yuv420p")
    frame = replace(with_patch(smooth_picture(), view, 40), native=native)
    stage = Compositor()
    everything = stage(frame)
    stage.whole = False
    parts = stage(frame)
    assert everything.output is not None
    assert parts.output is not None
    assert parts.view is not None
    assert parts.output.shape == everything.output.shape
    for x0, y0, x1, y1 in touched(parts, parts.view.rect, parts.view.size):
        assert np.array_equal(parts.output[y0:y1, x0:x1], everything.output[y0:y1, x0:x1]), (
            "as far as anybody looks"
        )
    for one, other in zip(changes(parts), changes(everything), strict=True):
        assert one[0] == other[0]
        assert np.array_equal(one[1], other[1])
    if view.size != SIZE:
        assert (parts.output == 0).all(axis=2).mean() > 0.3
    nobody = stage(replace(frame, faces=()))
    assert not list(changes(nobody))


def test_there_is_no_seam_at_the_border_of_a_patch() -> None:
    image = np.full((180, 320, 3), 120, np.uint8)
    view = VIEWS["x4"]
    frame = with_patch(image, view, change=60)
    difference = np.abs(composed(frame).astype(int) - 120).max(axis=2)
    across = difference[98 * 4]
    inside = np.flatnonzero(across)
    assert across.max() > 50
    assert across[inside[0]] <= 2
    assert across[inside[-1]] <= 2
    assert np.abs(np.diff(across)).max() <= 4, "it rises softly"


def test_the_view_says_what_is_shown() -> None:
    view = View((70.3, 41.7, 230.3, 131.7), (640, 360))
    done = Compositor(0.0)(frame_of(smooth_picture(), view))
    assert done.view is not None
    assert done.view.rect == pytest.approx((70.25, 41.75, 230.25, 131.75))
    assert done.view.size == view.size


def test_a_view_that_moves_is_shown_where_it_is() -> None:
    view = View((70.3, 41.7, 230.3, 131.7), (640, 360), moving=True)
    image = smooth_picture()
    done = Compositor(0.0)(frame_of(image, view))
    assert done.view == view
    stood = composed(frame_of(image, replace(view, moving=False)))
    assert done.output is not None
    assert not np.array_equal(done.output, stood)
    assert np.abs(done.output.astype(int) - stood).max() <= 12, "a fifth of a pixel further"


def test_strength_zero_is_the_plain_enlargement() -> None:
    for view in VIEWS.values():
        frame = with_patch(smooth_picture(), view, change=60)
        assert np.array_equal(composed(frame, 0.0), resample(frame.image, view.rect, view.size))


def test_strength_and_weight_scale_the_change() -> None:
    image = np.full((180, 320, 3), 120, np.uint8)
    frame = with_patch(image, VIEWS["x4"], change=60)
    face = frame.faces[0]
    assert face.patch is not None
    whole = np.abs(composed(frame).astype(int) - 120).max()
    half = np.abs(composed(frame, 0.5).astype(int) - 120).max()
    faded = replace(frame, faces=(replace(face, patch=replace(face.patch, weight=0.5)),))
    assert half == pytest.approx(whole / 2, abs=1.5)
    assert np.array_equal(composed(faded), composed(frame, 0.5))


def test_nothing_to_do_hands_on_the_picture_itself_and_never_writes_into_it() -> None:
    image = smooth_picture()
    image.setflags(write=False)
    assert composed(frame_of(image, VIEWS["in place"])) is image
    before = image.copy()
    output = composed(with_patch(image, VIEWS["in place"], change=60))
    assert output is not image
    assert np.array_equal(image, before)


def test_the_nearer_face_is_drawn_last() -> None:
    image = np.full((180, 320, 3), 120, np.uint8)
    checker = with_patch(image, VIEWS["x4"], change=60).faces[0]
    plain = with_patch(image, VIEWS["x4"]).faces[0]
    assert plain.patch is not None
    larger = a_face(plain.patch, 64.0, (160.0, 98.0), 2)
    for faces in ((checker, larger), (larger, checker)):
        output = composed(frame_of(image, VIEWS["x4"], *faces))
        assert abs(int(output[98 * 4, 160 * 4, 0]) - 120) <= 1


def test_impossible_strength_and_missing_view_are_refused() -> None:
    with pytest.raises(ConfigError, match="strength"):
        Compositor(1.2)
    with pytest.raises(ValueError, match="framing comes first"):
        Compositor()(Frame(smooth_picture(), 0, 0, Fraction(1, 25), 0))
