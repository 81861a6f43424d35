"""Limits of what may be shown: consistency check and resemblance."""

from __future__ import annotations

from calibration.thresholds import gains, photos
from calibration.thresholds.evidence import Evidence
from calibration.thresholds.held_out import Halves
from calibration.thresholds.limits import choose, choose_margin
from calibration.thresholds.patches import patches
from calibration.thresholds.rules import FewestMistakes, Gains, Keeping, Precise, Scores
from engines.hime.people import Person
from engines.runtime import open_runtime

CHECK = "stream.stages.enhancement.consistency_check"
NEVER_USEFUL = 0.995
"""Precision wanted of what is dropped at once."""
KEPT = 0.95
"""Share of far faces that must keep their own exemplars."""
COVERED = 0.95
"""Share of what trembles from frame to frame that must not reach from one limit to the other."""


def of_patches(evidence: Evidence, people: Halves[Person], runtime: str) -> None:
    """Consistency check.

    Args:   evidence: gets the limits. people: to choose on, and held out. runtime: "auto" or its
            name.
    Raises: EngineError, ValueError.
    """
    with open_runtime(runtime, gains.SCALE).runtime as network:
        on, out = (patches(network, half) for half in (people.chosen_on, people.held_out))
    doubt = choose(
        f"{CHECK}:DOUBT",
        Gains(on.differs, on.shown_db, upper=True),
        Gains(out.differs, out.shown_db, upper=True),
        FewestMistakes(),
        "a patch in its place, aside, of another moment or person, or nonsense, that gains over "
        "the camera's picture, and one that does not",
    )
    useless_on, useless_out = (
        Scores(
            [d for d, gain in zip(half.differs, half.shown_db, strict=True) if gain <= 0.0],
            [d for d, gain in zip(half.differs, half.shown_db, strict=True) if gain > 0.0],
        )
        for half in (on, out)
    )
    nonsense = choose(
        f"{CHECK}:NONSENSE",
        useless_on,
        useless_out,
        # What lies between fades out.
        Precise(NEVER_USEFUL, lost=1.0),
        "such a patch that does not gain, dropped at once, and one that gains",
    )
    differs = on.differs_again, out.differs_again
    evidence.add(
        people.source,
        doubt,
        choose_margin(f"{CHECK}:SURE", doubt.name, doubt.chosen.limit, differs, COVERED, -1.0),
        nonsense,
    )


def of_resemblance(evidence: Evidence, people: Halves[Person]) -> None:
    """Whose exemplars. Raises: ValueError."""
    on, out = (Scores(*photos.resemblances(half)) for half in (people.chosen_on, people.held_out))
    evidence.add(
        people.source,
        choose(
            "stream.stages.exemplars.face_similarity:UNLIKE",
            on,
            out,
            Keeping(KEPT),
            "a far face of 32 px with noise before another background and its own exemplars, and "
            "a stranger's",
        ),
    )
