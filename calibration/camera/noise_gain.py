"""Noise gain: what a measured noise level is worth in the final picture, against the usual guess.

    python -m calibration.camera.noise_gain --data PEOPLE [--quick]

PEOPLE holds a folder of square headshots for each person. Their far faces stand on a wall in a
made-up recording, with known noise, through H.264; its noise is measured as `calibration.camera`
does, the network enlarges the faces, and back-projection keeps out what noise explains: as guessed
from each picture, and as measured. The truth is known.
"""

from __future__ import annotations

import argparse
import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import av
import cv2
import numpy as np

from calibration.camera.noise import Noise, NoiseMeter
from calibration.thresholds.gains import EXEMPLARS, SCALE, SEED, psnr, resized
from engines.aligned_enhancement import enhanced
from engines.back_projection import back_project
from engines.errors import reported, run_program
from engines.hime.people import Person, load_people
from engines.option_types import named_path
from engines.runtime import EngineError, Image, Runtime, open_runtime
from stream.camera_profile import CameraProfile
from stream.errors import CloseupError

SIDE_PX, PITCH_PX, SIZE = 32, 80, (640, 368)
"""Of far headshots, from one to the next on the wall, and of the recording."""
FRAMES, LOOKS = 24, 2
"""Of the recording, and how many of them are enlarged."""
NOISES = ((1.0, 2.0), (2.0, 4.5), (4.0, 9.0))
"""Deviations at black and at white, 8-bit levels."""
BIT_RATES = (None, 2_000_000)
"""Bits a second; None: nearly lossless."""
SMOOTH_PX = 0.7
"""Noise as cameras leave it, which their filters have smeared so far."""


@dataclass(frozen=True)
class Row:
    """One recording; dB are means over its faces."""

    noise: tuple[float, float]
    smooth: bool
    bit_rate: int | None
    measured: Noise | None
    network_db: float
    """Of what the network makes."""
    guessed_db: float
    """After back-projection with the usual guess ..."""
    measured_db: float
    """... and with the measured noise."""


def measure(
    network: Runtime,
    people: Sequence[Person],
    noise: tuple[float, float],
    smooth: bool,
    bit_rate: int | None,
) -> Row:
    """One recording.

    Args:   network: of scale 4. people: one far face each. noise, smooth, bit_rate: as of
            `recorded`.
    Raises: ValueError: nobody has enough photos.
    """
    side = SCALE * SIDE_PX
    usable = [p for p in people if len(p.photos) > EXEMPLARS and p.photos[0].shape[0] >= side]
    places = [
        (x, y)
        for y in range(24, SIZE[1] - PITCH_PX + 1, PITCH_PX)
        for x in range(24, SIZE[0] - PITCH_PX + 1, PITCH_PX)
    ]
    shown = list(zip(usable, places, strict=False))
    if not shown:
        raise ValueError(f"nobody has {EXEMPLARS + 1} photos of {side} px or more")
    truths = [resized(person.photos[0], side) for person, _ in shown]
    frames = recorded(_scene(truths, [place for _, place in shown]), noise, smooth, bit_rate)
    meter = NoiseMeter()
    for before, now in itertools.pairwise(frames):
        meter.add(before, now)
    found = meter.measure()
    measured_noise = (
        None if found is None else CameraProfile(noise=(found.dark, found.bright)).noise_at
    )
    results: list[tuple[float, float, float]] = []
    for (person, (x, y)), truth in zip(shown, truths, strict=True):
        given = [resized(one, side) for one in person.photos[1 : 1 + EXEMPLARS]]
        for frame in frames[-LOOKS:]:
            crop = np.ascontiguousarray(frame[y : y + SIDE_PX, x : x + SIDE_PX])
            patch = enhanced(network, crop, given)
            # Without the grain that is given back for its looks.
            guessed, known = (back_project(patch, crop, one, 0.0) for one in (None, measured_noise))
            pictures = (patch, guessed, known)
            results.append(tuple(psnr(one, truth) for one in pictures))  # type: ignore[arg-type]
    means = np.array(results).mean(axis=0)
    return Row(noise, smooth, bit_rate, found, *(float(mean) for mean in means))


def recorded(
    scene: Image, noise: tuple[float, float], smooth: bool, bit_rate: int | None
) -> list[Image]:
    """A still scene, taken by a camera with noise and sent through H.264.

    Args: scene: RGB uint8. noise: as `CameraProfile.noise`. smooth: whether the camera smooths it.
          bit_rate: bit/s; None: nearly lossless.
    """
    rng = np.random.default_rng(SEED)
    spread = CameraProfile(noise=noise).noise_at(scene.astype(np.float32))
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=Fraction(30))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv444p" if bit_rate is None else "yuv420p"
        stream.options = {"preset": "veryfast", "tune": "zerolatency"}
        stream.codec_context.thread_count = 1
        if bit_rate is None:
            stream.options |= {"qp": "2"}
        else:
            stream.bit_rate = bit_rate
        for _ in range(FRAMES):
            grain = rng.standard_normal(scene.shape).astype(np.float32)
            if smooth:
                grain = np.asarray(cv2.GaussianBlur(grain, (0, 0), SMOOTH_PX), np.float32)
                grain /= grain.std()
            seen = np.clip(np.rint(scene + spread * grain), 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(seen, format="rgb24")
            out.mux(stream.encode(frame.reformat(format=stream.pix_fmt)))
        out.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r", format="matroska") as source:
        decoded = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return [np.asarray(picture, np.uint8) for picture in decoded]


def _scene(truths: Sequence[Image], places: Sequence[tuple[int, int]]) -> Image:
    """A wall, brighter on one side, with far faces on it."""
    wall = np.linspace(40.0, 200.0, SIZE[0])[None, :, None] * np.ones((SIZE[1], 1, 3))
    scene = np.asarray(np.rint(wall), np.uint8)
    for truth, (x, y) in zip(truths, places, strict=True):
        scene[y : y + SIDE_PX, x : x + SIDE_PX] = resized(truth, SIDE_PX)
    return scene


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| noise at black, white | recording | measured | network | guessed | measured level |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        found = (
            "–" if row.measured is None else f"{row.measured.dark:.1f}, {row.measured.bright:.1f}"
        )
        way = "lossless" if row.bit_rate is None else f"{row.bit_rate / 1e6:g} Mbit/s"
        kind = f"{row.noise[0]:g}, {row.noise[1]:g}{', smeared' if row.smooth else ''}"
        lines.append(
            f"| {kind} | {way} | {found} | {row.network_db:.2f} dB | {row.guessed_db:.2f} | "
            f"{row.measured_db:.2f} ({row.measured_db - row.guessed_db:+.2f}) |"
        )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 2 a named error, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.camera.noise_gain", description=__doc__
    )
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", type=named_path, required=True, help="a folder for each person")
    parser.add_argument("--runtime", default="auto", help="what runs the network (auto)")
    parser.add_argument("--quick", action="store_true", help="one noise instead of all")
    given = parser.parse_args(arguments)
    try:
        people = load_people(given.data)
        with open_runtime(given.runtime, SCALE).runtime as network:
            rows = [
                measure(network, people, noise, smooth, bit_rate)
                for noise in (NOISES[1:2] if given.quick else NOISES)
                for smooth in (False, True)
                for bit_rate in BIT_RATES
            ]
    except (CloseupError, EngineError, ValueError, OSError) as error:
        return reported(error)
    except KeyboardInterrupt:
        return 130
    print(table(rows))
    return 0


if __name__ == "__main__":
    run_program(main)
