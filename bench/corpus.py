"""Corpus: every file of a folder through the program, and what became of each.

    python -m bench.corpus FOLDER
    python -m bench.corpus FOLDER --slice 2/5 --output mp4 --report corpus.jsonl

Each file is enhanced at its own size. The output is then compared with the input by other means
than the program's own check: every decoded picture of both. A file that FFmpeg decodes and that is
refused, a traceback, and a difference that no note names are faults: the exit status is 1.
`bench.corpus_files` makes a folder of all that FFmpeg writes.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass, field
from io import StringIO
from itertools import zip_longest
from pathlib import Path

import av
import cv2
import numpy as np
from av.error import FFmpegError

from engines.errors import reported, run_program
from engines.option_types import named_path
from engines.output_file import output_file
from engines.runtime import EngineError
from stream.cli.arguments import parse
from stream.errors import CloseupError
from stream.media.pyav import READING
from stream.media.sandbox.sandboxed_source import open_source
from stream.options import Options
from stream.recordings.job import run_recording

LEAST_PSNR_DB = 25.0
"""Of the areas of any picture that was encoded again at the default quality; damage is far
below."""
AREA_PX = 8
OK, NOTED, UNSAID, REFUSED, DOCUMENTED, UNREADABLE, DEFECT = (
    "as in the input",
    "differs, with a note",
    "DIFFERS WITHOUT A NOTE",
    "REFUSED",
    "refused as documented",
    "not decoded by FFmpeg either",
    "TRACEBACK",
)
FAULTS = (UNSAID, REFUSED, DEFECT)
EXPECTED = (
    *("is encrypted", "make a smaller copy", "no moving pictures", "streams, at most"),
    *("a picture and no recording", "too small to work with", "its times are damaged"),
)
"""Of reasons to refuse a file that FFmpeg decodes: those that the documents name."""


@dataclass
class Result:
    """What became of one file."""

    name: str
    outcome: str
    differences: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reason: str = ""
    """Why it was refused, or the end of the traceback."""
    worst_psnr_db: float | None = None
    """None: the pictures are the same to the bit, or were not compared."""
    seconds: float = 0.0


def try_file(path: Path, target: Path) -> Result:
    """Enhance one file, and compare."""
    started_s = time.monotonic()
    result = Result(path.name, OK)
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            options = parse(["--input", str(path), "--output", str(target), "--scale", "1"])
            assert isinstance(options, Options)
            with open_source(path) as source:
                outcome = run_recording(source, options)
        check = outcome.report["check"]
        assert check is not None
        result.differences += check["differences"]
        result.notes = [note.text for note in outcome.notes if not note.is_result]
        result.differences += _compared(path, target, result)
        if result.differences:
            result.outcome = NOTED if result.notes else UNSAID
    except (CloseupError, EngineError) as error:
        result.reason = " ".join(str(error).replace(str(path), "FILE").split())
        result.outcome = REFUSED if _decodes(path) else UNREADABLE
        if any(reason in result.reason for reason in EXPECTED):
            result.outcome = DOCUMENTED
    except Exception:
        result.outcome, result.reason = DEFECT, traceback.format_exc()[-1500:]
    finally:
        target.unlink(missing_ok=True)
    result.seconds = round(time.monotonic() - started_s, 2)
    return result


def _compared(before: Path, after: Path, result: Result) -> Iterator[str]:
    """What differs between the decoded pictures, one line each."""
    with closing(open_source(before)) as old, closing(open_source(after)) as new:
        worst, number = np.inf, 0
        for number, (ours, theirs) in enumerate(zip_longest(iter(old), iter(new)), 1):
            if ours is None or theirs is None:
                counts = "more" if ours is None else "less"
                yield f"{counts} decoded pictures than the input, from number {number} on"
                break
            high = min(ours.image.shape[0], theirs.image.shape[0])
            wide = min(ours.image.shape[1], theirs.image.shape[1])
            if max(ours.image.shape[0] - high, ours.image.shape[1] - wide) > 1:
                yield f"pictures of {theirs.image.shape} instead of {ours.image.shape}"
                break
            apart = ours.image[:high, :wide].astype(np.float32) - theirs.image[:high, :wide]
            # Of areas: dithered pictures become smoother, damage stays.
            apart = cv2.resize(apart, (max(1, wide // AREA_PX), max(1, high // AREA_PX)),
                               interpolation=cv2.INTER_AREA)  # fmt: skip
            error = float(np.mean(np.square(apart)))
            worst = min(worst, 10 * np.log10(255**2 / error) if error else np.inf)
        if np.isfinite(worst):
            result.worst_psnr_db = round(float(worst), 2)
        if worst < LEAST_PSNR_DB:
            yield f"a picture has {worst:.1f} dB"


def _decodes(path: Path) -> bool:
    """Whether FFmpeg, asked for nothing special, gives a picture."""
    try:
        with av.open(str(path), **READING) as container:
            return any(True for _ in container.decode(video=0))
    except (FFmpegError, OSError, ValueError, IndexError):
        return False


def table(results: Sequence[Result]) -> str:
    """Outcomes, then what is to be mended, by reason."""
    counts = Counter(one.outcome for one in results)
    lines = [f"{number:5d}  {outcome}" for outcome, number in counts.most_common()]
    why: Counter[str] = Counter()
    example: dict[str, str] = {}
    for one in results:
        if one.outcome in FAULTS or one.differences:
            reason = one.reason.splitlines()[-1] if one.reason else "; ".join(one.differences)
            why[f"{one.outcome}: {reason}"] += 1
            example.setdefault(f"{one.outcome}: {reason}", one.name)
    lines += [f"{number:5d}  {reason} ({example[reason]})" for reason, number in why.most_common()]
    return "\n".join(lines)


def _slice(text: str) -> slice:
    part, parts = (int(one) for one in text.split("/"))
    if not 1 <= part <= parts:
        raise ValueError(text)
    return slice(part - 1, None, parts)


def main(argv: list[str] | None = None) -> int:
    """Try, print. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench.corpus", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=named_path)
    parser.add_argument("--slice", type=_slice, default="1/1", help="N/M: the Nth of M parts (1/1)")
    parser.add_argument("--output", choices=("mkv", "mp4", "mov"), default="mkv")
    parser.add_argument("--report", type=output_file, help="a line of JSON for each file")
    given = parser.parse_args(argv)
    files = sorted(one for one in given.folder.rglob("*") if one.is_file())[given.slice]
    if not files:
        return reported(ValueError(f"{given.folder} holds no files, or none of this --slice"))
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            results.append(try_file(path, Path(folder) / f"out.{given.output}"))
            if given.report is not None:
                with given.report.open("a") as report:
                    report.write(json.dumps(asdict(results[-1])) + "\n")
            print(f"{results[-1].outcome}: {path.name}", file=sys.stderr)
    print(table(results))
    return int(any(one.outcome in FAULTS for one in results))


if __name__ == "__main__":
    run_program(main)
