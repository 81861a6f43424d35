"""BlazeFace: what goes into MediaPipe's two face detection networks, and what comes out of them.

Source: Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs", 2019;
anchors, decoding and weighted suppression as MediaPipe's graphs of both networks have them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Floats, Image
from stream.image.lazy_image import LazyPart

Array = NDArray[np.float32]
KEYPOINTS = 6
SAME_FACE_IOU = 0.3
"""Candidates that overlap the best one by more are that face, too: their weighted mean is it."""


@dataclass(frozen=True)
class Geometry:
    """Where a network looks: its input's side and its grids, as (stride px, anchors a cell)."""

    side: int
    grids: tuple[tuple[int, int], ...]

    def anchors(self) -> Floats:
        """Centres of all anchors in the order of the outputs: float32 (n, 2), px of the input."""
        found = []
        for stride, each in self.grids:
            cells = (np.arange(self.side // stride, dtype=np.float32) + 0.5) * stride
            x, y = np.meshgrid(cells, cells)
            found.append(np.repeat(np.stack((x, y), axis=-1).reshape(-1, 2), each, axis=0))
        return np.concatenate(found).astype(np.float32)


SHORT = Geometry(128, ((8, 2), (16, 6)))
FULL = Geometry(192, ((4, 1),))


@dataclass(frozen=True)
class Letterbox:
    """Where the picture lies in the network's input."""

    scale: float
    """Px of the picture for one px of the input, across and down."""
    left: float
    top: float


def fill(into: Array, picture: Image | LazyPart) -> Letterbox:
    """Fit a picture into the middle of a network's input, black around it.

    Args: into: float32 (1, side, side, 3), overwritten with -1..1. picture: RGB uint8 (h, w, 3).
    """
    side, (high, wide) = into.shape[1], picture.shape[:2]
    scale = max(high, wide) / side
    left, top = ((side - length / scale) / 2.0 for length in (wide, high))
    # As in training: pixel i of the input is one sample of the picture at scale * i. Resizing would
    # put faces half a pixel of the input beside it, 3 px in a picture of 1280x720.
    matrix = np.array([[scale, 0.0, -scale * left], [0.0, scale, -scale * top]])
    if isinstance(picture, LazyPart) and scale >= 1.0:
        sampled = picture.sampled(matrix, (side, side))
    else:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        sampled = np.asarray(
            cv2.warpAffine(np.asarray(picture), matrix, (side, side), flags=flags), np.uint8
        )
    np.multiply(sampled, np.float32(1 / 127.5), out=into[0])
    into -= np.float32(1.0)
    return Letterbox(scale, left, top)


def decode(
    geometry: Geometry, anchors: Floats, raw: Array, logits: Array, least: float
) -> tuple[Floats, Floats]:
    """The faces that a network has seen, best first, once each.

    Args:    raw: (1, n, 16): for each anchor the box's centre and size, then six keypoints, px of
             the input; centres and keypoints from the anchor. logits: (1, n, 1).
             least: score below which an anchor says nothing, 0..1.
    Returns: float32 (k, 8, 2): corners of the box, then the keypoints, px of the input; and the
             scores, float32 (k,).
    """
    at_least = np.log(max(least, 1e-6) / max(1.0 - least, 1e-6))
    found = np.flatnonzero(logits[0, :, 0] >= at_least)
    scores = 1.0 / (1.0 + np.exp(-np.clip(logits[0, found, 0], -100.0, 100.0)))
    order = np.argsort(-scores)
    found, scores = found[order], scores[order]
    values = raw[0, found].reshape(-1, 2 + KEYPOINTS, 2)
    points = values + anchors[found, None]
    half = values[:, 1] / 2.0
    points[:, 1] = points[:, 0] + half
    points[:, 0] -= half
    faces, best = [], []
    while len(points):
        same = _overlap(points[0], points) > SAME_FACE_IOU
        same[0] = True
        weights = scores[same] / scores[same].sum()
        faces.append(np.einsum("n,nij->ij", weights, points[same]))
        best.append(scores[0])
        points, scores = points[~same], scores[~same]
    empty = np.zeros((0, 2 + KEYPOINTS, 2), np.float32)
    return np.array(faces or empty, np.float32), np.array(best, np.float32)


def _overlap(one: Floats, others: Floats) -> Floats:
    """Intersection over union of one box with others: float32 (n,)."""
    least = np.maximum(one[0], others[:, 0])
    most = np.minimum(one[1], others[:, 1])
    both = np.prod(np.maximum(most - least, 0.0), axis=1)
    areas = np.prod(np.maximum(others[:, 1] - others[:, 0], 0.0), axis=1)
    area = np.prod(np.maximum(one[1] - one[0], 0.0))
    return np.asarray(both / np.maximum(area + areas - both, 1e-6), np.float32)
