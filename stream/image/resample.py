"""Resample: pieces of a picture, cut at whole pixels or sampled at any rectangle and size.

Convention: pixels, origin at the top left, (x, y) order; pixel i covers [i, i + 1), so that its
centre lies at i + 0.5. Boxes and rectangles are xyxy in this continuous measure.
"""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from stream.frame import Image

Rect = tuple[float, float, float, float]
Size = tuple[int, int]
Pixel = TypeVar("Pixel", np.uint8, np.uint16)

NEARLY_ONE = 1.15
"""Shrinking by less than this is sampled directly: a box filter would blur more than alias."""


TAPS = 3
"""Pixels around a rectangle that bicubic sampling looks at."""
ON_GRID = 1e-3
"""A rectangle this near to an `aligned` one, in px of the result, is one."""


def cut_square(image: Image, box: tuple[int, int, int, int]) -> Image:
    """Cut a box at whole pixels, without resampling; beyond the edge the picture is reflected.

    Args:    image: uint8 (H, W, C). box: integer xyxy px, may reach beyond the picture.
    Returns: uint8 (y1 - y0, x1 - x0, C), a new array.
    Raises:  ValueError: the box is empty.
    """
    x0, y0, x1, y1 = box
    height, width = image.shape[:2]
    if x1 <= x0 or y1 <= y0:
        raise ValueError(f"the box {box} is empty")
    if x0 >= 0 and y0 >= 0 and x1 <= width and y1 <= height:
        return image[y0:y1, x0:x1].copy()
    columns = _reflect(np.arange(x0, x1), width)
    rows = _reflect(np.arange(y0, y1), height)
    left, top = int(columns.min()), int(rows.min())
    inside = image[top : rows.max() + 1, left : columns.max() + 1]
    return np.ascontiguousarray(inside[rows[:, None] - top, columns[None, :] - left])


def _reflect(index: np.typing.NDArray[np.int_], length: int) -> np.typing.NDArray[np.int_]:
    """Fold any index into 0..length-1, edge pixel not repeated (as cv2.BORDER_REFLECT_101)."""
    if length == 1:
        return np.zeros_like(index)
    period = 2 * (length - 1)
    folded = np.abs(index) % period
    return np.where(folded < length, folded, period - folded)


def resample(
    image: NDArray[Pixel],
    rect: Rect,
    size: Size,
    *,
    border: int = cv2.BORDER_REPLICATE,
    into: NDArray[Pixel] | None = None,
) -> NDArray[Pixel]:
    """Show a rectangle of a picture at any size: bicubic, averaged over each pixel when shrinking.

    Args:    image: uint8 or uint16, (H, W) or (H, W, C).
             rect: xyxy px, may reach beyond the picture.
             size: (width, height) of the result. border: what lies beyond, a cv2.BORDER_* value.
             into: of the result's shape and kind; it is written there where that saves a copy, and
             then the result is this array.
    Returns: of the same kind and (height, width) or (height, width, C); `image` itself when
             nothing would change.
    Raises:  ValueError: the rectangle or the size is empty.
    """
    height, width = image.shape[:2]
    x0, y0, x1, y1 = rect
    if x1 <= x0 or y1 <= y0 or size[0] < 1 or size[1] < 1:
        raise ValueError(f"nothing to show: rectangle {rect}, size {size}")
    if (x0, y0, x1, y1) == (0, 0, width, height):
        if size == (width, height):
            return image
        if size[0] >= width and size[1] >= height:
            whole = np.asarray(image)
            made = cv2.resize(whole, size, dst=into, interpolation=cv2.INTER_CUBIC)
            return np.asarray(made, whole.dtype)
    enlarged = _enlarge(image, rect, size)
    if enlarged is None and border == cv2.BORDER_REPLICATE:
        enlarged = _glide(image, rect, size)
    if enlarged is not None:
        return enlarged
    # Shrinking: sample finer by a whole factor, then average each block of samples exactly.
    fine_x = _samples((x1 - x0) / size[0])
    fine_y = _samples((y1 - y0) / size[1])
    fine = (size[0] * fine_x, size[1] * fine_y)
    step_x, step_y = (x1 - x0) / fine[0], (y1 - y0) / fine[1]
    # cv2 puts pixel centres at whole numbers, hence the two halves.
    matrix = np.array(
        [[step_x, 0.0, x0 + step_x / 2 - 0.5], [0.0, step_y, y0 + step_y / 2 - 0.5]], np.float64
    )
    image = np.asarray(image)  # of a `LazyImage` all is needed
    sampled = cv2.warpAffine(
        image, matrix, fine, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=border
    )
    if fine != size:
        sampled = cv2.resize(sampled, size, interpolation=cv2.INTER_AREA)
    return np.asarray(sampled, image.dtype)


def aligned(rect: Rect, size: Size, bounds: Size) -> Rect:
    """The nearest rectangle of the same shape that `resample` enlarges eight times faster.

    Its corner lies a whole number of output pixels from a pixel of the picture, so it moves by
    half an output pixel, seldom by a whole one.

    Args:    rect: xyxy px, inside the picture. size: (width, height) of the output, px.
             bounds: (width, height) of the picture, px.
    Returns: xyxy px, inside the picture.
    """
    starts = [_aligned(rect[axis], rect[axis + 2], size[axis], bounds[axis]) for axis in (0, 1)]
    x, y = starts
    return x, y, x + rect[2] - rect[0], y + rect[3] - rect[1]


def _aligned(low: float, high: float, size: int, bound: int) -> float:
    """Where the nearest aligned interval begins that lies within 0..bound."""
    zoom, base = size / (high - low), _base(low)
    steps = (low - base) * zoom
    for whole in sorted((math.floor(steps), math.ceil(steps)), key=lambda n: abs(n - steps)):
        start = base + whole / zoom
        # Beyond the next pixel's edge the grid is another one.
        if _base(start) == base and start + high - low <= bound + 1e-9:
            return start
    return low


def _base(start: float) -> int:
    return max(0, math.floor(start + 1e-6) - TAPS)


def _enlarge(image: NDArray[Pixel], rect: Rect, size: Size) -> NDArray[Pixel] | None:
    """`resample` of an `aligned` rectangle: cv2's enlargement, whose grid begins at a pixel's edge,
    of the part around it; None where it cannot be done so."""
    steps = _steps(image, rect, size)
    if steps is None or any(abs(step - round(step)) > ON_GRID for step in steps):
        return None
    whole = _around(image, rect, size)
    x, y = (round(step) for step in steps)
    cut = whole[y : y + size[1], x : x + size[0]]
    # A rounding error may leave the picture's last row out.
    return np.ascontiguousarray(cut, image.dtype) if cut.shape[:2] == (size[1], size[0]) else None


def _glide(image: NDArray[Pixel], rect: Rect, size: Size) -> NDArray[Pixel] | None:
    """`resample` of a rectangle between the `aligned` ones: the one before it, moved by less than a
    pixel of the result; None where it cannot be done so. Three times faster than the slow way."""
    steps = _steps(image, rect, size)
    if steps is None:
        return None
    # Each direction by itself: what is not yet as tall is moved across in a part of the time.
    made = _part_of(image, rect)
    for axis, step in enumerate(steps):
        low = math.floor(step + ON_GRID)
        made = _glide_along(made, 1 - axis, size[axis], rect[axis + 2] - rect[axis], low, step)
    return np.ascontiguousarray(made) if made.shape[:2] == (size[1], size[0]) else None


def _glide_along(
    image: NDArray[Pixel], axis: int, size: int, length: float, low: int, step: float
) -> NDArray[Pixel]:
    """Enlarged along an axis (0: down), and there what begins `step` px of the result after its
    edge.

    Args: size: px of the result. length: px of the picture that it shows. low: `step`, rounded off.
    """
    zoom = [1.0, 1.0]
    zoom[1 - axis] = size / length
    whole = cv2.resize(image, None, fx=zoom[0], fy=zoom[1], interpolation=cv2.INTER_CUBIC)
    # What the filter looks at: one before, two after, as far as there are some.
    first = max(0, low - 1)
    near, cut = slice(first, low + size + 2), slice(low - first, low - first + size)
    taps = _taps(step - low)
    border = cv2.BORDER_REPLICATE
    if axis:
        moved = cv2.filter2D(whole[:, near], -1, taps[None], anchor=(1, 0), borderType=border)
        return np.asarray(moved[:, cut], image.dtype)
    moved = cv2.filter2D(whole[near], -1, taps[:, None], anchor=(0, 1), borderType=border)
    return np.asarray(moved[cut], image.dtype)


def _steps(image: NDArray[Pixel], rect: Rect, size: Size) -> list[float] | None:
    """How far a rectangle begins after `_around`, (x, y) px of the result; None where it shrinks or
    reaches beyond the picture."""
    steps = []
    for axis, length in ((0, image.shape[1]), (1, image.shape[0])):
        low, high = rect[axis], rect[axis + 2]
        zoom = size[axis] / (high - low)
        if zoom < 1.0 or low < 0.0 or high > length + 1e-6:
            return None
        steps.append((low - _base(low)) * zoom)
    return steps


def _around(image: NDArray[Pixel], rect: Rect, size: Size) -> NDArray[Pixel]:
    """A rectangle and a little more, enlarged as much, on cv2's grid."""
    zooms = [size[axis] / (rect[axis + 2] - rect[axis]) for axis in (0, 1)]
    enlarged = cv2.resize(
        _part_of(image, rect), None, fx=zooms[0], fy=zooms[1], interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(enlarged, image.dtype)


def _part_of(image: NDArray[Pixel], rect: Rect) -> NDArray[Pixel]:
    """A rectangle and a little more, at whole pixels."""
    across, down = (
        slice(_base(rect[axis]), min(image.shape[1 - axis], math.ceil(rect[axis + 2]) + TAPS))
        for axis in (0, 1)
    )
    return image[down, across]


def _taps(part: float) -> NDArray[np.float32]:
    """Weights of the samples at -1, 0, 1 and 2 for what lies at `part`: the cubic that moves slopes
    by just so much (Keys, Cubic convolution interpolation, 1981). Halfway it leaves an enlarged
    picture as sharp as it is to 0.4 %; cv2's own cubic makes it 1.3 % sharper."""
    a, far, near = -0.5, 1.0 + part, 1.0 - part
    before = ((a * far - 5.0 * a) * far + 8.0 * a) * far - 4.0 * a
    here = ((a + 2.0) * part - (a + 3.0)) * part * part + 1.0
    after = ((a + 2.0) * near - (a + 3.0)) * near * near + 1.0
    return np.array([before, here, after, 1.0 - before - here - after], np.float32)


def _samples(shrink: float) -> int:
    return 1 if shrink <= NEARLY_ONE else math.ceil(shrink)
