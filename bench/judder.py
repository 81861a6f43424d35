"""How evenly the picture moves when the virtual camera moves: the shift between two outputs.

    python -m bench.judder
    python -m bench.judder --only slow --seconds 18

Framing and compositor are the real ones; the scene is a picture full of detail that stands still,
people are where the motion says. How far each output has moved is measured in the pictures, by
phase correlation, and compared with where the view was meant to be.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.measures.image_measures import luma
from bench.motion.motions import MOTIONS, SIZE
from engines.errors import run_program
from stream.frame import Face, Floats, Frame, Image, View
from stream.image.resample import Rect
from stream.stages.compositing.compositor import Compositor
from stream.stages.framing.framing import Framing

RATE = 25
AT = (400, 220, 880, 500)
"""What is compared of each output, xyxy px: its middle."""
ZOOM = 2.0
PANS = {"pan 0.2 px": (0.2, 0.1), "pan 0.7 px": (0.7, -0.35)}
"""Even pans, px of the output a frame, right and down."""
LEAST_PX, MOST_PX = 1e-6, 3.0
"""A view that does not move is not judged. One that moves or grows by more than the second, px of
the output a frame, is no slow one; nobody sees half a pixel there."""


@dataclass(frozen=True)
class Summary:
    """Of the frames in which the view moves slowly; px of the output."""

    name: str
    frames: int
    judder: float
    """Standard deviation of the second difference of where the picture is, as seen."""
    meant: float
    """Of where the view was meant to be."""
    off: float
    """Root mean square of what each shift differs from the one that was meant."""


def scene(seed: int = 0) -> Image:
    """Detail of many sizes, RGB uint8 of `SIZE`."""
    rng = np.random.default_rng(seed)
    total = np.zeros((SIZE[1], SIZE[0]), np.float64)
    for sigma in (1.2, 3.0, 9.0):
        noise = cv2.GaussianBlur(rng.standard_normal(total.shape), (0, 0), sigma)
        total += noise / noise.std()
    grey = np.clip(np.rint(128.0 + 25.0 * total), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def panned(image: Image, step: tuple[float, float], seconds: float) -> Iterator[Frame]:
    """A view that moves evenly.

    Args: image: the scene, RGB uint8. step: (right, down), px of the output a frame.
    """
    wide, high = SIZE[0] / ZOOM, SIZE[1] / ZOOM
    for index in range(round(seconds * RATE)):
        x, y = (100.0 + index * s / ZOOM for s in step)
        view = View((x, y, x + wide, y + high), SIZE, moving=True)
        yield Frame(image, index, index, Fraction(1, RATE), 0, (), view)


def filmed(image: Image, name: str, seconds: float) -> Iterator[Frame]:
    """What the virtual camera makes of a motion.

    Args: image: the scene, RGB uint8. name: of one of `MOTIONS`. seconds: at most.
    """
    motion = next(one for one in MOTIONS if one.name == name)
    framing = Framing("auto", SIZE, 1.0, Fraction(RATE))
    for index in range(round(min(seconds, motion.seconds) * RATE)):
        faces = []
        for track, spot in enumerate(motion.at(index / RATE)):
            if spot is not None:
                x, y, half = spot[0], spot[1], spot[2] / 2.0
                box = np.array([x - half, y - half, x + half, y + half], np.float32)
                faces.append(Face(track, box, np.zeros((6, 2), np.float32), 1.0))
        yield framing(Frame(image, index, index, Fraction(1, RATE), 0, tuple(faces)))


def measure(name: str, frames: Iterator[Frame]) -> Summary:
    """Measure how the outputs move."""
    compositor = Compositor()
    window = cv2.createHanningWindow((AT[2] - AT[0], AT[3] - AT[1]), cv2.CV_32F)
    last: tuple[Floats, Rect] | None = None
    seen: list[NDArray[np.float64]] = []
    meant: list[NDArray[np.float64]] = []
    for frame in frames:
        assert frame.view is not None
        output = compositor(frame).output
        assert output is not None
        part = luma(output[AT[1] : AT[3], AT[0] : AT[2]])
        if last is not None:
            meant.append(_shift(last[1], frame.view.rect))
            still = last[1] == frame.view.rect
            found = (0.0, 0.0) if still else cv2.phaseCorrelate(last[0], part, window)[0]
            seen.append(-np.array(found))
        last = part, frame.view.rect
    was, wanted = np.array(seen), np.array(meant)
    slow = (np.abs(wanted[:, :2]).max(1) < MOST_PX) & (np.abs(wanted[:, 2]) < MOST_PX)
    slow &= np.abs(wanted).max(1) > LEAST_PX
    both = slow[1:] & slow[:-1]
    if not both.any():
        return Summary(name, 0, 0.0, 0.0, 0.0)
    return Summary(
        name,
        frames=int(both.sum()),
        judder=float(np.diff(was, axis=0)[both].std()),
        meant=float(np.diff(wanted[:, :2], axis=0)[both].std()),
        off=float(np.sqrt(np.mean(np.square((was - wanted[:, :2])[1:][both])))),
    )


def _shift(before: Rect, now: Rect) -> NDArray[np.float64]:
    """How far what is in the middle of `AT` moves left and up, and the picture's side outwards."""
    zoom = SIZE[0] / (now[2] - now[0])
    then = SIZE[0] / (before[2] - before[0])
    moves = []
    for axis in (0, 1):
        middle = (AT[axis] + AT[axis + 2]) / 2.0
        place = before[axis] + middle / then
        moves.append(middle - (place - now[axis]) * zoom)
    return np.array([*moves, (zoom / then - 1.0) * SIZE[0] / 2.0])


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m bench.judder", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--only", default="", help="motions with this in their names")
    p.add_argument("--seconds", type=float, default=18.0, help="of each (default 18)")
    args = p.parse_args(argv)
    names = [*PANS, "still", "slow walk", "pacing"]
    chosen = [name for name in names if args.only in name]
    if not chosen or not 1.0 <= args.seconds <= 30.0:
        print(f"error: --seconds 1 to 30, --only a part of: {', '.join(names)}", file=sys.stderr)
        return 2
    image = scene()
    print("px of the output, second differences; off: from the shift that was meant")
    print(f"{'motion':>12}{'frames':>8}{'judder':>9}{'meant':>9}{'off':>9}")
    for name in chosen:
        if name in PANS:
            row = measure(name, panned(image, PANS[name], args.seconds))
        else:
            row = measure(name, filmed(image, name, args.seconds))
        print(f"{name:>12}{row.frames:>8}{row.judder:>9.3f}{row.meant:>9.3f}{row.off:>9.3f}")
    return 0


if __name__ == "__main__":
    run_program(main)
