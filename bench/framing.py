"""How the virtual camera works: scripted motions, and the faults that a viewer sees.

    python -m bench.framing
    python -m bench.framing --only walk --rate 30 --json framing.json

Boxes are what the tracker makes of noisy detections (its real smoothing), framing is the real one.
The compositor moves each view by up to half an output pixel, which is not counted here. No picture
is needed; all motions take a minute or two.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.motion.motions import FALSE_PX, MOTIONS, SIZE, Cast, Motion, Spot
from bench.motion.random_motions import wandering
from bench.motion.recorded_motions import recorded, recordings
from engines.errors import run_program
from engines.option_types import named_path
from engines.output_file import output_file
from stream.errors import InputError
from stream.frame import Face, Frame, Image
from stream.image.detection import Detection
from stream.image.resample import Rect
from stream.stages.framing.framing import Framing
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.pace import HOLD_S, LOST_S
from stream.stages.tracking.track import Track

NOISE = 0.01
"""Of a detection, standard deviation, in face widths: faces of 40 px with noise and a codec."""
FOUND_S = 0.3
"""A newcomer is found and believed after about so long."""
# Of a head around its face box, in face widths: hair above, chin below. Without it a head is cut.
SIDE, ABOVE, BELOW = 0.62, 0.95, 0.62
AT_REST = 0.002
"""A view that moves by less than this a frame, in view widths a second / 25, rests."""
SEEN_PX = 2.0
"""A view that moves by more than this, px of the frame a second, is seen to move."""
NEAR = 0.01
"""A view is settled when it stays within this much of where it ends, in view widths."""
TURN = 0.005
"""A change of direction counts once the view has gone so far back, in view widths."""
OWN_TURN = 0.5
"""And the heads' own once they have, in face widths: who sways or nods is where he was."""
Track3 = NDArray[np.float64]
"""float64 (frames, 3): centre x, centre y and width of the view, px."""
_BLANK: Image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
_NO_LOOK = np.zeros(1, np.float32)


@dataclass(frozen=True)
class Summary:
    """What a motion made of the view. Lengths are in widths of the view."""

    motion: str
    zoom: float
    """At the end."""
    acceleration_p99: float
    """Per second squared, of the view's centre and size together."""
    acceleration_max: float
    jerk_p99: float
    """Per second cubed."""
    moving: float
    """Share of the frames in which the view is seen to move."""
    cut: float
    """Share of the (person, frame) pairs in the picture with a part of the head out of view."""
    room: float
    """Least air above a head at rest, in face widths (5th percentile)."""
    settle_s: float | None
    """From when everybody rests until the view does."""
    reversals: float
    """Changes of direction a minute, of left and right, up and down, in and out."""
    own: float
    """The same of the box around the heads in the picture: what the view must do, or may."""


class _Found:
    """One person as the tracker sees him."""

    def __init__(self, first_id: int) -> None:
        self._next_id = first_id
        self._track: Track | None = None
        self._since_s: float | None = None

    def face(self, spot: Spot | None, time_s: float, rng: np.random.Generator) -> Face | None:
        """The face that the tracker reports, if any."""
        if self._track is not None and time_s - self._track.seen_s > LOST_S:
            self._track = self._since_s = None
        if spot is not None:
            self._since_s = time_s if self._since_s is None else self._since_s
            seen = _detection(spot, rng)
            if self._track is not None:
                self._track.see(seen, _NO_LOOK, time_s)
            elif time_s - self._since_s >= FOUND_S or time_s < FOUND_S:
                self._track = Track(self._next_id, seen, _NO_LOOK, time_s)
                self._next_id += 100
        if self._track is None or time_s - self._track.seen_s > HOLD_S:
            return None
        return self._track.face(time_s)


def _detection(spot: Spot, rng: np.random.Generator) -> Detection:
    x, y, width = spot
    dx, dy, dw = rng.normal(0.0, NOISE * width, 3)
    half = (width + dw) / 2.0
    box = np.array([x + dx - half, y + dy - half, x + dx + half, y + dy + half], np.float32)
    return Detection(box, np.zeros((6, 2), np.float32), 0.9)


def views(motion: Motion, rate: int, seed: int = 0) -> Iterator[tuple[float, Rect]]:
    """Time and view of every frame.

    Args: rate: frames a second. seed: of the detector's noise.
    """
    rng = np.random.default_rng(seed)
    framing = Framing("auto", SIZE, 1.0, Fraction(rate))
    people = [_Found(i) for i in range(len(motion.at(0.0)))]
    for index in range(round(motion.seconds * rate)):
        time_s = index / rate
        blind = motion.blind(time_s)
        spots = [None if i in blind else spot for i, spot in enumerate(motion.at(time_s))]
        found = [p.face(s, time_s, rng) for p, s in zip(people, spots, strict=True)]
        faces = tuple(face for face in found if face is not None)
        view = framing(Frame(_BLANK, index, index, Fraction(1, rate), 0, faces)).view
        assert view is not None
        yield time_s, view.rect


def measure(motion: Motion, rate: int, seed: int = 0) -> Summary:
    """Run one motion and judge the view.

    Args: rate: frames a second. seed: of the detector's noise.
    """
    shown = list(views(motion, rate, seed))
    times = np.array([time_s for time_s, _ in shown])
    rects = np.array([rect for _, rect in shown])
    wide = rects[:, 2] - rects[:, 0]
    path = np.stack([rects[:, [0, 2]].mean(1), rects[:, [1, 3]].mean(1), wide], axis=1)
    speed = np.diff(path, axis=0) * rate / wide[1:, None]
    acceleration = np.linalg.norm(np.diff(speed, axis=0) * rate, axis=1)
    jerk = np.linalg.norm(np.diff(speed, n=2, axis=0) * rate**2, axis=1)
    pace = np.linalg.norm(speed, axis=1)
    there = [_in_picture(motion.at(float(time_s))) for time_s in times]
    cut, room = _heads(there, rects)
    resting = np.append(pace <= 25.0 * AT_REST, True)
    calm = room[resting]
    return Summary(
        motion.name,
        zoom=float(SIZE[0] / wide[-1]),
        acceleration_p99=float(np.percentile(acceleration, 99)),
        acceleration_max=float(acceleration.max()),
        jerk_p99=float(np.percentile(jerk, 99)),
        moving=float(np.mean(np.abs(np.diff(path, axis=0)).max(1) * rate > SEEN_PX)),
        cut=cut,
        room=float(np.nanpercentile(calm, 5)) if np.isfinite(calm).any() else float("nan"),
        settle_s=_settled(times, path, motion.rests_s) if motion.rests_s else None,
        reversals=_reversals(path / wide.mean(), TURN) * 60.0 / motion.seconds,
        own=_reversals(_around(there), OWN_TURN) * 60.0 / motion.seconds,
    )


def _in_picture(cast: Cast) -> list[Spot]:
    """Whose head is whole in the picture, and no false alarm."""
    return [
        spot
        for spot in cast
        if spot is not None
        and spot[2] != FALSE_PX
        and _holds((0.0, 0.0, float(SIZE[0]), float(SIZE[1])), _head(spot))
    ]


def _head(spot: Spot) -> Rect:
    x, y, width = spot
    return x - SIDE * width, y - ABOVE * width, x + SIDE * width, y + BELOW * width


def _holds(view: Rect, head: Rect) -> bool:
    return view[0] <= head[0] and view[1] <= head[1] and view[2] >= head[2] and view[3] >= head[3]


def _heads(there: list[list[Spot]], rects: Track3) -> tuple[float, NDArray[np.float64]]:
    """Share of heads that are cut, and the least air above a head in each frame."""
    cut: list[bool] = []
    room = np.full(len(rects), np.nan)
    for i, (spots, rect) in enumerate(zip(there, rects, strict=True)):
        for spot in spots:
            cut.append(not _holds(tuple(rect), _head(spot)))
            room[i] = np.nanmin([room[i], (_head(spot)[1] - rect[1]) / spot[2]])
    return float(np.mean(cut)), room


def _around(there: list[list[Spot]]) -> Track3:
    """The box around the heads, as long as there are any: middle and width, in face widths."""
    boxes = []
    for spots in filter(None, there):
        lefts, tops, rights, bottoms = zip(*map(_head, spots), strict=True)
        left, top, right, bottom = min(lefts), min(tops), max(rights), max(bottoms)
        boxes.append(((left + right) / 2.0, (top + bottom) / 2.0, right - left))
    return np.array(boxes) / float(np.median([spot[2] for spots in there for spot in spots]))


def _settled(times: Track3, path: Track3, rests_s: float) -> float:
    away = np.abs(path - path[-1]).max(1) / path[-1, 2] > NEAR
    last = times[away].max(initial=rests_s)
    return float(last - rests_s)


def _reversals(path: Track3, least: float) -> int:
    """How often a path turns back by more than `least`, of all three together."""
    turns = 0
    for way in path.T:
        direction, extreme = 0, float(way[0])
        for value in way:
            back = (value - extreme) * (direction or 1.0)
            if direction == 0 and abs(value - extreme) > least:
                direction, extreme = (1 if value > extreme else -1), float(value)
            elif direction and back > 0.0:
                extreme = float(value)
            elif direction and back < -least:
                turns, direction, extreme = turns + 1, -direction, float(value)
    return turns


def together(name: str, rows: list[Summary]) -> Summary:
    """Several motions as one row: the greatest of what is a greatest, the mean of all else."""

    def mean(values: list[float]) -> float:
        return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

    settled = [row.settle_s for row in rows if row.settle_s is not None]
    return Summary(
        name,
        zoom=mean([row.zoom for row in rows]),
        acceleration_p99=mean([row.acceleration_p99 for row in rows]),
        acceleration_max=max(row.acceleration_max for row in rows),
        jerk_p99=mean([row.jerk_p99 for row in rows]),
        moving=mean([row.moving for row in rows]),
        cut=mean([row.cut for row in rows]),
        room=mean([row.room for row in rows]),
        settle_s=mean(settled) if settled else None,
        reversals=mean([row.reversals for row in rows]),
        own=mean([row.own for row in rows]),
    )


def line(row: Summary) -> str:
    """A row of the table."""
    settle = "-" if row.settle_s is None else f"{row.settle_s:.1f}"
    return (
        f"{row.motion:>22}{row.zoom:>8.2f}{row.acceleration_p99:>9.2f}"
        f"{row.acceleration_max:>9.2f}{row.jerk_p99:>10.1f}{row.moving:>9.0%}{row.cut:>8.1%}"
        f"{row.room:>8.2f}{settle:>10}{row.reversals:>8.1f}{row.own:>8.1f}"
    )


def _from_clips(paths: list[Path]) -> list[Motion]:
    motions = []
    with FaceDetector() as detector:
        for path in recordings(paths):
            try:
                motions.append(recorded(path, detector))
            except InputError as error:
                print(f"left out: {error}", file=sys.stderr)
    return motions


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m bench.framing", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--only", default="", help="motions with this in their names")
    p.add_argument("--random", type=int, default=40, help="so many made by chance (40)")
    p.add_argument(
        "--clips", nargs="+", type=named_path, default=[], help="recordings of real heads"
    )
    p.add_argument("--each", action="store_true", help="a row for each motion made by chance, too")
    p.add_argument("--rate", type=int, default=25, help="frames a second (default 25)")
    p.add_argument("--json", type=output_file, help="write the figures here")
    args = p.parse_args(argv)
    missing = [str(path) for path in args.clips if not path.exists()]
    if missing or not 1 <= args.rate <= 240 or args.random < 0:
        print(f"error: --rate 1 to 240, --random 0 or more{_absent(missing)}", file=sys.stderr)
        return 2
    scripted = [motion for motion in MOTIONS if args.only in motion.name]
    # Constants were chosen on even numbers.
    halves = {
        name: [wandering(n) for n in range(first, args.random, 2)]
        for name, first in (("random, even", 0), ("random, odd: unseen", 1))
        if args.only in name
    }
    real = {"clips: unseen": _from_clips(args.clips)}
    print("in view widths; a: 1/s2, jerk: 1/s3, room: face widths; turns a minute, own: heads'")
    heads = (
        "zoom",
        "a p99",
        "a max",
        "jerk p99",
        "moving",
        "cut",
        "room",
        "settle s",
        "turns",
        "own",
    )
    widths = (8, 9, 9, 10, 9, 8, 8, 10, 8, 8)
    print(f"{'motion':>22}" + "".join(f"{h:>{w}}" for h, w in zip(heads, widths, strict=True)))
    rows = []
    for motion in scripted:
        rows.append(measure(motion, args.rate))
        print(line(rows[-1]))
    for name, motions in (halves | real).items():
        several = [measure(motion, args.rate, i) for i, motion in enumerate(motions)]
        rows += several
        for row in several if args.each or motions in real.values() else ():
            print(line(row))
        if several:
            rows.append(together(name, several))
            print(line(rows[-1]))
    if not args.clips:
        print("real heads: not measured, --clips names no recordings")
    if args.json:
        args.json.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    return 0


def _absent(paths: list[str]) -> str:
    return f"; there is no {', '.join(paths)}" if paths else ""


if __name__ == "__main__":
    run_program(main)
