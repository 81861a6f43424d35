"""The limits of bank, patches, tracker and recordings, from labelled data.

    python -m calibration.thresholds --data PEOPLE --clips RECORDINGS --output thresholds.toml
    python -m calibration.thresholds --data PEOPLE --only closeups --quick

PEOPLE holds a folder of square headshots for each person (several of one session), RECORDINGS one
recording each of a person who sits close. Either may be left out: what it says is left out then.
Every limit is chosen on every other person; what is said of it was measured on the rest. Nothing of
the pictures is written, only numbers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date

from calibration.camera.__main__ import PICTURES, write, write_picture
from calibration.thresholds import limits_of_bank, limits_of_patches, limits_of_tracker
from calibration.thresholds.evidence import Evidence
from calibration.thresholds.held_out import read_people
from calibration.thresholds.thresholds_file import format_tables, merged, read_tables
from engines.errors import reported, run_program
from engines.option_types import named_path
from engines.runtime import EngineError
from stream.errors import CloseupError, ConfigError
from stream.media.sinks.file_sink import check_place

ROOMS = ("closeups", "worth", "patches", "resemblance", "returns", "tracker", "sizes")
OF_CLIPS = ("tracker", "sizes")
CASES, QUICK_CASES = 24, 4
MOST, QUICK_MOST = 1000, 6
"""People."""
SIDE_PX = 64
"""Of the far headshots by default: the largest that photos of 256 px can be the truth of."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 2 a named error, 130 Ctrl-C."""
    given = parse(arguments)
    try:
        check(given)
        evidence = gather(given)
        for line in evidence.lines():
            print(line)
        if given.output is not None:
            before = read_tables(given.output) if given.output.exists() else {}
            tables = merged(before, evidence.tables(str(date.today())))
            write(given.output, format_tables(tables))
        if given.picture is not None and evidence.chosen:
            write_picture(given.picture, evidence.draw())
    except (CloseupError, EngineError, ValueError, OSError) as error:
        return reported(error)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Command line options."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.thresholds",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=named_path, action="append", metavar="FOLDER",
                        help="headshots, a folder for each person; may be repeated")  # fmt: skip
    parser.add_argument("--clips", type=named_path, metavar="FOLDER",
                        help="recordings, each of another person")  # fmt: skip
    parser.add_argument("--only", nargs="+", choices=ROOMS, default=ROOMS, metavar="WHAT",
                        help=f"some of {', '.join(ROOMS)}")  # fmt: skip
    parser.add_argument("--output", type=named_path, metavar="FILE", help="the limits, as TOML")
    parser.add_argument(
        "--picture", type=named_path, metavar="FILE", help="the curves, .png or .jpg"
    )
    parser.add_argument("--overwrite", action="store_true",
                        help="replace files that exist; limits that were not measured this time "
                        "stay in --output")  # fmt: skip
    parser.add_argument("--runtime", default="auto", help="what runs the network (auto)")
    parser.add_argument("--people", type=int, default=MOST, metavar="N",
                        help="at most so many, evenly over all")  # fmt: skip
    parser.add_argument("--cases", type=int, default=CASES, metavar="N",
                        help=f"far faces for what spoils exemplars ({CASES})")  # fmt: skip
    parser.add_argument("--side", type=int, default=SIDE_PX, choices=(32, 48, 64),
                        help=f"of their headshots, px ({SIDE_PX})")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="few people, few cases, seconds")
    given = parser.parse_args(arguments)
    if given.quick:
        given.people, given.cases = min(given.people, QUICK_MOST), min(given.cases, QUICK_CASES)
    return given


def check(given: argparse.Namespace) -> None:
    """Whether there is something to measure and a place to write. Raises: CloseupError."""
    if not given.data and given.clips is None:
        raise ConfigError("nothing to measure; give --data, --clips or both")
    lacking = [room for room in given.only if not (given.clips if room in OF_CLIPS else given.data)]
    if lacking and given.only is not ROOMS:
        option = "--clips" if lacking[0] in OF_CLIPS else "--data"
        raise ConfigError(f"--only {lacking[0]} needs {option}")
    for folder in [*(given.data or ()), *([given.clips] if given.clips else ())]:
        if not folder.exists():
            raise ConfigError(f"{folder} does not exist")
    if given.people < 2 or given.cases < 2:
        raise ConfigError("--people and --cases are out of range; give 2 or more")
    if given.picture is not None and given.picture.suffix.lower() not in PICTURES:
        raise ConfigError(f"{given.picture}: pictures are written as {' or '.join(PICTURES)}")
    for path in (given.output, given.picture):
        if path is not None:
            check_place(path, given.overwrite)


def gather(given: argparse.Namespace) -> Evidence:
    """Measure everything that the data can say. Raises: CloseupError, EngineError, ValueError."""
    evidence = Evidence()
    people = read_people(given.data, given.people) if given.data else None
    for room in ROOMS:
        if room not in given.only or (given.clips if room in OF_CLIPS else people) is None:
            continue
        print(f"measuring {room}", file=sys.stderr, flush=True)
        if room == "tracker":
            limits_of_tracker.of_tracker(evidence, given.clips, people)
        elif room == "sizes":
            limits_of_tracker.of_sizes(evidence, given.clips, given.runtime)
        elif room == "returns":
            limits_of_tracker.of_returns(evidence, given.data, given.people, given.quick)
        elif people is None:
            continue
        elif room == "closeups":
            limits_of_bank.of_exemplars(evidence, people, given.runtime)
        elif room == "worth":
            limits_of_bank.of_worth(evidence, people, given.runtime, given.cases, given.side)
        elif room == "patches":
            limits_of_patches.of_patches(evidence, people, given.runtime)
        else:
            limits_of_patches.of_resemblance(evidence, people)
    return evidence


if __name__ == "__main__":
    run_program(main)
