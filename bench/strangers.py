"""Whether anybody is ever given somebody else's exemplars: people who pass, swap, leave, replace.

    python -m bench.strangers
    python -m bench.strangers --people FOLDER --only swap

The tracker and the bank are the real ones, the network is not needed. FOLDER holds a folder of
square headshots (256 px) for each person; without it, one portrait is made into three people.
Figures only: no picture is written.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from bench.scenes.corruptions import read
from bench.scenes.somebody_else import somebody_else
from engines.errors import reported, run_program
from engines.option_types import named_path, whole
from stream.errors import CloseupError
from stream.frame import Exemplar, Frame, Image
from stream.media.demo.demo_room import draw_room
from stream.media.demo.demo_scene import PHOTO_BOX, read_portrait
from stream.stages.exemplars.bank import Bank
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.tracker import Tracker

SIZE = (640, 360)
RATE = 15
NOISE = 3.0
"""Of the camera, standard deviation in 8-bit levels."""
CLOSE, FAR = 118.0, 34.0
"""Widths of face boxes, px."""
HERE_S = 2.0
"""So long everybody is close, one beside the other, at the start."""

Place = tuple[float, float, float, float]
"""Centre x, centre y and width of the face, px, and how opaque it is; the last is in front."""
Scene = Callable[[float], dict[int, Place]]


@dataclass
class Tally:
    """What one scene showed."""

    served: int = 0
    """Faces that were given exemplars, once in every frame."""
    wrong: int = 0
    """Of these, those with an exemplar of somebody else."""
    mixed: int = 0
    """Exemplars in a bank that holds another person's, too, at the end of any frame."""
    faces: int = 0


def _line(time_s: float, start_s: float, end_s: float, a: float, b: float) -> float:
    part = min(max((time_s - start_s) / (end_s - start_s), 0.0), 1.0)
    return a + part * (b - a)


def _away(time_s: float, x: float, to: float, far: float = FAR) -> Place:
    """Close until HERE_S, far a second later."""
    part = _line(time_s, HERE_S, HERE_S + 1.2, 0.0, 1.0)
    width = 1.0 / ((1.0 - part) / CLOSE + part / far)
    return (_line(time_s, HERE_S, HERE_S + 1.2, x, to), 190.0 - 25.0 * part, width, 1.0)


def _cross(speed: float, near: float = 1.0) -> Scene:
    """Far away, they walk past each other."""

    def at(time_s: float) -> dict[int, Place]:
        one = _away(time_s, 170.0, 200.0)
        other = _away(time_s, 480.0, 440.0, FAR * near)
        way = max(0.0, time_s - HERE_S - 1.6) * speed
        return {
            1: (max(other[0] - way, 200.0), *other[1:]),
            0: (min(one[0] + way, 440.0), *one[1:]),
        }

    return at


def _swap_close(time_s: float) -> dict[int, Place]:
    """Close, one passes in front of the other."""
    way = _line(time_s, HERE_S, HERE_S + 2.0, 0.0, 310.0)
    return {1: (480.0 - way, 180.0, 0.85 * CLOSE, 1.0), 0: (170.0 + way, 195.0, CLOSE, 1.0)}


def _replaced(gap_s: float, fade_s: float = 0.0) -> Scene:
    """In the same place, from one moment to the other, is somebody else."""

    def at(time_s: float) -> dict[int, Place]:
        change = HERE_S + 2.5
        places = {0: _away(time_s, 320.0, 320.0)}
        if time_s < change and not fade_s:
            return places
        gone = _line(time_s, change, change + max(fade_s, 1e-3), 1.0, 0.0)
        come = _line(time_s, change + gap_s, change + gap_s + max(fade_s, 1e-3), 0.0, 1.0)
        x, y, width, _ = places[0]
        if fade_s:  # a dissolve: the second is drawn over the first, which stays
            return {0: (x, y, width, 1.0), 1: (x, y, width, 1.0 - gone)}
        return {0: (x, y, width, gone), 1: (x, y, width, come)}

    return at


def _seat(gap_s: float) -> Scene:
    """One walks out, another walks in and takes the seat."""

    def at(time_s: float) -> dict[int, Place]:
        x, y, width, _ = _away(time_s, 170.0, 320.0)
        start = HERE_S + 2.0
        first = x - max(0.0, time_s - start) * 200.0
        second = max(320.0, 720.0 - max(0.0, time_s - start - gap_s) * 300.0)
        if time_s < HERE_S:
            return {0: (x, y, width, 1.0), 1: (480.0, 190.0, CLOSE, 1.0)}
        return {0: (first, y, width, 1.0), 1: (second, y, width, 1.0)}

    return at


def _hides(time_s: float) -> dict[int, Place]:
    """One ducks behind the other and comes out on the other side."""
    front = _away(time_s, 200.0, 320.0, 1.35 * FAR)
    back = _away(time_s, 460.0, 380.0)
    way = max(0.0, min(time_s - HERE_S - 1.6, 1.0)) * 60.0
    further = max(0.0, time_s - HERE_S - 3.4) * 60.0
    return {1: (back[0] - way - min(further, 60.0), *back[1:]), 0: front}


def _wall(time_s: float) -> dict[int, Place]:
    """A photo of somebody else on the wall; one walks past before it and stops beside it."""
    photo = (430.0, 150.0, 0.9 * FAR, 1.0)
    x, y, width, _ = _away(time_s, 220.0, 250.0)
    past = _line(time_s, HERE_S + 1.6, HERE_S + 3.6, 0.0, 280.0)
    back = _line(time_s, HERE_S + 4.0, HERE_S + 5.0, 0.0, 100.0)
    return {1: photo, 0: (x + past - back, y - 10.0, width, 1.0)}


def _screen(time_s: float) -> dict[int, Place]:
    """A face on a small screen, which another one takes over: hard, every second."""
    who = 1 if int(time_s) % 2 else 2
    return {who: (470.0, 140.0, 0.9 * FAR, 1.0), 0: _away(time_s, 200.0, 260.0)}


def _swapped_back(time_s: float) -> dict[int, Place]:
    """Both leave, and each comes back on the other's side."""
    out = max(0.0, time_s - HERE_S - 1.8) * 260.0
    back = max(0.0, time_s - HERE_S - 3.6) * 260.0
    left, right = _away(time_s, 170.0, 200.0), _away(time_s, 480.0, 440.0)
    if not back:
        return {0: (left[0] - out, *left[1:]), 1: (right[0] + out, *right[1:])}
    return {
        1: (min(back - 60.0, 200.0), *right[1:]),
        0: (max(700.0 - back, 440.0), *left[1:]),
    }


def _in_turn(time_s: float) -> dict[int, Place]:
    """Three are close, one after the other, and come back far away in another order."""
    number, part_s = divmod(time_s, 2.2)
    who = (0, 1, 2, 2, 0, 1)[min(int(number), 5)]
    width = CLOSE if number < 3 else FAR
    x = 320.0 + 520.0 * (max(0.0, 0.5 - part_s) - max(0.0, part_s - 1.7)) * 2.0
    return {who: (x, 190.0, width, 1.0)}


SCENES: dict[str, tuple[Scene, float]] = {
    "cross, slowly": (_cross(50.0), 9.0),
    "cross": (_cross(110.0), 7.0),
    "cross, quickly": (_cross(260.0), 6.0),
    "cross, one behind": (_cross(110.0, 0.8), 7.0),
    "swap, close": (_swap_close, 6.0),
    "replaced at once": (_replaced(0.0), 6.5),
    "replaced after 0.3 s": (_replaced(0.3), 6.5),
    "dissolved in 0.5 s": (_replaced(0.0, 0.5), 6.5),
    "dissolved in 1.5 s": (_replaced(0.0, 1.5), 7.5),
    "seat taken at once": (_seat(0.0), 7.0),
    "seat taken in 1 s": (_seat(1.0), 7.5),
    "hides behind": (_hides, 7.5),
    "photo on the wall": (_wall, 8.5),
    "face on a screen": (_screen, 7.0),
    "back on the other's side": (_swapped_back, 9.0),
    "three in turn": (_in_turn, 13.2),
}
"""Name, what happens, and for how many seconds."""


def made_up_people() -> list[Image]:
    """The demo's portrait as two or three people: RGB uint8 (side, side, 3) headshots."""
    portrait = read_portrait()
    x0, y0, x1, y1 = (round(v) for v in PHOTO_BOX)
    half = (x1 - x0) // 2
    own = np.ascontiguousarray(portrait[y0 - half : y1 + half, x0 - half : x1 + half])
    middle, width_px = own.shape[0] / 2.0, float(x1 - x0)
    second, third = (
        somebody_else(own, (middle, middle), width_px, who).astype(np.float32) for who in (0, 1)
    )
    dark = np.clip(second[..., [1, 0, 2]] * 0.6 + 10.0, 0, 255).astype(np.uint8)
    pale = np.clip(255.0 * (third[..., ::-1] / 255.0) ** 0.6, 0, 255).astype(np.uint8)
    wide = cv2.resize(dark, None, fx=1.15, fy=1.0)[:, : own.shape[1]]
    return [own, np.ascontiguousarray(wide), np.ascontiguousarray(pale)]


def render(room: Image, people: list[Image], places: dict[int, Place]) -> Image:
    """The scene: everybody's headshot, an oval of it, in the room.

    Args: room: RGB uint8, of `SIZE`. people: headshots. places: where each is; who is not there is
          left out.
    """
    scene = room.astype(np.float32)
    for who, (x, y, width, opaque) in places.items():
        side = max(2, round(2.0 * width))
        how = cv2.INTER_AREA if side < people[who].shape[0] else cv2.INTER_CUBIC
        small = cv2.resize(people[who], (side, side), interpolation=how)
        grid = (np.arange(side, dtype=np.float32) + 0.5) / side * 2.0 - 1.0
        radius = np.hypot(grid[None, :] / 0.72, grid[:, None] / 0.95)
        alpha = np.clip((1.0 - radius) / 0.08, 0.0, 1.0) * opaque
        layer = np.dstack([small, 255.0 * alpha]).astype(np.float32)
        move = np.array([[1.0, 0.0, x - side / 2.0], [0.0, 1.0, y - side / 2.0]])
        placed = np.asarray(cv2.warpAffine(layer, move, SIZE), np.float32)
        scene += placed[..., 3:] / 255.0 * (placed[..., :3] - scene)
    return np.asarray(np.clip(scene, 0, 255), np.uint8)


def frames(
    scene: Scene, seconds: float, people: list[Image], seed: int
) -> Iterator[tuple[Frame, dict[int, Place]]]:
    """What the camera gives, and where everybody is.

    Args: scene: where everybody is at a time. people: headshots. seed: of the camera's noise.
    """
    room = np.asarray(cv2.resize(draw_room(), SIZE, interpolation=cv2.INTER_AREA), np.uint8)
    rng = np.random.default_rng(seed)
    for index in range(round(seconds * RATE)):
        places = scene(index / RATE)
        clean = render(room, people, places)
        noise = rng.normal(0.0, NOISE, clean.shape)
        image = np.clip(np.rint(clean + noise), 0, 255).astype(np.uint8)
        yield Frame(image, index, index, Fraction(1, RATE), 0), places


def watch(scene: Scene, seconds: float, people: list[Image], seed: int = 0) -> Tally:
    """Run one scene through tracker and bank.

    Args:   scene: where everybody is at a time. people: headshots. seed: of the camera's noise.
    Raises: ModelError: there is no detector.
    """
    tally = Tally()
    owners: dict[int, int] = {}
    kept: list[Exemplar] = []  # alive, so that no id() is used twice
    tracker, bank = Tracker(FaceDetector()), Bank()
    try:
        for frame, places in frames(scene, seconds, people, seed):
            found = bank(tracker(frame))
            for face in found.faces:
                owner = _owner(face.center, face.width_px, places)
                for one in bank.exemplars_of(face.track_id):
                    if id(one) not in owners and owner is not None:
                        kept.append(one)
                        owners[id(one)] = owner
                tally.faces += 1
                if owner is None or not face.exemplars:
                    continue
                tally.served += 1
                tally.wrong += any(owners.get(id(one), owner) != owner for one in face.exemplars)
                held = {owners.get(id(one), owner) for one in bank.exemplars_of(face.track_id)}
                tally.mixed += len(held) > 1
    finally:
        tracker.close()
        bank.close()
    return tally


def _people_in(scene: Scene, seconds: float) -> int:
    return 1 + max(who for index in range(round(seconds * RATE)) for who in scene(index / RATE))


def _owner(center: tuple[float, float], width: float, places: dict[int, Place]) -> int | None:
    """Whose face is at a place; None where it cannot be told: nobody's, or half of each."""
    shown = None
    for who, (x, y, wide, opaque) in places.items():
        near = np.hypot(center[0] - x, center[1] - y) < 0.3 * max(width, wide)
        if near and opaque >= 0.7:
            shown = who
        elif near and opaque > 0.3:
            shown = None
    return shown


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status: 1 where somebody was given another one's."""
    p = argparse.ArgumentParser(prog="python -m bench.strangers", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--people", type=named_path, help="a folder for each person (default: made up)")
    p.add_argument("--only", default="", help="scenes with this in their names")
    p.add_argument("--rounds", type=whole(1), default=1, help="with other people and noise each")
    args = p.parse_args(argv)
    scenes = {name: scene for name, scene in SCENES.items() if args.only in name}
    wrong = 0
    try:
        if not scenes:
            raise ValueError(f"--only a part of: {'; '.join(SCENES)}")
        known = [photos[0] for photos in read(args.people).values()] if args.people else None
        needed = max(_people_in(*scene) for scene in scenes.values())
        if known is not None and len(known) < needed:
            raise ValueError(f"{args.people} must hold {needed} people or more, four photos each")
        print(f"{'scene':<24}{'faces':>8}{'served':>8}{'wrong':>8}{'mixed':>8}")
        for name, (scene, seconds) in scenes.items():
            total = Tally()
            for number in range(args.rounds):
                order = np.random.default_rng(number).permutation(len(known or ()))
                people = [known[int(i)] for i in order[:3]] if known else made_up_people()
                one = watch(scene, seconds, people, number)
                total.faces += one.faces
                total.served += one.served
                total.wrong += one.wrong
                total.mixed += one.mixed
            print(
                f"{name:<24}{total.faces:>8}{total.served:>8}{total.wrong:>8}{total.mixed:>8}",
                flush=True,
            )
            wrong += total.wrong
    except (OSError, ValueError, CloseupError) as error:
        return reported(error)
    return 1 if wrong else 0


if __name__ == "__main__":
    run_program(main)
