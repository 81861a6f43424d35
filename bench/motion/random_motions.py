"""Random motions: people who do one thing after another, by chance.

A number is a motion, the same at all times and on all machines. So constants can be chosen on some
numbers and judged on others.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

import numpy as np

from bench.motion.motions import SIZE, Cast, Motion, Spot, ease, sway

SECONDS, RESTS_S = 40.0, 34.0
FAR, CLOSE = (38.0, 60.0), (110.0, 210.0)
"""Widths of far and close faces, px."""
LANES = (0.28, 0.72)
"""Two people keep to their sides of the picture, as a part of its width, or they would cross."""
ACTS = ("sit", "fidget", "lean", "stroll", "walk", "near", "rise", "look away", "go out")
ODDS = (0.2, 0.15, 0.12, 0.12, 0.12, 0.08, 0.08, 0.08, 0.05)


@dataclass
class _Way:
    """One person's way: eased from place to place, at rest in between."""

    spot: Spot
    steps: list[tuple[float, float, Spot, Spot]] = field(default_factory=list)
    """From when, until when, from where, to where."""
    blind: list[tuple[float, float]] = field(default_factory=list)
    here: list[tuple[float, float]] = field(default_factory=list)
    """From when until when he is in the room."""

    def go(self, start_s: float, end_s: float, to: Spot) -> float:
        self.steps.append((start_s, end_s, self.spot, to))
        self.spot = to
        return end_s

    def at(self, time_s: float, sway_of: float) -> Spot | None:
        if not any(start <= time_s < end for start, end in self.here):
            return None
        now = bisect_right([step[0] for step in self.steps], time_s)
        if now == 0:
            spot = self.steps[0][2] if self.steps else self.spot
        else:
            start, end, a, b = self.steps[now - 1]
            part = ease(time_s, start, end)
            wide = 1.0 / ((1.0 - part) / a[2] + part / b[2])
            spot = (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]), wide)
        x, y, wide = sway(time_s, spot, sway_of)
        # Whoever is half out of the picture is found no more.
        return (x, y, wide) if 0.0 < x < SIZE[0] and 0.0 < y < SIZE[1] else None


def wandering(number: int) -> Motion:
    """A motion of one or two people: `number` of an endless list."""
    rng = np.random.default_rng([number, 7])
    count = 1 if rng.random() < 0.6 else 2
    ways = []
    for person in range(count):
        lane = (LANES[person] if count == 2 else 0.5) * SIZE[0]
        ways.append(_life(rng, lane, 0.2 * SIZE[0] if count == 2 else 0.38 * SIZE[0]))
    if count == 2:
        _come_and_go(rng, ways[1])
    seeds = [float(v) for v in rng.uniform(0.0, 6.0, count)]

    def at(time_s: float) -> Cast:
        return [way.at(time_s, seed) for way, seed in zip(ways, seeds, strict=True)]

    def blind(time_s: float) -> set[int]:
        return {i for i, way in enumerate(ways) if any(a <= time_s < b for a, b in way.blind)}

    # From here on nobody goes anywhere, in the room or out of it.
    rests_s = max((step[1] for way in ways for step in way.steps), default=0.0)
    return Motion(f"random {number}", at, SECONDS, rests_s, blind)


def _life(rng: np.random.Generator, lane: float, reach: float) -> _Way:
    """What one person does until RESTS_S."""
    wide = float(rng.uniform(*FAR))
    way = _Way((lane + float(rng.uniform(-0.5, 0.5)) * reach, float(rng.uniform(330, 420)), wide))
    way.here.append((0.0, SECONDS))
    time_s = float(rng.uniform(2.0, 5.0))
    while True:
        x, y, wide = way.spot
        act = str(rng.choice(ACTS, p=ODDS))
        lasts = float(rng.uniform(1.0, 4.0))
        if time_s + lasts + 5.0 > RESTS_S:
            return way
        if act == "fidget":
            for _ in range(int(rng.integers(2, 5))):
                shift = (x + float(rng.normal(0.0, 0.3)) * wide, y, wide)
                time_s = way.go(time_s, time_s + float(rng.uniform(0.4, 0.9)), shift)
        elif act == "lean":
            aside = float(rng.choice([-1.0, 1.0])) * float(rng.uniform(0.4, 1.0)) * wide
            way.go(time_s, time_s + 0.8, (x + aside, y + 0.1 * wide, wide))
            time_s = way.go(time_s + 0.8 + lasts, time_s + 1.6 + lasts, (x, y, wide))
        elif act in ("stroll", "walk"):
            to = lane + float(rng.uniform(-1.0, 1.0)) * reach
            pace = float(rng.uniform(1.0, 2.0) if act == "stroll" else rng.uniform(3.0, 5.0))
            takes = max(0.8, abs(to - x) / (pace * wide))
            time_s = way.go(time_s, min(time_s + takes, RESTS_S - 5.0), (to, y, wide))
        elif act == "near":
            near = float(rng.uniform(*CLOSE))
            takes = float(rng.uniform(1.8, 3.5))
            way.go(time_s, time_s + takes, (x, 400.0, near))
            back = time_s + takes + min(lasts, 2.0)
            time_s = way.go(back, min(back + takes, RESTS_S), (x, y, wide))
        elif act == "rise":
            up = y - float(rng.uniform(2.5, 4.0)) * wide if y > 250.0 else 380.0
            time_s = way.go(time_s, time_s + float(rng.uniform(0.9, 1.5)), (x, up, wide))
        elif act == "look away":
            way.blind.append((time_s, time_s + min(lasts, 2.4)))
        elif act == "go out":
            side = -60.0 if x < SIZE[0] / 2.0 else SIZE[0] + 60.0
            takes = abs(side - x) / (4.0 * wide)
            if time_s + 2.0 * takes + 4.0 + lasts > RESTS_S:
                return way
            way.go(time_s, time_s + takes, (side, y, wide))
            back = time_s + takes + lasts
            time_s = way.go(back, back + takes, (x, y, wide))
        time_s += lasts


def _come_and_go(rng: np.random.Generator, way: _Way) -> None:
    """The second one walks in late, or out early, or neither."""
    if (how := float(rng.random())) >= 0.7:
        return
    wide, outside = 45.0, SIZE[0] + 60.0
    takes = float(rng.uniform(2.0, 3.5))
    if how < 0.4:
        start = float(rng.uniform(6.0, 12.0))
        x, y = float(rng.uniform(0.62, 0.8)) * SIZE[0], float(rng.uniform(340.0, 400.0))
        way.steps, way.blind, way.spot = [], [], (outside, y, wide)
        way.go(start, start + takes, (x, y, wide))
        way.here = [(start, SECONDS)]
    else:
        end = RESTS_S - takes - float(rng.uniform(0.5, 6.0))
        way.steps = [step for step in way.steps if step[1] < end]
        way.blind = [one for one in way.blind if one[1] < end]
        way.spot = way.steps[-1][3] if way.steps else way.spot
        way.go(end, end + takes, (outside, way.spot[1], way.spot[2]))
