"""The demo's room: a wall with a bookcase and a picture, and the desk in front, drawn from a seed.

Nothing here is sharper than a camera that is focused on the person would show it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Image
from stream.image.resample import Size

FRAME_SIZE: Size = (1280, 720)
HORIZON_PX = 490.0
"""The height of the camera: what lies on it stays there at any distance."""
DESK_EDGE_PX = 570
"""The desk's far edge; below it nobody is seen."""

Canvas = NDArray[np.float32]


def draw_room(seed: int = 7) -> Image:
    """The wall and what stands at it: RGB uint8 (720, 1280, 3), slightly out of focus."""
    rng = np.random.default_rng(seed)
    width, height = FRAME_SIZE
    x = np.linspace(0.0, 1.0, width, dtype=np.float32)[None, :, None]
    y = np.linspace(0.0, 1.0, height, dtype=np.float32)[:, None, None]
    wall = np.array([136.0, 155.0, 182.0], np.float32)
    # A window somewhere at the right lights the wall.
    light = 0.80 + 0.32 * np.exp(-((x - 0.80) ** 2) / 0.12 - ((y - 0.25) ** 2) / 0.35)
    room: Canvas = np.ascontiguousarray(wall * light)
    plaster = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), 5.0)
    room += (plaster * 18.0)[..., None]
    _shadow(room, (54, 96, 372, 700), 0.80)
    _bookcase(room, rng)
    _shadow(room, (932, 118, 1172, 320), 0.85)
    _picture(room)
    room = np.asarray(cv2.GaussianBlur(room, (0, 0), 2.2), np.float32)
    return np.asarray(np.clip(np.rint(room), 0, 255), np.uint8)


def _box(room: Canvas, box: tuple[int, int, int, int], colour: tuple[float, float, float]) -> None:
    x0, y0, x1, y1 = box
    room[y0:y1, x0:x1] = colour


def _shadow(room: Canvas, box: tuple[int, int, int, int], dark: float) -> None:
    """Darken the wall softly behind something that stands before it."""
    mask = np.zeros(room.shape[:2], np.float32)
    mask[box[1] : box[3], box[0] : box[2]] = 1.0
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 12.0), np.float32)
    room *= (1.0 - (1.0 - dark) * mask)[..., None]


def _bookcase(room: Canvas, rng: np.random.Generator) -> None:
    left, right, top = 50, 352, 84
    wood, back = (96.0, 70.0, 50.0), (52.0, 40.0, 32.0)
    covers = [
        (122, 52, 46), (52, 74, 104), (150, 132, 92), (66, 92, 70), (92, 84, 98), (160, 104, 58),
        (188, 180, 164), (58, 56, 66), (104, 118, 128),
    ]  # fmt: skip
    _box(room, (left, top, right, 720), wood)
    for shelf in range(5):
        upper = top + 14 + shelf * 128
        lower = min(upper + 114, 720)
        _box(room, (left + 14, upper, right - 14, lower), back)
        x = left + 18
        end = right - 22 - int(rng.integers(0, 90))
        while x < end:
            thick = int(rng.integers(11, 25))
            tall = int(rng.integers(70, 103))
            shade = float(rng.uniform(0.65, 0.95))
            red, green, blue = covers[int(rng.integers(len(covers)))]
            spine = (red * shade, green * shade, blue * shade)
            x1 = min(x + thick, right - 16)
            _box(room, (x, max(lower - tall, upper), x1, lower), spine)
            # A band on the spine, where a title would be.
            bright = (spine[0] + 34.0, spine[1] + 32.0, spine[2] + 26.0)
            _box(room, (x + 2, lower - tall + 14, x1 - 2, lower - tall + 20), bright)
            x += thick + int(rng.integers(1, 4))


def _picture(room: Canvas) -> None:
    """A framed landscape: sky, a hill, a field."""
    _box(room, (922, 104, 1160, 308), (58.0, 46.0, 38.0))
    _box(room, (932, 114, 1150, 298), (222.0, 218.0, 208.0))
    x0, y0, x1, y1 = 954, 134, 1128, 278
    rows = np.linspace(0.0, 1.0, y1 - y0, dtype=np.float32)[:, None, None]
    sky = np.array([176.0, 198.0, 214.0]) + rows * np.array([52.0, 28.0, -10.0])
    room[y0:y1, x0:x1] = sky
    columns = np.linspace(0.0, 1.0, x1 - x0, dtype=np.float32)[None, :]
    depth = np.linspace(0.0, 1.0, y1 - y0, dtype=np.float32)[:, None]
    hill = depth > 0.62 - 0.22 * np.exp(-((columns - 0.35) ** 2) / 0.05)
    field = depth > 0.74 + 0.05 * np.sin(5.0 * columns)
    view = room[y0:y1, x0:x1]
    view[hill] = (94.0, 116.0, 118.0)
    view[field] = (142.0, 140.0, 92.0)


def draw_desk(seed: int = 11) -> Image:
    """The desk: RGBA uint8 (720, 1280, 4), colours multiplied by alpha."""
    rng = np.random.default_rng(seed)
    width, height = FRAME_SIZE
    depth = np.clip(
        (np.arange(height, dtype=np.float32) - DESK_EDGE_PX) / (height - DESK_EDGE_PX), 0.0, 1.0
    )[:, None, None]
    wood = np.array([150.0, 116.0, 84.0]) * (1.02 - 0.30 * depth)
    desk: Canvas = np.broadcast_to(wood, (height, width, 3)).astype(np.float32)
    grain = rng.standard_normal((height, width)).astype(np.float32)
    grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), sigmaX=40.0, sigmaY=1.6), np.float32)
    desk += (grain * 42.0)[..., None] * np.array([1.0, 0.85, 0.65], np.float32)
    side = np.linspace(-1.0, 1.0, width, dtype=np.float32)[None, :, None]
    desk *= 0.90 + 0.12 * side
    # The rounded far edge catches the window's light.
    edge = np.exp(-((np.arange(height, dtype=np.float32) - DESK_EDGE_PX - 3.0) ** 2) / 8.0)
    desk += 30.0 * edge[:, None, None]
    alpha = np.zeros((height, width), np.float32)
    alpha[DESK_EDGE_PX:] = 1.0
    _paper(desk)
    _mug(desk, alpha)
    alpha = np.asarray(cv2.GaussianBlur(alpha, (0, 0), 1.2), np.float32)[..., None]
    desk = np.asarray(cv2.GaussianBlur(desk, (0, 0), 1.2), np.float32)
    layers = np.concatenate([np.clip(desk, 0, 255) * alpha, alpha * 255.0], axis=2)
    return np.asarray(np.rint(layers), np.uint8)


def _paper(desk: Canvas) -> None:
    """A sheet of paper, seen at a flat angle."""
    corners = np.array([[250, 612], [470, 608], [500, 656], [214, 662]], np.int32)
    mask = np.zeros(desk.shape[:2], np.uint8)
    cv2.fillPoly(mask, [corners], (255,), lineType=cv2.LINE_AA)
    part = mask.astype(np.float32)[..., None] / 255.0
    desk += part * (np.array([214.0, 212.0, 206.0], np.float32) - desk)


def _mug(desk: Canvas, alpha: Canvas) -> None:
    """A mug at the right, standing up beyond the desk's edge."""
    mask = np.zeros(desk.shape[:2], np.uint8)
    cv2.rectangle(mask, (1010, 540), (1082, 622), (255,), -1)
    cv2.ellipse(mask, (1046, 622), (36, 9), 0, 0, 360, (255,), -1)
    cv2.ellipse(mask, (1046, 540), (36, 7), 0, 0, 360, (255,), -1)
    cv2.ellipse(mask, (1090, 580), (20, 24), 0, 0, 360, (255,), 9)
    shadow = np.zeros(desk.shape[:2], np.float32)
    shadow[610:640, 930:1050] = 1.0
    shadow = np.asarray(cv2.GaussianBlur(shadow, (0, 0), 9.0), np.float32)
    desk *= (1.0 - 0.35 * shadow)[..., None]
    x = (np.arange(desk.shape[1], dtype=np.float32) - 1046.0) / 36.0
    round_light = 0.62 + 0.38 * np.exp(-((x - 0.45) ** 2) / 0.4)
    colour = round_light[None, :, None] * np.array([196.0, 74.0, 58.0], np.float32)
    part = mask.astype(np.float32)[..., None] / 255.0
    desk += part * (colour - desk)
    inner = np.zeros(desk.shape[:2], np.uint8)
    cv2.ellipse(inner, (1046, 540), (31, 4), 0, 0, 360, (255,), -1)
    desk += inner.astype(np.float32)[..., None] / 255.0 * (np.array([60.0, 36.0, 28.0]) - desk)
    np.maximum(alpha, mask.astype(np.float32) / 255.0, out=alpha)
