"""What the sandbox costs: pictures a second with it and without, in one run, and memory.

    python -m bench.sandbox_cost call.mp4
    python -m bench.sandbox_cost --make 4096x4096 --codec libx264 --pixels yuv420p

With `--make` a recording is made up. Both ways give RGB, as the stages take it; with `--planes`
what the decoder gives, and no more.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import av
from av.video.stream import VideoStream

from engines.errors import run_program
from engines.option_types import named_path, whole
from stream.media.sandbox.sandboxed_source import SandboxedSource
from stream.media.sources.file_source import FileSource

ROUNDS = 3
FRAMES = 60


def make(path: Path, size: str, codec: str, pixels: str, frames: int) -> None:
    """A moving test picture, as FFmpeg makes it.

    Args: size: like "1280x720". codec, pixels: FFmpeg's names. frames: how many.
    """
    with (
        av.open(f"testsrc2=size={size}:rate=30", format="lavfi") as picture,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream(codec, rate=30)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = (int(side) for side in size.split("x"))
        stream.pix_fmt = pixels
        stream.codec_context.options = {"preset": "ultrafast"} if "264" in codec else {}
        for _, frame in zip(range(frames), picture.decode(video=0), strict=False):
            frame.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(frame.reformat(format=pixels)))
        container.mux(stream.encode(None))


def measure(source: FileSource, planes: bool) -> tuple[float, int]:
    """Pictures a second from the first one on, and the most addresses of a child, bytes."""
    frames: Iterator[object] = source.decoded() if planes else iter(source)
    next(frames)
    peak, number, started_s = 0, 0, time.perf_counter()
    for number, _ in enumerate(frames, 1):  # noqa: B007
        if isinstance(source, SandboxedSource):
            peak = max(peak, source.peak_bytes() or 0)
    return number / (time.perf_counter() - started_s), peak


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sandbox_cost", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("recording", type=named_path, nargs="?")
    parser.add_argument("--make", metavar="WIDTHxHEIGHT", default="1280x720")
    parser.add_argument("--codec", default="libx264")
    parser.add_argument("--pixels", default="yuv420p")
    parser.add_argument("--frames", type=whole(1), default=FRAMES)
    parser.add_argument("--planes", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = given.recording or Path(folder) / "made.mkv"
        if given.recording is None:
            make(path, given.make, given.codec, given.pixels, given.frames)
        for _ in range(ROUNDS):
            for kind in (FileSource, SandboxedSource):
                started_s = time.perf_counter()
                with kind(path) as source:
                    opened_s = time.perf_counter() - started_s
                    speed, peak = measure(source, given.planes)
                needs = f", child at most {peak >> 20} MiB of addresses" if peak else ""
                print(
                    f"{kind.__name__:<14} opened in {opened_s:.2f} s, {speed:7.1f} "
                    f"pictures/s{needs}",
                    flush=True,
                )


if __name__ == "__main__":
    run_program(main)
