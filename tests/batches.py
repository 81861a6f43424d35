"""Small calls for archives: somebody comes close and goes far."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av

import run_pipeline
from tests.pictures import scene_with_face

PROGRAM = Path(run_pipeline.__file__)
RATE = 15
CLOSE_PX, FAR_PX = 112.0, 34.0


def write_call(path: Path, frames: int = 12, close: int = 4, person: bool = True) -> None:
    """A recording of 320x180 at 15 frames a second: `close` frames of a close face, then a far one.

    Args: person: False for an empty room.
    """
    size = (320, 180)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.options = {"preset": "ultrafast", "crf": "12"}
        tone = container.add_stream("aac", rate=48_000, layout="mono")
        for index in range(frames):
            width = (CLOSE_PX if index < close else FAR_PX) if person else 0.1
            at = (160.0 + 0.4 * index, 92.0)
            image = scene_with_face(width, size, at, noise=1.0, seed=index)
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
        samples = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        samples.planes[0].update(bytes(4096))
        samples.sample_rate, samples.pts, samples.time_base = 48_000, 0, Fraction(1, 48_000)
        container.mux(tone.encode(samples))
        container.mux(tone.encode(None))


def run_program(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own."""
    return subprocess.run(
        [sys.executable, str(PROGRAM), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def children_of(process: int) -> list[int]:
    """Processes that a process has started, on Linux."""
    path = Path(f"/proc/{process}/task/{process}/children")
    try:
        return [int(one) for one in path.read_text().split()]
    except FileNotFoundError:
        return []
