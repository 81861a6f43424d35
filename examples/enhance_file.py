"""Enhance a video file with the Python API: read and write with PyAV, enhance frame by frame.

    python examples/enhance_file.py call.mp4 better.mp4

This is the short way, for your own pipeline. The program `closeup` does more for recordings: it
looks for close-ups in the whole file first, and keeps audio, subtitles, colours and HDR.
"""

from __future__ import annotations

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from stream import Enhancer


def enhance(source: Path, target: Path, scale: float) -> int:
    """Write an enhanced copy of a video file, without audio.

    Args:    source: any video that FFmpeg reads. target: .mp4 or .mkv, replaced if it exists.
             scale: canvas of the output over the picture; 1 restores faces in place.
    Returns: the number of frames.
    """
    frames = 0
    with av.open(str(source)) as reader, av.open(str(target), "w") as writer:
        video = reader.streams.video[0]
        rate = video.average_rate or 30
        output: VideoStream | None = None
        # "fixed" shows the whole picture; "auto" would follow the people with a virtual camera.
        with Enhancer(framing="fixed", scale=scale, rate=float(rate)) as enhancer:
            for frame in reader.decode(video):
                image = np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                sharp = enhancer(image, time_s=frame.time)
                if output is None:
                    output = writer.add_stream("libx264", rate=rate, options={"crf": "18"})
                    output.height, output.width = sharp.shape[:2]
                    output.pix_fmt = "yuv420p"
                    # the input's clock, so that a variable frame rate survives
                    output.codec_context.time_base = frame.time_base or 1 / Fraction(rate)
                picture = av.VideoFrame.from_ndarray(sharp, format="rgb24")
                picture.pts, picture.time_base = frame.pts, frame.time_base
                writer.mux(output.encode(picture))
                frames += 1
        if output is not None:
            writer.mux(output.encode(None))
    return frames


def main() -> None:
    """Read the command line and report what was written."""
    parser = argparse.ArgumentParser(description="Enhance the far-away faces of a video file.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--scale", type=float, default=2.0, help="canvas over picture (2)")
    given = parser.parse_args()
    frames = enhance(given.source, given.target, given.scale)
    print(f"{given.target}: {frames} frames")


if __name__ == "__main__":
    main()
