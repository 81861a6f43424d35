"""Resume stress: whether a recording that is killed again and again ends as one that is not.

    python -m bench.resume_stress --input call.mp4 --times 10 --runtime openvino-cpu

Works on the recording once without interruption, then kills the process (SIGKILL) at random
moments and goes on, and compares SHA-256. Options that it does not know go to the command line.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from engines.errors import run_program
from engines.option_types import named_path, whole
from stream.recordings.resume.fingerprint import sha256_of
from stream.recordings.resume.work_dir import work_folder

PROGRAM = Path(__file__).resolve().parents[1] / "run_pipeline.py"


def main(argv: list[str] | None = None) -> int:
    """Command line. Returns 0 when both are the same, 1 when not, 2 when nothing comes out."""
    parser = argparse.ArgumentParser(prog="python -m bench.resume_stress", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--input", type=named_path, required=True)
    parser.add_argument("--times", type=whole(1), default=10, help="how often it is killed (10)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    given, more = parser.parse_known_args(argv)
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as folder:
        uncut, cut = (Path(folder) / f"{name}{given.input.suffix}" for name in ("whole", "cut"))
        started_s = time.monotonic()
        if status := _run(given.input, uncut, more, told=None).wait():
            return status
        whole_s = time.monotonic() - started_s
        print(f"whole: {whole_s:.1f} s, {sha256_of(uncut)}", flush=True)
        for number in range(given.times):
            process = _run(given.input, cut, more)
            try:
                process.wait(whole_s * chance.uniform(0.05, 0.95))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            kept = len(list(work_folder(cut).glob(f"0*{cut.suffix}")))
            done = ", done" if cut.exists() else ""
            print(f"killed {number + 1}: {kept} segments kept{done}", flush=True)
            if cut.exists():
                # What there is so far is compared, and the next moments are those of a new run.
                if sha256_of(cut) != sha256_of(uncut):
                    break
                cut.unlink()
        started_s = time.monotonic()
        if not cut.exists():
            _run(given.input, cut, more).wait()
        print(f"cut: {time.monotonic() - started_s:.1f} s more, {sha256_of(cut)}")
        same = sha256_of(cut) == sha256_of(uncut)
    print("the same" if same else "DIFFERENT")
    return 0 if same else 1


def _run(
    source: Path, target: Path, more: list[str], told: int | None = subprocess.DEVNULL
) -> subprocess.Popen[bytes]:
    """Args: source, target: recordings. more: options. told: where stderr goes."""
    command = [sys.executable, str(PROGRAM), "--input", str(source), "--output", str(target)]
    return subprocess.Popen([*command, "--resume", *more], stdout=subprocess.DEVNULL, stderr=told)


if __name__ == "__main__":
    run_program(main)
