"""Growth: what a frame costs as pictures, faces, exemplars and recordings grow.

    python -m bench.growth [--frames 30] [--runtime auto] [--json]

Processor time a frame of all threads together, and memory, of a recording's stages without decoder
and encoder, at `--scale 1`. Faces have 40 px in pictures of every size.
Processor time, for other programs disturb it less than the clock.
Exit status: 0 measured, 2 an error that one line on stderr explains.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from engines.alignment import align
from engines.benchmark import unaligned
from engines.errors import reported, run_program
from engines.runtime import RUNTIMES, EngineError, open_runtime
from stream.errors import CloseupError, ConfigError
from stream.frame import Frame, Image
from stream.graph import Stages
from stream.image.resample import Size
from stream.media.demo.demo_scene import FAR_S, DemoScene, DemoTruth
from stream.media.demo.demo_source import Sensor
from stream.telemetry.process_memory import resident_bytes

SIZES: tuple[Size, ...] = ((640, 360), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
FACES = (0, 1, 2, 4, 9)
EXEMPLARS = (0, 1, 3, 6, 12)
LENGTHS = (1, 2, 4)
"""Times as many frames."""
SIZE: Size = (1280, 720)
RATE = Fraction(30)
PICTURES = 6
"""Different ones of a case, shown forwards and backwards."""
WARM_UP = 6
SIDE_PX = 80
CUT_PX = 116
"""Side of what is shown of each person: nine fit into 640x360."""


def gallery(size: Size, faces: int) -> list[Image]:
    """Pictures of so many far faces that move a little: RGB uint8 (H, W, 3) each.

    Args: size: (width, height), px. faces: 0 to 9, in a grid, each about 40 px wide.
    """
    scene, sensor = DemoScene(), Sensor()
    made = []
    for index in range(PICTURES):
        truth = DemoTruth(scene, FAR_S + 1.0 + index / float(RATE), 1)
        shown = sensor.take(truth.render((0.0, 0.0, float(SIZE[0]), float(SIZE[1])), SIZE))
        x, y = (round(float(v)) for v in (truth.face_box[:2] + truth.face_box[2:]) / 2)
        cut = shown[max(y - CUT_PX // 2, 0) :, max(x - CUT_PX // 2, 0) :][:CUT_PX, :CUT_PX]
        # the room beside the person, without anybody
        picture = cv2.resize(shown[:, :200], size, interpolation=cv2.INTER_LINEAR)
        for face in range(faces):
            row, column = divmod(face, 3)
            top, left = row * size[1] // 3, 4 + column * size[0] // 3
            high, wide = cut.shape[:2]
            picture[top : top + high, left : left + wide] = cut
        made.append(np.asarray(picture, np.uint8))
    return made


def frames_of(pictures: list[Image], count: int) -> list[Frame]:
    """So many frames, forwards and backwards through the pictures.

    Args: pictures: of one case. count: of frames.
    """
    order = [*range(len(pictures)), *range(len(pictures) - 2, 0, -1)]
    return [
        Frame(pictures[order[n % len(order)]], n, n, 1 / RATE, time.monotonic_ns())
        for n in range(count)
    ]


def cost(size: Size, faces: int, frames: int, runtime: str) -> dict[str, float | None]:
    """What a recording's stages take for a frame.

    Args:    size: of the pictures, px. faces: in them. frames: so many are measured. runtime: name.
    Returns: `cpu_ms` a frame, `enhanced` faces a frame, `memory_mb` at the end.
    Raises:  CloseupError, EngineError.
    """
    stages = Stages.build(size, RATE, framing="fixed", runtime=runtime, eager=True)
    enhanced, started = 0, time.process_time()
    try:
        for frame in frames_of(gallery(size, faces), WARM_UP + frames):
            if frame.index == WARM_UP:
                enhanced, started = 0, time.process_time()
            for stage in stages.all:
                frame = stage(frame)
            enhanced += frame.enhanced
        taken_ms = (time.process_time() - started) * 1e3
        memory = resident_bytes()
    finally:
        stages.close()
    return {
        "cpu_ms": round(taken_ms / frames, 2),
        "enhanced": round(enhanced / frames, 2),
        "memory_mb": None if memory is None else round(memory / 1e6),
    }


def cost_of_exemplars(count: int, frames: int, runtime: str) -> dict[str, float | None]:
    """What alignment and network take for a crop of 80 px with so many exemplars.

    Args: count: 0 or more. frames: so many are measured. runtime: name.
    """
    with open_runtime(runtime, 4).runtime as opened:
        crop, exemplars = unaligned(SIDE_PX, 4, max(count, 1))

        def once() -> None:
            features = opened.encode(align(crop, exemplars)) if count else None
            opened.enhance(crop, features)

        once()
        started = time.process_time()
        for _ in range(frames):
            once()
        taken_ms = (time.process_time() - started) * 1e3
    memory = resident_bytes()
    shown = None if memory is None else round(memory / 1e6)
    return {"cpu_ms": round(taken_ms / frames, 2), "enhanced": 1.0, "memory_mb": shown}


def measure(frames: int, runtime: str, say: Callable[[str], None]) -> dict[str, Any]:
    """Every case.

    Args:   frames: measured of each. runtime: name. say: gets a line for each.
    Raises: CloseupError, EngineError.
    """
    found: dict[str, Any] = {"size": {}, "faces": {}, "exemplars": {}, "length": {}}

    def note(kind: str, name: str, figures: dict[str, float | None]) -> None:
        found[kind][name] = figures
        say(f"{kind} {name}: {figures['cpu_ms']} ms")

    for wide, high in SIZES:
        note("size", f"{wide}x{high}", cost((wide, high), 1, frames, runtime))
    for faces in FACES:
        note("faces", str(faces), cost(SIZE, faces, frames, runtime))
    for count in EXEMPLARS:
        note("exemplars", str(count), cost_of_exemplars(count, frames, runtime))
    for times in LENGTHS:
        note("length", f"{times * frames} frames", cost(SIZE, 1, times * frames, runtime))
    return found


def table(found: dict[str, Any]) -> str:
    """For people, in Markdown, without a line break at its end."""
    lines = ["| | | CPU ms a frame | faces enhanced a frame | MB |", "|---|---|---|---|---|"]
    for kind, cases in found.items():
        for name, one in cases.items():
            memory = "-" if one["memory_mb"] is None else one["memory_mb"]
            lines.append(
                f"| {kind} | {name} | {one['cpu_ms']:g} | {one['enhanced']:g} | {memory} |"
            )
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--frames", type=int, default=30, help="measured of each case (default 30)")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--json", action="store_true", help="the result as JSON on stdout")
    given = parser.parse_args(arguments)
    try:
        if not 1 <= given.frames <= 100_000:
            raise ConfigError(f"--frames {given.frames} is out of range; give 1 to 100000")
        found = measure(given.frames, given.runtime, lambda line: print(line, file=sys.stderr))
    except (CloseupError, EngineError) as error:
        return reported(error)
    print(json.dumps(found) if given.json else table(found))
    return 0


if __name__ == "__main__":
    run_program(main)
