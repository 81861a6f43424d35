"""Two passes over a recording against one: what an early far face gains by an exemplar at the end.

    python -m bench.passes
    python -m bench.passes --clip CLIP --seconds 20 --size 1280x720 --json

Two calls, each a recording of its own. `late`: somebody sits far away and comes close in the end.
`back`: the same, but leaves the picture in between, so that the two tracks must be known for one.
Every far face before the exemplar is compared with the truth, at the size of the output.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.measures.image_measures import psnr
from bench.picture_size import parse_size
from bench.scenes.call import Call, TrueFace
from bench.scenes.cases import CLOSE_PX, FAR_MOST_PX, FAR_PX, Case
from bench.scenes.synthetic_people import RATE, Clip, Photo, SyntheticPerson
from bench.scenes.trajectories import Trajectory, Waypoint
from engines.errors import reported, run_program
from engines.option_types import named_path, output_folder
from engines.runtime import RUNTIMES, EngineError
from stream.cli.arguments import parse
from stream.errors import CloseupError, ConfigError
from stream.frame import Image
from stream.image.resample import Rect, Size, resample
from stream.media.demo.demo_scene import DemoScene
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.options import Options
from stream.recordings.job import run_recording
from stream.stages.tracking.face_detector import FaceDetector
from stream.telemetry.report import Report

WINDOW = 1.5
"""The face and its hair, in widths of the face box."""
SCALE = 2
"""Of the canvas: what recordings up to 720p get."""
FADED_S = 1.0
"""At the start every patch is still fading in."""


@dataclass(frozen=True)
class Summary:
    """One call, in one pass and in two."""

    call: str
    frames: int
    """Far faces that were compared."""
    bicubic_db: float
    """The recording enlarged; all dB over RGB, mean of the frames, with the truth."""
    one_pass_db: float
    two_passes_db: float
    one_pass_fps: float
    two_passes_fps: float
    people: int
    merged_tracks: int


def late(seconds: float) -> Case:
    """Far, and close in the end."""
    waypoints = (
        Waypoint(0.0, 0.5, 0.42, FAR_PX),
        Waypoint(0.6 * seconds, 0.53, 0.43, 1.03 * FAR_PX),
        Waypoint(0.75 * seconds, 0.5, 0.52, CLOSE_PX),
        Waypoint(seconds, 0.52, 0.5, 1.04 * CLOSE_PX),
    )
    return Case("late", (Trajectory(waypoints),), seconds)


def back(seconds: float) -> Case:
    """Far, out of the picture for a fifth of the time, and close in the end."""
    waypoints = (
        Waypoint(0.0, 0.5, 0.42, FAR_PX),
        Waypoint(0.45 * seconds, 0.55, 0.43, 1.03 * FAR_PX),
        Waypoint(0.55 * seconds, 1.3, 0.43, 1.03 * FAR_PX),
        Waypoint(0.65 * seconds, 1.3, 0.5, CLOSE_PX),
        Waypoint(0.75 * seconds, 0.5, 0.52, CLOSE_PX),
        Waypoint(seconds, 0.52, 0.5, 1.04 * CLOSE_PX),
    )
    return Case("back", (Trajectory(waypoints),), seconds)


def record(call: Call, path: Path) -> None:
    """The call as it came out of its line, kept without visible loss. Raises: OutputError."""
    sink = FileSink(path, call.size, call.rate, 1 / call.rate, encoding=Encoding(crf=8))
    try:
        for frame in call:
            sink.send(frame)
        sink.close()
    except BaseException:
        sink.abort()
        raise


def enhance(recording: Path, output: Path, passes: int, runtime: str) -> Report:
    """The recording as a user enhances it.

    Args:   passes: 1 or 2. runtime: "auto" or its name.
    Raises: CloseupError, EngineError.
    """
    arguments = ["--input", str(recording), "--output", str(output), "--scale", str(SCALE)]
    options = parse([*arguments, "--passes", str(passes), "--runtime", runtime])
    assert isinstance(options, Options)
    with FileSource(recording) as source:
        return run_recording(source, options).report


def early_faces(call: Call) -> dict[int, TrueFace]:
    """By the number of the frame: the far face before anybody has been close."""
    found: dict[int, TrueFace] = {}
    for index in range(round(FADED_S * RATE), call.frames_total):
        for face in call.faces(index):
            if face.width_px > FAR_MOST_PX:
                return found
            found[index] = face
    return found


def window(face: TrueFace, size: Size) -> tuple[int, int, int, int]:
    """What is compared: xyxy px of the output of `size`."""
    x, y, half = *face.center, WINDOW * face.width_px / 2.0
    return (
        max(0, round(SCALE * (x - half))),
        max(0, round(SCALE * (y - half))),
        min(size[0], round(SCALE * (x + half))),
        min(size[1], round(SCALE * (y + half))),
    )


def compare(call: Call, path: Path, *, enlarge: bool = False) -> tuple[float, int]:
    """Mean dB of the early far faces of a recording, and how many they are.

    Args: enlarge: it has the size of the camera's picture, and is enlarged bicubically.
    """
    faces = early_faces(call)
    size = (SCALE * call.size[0], SCALE * call.size[1])
    values = []
    with FileSource(path) as source:
        for frame in source:
            if (face := faces.get(frame.index)) is not None:
                x0, y0, x1, y1 = window(face, size)
                rect: Rect = (x0 / SCALE, y0 / SCALE, x1 / SCALE, y1 / SCALE)
                truth = call.render(frame.index, rect, (x1 - x0, y1 - y0))
                shown: Image = frame.image[y0:y1, x0:x1]
                if enlarge:
                    shown = resample(frame.image, rect, (x1 - x0, y1 - y0))
                values.append(psnr(shown, truth))
    return float(np.mean(values)), len(values)


def measure(call: Call, folder: Path, runtime: str) -> Summary:
    """One call in one pass and in two.

    Args:   folder: where the recordings are written. runtime: "auto" or its name.
    Raises: CloseupError, EngineError.
    """
    recording = folder / f"{call.case.name}.mkv"
    record(call, recording)
    outputs = [folder / f"{call.case.name}_{passes}.mkv" for passes in (1, 2)]
    one, two = (enhance(recording, path, n, runtime) for n, path in enumerate(outputs, 1))
    bicubic, frames = compare(call, recording, enlarge=True)
    return Summary(
        call=call.case.name,
        frames=frames,
        bicubic_db=round(bicubic, 2),
        one_pass_db=round(compare(call, outputs[0])[0], 2),
        two_passes_db=round(compare(call, outputs[1])[0], 2),
        one_pass_fps=one["fps"],
        two_passes_fps=two["fps"],
        people=two["people"] or 0,
        merged_tracks=two["merged_tracks"] or 0,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.passes",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--clip", type=named_path, help="somebody who sits close; the demo's person when left out")
    add("--seconds", type=float, default=12.0, help="length of each call (12)")
    add("--size", default="640x360", metavar="WxH", help="of the camera's picture (640x360)")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--out", type=output_folder, help="keep the recordings in this folder")
    add("--json", action="store_true", help="the figures as JSON on stdout")
    given = parser.parse_args(arguments)
    try:
        results = _run(given)
    except (CloseupError, EngineError) as error:
        return reported(error)
    if given.json:
        print(json.dumps([one.__dict__ for one in results]))
        return 0
    print(f"{'':<8}{'frames':>8}{'bicubic':>10}{'1 pass':>10}{'2 passes':>10}{'fps 1':>8}"
          f"{'fps 2':>8}{'people':>8}{'merged':>8}")  # fmt: skip
    for one in results:
        print(f"{one.call:<8}{one.frames:>8}{one.bicubic_db:>10.2f}{one.one_pass_db:>10.2f}"
              f"{one.two_passes_db:>10.2f}{one.one_pass_fps:>8.1f}{one.two_passes_fps:>8.1f}"
              f"{one.people:>8}{one.merged_tracks:>8}")  # fmt: skip
    return 0


def _run(given: argparse.Namespace) -> list[Summary]:
    """Raises: CloseupError, EngineError."""
    size = parse_size(given.size, (320, 240), (1920, 1080))
    if not 5.0 <= given.seconds <= 600.0:
        raise ConfigError(f"--seconds {given.seconds:g} is out of range; give 5 to 600")
    if given.out is not None and not given.out.is_dir():
        raise ConfigError(f"the folder {given.out} does not exist; create it first")
    person: SyntheticPerson = Photo(DemoScene())
    if given.clip is not None:
        with FaceDetector() as detector:
            person = Clip(given.clip, detector)
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.out or Path(temporary)
        calls = [Call(case(given.seconds), [person], size) for case in (late, back)]
        return [measure(call, folder, given.runtime) for call in calls]


if __name__ == "__main__":
    run_program(main)
