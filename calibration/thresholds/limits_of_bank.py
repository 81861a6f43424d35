"""Limits of the bank: which exemplars it takes in and picks, by what they are worth."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial

from calibration.thresholds import gains, photos
from calibration.thresholds.evidence import Evidence
from calibration.thresholds.exemplar_worth import Tried, tried
from calibration.thresholds.held_out import Halves
from calibration.thresholds.limits import Choice, choose, choose_worth
from calibration.thresholds.rules import Gains, MostGain, Precise, Scores
from engines.hime.people import Person
from engines.runtime import open_runtime

BANK, EXEMPLARS = "stream.stages.exemplars.bank", "stream.stages.exemplars.exemplar_set"
SPOILT = 0.9
"""An exemplar that has lost a tenth of its worth is not taken beside better ones."""
SLIGHT = 0.25
"""Blur that is no reason to turn an exemplar away, as part of the blur that is."""
RELIABLE = 0.99
"""Precision wanted of the limit of sharpness."""
KINDS: tuple[tuple[str, Callable[[Tried], float], bool, tuple[str, ...], str], ...] = (
    (f"{BANK}:MAX_YAW", lambda one: abs(one.pose.yaw), True, ("plain",), "of a turned head"),
    (f"{BANK}:MAX_PITCH", lambda one: abs(one.pose.pitch), True, ("plain",), "of a bent head"),
    (f"{BANK}:MAX_ROLL", lambda one: abs(one.pose.roll), True, ("plain",), "of a tilted head"),
    (f"{BANK}:LEAST_LIGHT", lambda one: one.light.mean, False, ("lit", "dim"), "in dim light"),
    (f"{BANK}:MOST_LIGHT", lambda one: one.light.mean, True, ("lit",), "in brighter light"),
    (f"{BANK}:MAX_CLIPPED", lambda one: one.light.clipped, True, ("lit",), "burnt out"),
    (f"{BANK}:LEAST_SCORE", lambda one: one.score, False, ("hidden",), "of a half-hidden face"),
)
"""Limit, what it limits, whether from above, which exemplars are asked, and what they are. A dim
room is dim for the far face, too; where that is burnt out itself, its truth is no aim."""


def of_exemplars(evidence: Evidence, people: Halves[Person], runtime: str) -> None:
    """Limits of pose, light and score.

    Args:   evidence: gets the limits. people: to choose on, and held out. runtime: "auto" or its
            name.
    Raises: EngineError, ModelError, ValueError.
    """
    with open_runtime(runtime, gains.SCALE).runtime as network:
        halves = [tried(network, half) for half in (people.chosen_on, people.held_out)]
    worth = [one.gain_db for half in halves for one in half if one.kind == "plain"]
    evidence.notes.append(
        f"one exemplar is worth {sum(worth) / len(worth):+.2f} dB; it helps "
        f"{sum(gain > 0.0 for gain in worth)} of {len(worth)} times"
    )
    evidence.notes.append(f"by how far its pose is off: {_by_pose(halves[1])}")
    for name, value, upper, kinds, what in KINDS:
        # A face that is not found is not the bank's to judge.
        some = [[one for one in half if one.kind in kinds and one.score > 0.0] for half in halves]
        chosen = partial(_choose, name, value, upper, some, what)
        evidence.try_to_add(people.source, name, chosen)


def _by_pose(tries: Sequence[Tried]) -> str:
    """What exemplars are worth, step by step."""
    said = []
    for near, far in itertools.pairwise((0.0, 0.1, 0.2, 0.3, 9.0)):
        worth = [x.gain_db for x in tries if x.kind == "plain" and near <= x.apart < far]
        if worth:
            said.append(f"from {near:g}: {sum(worth) / len(worth):+.2f} dB ({len(worth)})")
    return ", ".join(said)


def _choose(
    name: str,
    value: Callable[[Tried], float],
    upper: bool,
    halves: Sequence[Sequence[Tried]],
    what: str,
) -> Choice:
    chosen_on, held_out = (
        Gains([value(one) for one in half], [one.gain_db for one in half], upper=upper)
        for half in halves
    )
    labels = f"an exemplar {what} that gains over none, and one that does not"
    return choose(name, chosen_on, held_out, MostGain(), labels)


def of_worth(
    evidence: Evidence, people: Halves[Person], runtime: str, cases: int, side_px: int
) -> None:
    """How close and how sharp.

    Args:   evidence: gets the limits. people: to choose on, and held out. runtime: "auto" or its
            name. cases: how many far faces. side_px: of their headshots.
    Raises: EngineError, ValueError.
    """
    source = f"{cases} far faces of {people.source}"
    with open_runtime(runtime, gains.SCALE).runtime as network:
        meters = [
            gains.GainMeter(network, gains.cases(half, max(1, cases // 2), side_px))
            for half in (people.chosen_on, people.held_out)
        ]
        blur = [meter.shares(gains.blurred, gains.BLURS_PX) for meter in meters]
        side = [meter.shares(gains.far, gains.SIDES_PX) for meter in meters]
        light = meters[1].shares(gains.lit, gains.LIGHTS)
    evidence.notes.append(
        f"three exemplars are worth {meters[1].full:+.2f} dB ({side_px} px x{gains.SCALE}, call)"
    )
    for what, line in (("blur, px of 256", blur[1]), ("side, px", side[1]), ("light", light)):
        left = ", ".join(f"{amount:g}: {share:.0%}" for amount, share in line)
        evidence.notes.append(f"worth left by {what}: {left}")
    larger = [[(amount / side_px, share) for amount, share in line] for line in side]
    evidence.add(
        source,
        choose_worth("stream.camera_profile:ANY_CAMERA.near_px", side[0], side[1], SPOILT),
        choose_worth(f"{EXEMPLARS}:LEAST_GAIN", larger[0], larger[1], SPOILT),
    )
    spoiling_px = gains.crossing(blur[0], SPOILT)
    if spoiling_px is not None:
        _sharpness(evidence, people, spoiling_px)


def _sharpness(evidence: Evidence, people: Halves[Person], tenth_px: float) -> None:
    """What spoils an exemplar stays out, what hardly does may in.

    There is no limit for the least sharpness: a small exemplar has as little as a blurred one, and
    is worth more. What both show is noted.
    """
    good_px = SLIGHT * tenth_px
    chosen_on, held_out = (
        Scores(photos.of_best(half, good_px), photos.of_best(half, tenth_px))
        for half in (people.chosen_on, people.held_out)
    )
    labels = f"blur of {good_px:.2f} px of 256, and of {tenth_px:.2f}"
    name = f"{BANK}:SHARPNESS_OF_BEST"
    evidence.add(people.source, choose(name, chosen_on, held_out, Precise(RELIABLE), labels))
    clear, spoilt = (
        [value for one in photos.sharpnesses(people.held_out, blur) for value in one]
        for blur in (0.0, tenth_px)
    )
    evidence.notes.append(
        f"sharpness of photos {min(clear):.3f} to {max(clear):.3f}, with {tenth_px:.2f} px of blur "
        f"{min(spoilt):.3f} to {max(spoilt):.3f}"
    )
