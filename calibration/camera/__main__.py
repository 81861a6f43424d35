"""What this camera really gives, as a profile for `run_pipeline.py --config`.

    python -m calibration.camera --input webcam
    python -m calibration.camera --input call.mp4 --output desk.toml --picture curves.png

Sit close, move back slowly as far as you would in a call, and let the light change once (cover the
lens with a hand for a second): that shows sharpness against size, noise and exposure. Frames are
looked at and dropped; only numbers are kept.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np

from calibration.camera.findings import Findings, findings
from calibration.camera.watch import Watch
from engines.diagram import Image, panel, save
from engines.errors import reported, run_program
from engines.files import write_whole
from engines.option_types import named_path
from stream.camera_profile import CameraProfile, format_table
from stream.errors import CloseupError, ConfigError, InputError, OutputError
from stream.media.sinks.file_sink import check_place
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.devices import device_named
from stream.media.sources.file_source import FileSource
from stream.stages.tracking.face_detector import FaceDetector

SECONDS = 30.0
PICTURES = (".png", ".jpg")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status: 0 done, 2 a named error, 130 Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog="python -m calibration.camera",
        description="Measure what a camera really gives, and write its profile.",
        epilog="Sit close, move back slowly, and cover the lens with a hand for a second.",
    )
    parser.add_argument("--input", required=True, metavar="WHAT",
                        help="a recording, or a camera as for run_pipeline.py")  # fmt: skip
    parser.add_argument("--output", type=named_path, default=Path("camera.toml"), metavar="FILE",
                        help="the profile (camera.toml)")  # fmt: skip
    parser.add_argument("--picture", type=named_path, metavar="FILE", help="curves, .png or .jpg")
    parser.add_argument("--seconds", type=float, default=SECONDS, metavar="S",
                        help=f"how much to watch ({SECONDS:g})")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    given = parser.parse_args(arguments)
    try:
        check(given)
        found = watched(given.input, given.seconds)
        profile = found.profile()
        write(given.output, described(found, given.input) + "\n" + format_table(profile))
        if given.picture is not None:
            write_picture(given.picture, draw(found, profile))
    except CloseupError as error:
        return reported(error)
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    print("\n".join(found.lines()))
    print(f"{given.output} written; use it with run_pipeline.py --config {given.output}")
    return 0


def check(given: argparse.Namespace) -> None:
    """Whether everything can be written. Raises: CloseupError: it cannot."""
    if not 1.0 <= given.seconds <= 600.0:
        raise ConfigError(f"--seconds {given.seconds:g} is out of range; give 1 to 600")
    check_place(given.output, given.overwrite)
    if given.picture is not None:
        if given.picture.suffix.lower() not in PICTURES:
            raise OutputError(f"{given.picture}: pictures are written as {' or '.join(PICTURES)}")
        if given.picture.resolve() == given.output.resolve():
            raise OutputError(f"{given.picture} is the profile already; give another name")
        check_place(given.picture, given.overwrite)


def watched(name: str, seconds: float) -> Findings:
    """Watch a camera or a recording.

    Raises: InputError: it cannot be opened or has too little in it. ModelError.
    """
    device = device_named(name)
    # Models first: fetching them takes time that a camera would be kept waiting.
    with FaceDetector() as detector:
        watch = Watch(detector)
        with FileSource(Path(name)) if device is None else CameraSource(device, _tell) as source:
            watch.run(source, seconds)
    found = findings(watch)
    if found.rhythm is None:
        raise InputError(
            f"{name} has {found.frames} frames, too few to measure; record some seconds"
        )
    return found


def _tell(line: str) -> None:
    print(f"note: {line}", file=sys.stderr)


def described(found: Findings, name: str) -> str:
    """What was measured, as comments above the profile."""
    source = Path(name).name if device_named(name) is None else name
    head = f"measured by calibration.camera from {source!r} on {date.today()}"
    return "".join(f"# {line}\n" for line in (head, *found.lines()))


def write(path: Path, text: str) -> None:
    """Write a text; it is there completely or not at all. Raises: OutputError."""
    try:
        write_whole(path, text)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def write_picture(path: Path, picture: Image) -> None:
    """Raises: OutputError: it cannot be written."""
    try:
        save(path, picture)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error


def draw(found: Findings, profile: CameraProfile) -> Image:
    """The curves: sharpness, blur, noise and brightness. RGB uint8 (H, W, 3)."""
    faces = found.faces
    sharp = {"faces": [(face.side_px, face.sharpness) for face in faces]}
    blurs = {"faces": [(face.side_px, face.blur_px) for face in faces if face.blur_px is not None]}
    if sharp["faces"]:
        least, most = (pick(face.side_px for face in faces) for pick in (min, max))
        sharp[f"least {profile.least_sharpness:.3f}"] = [
            (least, profile.least_sharpness), (most, profile.least_sharpness)]  # fmt: skip
        if least <= profile.near_px <= most:
            top = max(face.sharpness for face in faces)
            sharp[f"near {profile.near_px:.0f} px"] = [
                (profile.near_px, 0.0),
                (profile.near_px, top),
            ]
        if found.face_blur_px is not None:
            blurs[f"camera {found.face_blur_px:.2f} px"] = [
                (least, found.face_blur_px), (most, found.face_blur_px)]  # fmt: skip
    noise: dict[str, list[tuple[float, float]]] = {}
    if found.noise is not None and profile.noise is not None:
        levels = np.linspace(0.0, 255.0, 32, dtype=np.float32)
        fitted = profile.noise_at(levels)
        noise["fitted"] = [(float(x), float(y)) for x, y in zip(levels, fitted, strict=True)]
        noise["over time"] = [(level, time) for level, time, _ in found.noise.points if time > 0.0]
        noise["pixel to pixel"] = [(level, space) for level, _, space in found.noise.points]
    panels = [
        panel("sharpness of faces", sharp, "side of the headshot, px", ("faces",)),
        panel("blur of their sharpest edges, px", blurs, "side of the headshot, px", ("faces",)),
        panel("noise, levels", noise, "brightness of a channel", ("over time", "pixel to pixel")),
        panel("brightness of the picture", {"mean": found.light}, "seconds"),
    ]
    return np.concatenate(panels)


if __name__ == "__main__":
    run_program(main)
