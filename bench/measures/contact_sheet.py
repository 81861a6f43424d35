"""Contact sheet: the median and the worst far face of every call, beside the truth; and a short
video."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from bench.measures.evaluator import WAYS, Moment, Notes
from bench.scenes.synthetic_people import RATE
from stream.frame import Image
from stream.media.colour import Colour, ToYuv

SHOWN_PX = 200
GAP_PX, LABEL_PX = 6, 22
COLUMNS = ("camera, enlarged", "without close-ups", "Closeup", "truth")
BACKGROUND, INK = 24, (225, 225, 225)
VIDEO_PX = 288


def write_sheet(path: Path, calls: Sequence[tuple[str, Notes]]) -> None:
    """A PNG with two rows for each call: the median gain, then the lowest."""
    rows = []
    for name, notes in calls:
        ranked = sorted(notes.moments, key=_gain)
        for label, place in (("median", len(ranked) // 2), ("lowest", 0)):
            if ranked:
                rows.append(_row(f"{name}, {label}", ranked[place]))
    if rows:
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])


def write_pictures(
    folder: Path, cast: str, notes: Notes, learned: str = ""
) -> dict[str, dict[str, float]]:
    """Every far face of every frame, without loss: folder/CAST/FACE/WAY/FRAME.png.

    Args:    learned: the people were learnt: only what the pipeline makes is written, under this
             name instead of "closeup".
    Returns: {"CAST/FACE": {"scale": px of the output for each of the camera's}}.
    Raises:  OSError: a file cannot be written.
    """
    index: dict[str, dict[str, float]] = {}
    for moment in notes.moments:
        place = f"{cast.replace(' ', '-')}/{moment.seen.person}"
        index[place] = {"scale": moment.seen.zoom}
        for way, picture in zip((*WAYS, "truth"), moment.pictures, strict=True):
            if learned and way != WAYS[-1]:
                continue
            path = folder / place / (learned or way) / f"{moment.seen.index:06d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            _, data = cv2.imencode(".png", picture[:, :, ::-1])
            path.write_bytes(data.tobytes())
    return index


def write_video(path: Path, notes: Notes, person: int = 0) -> None:
    """The far face of one person, before, after, and as it is: an MP4, or a WebP that repeats.

    Args: path: .mp4 or .webp. person: number in the call.
    """
    moments = [one for one in notes.moments if one.seen.person == person]
    size = (3 * VIDEO_PX + 2 * GAP_PX, VIDEO_PX)
    to_yuv = ToYuv(size, Colour())
    path.parent.mkdir(parents=True, exist_ok=True)
    repeats = path.suffix == ".webp"
    codec, quality = ("libwebp_anim", {"quality": "80"}) if repeats else ("libx264", {"crf": "18"})
    with av.open(str(path), "w", options={"loop": "0"} if repeats else {}) as file:
        stream = file.add_stream(codec, rate=Fraction(RATE), options=quality)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index, moment in enumerate(moments):
            before, _, after, truth = moment.pictures
            shown = [_shown(picture, VIDEO_PX) for picture in (before, after, truth)]
            gap = np.full((VIDEO_PX, GAP_PX, 3), BACKGROUND, np.uint8)
            frame = to_yuv(np.hstack([shown[0], gap, shown[1], gap, shown[2]]))
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def _gain(moment: Moment) -> float:
    return moment.seen.psnr[-1] - moment.seen.psnr[0]


def _row(name: str, moment: Moment) -> Image:
    psnr = moment.seen.psnr
    labels = [f"{title} {value:.1f} dB" for title, value in zip(COLUMNS, psnr, strict=False)]
    labels.append(f"{COLUMNS[-1]}: {name} {moment.seen.index}")
    row = np.full(
        (SHOWN_PX + LABEL_PX + GAP_PX, 4 * (SHOWN_PX + GAP_PX) + GAP_PX, 3), BACKGROUND, np.uint8
    )
    for column, (picture, label) in enumerate(zip(moment.pictures, labels, strict=True)):
        x = GAP_PX + column * (SHOWN_PX + GAP_PX)
        row[GAP_PX : GAP_PX + SHOWN_PX, x : x + SHOWN_PX] = _shown(picture, SHOWN_PX)
        at = (x, GAP_PX + SHOWN_PX + LABEL_PX - 8)
        cv2.putText(row, label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, INK, 1, cv2.LINE_AA)
    return row


def _shown(picture: Image, side: int) -> Image:
    return np.asarray(cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
