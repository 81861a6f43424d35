"""DemoScene: a call as it really looks, at any moment and any magnification.

Somebody sits behind a desk, close to the camera; then she rolls back to the wall. The person is the
public-domain portrait of Grace Hopper that matplotlib carries, cut
out along her outline. Everything else is drawn here.

The scene is three layers: room, person, desk. The person moves in two steps: a smooth warp of the
photo (turns, speech), then a pure scale and shift into the frame. So the picture of any rectangle
at any size is one exact resampling of each layer, averaged over the pixel when it shrinks.
"""

from __future__ import annotations

import importlib.util
import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import cv2
import numpy as np

from stream.errors import InputError
from stream.frame import Floats, Image
from stream.image.resample import Rect, Size, resample
from stream.media.demo.demo_room import FRAME_SIZE, HORIZON_PX, draw_desk, draw_room
from stream.media.demo.layers import Placed, cover, sample_layer

Phase = Literal["close", "away", "far"]

DURATION_S = 10.0
AWAY_S = 4.0
FAR_S = 6.0
"""Close until AWAY_S, rolling back until FAR_S, far until the end."""

CLOSE_SCALE = 1.12
FAR_SCALE = 0.205
"""Frame pixels per photo pixel: faces of 220 and 40 px."""
PHOTO_BOX = (170.0, 142.0, 366.0, 338.0)
"""MediaPipe's face box in the photo, px."""
PHOTO_EYE_LEVEL = 386.0
"""The height in the photo that stays on the camera's horizon while she rolls back."""
PHOTO_CENTER_X = 262.0
APART_PX = 300.0
"""Between neighbours, where there are several of her."""
NECK = (262.0, 385.0)
CANVAS_SIZE = (580, 800)
"""The photo with room for the sleeve at its right and for the jacket below, hidden by the desk."""
CANVAS_LEFT = 20
# Her outline in photo px, clockwise from the top of the cap, traced by hand.
OUTLINE = (
    (264, 23), (284, 25), (297, 36), (303, 42), (325, 47), (343, 61), (352, 76), (354, 86),
    (365, 87), (369, 99), (371, 127), (371, 147), (368, 168), (368, 181), (374, 190), (374, 203),
    (367, 229), (364, 249), (362, 269), (357, 284), (349, 299), (339, 306), (332, 307), (331, 315),
    (355, 335), (386, 350), (432, 367), (462, 376), (492, 391), (500, 406), (508, 432), (512, 450),
    (522, 500), (530, 560), (536, 620), (546, 820), (-12, 820), (0, 700), (8, 610), (14, 570),
    (17, 548), (22, 498), (26, 457), (29, 432), (39, 414), (45, 395), (57, 380), (76, 372),
    (96, 365), (124, 359), (152, 347), (180, 337), (194, 325), (203, 314), (203, 308), (198, 298),
    (186, 290), (174, 282), (166, 274), (162, 259), (162, 245), (164, 232), (159, 219), (155, 206),
    (154, 192), (157, 182), (157, 163), (154, 147), (153, 131), (155, 115), (160, 100), (167, 90),
    (174, 84), (176, 77), (183, 66), (195, 53), (210, 43), (218, 40), (223, 33), (231, 28),
)  # fmt: skip


@dataclass(frozen=True)
class Pose:
    """Where she is and how she holds her head at one moment; photo px unless said otherwise."""

    scale: float
    """Frame pixels per photo pixel."""
    left: float
    top: float
    """Where the photo's corner lies in the frame, px."""
    roll: float
    """Radians."""
    turn: float
    """How far the nose moves sideways."""
    nod: float
    """How far the nose moves down."""
    mouth: float
    """How far the chin drops."""
    light: tuple[float, float, float]
    """Gain of red, green, blue."""


def pose_at(time_s: float) -> Pose:
    """The pose at one moment of the call; smooth in time."""
    part = min(max((time_s - AWAY_S) / (FAR_S - AWAY_S), 0.0), 1.0)
    part = part * part * part * (part * (6.0 * part - 15.0) + 10.0)
    # Size is the inverse of distance; the distance grows smoothly.
    scale = 1.0 / ((1.0 - part) / CLOSE_SCALE + part / FAR_SCALE)
    scale *= 1.0 + (0.035 * (1.0 - part) + 0.008 * part) * math.sin(1.3 * time_s)
    sway = 9.0 * math.sin(0.9 * time_s + 0.4) + 4.0 * math.sin(2.3 * time_s)
    level = 2.5 * math.sin(1.7 * time_s + 1.0)
    glow = 0.035 * math.sin(0.8 * time_s) - 0.05 * part
    warmth = 0.015 * math.sin(0.5 * time_s + 1.0)
    speech = max(0.0, math.sin(0.7 * time_s + 0.3)) * (0.5 - 0.5 * math.cos(17.0 * time_s))
    return Pose(
        scale=scale,
        left=640.0 - 20.0 * (1.0 - part) + 70.0 * part - scale * (PHOTO_CENTER_X - sway),
        top=HORIZON_PX - scale * (PHOTO_EYE_LEVEL - level),
        roll=math.radians(1.8 * math.sin(1.1 * time_s)),
        turn=7.0 * math.sin(1.45 * time_s + 0.2),
        nod=3.5 * math.sin(1.9 * time_s + 2.0),
        mouth=3.0 * speech,
        light=(1.0 + glow + warmth, 1.0 + glow, 1.0 + glow - warmth),
    )


class DemoScene:
    """The layers of the scene.

    Raises: InputError: the portrait is not there (matplotlib is missing).
    """

    size: Size = FRAME_SIZE

    def __init__(self) -> None:
        self.room: Image = draw_room()
        self.desk: Image = draw_desk()
        self.person: Image = _cut_out(read_portrait())
        self.still = lru_cache(maxsize=4)(self._sample_still)
        """What does not move, for a rectangle and a size as of `render`; never written to."""
        columns = np.arange(CANVAS_SIZE[0], dtype=np.float32)[None, :] - CANVAS_LEFT
        rows = np.arange(CANVAS_SIZE[1], dtype=np.float32)[:, None]
        self._x, self._y = np.broadcast_arrays(columns, rows)
        fall = np.clip((410.0 - rows) / 90.0, 0.0, 1.0)
        self._head = np.broadcast_to(fall * fall * (3.0 - 2.0 * fall), self._x.shape)
        self._nose = np.exp(-(((columns - 268) / 95) ** 2) - ((rows - 235) / 140) ** 2)
        self._chin = np.exp(-(((columns - 270) / 60) ** 2) - ((rows - 305) / 26) ** 2)

    def _sample_still(self, rect: Rect, size: Size) -> tuple[Image, Placed | None]:
        return resample(self.room, rect, size), sample_layer(self.desk, rect, size)

    def warp(self, pose: Pose) -> Image:
        """The person with her head turned: RGBA uint8 (H, W, 4), colours multiplied by alpha."""
        roll_x = math.cos(pose.roll) - 1.0
        roll_y = math.sin(pose.roll)
        right, down = self._x - NECK[0], self._y - NECK[1]
        shift_x = self._head * (roll_x * right + roll_y * down) - pose.turn * self._nose
        shift_y = self._head * (roll_x * down - roll_y * right)
        shift_y -= pose.nod * self._nose + pose.mouth * self._chin
        map_x = (self._x + CANVAS_LEFT + shift_x).astype(np.float32)
        map_y = (self._y + shift_y).astype(np.float32)
        warped = cv2.remap(
            self.person, map_x, map_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
        )
        return np.asarray(warped, np.uint8)


@dataclass(frozen=True, eq=False)
class DemoTruth:
    """What the scene really looks like at one moment."""

    scene: DemoScene
    time_s: float
    people: int = 1
    """So many of her beside each other."""

    @property
    def phase(self) -> Phase:
        """Where she is: close, on her way back, or far."""
        return "close" if self.time_s < AWAY_S else "away" if self.time_s < FAR_S else "far"

    @cached_property
    def pose(self) -> Pose:
        """Where the person is."""
        return pose_at(self.time_s)

    @property
    def face_box(self) -> Floats:
        """float32 (4,): the face box as a detector would give it, xyxy px of the frame."""
        pose = self.pose
        x0, y0, x1, y1 = PHOTO_BOX
        lever = NECK[1] - (y0 + y1) / 2.0
        # About half of the box moves with the nose; the rest is the outline of the head.
        right = 0.5 * pose.turn + math.sin(pose.roll) * lever
        down = 0.5 * pose.nod
        corners = (x0 + right, y0 + down, x1 + right, y1 + down)
        origin = (pose.left, pose.top, pose.left, pose.top)
        return np.array(
            [start + pose.scale * v for start, v in zip(origin, corners, strict=True)], np.float32
        )

    @cached_property
    def _person(self) -> Image:
        return self.scene.warp(self.pose)

    def render(self, rect: Rect, size: Size) -> Image:
        """The clean scene, without noise or codec.

        Args:    rect: xyxy px of the frame. size: (width, height) of the result.
        Returns: RGB uint8 (height, width, 3).
        Raises:  ValueError: the rectangle or the size is empty.
        """
        pose = self.pose
        room, desk = self.scene.still(rect, size)
        picture = room.astype(np.float32)
        for person in range(self.people):
            aside = (person - (self.people - 1) / 2.0) * APART_PX
            left = pose.left + aside - pose.scale * CANVAS_LEFT
            on_canvas = (
                (rect[0] - left) / pose.scale,
                (rect[1] - pose.top) / pose.scale,
                (rect[2] - left) / pose.scale,
                (rect[3] - pose.top) / pose.scale,
            )
            cover(picture, sample_layer(self._person, on_canvas, size))
        cover(picture, desk)
        picture *= np.array(pose.light, np.float32)
        return np.asarray(np.clip(np.rint(picture), 0, 255), np.uint8)


def read_portrait() -> Image:
    """The public-domain portrait. Raises: InputError: matplotlib is missing."""
    # matplotlib is only located, not imported: importing it takes a second and is not needed.
    found = importlib.util.find_spec("matplotlib")
    folders = (found.submodule_search_locations or []) if found else []
    for folder in folders:
        path = Path(folder) / "mpl-data" / "sample_data" / "grace_hopper.jpg"
        if path.is_file():
            portrait = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if portrait is not None:
                return np.asarray(cv2.cvtColor(portrait, cv2.COLOR_BGR2RGB), np.uint8)
    raise InputError("the demo needs matplotlib's portrait: pip install matplotlib")


def _cut_out(portrait: Image) -> Image:
    """The person alone: RGBA uint8 of CANVAS_SIZE, colours multiplied by alpha."""
    right = CANVAS_SIZE[0] - CANVAS_LEFT - portrait.shape[1]
    below = CANVAS_SIZE[1] - portrait.shape[0]
    canvas = cv2.copyMakeBorder(
        portrait, 0, below, CANVAS_LEFT, right, cv2.BORDER_REPLICATE
    ).astype(np.float32)
    # Below the photo and beside it the jacket goes on, dark and without streaks.
    jacket = np.median(portrait[560:, 60:200].reshape(-1, 3), axis=0).astype(np.float32)
    rows = np.arange(CANVAS_SIZE[1], dtype=np.float32)[:, None, None]
    columns = np.arange(CANVAS_SIZE[0], dtype=np.float32)[None, :, None]
    beyond = np.maximum(
        np.clip((rows - 570.0) / 25.0, 0.0, 1.0),
        np.clip((columns - CANVAS_LEFT - 500.0) / 10.0, 0.0, 1.0),
    )
    canvas += beyond * (jacket - canvas)

    fine = 8  # fractional bits of fillPoly: the outline is drawn finer than the pixels
    points = np.add(OUTLINE, (CANVAS_LEFT, 0)) * 2**fine
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [points.astype(np.int32)], (255,), lineType=cv2.LINE_AA, shift=fine)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.0))  # rounds the corners of the outline
    alpha = np.clip((mask.astype(np.float32) / 255.0 - 0.42) / 0.5, 0.0, 1.0)
    # At the outline the photo's pixels hold some of its old background: take colour from inside.
    inside = (mask > 235).astype(np.float32)
    weight = cv2.GaussianBlur(inside, (0, 0), 2.5)[..., None] + 1e-4
    spread = cv2.GaussianBlur(canvas * inside[..., None], (0, 0), 2.5) / weight
    colour = np.where(inside[..., None] > 0, canvas, spread)
    layers = np.concatenate([colour * alpha[..., None], alpha[..., None] * 255.0], axis=2)
    return np.asarray(np.clip(np.rint(layers), 0, 255), np.uint8)
