"""Limits of the tracker, and of whom recordings know again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from calibration.reidentification import WIDTHS, Likenesses, likenesses, sessions
from calibration.thresholds import gains, photos
from calibration.thresholds.evidence import Evidence
from calibration.thresholds.held_out import Halves, halves
from calibration.thresholds.limits import choose, choose_margin, choose_worth
from calibration.thresholds.rules import Precise, Rare, Scores
from calibration.thresholds.sightings import sightings, strangers
from calibration.thresholds.sizes import gains_by_size
from engines.hime.people import Person
from engines.runtime import open_runtime
from stream.frame import Image
from stream.stages.exemplars.hog_descriptor import HogDescriptor

IDENTITY = 0.995
"""Precision wanted of what decides whose exemplars are used."""
SEEN_DB = 0.1
"""A face for which exemplars gain less than this gets none."""
MERGED = 1e-6
"""Share of the pairs of strangers that may be taken for one person."""
COVERED = 0.95
"""Share of what the choice of views changes that must not decide between two people."""


def of_tracker(evidence: Evidence, folder: Path, people: Halves[Person] | None) -> None:
    """Scene, face and score.

    Args:   evidence: gets the limits. folder: of recordings, or a zip. people: more strangers, if
            there are any.
    Raises: CloseupError, ValueError.
    """
    seen = sightings(folder)
    named = sorted({one.person for one in seen})
    parts = halves(named, f"{folder.stem}: {len(seen)} recordings of {len(named)} people")
    on, out = (
        [one for one in seen if one.person in part]
        for part in (set(parts.chosen_on), set(parts.held_out))
    )
    others = [strangers(half, "faces") for half in (on, out)]
    source = parts.source
    if people is not None:
        others[0] += photos.strangers(people.chosen_on)
        others[1] += photos.strangers(people.held_out)
        source += f"; {people.source}"
    evidence.add(
        source,
        choose(
            "stream.stages.tracking.tracker:SAME_FACE",
            Scores(_flat([one.same_face for one in on]), others[0]),
            Scores(_flat([one.same_face for one in out]), others[1]),
            Precise(IDENTITY),
            "the face in frames up to 12 apart, and somebody else's at the same place",
        ),
    )
    evidence.add(
        parts.source,
        choose(
            "stream.stages.tracking.tracker:SAME_SCENE",
            Scores(_flat([one.same_scene for one in on]), strangers(on, "scenes")),
            Scores(_flat([one.same_scene for one in out]), strangers(out, "scenes")),
            Precise(IDENTITY),
            "frames up to 12 apart, and frames of two recordings",
        ),
    )
    false = [_flat([one.other_scores for one in half]) for half in (on, out)]
    if not all(false):
        evidence.notes.append("the detector found too little where there was no face")
        return
    evidence.add(
        parts.source,
        choose(
            "stream.stages.tracking.track:CONFIRMING_SCORE",
            Scores(_flat([one.face_scores for one in on]), false[0]),
            Scores(_flat([one.face_scores for one in out]), false[1]),
            Precise(IDENTITY),
            "faces of 20 to 80 px after H.264, and what was found without a face",
        ),
    )


def of_sizes(evidence: Evidence, folder: Path, runtime: str) -> None:
    """Up to which size of a face exemplars are worth anything.

    Args:   evidence: gets the limits. folder: of recordings, or a zip. runtime: "auto" or its name.
    Raises: EngineError.
    """
    with open_runtime(runtime, gains.SCALE).runtime as network:
        by_person = gains_by_size(network, folder)
    parts = halves(by_person, f"{folder.stem}: {len(by_person)} recordings that are large enough")
    on, out = (_mean(half) for half in (parts.chosen_on, parts.held_out))
    gained = ", ".join(f"{side:g} px: {gain:+.2f} dB" for side, gain in out)
    evidence.notes.append(f"exemplars gain by size of the far headshot: {gained}")
    if min(len(on), len(out)) > 1:
        evidence.add(
            parts.source,
            choose_worth("stream.stages.exemplars.bank:SMALL_SIDE_PX", on, out, SEEN_DB),
        )


def of_returns(evidence: Evidence, folders: Sequence[Path], most: int, quick: bool) -> None:
    """Who is known again in a recording.

    Args:   evidence: gets the limits. folders: of people's photos, by session. most: people. quick:
            one width of far faces alone.
    Raises: CloseupError, ValueError.
    """
    everybody = sessions(list(folders))
    named = sorted({person for person, _ in everybody})
    if len(named) > most:
        named = [named[int(i)] for i in np.linspace(0, len(named) - 1, most)]
    parts = halves(
        named, f"{', '.join(folder.stem for folder in folders)}: {len(named)} people, far and close"
    )
    on, out = (
        _compared(everybody, set(half), WIDTHS[:1] if quick else WIDTHS[::2])
        for half in (parts.chosen_on, parts.held_out)
    )
    evidence.add(
        parts.source,
        choose(
            "stream.stages.exemplars.hog_descriptor:HogDescriptor.same",
            Scores(on.returns.tolist(), on.strangers.tolist()),
            Scores(out.returns.tolist(), out.strangers.tolist()),
            Rare(MERGED),
            "two halves of one session, and of two people",
        ),
        choose_margin(
            "stream.stages.exemplars.descriptor_set:CLEARLY",
            "another person's likeness",
            0.0,
            (on.trembles.tolist(), out.trembles.tolist()),
            COVERED,
            1.0,
        ),
    )


def _compared(
    everybody: dict[tuple[str, str], list[Image]], some: set[str], widths: Sequence[int]
) -> Likenesses:
    people = {key: views for key, views in everybody.items() if key[0] in some}
    found = [likenesses(people, HogDescriptor(), width) for width in widths]
    return Likenesses(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _mean(people: Sequence[dict[float, float]]) -> list[tuple[float, float]]:
    sides = sorted({side for one in people for side in one})
    return [(side, float(np.mean([one[side] for one in people if side in one]))) for side in sides]


def _flat(groups: Sequence[Sequence[float]]) -> list[float]:
    return [value for group in groups for value in group]
