"""Props: what is worn, held before the face, or shows somebody who is not there."""

from __future__ import annotations

import math

import cv2
import numpy as np

from stream.frame import Floats, Image

HAND_SIDE = 160
SCREEN_RATE = 12
"""Pictures a second of a face on a screen."""
SCREEN_TINT = (0.72, 0.9, 1.12)
FLICKER, FLICKER_HZ = 0.1, 8.3
"""Of its light, and how often: what a camera of 25 pictures a second makes of a panel."""
RIM = (38.0, 30.0, 28.0)
LENS = 0.1
"""Glass is so much darker than the skin behind it."""


def draw_hand() -> Image:
    """An open hand, or something like one: RGBA uint8, colours multiplied by alpha."""
    side = HAND_SIDE
    mask = np.zeros((side, side), np.uint8)
    cv2.ellipse(mask, (80, 105), (34, 40), 0, 0, 360, (255,), -1, cv2.LINE_AA)
    for x0, x1, top in ((56, 44, 30), (72, 68, 16), (88, 92, 18), (103, 116, 34)):
        cv2.line(mask, (x0, 90), (x1, top), (255,), 15, cv2.LINE_AA)
    cv2.line(mask, (54, 120), (22, 86), (255,), 16, cv2.LINE_AA)
    alpha = cv2.GaussianBlur(mask, (0, 0), 1.5).astype(np.float32)[..., None] / 255.0
    shade = cv2.GaussianBlur(alpha, (0, 0), 9.0)[..., None]
    skin = np.array([205.0, 160.0, 138.0], np.float32) * (0.55 + 0.45 * shade)
    return np.asarray(np.rint(np.dstack([skin * alpha, 255.0 * alpha])), np.uint8)


def with_glasses(layer: Image, box: Floats) -> Image:
    """Somebody who wears glasses with dark rims.

    Args:    layer: RGBA uint8 (H, W, 4), colours multiplied by alpha. box: of the face, xyxy px.
    Returns: likewise, another picture.
    """
    wide = float(box[2] - box[0])
    x, y = float(box[0] + box[2]) / 2.0, float(box[1]) + 0.3 * float(box[3] - box[1])
    rims = np.zeros(layer.shape[:2], np.uint8)
    lenses = rims.copy()
    thick = max(1, round(0.035 * wide))
    radii = (round(0.165 * wide), round(0.135 * wide))
    for side in (-1.0, 1.0):
        eye = (round(x + side * 0.2 * wide), round(y))
        cv2.ellipse(lenses, eye, radii, 0, 0, 360, (255,), -1, cv2.LINE_AA)
        cv2.ellipse(rims, eye, radii, 0, 0, 360, (255,), thick, cv2.LINE_AA)
        hinge = round(x + side * 0.365 * wide), round(y)
        temple = round(x + side * 0.52 * wide), round(y - 0.02 * wide)
        cv2.line(rims, hinge, temple, (255,), thick, cv2.LINE_AA)
    bridge = round(0.04 * wide)
    cv2.line(rims, (round(x) - bridge, round(y)), (round(x) + bridge, round(y)), (255,), thick)
    worn = layer.astype(np.float32)
    opaque = worn[..., 3:] / 255.0
    worn[..., :3] *= 1.0 - LENS * lenses[..., None] / 255.0
    rim = rims[..., None].astype(np.float32) / 255.0
    worn[..., :3] += rim * (opaque * np.array(RIM, np.float32) - worn[..., :3])
    return np.asarray(np.clip(np.rint(worn), 0, 255), np.uint8)


def on_screen(layer: Image, anchor: tuple[float, float], face_px: float, time_s: float) -> Image:
    """Somebody on a screen: a rectangle around the face, in the light of a panel.

    Args:    layer: RGBA uint8 (H, W, 4), colours multiplied by alpha. anchor: centre of the face.
    Returns: likewise, opaque inside the rectangle and nothing outside.
    """
    high, wide = layer.shape[:2]
    left, right = (max(0, min(wide, round(anchor[0] + k * face_px))) for k in (-1.1, 1.1))
    top, bottom = (max(0, min(high, round(anchor[1] + k * face_px))) for k in (-1.1, 1.0))
    light = 1.0 + FLICKER * math.sin(2.0 * math.pi * FLICKER_HZ * time_s)
    inside = layer[top:bottom, left:right].astype(np.float32)
    clear = 1.0 - inside[..., 3:] / 255.0
    shown = inside[..., :3] + clear * np.array([52.0, 60.0, 66.0], np.float32)
    shown *= light * np.array(SCREEN_TINT, np.float32)
    screen = np.zeros_like(layer)
    screen[top:bottom, left:right, :3] = np.clip(np.rint(shown), 0, 255)
    screen[top:bottom, left:right, 3] = 255
    return screen
