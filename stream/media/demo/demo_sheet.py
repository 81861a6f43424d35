"""DemoSheet: compares the far face of the demo with the truth, in numbers and in a picture."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
import numpy as np

from engines.files import write_whole
from stream.errors import OutputError
from stream.frame import Frame, Image, View
from stream.image.resample import Rect, Size, resample
from stream.media.demo.demo_scene import DURATION_S, FAR_S, DemoTruth

SHOWN_PX = 480
"""Height of each of the three pictures."""
SHOWN_S = (FAR_S + DURATION_S) / 2.0
"""The moment that the picture shows: the middle of the far phase."""
GAP_PX, LABEL_PX = 12, 44


class DemoSheet:
    """A sink for the frames of a DemoSource; at `close` it writes the picture and has the scores.

    Compared is the headshot of the far face, in the output's view at the output's resolution, over
    all far frames whose patch is fully faded in: the camera's picture enlarged bicubically, and
    Closeup's output, each with the truth.

    Args:   path: the PNG to write; its folder is made when it is missing.
    Raises: OutputError at `close`: the picture cannot be written.
    """

    name = "demo-sheet"

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.frames = 0
        """How many frames were compared."""
        self._squares = np.zeros(2)
        self._values = 0
        self._best: tuple[Image, Image, Image] | None = None
        self._best_distance_s = math.inf

    @property
    def psnr_bicubic(self) -> float | None:
        """dB over RGB, of the mean squared error of all frames; None when none was compared."""
        return self._psnr(0)

    @property
    def psnr_closeup(self) -> float | None:
        """The same of Closeup's output."""
        return self._psnr(1)

    def send(self, frame: Frame) -> None:
        """Compare one frame; frames without truth, not far or not fully enhanced are skipped."""
        truth, view, output = frame.truth, frame.view, frame.output
        if not isinstance(truth, DemoTruth) or view is None or output is None:
            return
        if truth.phase != "far" or not _is_enhanced(frame, truth):
            return
        region = _headshot_in_output(truth, view)
        if region is None:
            return
        x0, y0, x1, y1 = region
        rect = _rect_of(region, view)
        size = (x1 - x0, y1 - y0)
        pictures = (
            resample(frame.image, rect, size),
            output[y0:y1, x0:x1],
            truth.render(rect, size),
        )
        wanted = pictures[2].astype(np.float64)
        for index in range(2):
            self._squares[index] += float(np.square(pictures[index] - wanted).sum())
        self._values += wanted.size
        self.frames += 1
        distance_s = abs(truth.time_s - SHOWN_S)
        if distance_s < self._best_distance_s:
            self._best, self._best_distance_s = pictures, distance_s

    def close(self) -> None:
        """Write the picture; nothing is written when no frame was compared."""
        if self._best is None:
            return
        labels = (
            f"camera, enlarged: {self._psnr(0):.2f} dB",
            f"Closeup: {self._psnr(1):.2f} dB",
            "truth",
        )
        _write_png(self.path, _side_by_side(self._best, labels))

    def abort(self) -> None:
        """The run has failed: write nothing."""
        self._best = None

    def _psnr(self, index: int) -> float | None:
        if not self._values:
            return None
        error = max(float(self._squares[index]) / self._values, 1e-9)
        return 10.0 * math.log10(255.0**2 / error)


def _is_enhanced(frame: Frame, truth: DemoTruth) -> bool:
    """Whether the face of the demo's person, and not a false alarm, has its whole patch."""
    x0, y0, x1, y1 = truth.face_box
    x, y = (x0 + x1) / 2.0, (y0 + y1) / 2.0
    return any(
        face.patch is not None
        and face.patch.weight >= 0.999
        and face.box[0] <= x <= face.box[2]
        and face.box[1] <= y <= face.box[3]
        for face in frame.faces
    )


def _headshot_in_output(truth: DemoTruth, view: View) -> tuple[int, int, int, int] | None:
    """The true headshot at whole pixels of the output; None when the view does not show it."""
    x0, y0, x1, y1 = (float(v) for v in truth.face_box)
    x, y, half = (x0 + x1) / 2.0, (y0 + y1) / 2.0, x1 - x0
    left = max(0, round((x - half - view.rect[0]) * view.zoom))
    top = max(0, round((y - half - view.rect[1]) * view.zoom))
    right = min(view.size[0], round((x + half - view.rect[0]) * view.zoom))
    bottom = min(view.size[1], round((y + half - view.rect[1]) * view.zoom))
    return (left, top, right, bottom) if right > left and bottom > top else None


def _rect_of(region: tuple[int, int, int, int], view: View) -> Rect:
    """A region of the output in pixels of the frame."""
    step_x = (view.rect[2] - view.rect[0]) / view.size[0]
    step_y = (view.rect[3] - view.rect[1]) / view.size[1]
    return (
        view.rect[0] + region[0] * step_x,
        view.rect[1] + region[1] * step_y,
        view.rect[0] + region[2] * step_x,
        view.rect[1] + region[3] * step_y,
    )


def _side_by_side(pictures: tuple[Image, ...], labels: tuple[str, ...]) -> Image:
    high, wide = pictures[0].shape[:2]
    size: Size = (round(SHOWN_PX * wide / high), SHOWN_PX)
    columns = len(pictures)
    sheet = np.full(
        (size[1] + LABEL_PX + GAP_PX, columns * (size[0] + GAP_PX) + GAP_PX, 3), 24, np.uint8
    )
    for column, (picture, label) in enumerate(zip(pictures, labels, strict=True)):
        x = GAP_PX + column * (size[0] + GAP_PX)
        shown = cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC)
        sheet[GAP_PX : GAP_PX + size[1], x : x + size[0]] = shown
        cv2.putText(
            sheet,
            label,
            (x, GAP_PX + size[1] + LABEL_PX - 16),
            cv2.FONT_HERSHEY_SIMPLEX,
            0.6,
            (225, 225, 225),
            1,
            cv2.LINE_AA,
        )
    return sheet


def _write_png(path: Path, image: Image) -> None:
    """Write beside and rename: nobody ever sees half a picture."""
    done, data = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    try:
        if not done:
            raise OSError("PNG encoding failed")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, data.tobytes())
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
