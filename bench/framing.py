"""How the virtual camera works: scripted motions, and what an operator would be blamed for.

    python -m bench.framing
    python -m bench.framing --only walk --rate 30 --json framing.json

Boxes are what the tracker makes of noisy detections (its real smoothing), framing is the real one.
The compositor moves each view by up to half an output pixel, which is not counted here. No picture
is needed: it takes seconds.
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

from bench.motions import MOTIONS, SIZE, Motion, Spot
from stream.crop import Rect
from stream.detection import Detection
from stream.frame import Face, Frame, Image
from stream.stages.framing import Framing
from stream.stages.track import Track
from stream.stages.tracker import HOLD_S, LOST_S

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
Track3 = NDArray[np.float64]
"""float64 (frames, 3): centre x, centre y and width of the view, px."""
_BLANK: Image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
_NO_LOOK = np.zeros(1, np.float32)


@dataclass(frozen=True)
class Figures:
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
    """Changes of direction a minute."""


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
    """Time and view of every frame."""
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


def measure(motion: Motion, rate: int, seed: int = 0) -> Figures:
    """Run one motion and judge the view."""
    shown = list(views(motion, rate, seed))
    times = np.array([time_s for time_s, _ in shown])
    rects = np.array([rect for _, rect in shown])
    wide = rects[:, 2] - rects[:, 0]
    path = np.stack([rects[:, [0, 2]].mean(1), rects[:, [1, 3]].mean(1), wide], axis=1)
    speed = np.diff(path, axis=0) * rate / wide[1:, None]
    acceleration = np.linalg.norm(np.diff(speed, axis=0) * rate, axis=1)
    jerk = np.linalg.norm(np.diff(speed, n=2, axis=0) * rate**2, axis=1)
    pace = np.linalg.norm(speed, axis=1)
    cut, room = _heads(motion, times, rects)
    resting = np.append(pace <= 25.0 * AT_REST, True)
    calm = room[resting]
    return Figures(
        motion.name,
        zoom=float(SIZE[0] / wide[-1]),
        acceleration_p99=float(np.percentile(acceleration, 99)),
        acceleration_max=float(acceleration.max()),
        jerk_p99=float(np.percentile(jerk, 99)),
        moving=float(np.mean(np.abs(np.diff(path, axis=0)).max(1) * rate > SEEN_PX)),
        cut=cut,
        room=float(np.nanpercentile(calm, 5)) if np.isfinite(calm).any() else float("nan"),
        settle_s=_settled(times, path, motion.rests_s) if motion.rests_s else None,
        reversals=sum(_reversals(axis / wide.mean()) for axis in path.T) * 60.0 / motion.seconds,
    )


def _heads(motion: Motion, times: Track3, rects: Track3) -> tuple[float, NDArray[np.float64]]:
    """Share of heads that are cut, and the least air above a head in each frame."""
    cut: list[bool] = []
    room = np.full(len(times), np.nan)
    for i, (time_s, rect) in enumerate(zip(times, rects, strict=True)):
        for spot in motion.at(float(time_s)):
            if spot is None or spot[2] == 30.0:  # nobody there, or a false alarm
                continue
            x, y, width = spot
            head = (x - SIDE * width, y - ABOVE * width, x + SIDE * width, y + BELOW * width)
            if head[0] < 0 or head[1] < 0 or head[2] > SIZE[0] or head[3] > SIZE[1]:
                continue  # the camera cuts it already
            cut.append(
                bool(
                    head[0] < rect[0] or head[1] < rect[1] or head[2] > rect[2] or head[3] > rect[3]
                )
            )
            room[i] = np.nanmin([room[i], (head[1] - rect[1]) / width])
    return float(np.mean(cut)), room


def _settled(times: Track3, path: Track3, rests_s: float) -> float:
    away = np.abs(path - path[-1]).max(1) / path[-1, 2] > NEAR
    last = times[away].max(initial=rests_s)
    return float(last - rests_s)


def _reversals(way: NDArray[np.float64]) -> int:
    """How often a path turns back by more than `TURN`."""
    turns, direction, extreme = 0, 0, float(way[0])
    for value in way:
        back = (value - extreme) * (direction or 1.0)
        if direction == 0 and abs(value - extreme) > TURN:
            direction, extreme = (1 if value > extreme else -1), float(value)
        elif direction and back > 0.0:
            extreme = float(value)
        elif direction and back < -TURN:
            turns, direction, extreme = turns + 1, -direction, float(value)
    return turns


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m bench.framing", description=__doc__)
    p.add_argument("--only", default="", help="motions with this in their names")
    p.add_argument("--rate", type=int, default=25, help="frames a second (default 25)")
    p.add_argument("--json", type=Path, help="write the figures here")
    args = p.parse_args(argv)
    chosen = [motion for motion in MOTIONS if args.only in motion.name]
    if not chosen or not 1 <= args.rate <= 240:
        names = ", ".join(motion.name for motion in MOTIONS)
        print(f"error: --rate 1 to 240, --only a part of: {names}", file=sys.stderr)
        return 2
    print("in view widths; a: 1/s2, jerk: 1/s3, room: face widths, turns: a minute")
    heads = ("motion", "zoom", "a p99", "a max", "jerk p99", "moving", "cut", "room", "settle s")
    print(
        "".join(f"{head:>14}" if i == 0 else f"{head:>10}" for i, head in enumerate(heads)), end=""
    )
    print(f"{'turns':>8}")
    rows = []
    for motion in chosen:
        row = measure(motion, args.rate)
        rows.append(asdict(row))
        settle = "-" if row.settle_s is None else f"{row.settle_s:.1f}"
        print(
            f"{row.motion:>14}{row.zoom:>10.2f}{row.acceleration_p99:>10.2f}"
            f"{row.acceleration_max:>10.2f}{row.jerk_p99:>10.1f}{row.moving:>10.0%}{row.cut:>10.1%}"
            f"{row.room:>10.2f}{settle:>10}{row.reversals:>8.1f}"
        )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
