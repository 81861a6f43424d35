"""The limits of bank and tracker, from labelled photos and recordings instead of taste.

    python -m calibration.thresholds --data PEOPLE --clips RECORDINGS --output thresholds.toml

PEOPLE holds a folder of square headshots for each person (several of one session), RECORDINGS one
recording each of a person who sits close. Either may be left out: what it says is left out then.
Nothing of them is written, only numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import numpy as np

from calibration import gains, photos
from calibration.camera import PICTURES, write, write_picture
from calibration.limits import Choice, Scores, Worth, choose, choose_worth, format_choices
from calibration.sightings import sightings, strangers
from calibration.sizes import gains_by_size
from engines.diagram import Image, panel
from engines.hime.people import Person, load_people
from engines.runtime import EngineError, open_runtime
from stream.errors import CloseupError, ConfigError
from stream.media.file_sink import check_place

CASES = 24
SIDE_PX = 64
"""Of the far headshots by default: the largest that photos of 256 px can be the truth of."""
IDENTITY, RELIABLE = 0.995, 0.99
"""Precision wanted: of what decides whose close-ups are used, and of the rest."""
SPOILT = 0.9
"""A close-up that has lost a tenth of its worth is not taken beside better ones."""
SEEN_DB = 0.1
"""A face for which close-ups gain less than this gets none."""
SLIGHT = 0.25
"""Blur that is no reason to turn a close-up away, as part of the blur that is."""


@dataclass
class Evidence:
    """What was chosen, from what, and notes for people."""

    choices: list[Choice] = field(default_factory=list)
    worths: list[Worth] = field(default_factory=list)
    source: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 2 a named error, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.thresholds",
        description="Choose the limits of bank and tracker on labelled data.",
    )
    parser.add_argument("--data", type=Path, action="append", metavar="FOLDER",
                        help="headshots, a folder for each person; may be repeated")  # fmt: skip
    parser.add_argument("--clips", type=Path, metavar="FOLDER",
                        help="recordings, each of another person")  # fmt: skip
    parser.add_argument("--output", type=Path, metavar="FILE", help="the limits, as TOML")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="the curves, .png or .jpg")
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    parser.add_argument("--runtime", default="auto", help="what runs the network (auto)")
    parser.add_argument("--cases", type=int, default=CASES, metavar="N",
                        help=f"far faces that the network enlarges ({CASES}; 0: none)")  # fmt: skip
    parser.add_argument("--side", type=int, default=SIDE_PX, choices=(32, 48, 64),
                        help=f"of their headshots, px ({SIDE_PX})")  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        check(given)
        evidence = gather(given)
        for line in lines(evidence):
            print(line)
        if given.output is not None:
            source = f"{'; '.join(evidence.source)}; {date.today()}"
            write(given.output, format_choices(evidence.choices, evidence.worths, source))
        if given.picture is not None:
            write_picture(given.picture, draw(evidence))
    except (CloseupError, EngineError, ValueError) as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def check(given: argparse.Namespace) -> None:
    """Whether there is something to measure and a place to write. Raises: CloseupError."""
    if not given.data and given.clips is None:
        raise ConfigError("nothing to measure; give --data, --clips or both")
    for folder in [*(given.data or ()), *([given.clips] if given.clips else ())]:
        if not folder.exists():
            raise ConfigError(f"{folder} does not exist")
    if given.cases < 0:
        raise ConfigError(f"--cases {given.cases} is out of range; give 0 or more")
    if given.picture is not None and given.picture.suffix.lower() not in PICTURES:
        raise ConfigError(f"{given.picture}: pictures are written as {' or '.join(PICTURES)}")
    for path in (given.output, given.picture):
        if path is not None:
            check_place(path, given.overwrite)


def gather(given: argparse.Namespace) -> Evidence:
    """Measure everything that the data can say. Raises: CloseupError, EngineError, ValueError."""
    evidence = Evidence()
    people: list[Person] = []
    for folder in given.data or ():
        read = load_people(folder)
        count = sum(len(person.photos) for person in read)
        evidence.source.append(f"{folder.stem}: {count} headshots of {len(read)} people")
        people += read
    spoiling_px = None
    if people and given.cases:
        spoiling_px = worth_of_closeups(evidence, people, given)
    if spoiling_px is not None:
        sharpness(evidence, people, spoiling_px)
    if given.clips is not None:
        recordings(evidence, given.clips, people)
        if given.cases:
            sizes(evidence, given.clips, given.runtime)
    return evidence


def worth_of_closeups(
    evidence: Evidence, people: list[Person], given: argparse.Namespace
) -> float | None:
    """What spoils close-ups.

    Returns: the blur, px of 256, that takes a tenth of their worth; None where none does.
    """
    far_faces = gains.cases(people, given.cases, given.side)
    with open_runtime(given.runtime, gains.SCALE) as network:
        judge = gains.Judge(network, far_faces)
        evidence.notes.append(
            f"three close-ups are worth {judge.full:+.2f} dB ({len(far_faces)} faces, "
            f"{given.side} px x{gains.SCALE}, call)"
        )
        blur = judge.shares(gains.blurred, gains.BLURS_PX)
        side = judge.shares(gains.far, gains.SIDES_PX)
        light = judge.shares(gains.lit, gains.LIGHTS)
    for what, line in (("blur, px of 256", blur), ("side, px", side), ("light", light)):
        left = ", ".join(f"{amount:g}: {share:.0%}" for amount, share in line)
        evidence.notes.append(f"worth left by {what}: {left}")
    larger = [(amount / given.side, share) for amount, share in side]
    evidence.worths += [
        choose_worth("stream.camera_profile:ANY_CAMERA.near_px", side, SPOILT),
        choose_worth("stream.stages.exemplars:LEAST_GAIN", larger, SPOILT),
    ]
    return gains.crossing(blur, SPOILT)


def sharpness(evidence: Evidence, people: list[Person], tenth_px: float) -> None:
    """The bank's limit of sharpness: what spoils a close-up stays out, what hardly does may in.

    There is none for the least sharpness: a small close-up has as little as a blurred one, and is
    worth more. What both show is noted.
    """
    good_px = SLIGHT * tenth_px
    evidence.choices.append(
        choose(
            "stream.stages.bank:SHARPNESS_OF_BEST",
            Scores(photos.of_best(people, good_px), photos.of_best(people, tenth_px)),
            RELIABLE,
            f"blur of {good_px:.2f} px of 256, and of {tenth_px:.2f}",
        )
    )
    clear, spoilt = (_flat(photos.sharpnesses(people, blur)) for blur in (0.0, tenth_px))
    evidence.notes.append(
        f"sharpness of photos {min(clear):.3f} to {max(clear):.3f}, with {tenth_px:.2f} px of blur "
        f"{min(spoilt):.3f} to {max(spoilt):.3f}"
    )


def recordings(evidence: Evidence, folder: Path, people: list[Person]) -> None:
    """The tracker's limits."""
    seen = sightings(folder)
    evidence.source.append(f"{folder.stem}: {len(seen)} recordings")
    others = strangers(seen, "faces") + (photos.strangers(people) if len(people) > 1 else [])
    evidence.choices += [
        choose(
            "stream.stages.tracker:SAME_FACE",
            Scores(_flat([one.same_face for one in seen]), others),
            IDENTITY,
            "the face in frames up to 12 apart, and somebody else's at the same place",
        ),
        choose(
            "stream.stages.tracker:SAME_SCENE",
            Scores(_flat([one.same_scene for one in seen]), strangers(seen, "scenes")),
            IDENTITY,
            "frames up to 12 apart, and frames of two recordings",
        ),
    ]
    false = _flat([one.other_scores for one in seen])
    found = _flat([one.face_scores for one in seen])
    if not false:
        evidence.notes.append("the detector found no face where there was none")
        return
    evidence.choices.append(
        choose(
            "stream.stages.track:CONFIRMING_SCORE",
            Scores(found, false),
            IDENTITY,
            "faces of 20 to 80 px after H.264, and what was found without a face",
        )
    )


def sizes(evidence: Evidence, folder: Path, runtime: str) -> None:
    """Up to which size of a face close-ups are worth anything."""
    with open_runtime(runtime, gains.SCALE) as network:
        line = gains_by_size(network, folder)
    gained = ", ".join(f"{side:g} px: {gain:+.2f} dB" for side, gain in line)
    evidence.notes.append(f"close-ups gain by size of the far headshot: {gained}")
    if len(line) > 1:
        evidence.worths.append(choose_worth("stream.stages.bank:SMALL_SIDE_PX", line, SEEN_DB))


def lines(evidence: Evidence) -> list[str]:
    """For people."""
    said = [*evidence.source, *evidence.notes]
    for one in evidence.choices:
        verdict = "stays" if one.chosen == one.today else f"should be {one.chosen.limit:g}"
        said.append(
            f"{one.name} = {one.today.limit:g} {verdict}: precision {one.today.precision:.4f}, "
            f"recall {one.today.recall:.4f}; best {one.best.limit:g}: {one.best.precision:.4f}, "
            f"{one.best.recall:.4f} ({one.good} good, {one.bad} bad)"
        )
    for two in evidence.worths:
        verdict = "stays" if two.chosen == two.today else f"should be {two.chosen[0]:g}"
        said.append(
            f"{two.name} = {two.today[0]:g} {verdict}: close-ups are worth {two.today[1]:.2f}, "
            f"{two.wanted:g} wanted"
        )
    return said


def draw(evidence: Evidence) -> Image:
    """A diagram of each limit. RGB uint8 (H, W, 3)."""
    panels = []
    for one in evidence.choices:
        today, chosen = one.today.limit, one.chosen.limit
        series = {
            "precision": [(point.limit, point.precision) for point in one.curve],
            "recall": [(point.limit, point.recall) for point in one.curve],
            f"today {today:g}": [(today, 0.0), (today, 1.0)],
        }
        if chosen != today:
            series[f"chosen {chosen:g}"] = [(chosen, 0.0), (chosen, 1.0)]
        panels.append(panel(one.name.rpartition(".")[2], series, "limit"))
    for two in evidence.worths:
        series = {"worth": two.line, f"today {two.today[0]:g}": [(two.today[0], 0.0), two.today]}
        panels.append(panel(f"{two.name.rpartition('.')[2]}: worth of close-ups", series, "size"))
    return np.concatenate(panels)


def _flat(groups: Sequence[Sequence[float]]) -> list[float]:
    return [value for group in groups for value in group]


if __name__ == "__main__":
    sys.exit(main())
