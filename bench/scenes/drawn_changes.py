"""What may have changed about a person since the close-ups: glasses, beard, hair, eyes, mouth.

Drawn on headshots, so that the picture without it is the truth, pixel by pixel, beside it. Lengths
are shares of the distance between the eyes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image

HAIR = (46.0, 34.0, 28.0)
RIM = (34.0, 28.0, 28.0)
LIPS = (158.0, 78.0, 76.0)
THROAT = (52.0, 20.0, 22.0)
TEETH = (214.0, 206.0, 196.0)
STREAKS = 0.35
"""How much lighter and darker single hairs are."""
COVERED = 0.9
"""Of the skin, where hair is densest."""
FINE = 16
"""Points are drawn to a sixteenth of a pixel."""

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class FaceAxes:
    """Coordinates of a face: from the middle between the eyes, x to the left eye, y to the chin."""

    origin: Floats
    x: Floats
    """One distance between the eyes, px."""
    y: Floats
    """Likewise, at a right angle to it."""
    mouth: tuple[float, float]

    @classmethod
    def of(cls, keypoints: Floats) -> FaceAxes:
        """Args: keypoints: float32 (6, 2) px, as of `stream.image.detection.Detection`."""
        right, left, _, mouth = (keypoints[k].astype(np.float64) for k in range(4))
        x = left - right
        y = np.array([-x[1], x[0]])
        origin = (right + left) / 2.0
        size = max(float(x @ x), 1.0)
        where = (float((mouth - origin) @ x) / size, float((mouth - origin) @ y) / size)
        axes = [np.asarray(one, np.float32) for one in (origin, x, y)]
        return cls(axes[0], axes[1], axes[2], where)

    def px(self, points: Points) -> Floats:
        """float32 (n, 2), px."""
        at = np.array(points, np.float32)
        return np.asarray(self.origin + at[:, :1] * self.x + at[:, 1:] * self.y, np.float32)

    @property
    def unit_px(self) -> float:
        """Distance between the eyes."""
        return float(np.hypot(*self.x))


def glasses(picture: Image, face: FaceAxes) -> Image:
    """With dark rims. Args: picture: RGB uint8 (n, n, 3), as of all of these. Another picture."""
    rims = _empty(picture)
    thick = max(1, round(0.09 * face.unit_px))
    for side in (-1.0, 1.0):
        rim = face.px(_ellipse(0.5 * side, 0.04, 0.41, 0.32))
        temple = face.px([(0.9 * side, 0.0), (1.15 * side, -0.05)])
        _line(rims, rim, thick, closed=True)
        _line(rims, temple, thick)
    _line(rims, face.px([(-0.1, 0.0), (0.1, 0.0)]), thick)
    return _painted(picture, rims, RIM)


def beard(picture: Image, face: FaceAxes) -> Image:
    """With a full beard, the mouth left free."""
    x, y = face.mouth
    grown = _empty(picture)
    outline = [
        *((x - 0.95, y - 0.35), (x - 0.45, y - 0.2), (x, y - 0.3), (x + 0.45, y - 0.2)),
        *((x + 0.95, y - 0.35), (x + 0.85, y + 0.3), (x + 0.5, y + 0.75), (x, y + 0.9)),
        *((x - 0.5, y + 0.75), (x - 0.85, y + 0.3)),
    ]
    _fill(grown, face.px(outline), 255)
    _fill(grown, face.px(_ellipse(x, y, 0.36, 0.13)), 0)
    return _haired(picture, grown, face, seed=1)


def fringe(picture: Image, face: FaceAxes) -> Image:
    """With hair over the forehead, down to the brows."""
    hair = _empty(picture)
    outline = [(-1.05, -0.35), (-0.5, -0.42), (0.0, -0.36), (0.5, -0.42), (1.05, -0.35)]
    outline += [(1.1, -1.1), (0.5, -1.45), (-0.5, -1.45), (-1.1, -1.1)]
    _fill(hair, face.px(outline), 255)
    return _haired(picture, hair, face, seed=2)


def closed_eyes(picture: Image, face: FaceAxes) -> Image:
    """With the lids over both eyes."""
    open_ = _empty(picture)
    for side in (-0.5, 0.5):
        _fill(open_, face.px(_ellipse(side, 0.01, 0.31, 0.17)), 255)
    lids = cv2.inpaint(picture, (open_ > 0).astype(np.uint8), 3, cv2.INPAINT_TELEA)
    soft = np.asarray(cv2.GaussianBlur(lids, (0, 0), max(0.05 * face.unit_px, 0.5)), np.uint8)
    closed = _painted(picture, open_, soft)
    lashes = _empty(picture)
    for side in (-0.5, 0.5):
        below = _ellipse(side, 0.01, 0.25, 0.09)
        _line(lashes, face.px(below[: len(below) // 2 + 1]), max(1, round(0.05 * face.unit_px)))
    return _painted(closed, lashes, HAIR)


def open_mouth(picture: Image, face: FaceAxes) -> Image:
    """With the mouth wide open."""
    x, y = face.mouth
    lips, inside, teeth = (_empty(picture) for _ in range(3))
    _fill(lips, face.px(_ellipse(x, y + 0.12, 0.42, 0.36)), 255)
    _fill(inside, face.px(_ellipse(x, y + 0.12, 0.33, 0.27)), 255)
    _fill(teeth, face.px(_ellipse(x, y - 0.06, 0.26, 0.07)), 255)
    picture = _painted(picture, lips, LIPS)
    picture = _painted(picture, inside, THROAT)
    return _painted(picture, np.minimum(teeth, inside), TEETH)


@dataclass(frozen=True)
class Change:
    """Something that a person has now and had not in the close-ups, or the other way round."""

    draw: Callable[[Image, FaceAxes], Image]
    gone: bool
    """The close-ups show it, and it is not there any more; else it is there only now."""


CHANGES = {
    "glasses off": Change(glasses, gone=True),
    "beard shaved": Change(beard, gone=True),
    "fringe cut": Change(fringe, gone=True),
    "closed eyes": Change(closed_eyes, gone=False),
    "open mouth": Change(open_mouth, gone=False),
}


def eyes_and_mouth(picture: Image, face: FaceAxes) -> dict[str, Image]:
    """Where `closed eyes` and `open mouth` show, in a headshot: uint8 (n, n), 0 or 255."""
    eyes, mouth = _empty(picture), _empty(picture)
    for side in (-0.5, 0.5):
        _fill(eyes, face.px(_ellipse(side, 0.0, 0.38, 0.25)), 255)
    _fill(mouth, face.px(_ellipse(face.mouth[0], face.mouth[1] + 0.08, 0.5, 0.42)), 255)
    return {"closed eyes": eyes, "open mouth": mouth}


def _empty(picture: Image) -> Image:
    return np.zeros(picture.shape[:2], np.uint8)


def _ellipse(x: float, y: float, wide: float, high: float) -> list[tuple[float, float]]:
    """Points of an outline; the first half of them is the lower one."""
    turns = np.linspace(0.0, 2.0 * np.pi, 32, endpoint=False)
    return [(x + wide * float(np.cos(t)), y + high * float(np.sin(t))) for t in turns]


def _whole(points: Floats) -> list[NDArray[np.int32]]:
    return [np.rint(points * FINE).astype(np.int32)]


def _fill(mask: Image, points: Floats, value: int) -> None:
    cv2.fillPoly(mask, _whole(points), (value,), cv2.LINE_AA, FINE.bit_length() - 1)


def _line(mask: Image, points: Floats, thick: int, *, closed: bool = False) -> None:
    shift = FINE.bit_length() - 1
    cv2.polylines(mask, _whole(points), closed, (255,), thick, cv2.LINE_AA, shift)


def _painted(picture: Image, mask: Image, colour: tuple[float, float, float] | Image) -> Image:
    share = mask[..., None].astype(np.float32) / 255.0
    paint = np.asarray(colour, np.float32)
    return np.asarray(np.rint(picture + share * (paint - picture)), np.uint8)


def _haired(picture: Image, mask: Image, face: FaceAxes, seed: int) -> Image:
    """Hair in a mask, in streaks along the face's y."""
    rng = np.random.default_rng(seed)
    side = picture.shape[0]
    unit = face.unit_px
    noise = rng.normal(0.0, 1.0, (side, side)).astype(np.float32)
    drawn = cv2.GaussianBlur(noise, (0, 0), sigmaX=max(0.02 * unit, 0.4), sigmaY=0.18 * unit)
    angle = float(np.degrees(np.arctan2(face.x[1], face.x[0])))
    turn = cv2.getRotationMatrix2D((side / 2.0, side / 2.0), -angle, 1.0)
    turned = cv2.warpAffine(drawn, turn, (side, side), borderMode=cv2.BORDER_REFLECT)
    strands = turned / max(float(turned.std()), 1e-6)
    colour = np.array(HAIR, np.float32) * np.exp(STREAKS * strands)[..., None]
    soft = cv2.GaussianBlur(mask, (0, 0), max(0.06 * unit, 0.5))
    share = COVERED * soft[..., None].astype(np.float32) / 255.0
    return np.asarray(np.clip(np.rint(picture + share * (colour - picture)), 0, 255), np.uint8)
