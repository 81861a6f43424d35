"""Fuzz: damaged recordings through the command line, for as long as you like.

    python -m tests.fuzz --minutes 30
    python -m tests.fuzz --seed 7 --keep findings

Each gives a good output or one clear line, and nothing else: no traceback, no crash, no hang,
nothing half-written. What does not is kept in a folder, and the exit status is 1. The stages are
stand-ins: no models are needed, and most of the time goes into reading.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import io
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.stream import VideoStream

import run_pipeline
from engines.errors import run_program
from engines.option_types import named_path, number, whole
from stream.media.sources.file_source import FileSource
from tests.damaged_files import ANYWHERE, special
from tests.fake_stages import use_fake_stages
from tests.recording_files import picture, write_recording

HANGS_S = 300.0
KINDS = ((".mp4", "libx264"), (".mkv", "libx264"), (".avi", "mjpeg"), (".webm", "vp8"),
         (".ts", "libx264"))  # fmt: skip


def good_ones(folder: Path) -> list[Path]:
    """Small recordings of several kinds."""
    folder.mkdir(exist_ok=True)
    write_recording(folder / "call.mp4", pts=range(0, 90_000, 3600))
    for ending, codec in KINDS[1:]:
        _write(folder / f"call{ending}", codec)
    return sorted(folder.iterdir())


def _write(path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        for index in range(12):
            frame = av.VideoFrame.from_ndarray(picture(step=index), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        container.mux(stream.encode(None))


def specials(good: list[Path], units: int = 1_000_000) -> Iterator[tuple[str, str, bytes]]:
    """(what it is, ending, content) of files that are made to do harm."""
    by_ending = {path.suffix: path.read_bytes() for path in good}
    for name, (ending, content) in special(by_ending[".mp4"], by_ending[".avi"], units).items():
        yield name, ending, content


def randoms(good: list[Path], seed: int) -> Iterator[tuple[str, str, bytes]]:
    """(what it is, ending, content) of damaged recordings, without an end."""
    number = 0
    while True:
        random = np.random.default_rng((seed, number))
        path = good[int(random.integers(len(good)))]
        content = path.read_bytes()
        names = []
        for _ in range(int(random.integers(1, 3))):
            damage = ANYWHERE[int(random.integers(len(ANYWHERE)))]
            names.append(damage.__name__)
            content = damage(random, content) or b"\0"
        yield f"{path.name} {' '.join(names)} ({seed}, {number})", path.suffix, content
        number += 1


def evaluate(folder: Path, ending: str, content: bytes, *more: str) -> tuple[str, str | None]:
    """Put one through the command line; the stand-in stages are in place.

    Args:    folder: an empty one. more: options.
    Returns: "written", or the error's line; and what was wrong with that, None: nothing.
    """
    source, target = folder / f"bad{ending}", folder / "better.mp4"
    source.write_bytes(content)
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_pipeline.main(["--input", str(source), "--output", str(target), *more])
    except BaseException:
        return "", f"a traceback: {traceback.format_exc()}"
    lines = [line for line in err.getvalue().splitlines() if line.startswith("error: ")]
    left = sorted(path.name for path in folder.iterdir())
    if status == 2:
        one = len(lines) == 1 and left == [source.name]
        return lines[0] if lines else "", None if one else f"left {left}, said {lines}"
    if status != 0 or lines or left != sorted([source.name, target.name]):
        return "", f"status {status}, left {left}, said {lines}"
    try:
        with FileSource(target) as written:
            pictures = sum(1 for _ in written.decoded())
    except Exception as error:
        return "written", f"the output cannot be read: {error}"
    return "written", None if pictures else "the output has no pictures"


def run(minutes: float, seed: int, keep: Path) -> int:
    """Fuzz. Returns: how many findings."""
    counted: Counter[str] = Counter()
    findings, until_s = 0, time.monotonic() + 60.0 * minutes
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        use_fake_stages(patch)
        good = good_ones(Path(place) / "good")
        for name, ending, content in chain(specials(good), randoms(good, seed)):
            if time.monotonic() > until_s:
                break
            faulthandler.dump_traceback_later(HANGS_S, exit=True)
            with tempfile.TemporaryDirectory(dir=place) as folder:
                said, wrong = evaluate(Path(folder), ending, content)
            faulthandler.cancel_dump_traceback_later()
            counted["written" if said == "written" else "refused"] += 1
            if wrong:
                findings += 1
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"finding-{findings}{ending}"
                kept.write_bytes(content)
                print(f"{name}: {wrong}\n  kept as {kept}", flush=True)
            elif sys.stdout.isatty():
                print(f"\r{sum(counted.values())} {name}: {said}"[:100].ljust(100), end="")
    print(f"\n{dict(counted)}, seed {seed}: {findings} findings")
    return findings


def main() -> int:
    """The program. Returns: its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=number(), default=1.0)
    parser.add_argument("--seed", type=whole(), default=0)
    parser.add_argument(
        "--keep", type=named_path, default=Path("out/fuzz"), help="where findings go"
    )
    given = parser.parse_args()
    return 1 if run(given.minutes, given.seed, given.keep) else 0


if __name__ == "__main__":
    run_program(main)
