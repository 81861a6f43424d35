"""Quality ladder: what the stages of a call may spend on a frame, from everything to the least.

When a machine is too slow, quality gives way step by step in the order of `LADDER`: first what is
dearest and seen least, the size that several large faces share, frames that wait for the network,
the full network and that it runs in every frame; then large crops, how often faces are looked for,
how many are enhanced, and how much around a face. Recordings, which wait, have one of `RECORDED`
from their beginning to their end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from engines.alignment import SEARCH_PER_CELL
from engines.runtime import BUCKETS, SCALES, SMALL, has_small
from engines.runtime import FULL as FULL_NETWORK
from stream.image.headshot import SIDE_PER_WIDTH

LARGEST_FACE_PX = 90
"""Faces wider than this are left as they are: the camera saw enough."""
LARGEST_PX = BUCKETS[4][-1]
TYPICAL_PX = 96
"""Side of the crop of a face of 48 px."""
FIRST_PX = 48
"""Where nobody measured the machine's speed, a call begins with crops of this side, and goes on to
larger ones as soon as it knows better. The smallest that `LADDER` has."""
MOST_FACES = 3
MOST_FOLLOWED = 6
MOST_RECORDED = 64
"""Of a recording's faces: more than any gallery view shows (Zoom and Teams: 49)."""


@dataclass(frozen=True)
class QualityLevel:
    """One step of the ladder."""

    name: str
    """In a few words, for people."""
    search_every: int = 1
    """New faces are looked for in every so many frames."""
    search_tiles: int = 1
    """Parts of the picture that are searched then."""
    finer: int = 0
    """See `stream.stages.tracking.tiles`."""
    follow_every: int = 1
    """So are the faces that are known."""
    max_faces: int = MOST_FACES
    """So many faces of a frame are enhanced."""
    followed: int = MOST_FOLLOWED
    """So many far faces are followed, and as many that need no enhancement."""
    largest_px: int = LARGEST_PX
    """Side of the largest crop; of a larger headshot the middle is enhanced, which is the face."""
    pixels: int = MOST_FACES * LARGEST_PX**2
    """Of all crops of a frame together, by which the network's time grows; where they have more,
    the largest become smaller."""
    beside: bool = False
    """No frame waits for the network, where there is a thread for it."""
    small: bool = False
    """The small network runs, where there is one."""
    enhance_every: int = 1
    """The network runs for a face in every so many frames; between them its detail moves along."""
    least_carried: float = 0.0
    """So much of a patch must be detail that could be carried to this frame, 0..1; else the network
    runs at once, where it does not work beside the frames."""
    align_per_cell: float = SEARCH_PER_CELL
    """See `engines.alignment.search_side`. With 1.5 in place of 2 a crop of 48 px is aligned in 0.7
    of the time, no worse (six recordings, small network: coherence of the detail 0.581 and 0.573);
    up to 2 patches are of 8 px, which OpenCV has vector code for."""
    align_every_s: float = 0.0
    """While a crop stays in its place, exemplars are aligned and encoded this often at most."""

    @property
    def widest_px(self) -> float:
        """Of the headshots that are enhanced: the largest crop shows the face box at least."""
        return SIDE_PER_WIDTH * min(LARGEST_FACE_PX, self.largest_px)


FULL = QualityLevel("full quality")
EVERYBODY = replace(
    FULL,
    name="every face",
    max_faces=2 * MOST_RECORDED,
    followed=MOST_RECORDED,
    search_tiles=3,
    finer=2,
    pixels=2 * MOST_RECORDED * LARGEST_PX**2,
)
"""Of what has no clock to keep up with."""
LEAST_CARRIED = 0.97
"""See `QualityLevel.least_carried`. A person who sits and speaks, in a codec's damage, is above it
in nearly all pictures; a hand before the face or quick steps are below it in half or more, and
there the network is run, since it flickers less (the bench's `hand`: 7.11, and 6.86 so)."""
RECORDED = {
    "best": EVERYBODY,
    "fast": replace(
        EVERYBODY,
        name="every face, the network in every other picture",
        enhance_every=2,
        least_carried=LEAST_CARRIED,
        align_per_cell=1.5,
    ),
}
"""By the values of `stream.picture_options.SPEED`: what a recording may spend on a picture."""


def recorded_network(network: str, speed: str, weights: str) -> str:
    """Which network a recording has, FULL or SMALL.

    Args:   network: of `stream.option_table.NETWORK`; "auto": the small one at a speed that is not
            the best, where there is one. speed: of `RECORDED`. weights: of `engines.runtime`.
    Raises: WeightsError: no manifest of weights.
    """
    if network != "auto":
        return network
    faster = RECORDED[speed] is not EVERYBODY
    return SMALL if faster and has_small(SCALES[0], weights=weights) else FULL_NETWORK


def _ladder() -> tuple[QualityLevel, ...]:
    steps = [FULL]
    for name, change in (
        ("large faces share", {"pixels": MOST_FACES * TYPICAL_PX**2}),
        ("the network beside the frames", {"beside": True, "align_per_cell": 1.5}),
        ("the small network", {"small": True}),
        ("the network in every other frame", {"enhance_every": 2}),
        ("faces followed in every other frame", {"follow_every": 2, "search_every": 2}),
        ("crops of 128 px", {"largest_px": 128}),
        ("crops of 96 px", {"largest_px": TYPICAL_PX}),
        ("new faces sought less often", {"search_every": 4, "align_every_s": 0.2}),
        ("two faces", {"max_faces": 2}),
        ("one face", {"max_faces": 1}),
        ("crops of 64 px", {"largest_px": 64}),
        ("crops of 48 px", {"largest_px": FIRST_PX}),
        ("the network in every third frame", {"enhance_every": 3}),
    ):
        steps.append(replace(steps[-1], name=name, **change))
    return tuple(steps)


LADDER = _ladder()
"""Each step keeps the economies of those before it."""


def first_level(measured_px: int | None) -> int:
    """The step of the ladder that a call begins with.

    Args: measured_px: side of the largest crop that holds the frame rate, 0 for none; None where
          nobody measured it.
    """
    holds_px = FIRST_PX if measured_px is None else measured_px
    # Measured was one face: several large ones share its time.
    shared = range(1, len(LADDER))
    return next((n for n in shared if LADDER[n].largest_px <= holds_px), len(LADDER) - 1)
