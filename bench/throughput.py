"""Throughput: how fast recordings are enhanced, and whether memory stays flat.

    python -m bench.throughput
    python -m bench.throughput --minutes 30 --configurations enhanced --json

One recording, the demo's scene over and over, runs in several configurations: decoded and encoded
alone; all stages but the network; all stages, and these as `--speed fast` and `--network small`
have them. Exit status: 0 measured, 2 an error that
one line on stderr explains.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import av
import cv2
import numpy as np
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from bench.picture_size import parse_size
from engines.allocator import use_few_arenas
from engines.errors import reported, run_program
from engines.runtime import FULL, RUNTIMES, SMALL, EngineError
from stream.errors import CloseupError, ConfigError
from stream.frame import Frame, View
from stream.graph import Stages
from stream.image.resample import Size
from stream.media.demo.demo_scene import DURATION_S
from stream.media.demo.demo_source import DemoSource
from stream.media.pyav import exact
from stream.media.sinks.encoder import CODECS, ENCODERS, Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource, open_recording, pictures_of
from stream.media.stream_copy import CopiedStreams
from stream.picture_options import Speed
from stream.pipeline import Pipeline
from stream.session import EnhancementSession
from stream.telemetry.metrics import ENHANCED, Metrics
from stream.telemetry.process_memory import resident_bytes

ENHANCED_WITH: dict[str, tuple[Speed, str]] = {
    "enhanced": ("best", FULL),
    "fast-full": ("fast", FULL),
    "small": ("best", SMALL),
    "fast": ("fast", SMALL),
}
"""With the network: `--speed` and `--network` of each."""
CONFIGURATIONS = ("codec", "plain", *ENHANCED_WITH)
MEASURED = CONFIGURATIONS[:3]
"""Unless others are asked for."""
MEMORY_EVERY_S = 0.5
WARM_UP = 0.25
"""Part of a run that does not count for the slope of memory: models load, caches fill."""
LEAST_SLOPE_S = 15.0
"""Of a run that counts: what memory swings by would be hundreds of MB a minute over less."""


class Figures(TypedDict):
    """Of one configuration."""

    frames: int
    seconds: float
    fps: float
    processor_ms: float
    """Of all threads of this process, for a frame: less moved than `fps` by what else runs here."""
    faces_enhanced: int
    memory_mb: tuple[float, float] | None
    """After the warm-up, and at the end."""
    memory_mb_a_minute: float | None
    """Slope after the warm-up."""
    stages_ms: dict[str, float]
    """Median time of each part for a frame."""


class Result(TypedDict):
    """What was measured."""

    size: Size
    scale: float
    minutes: float
    runtime: str
    roads: dict[str, Figures]
    """By configuration; the key keeps its first name, for programs that read it."""


@dataclass(frozen=True)
class Case:
    """What to measure."""

    size: Size
    minutes: float
    scale: float
    configurations: tuple[str, ...]
    encoding: Encoding
    runtime: str


def make_recording(path: Path, size: Size, minutes: float) -> None:
    """The demo's ten seconds, encoded once and repeated packet for packet.

    Args: size: (width, height), px. minutes: how long it is.
    """
    source = DemoSource(min(DURATION_S, 60.0 * minutes))
    packets: list[tuple[int, bytes, bool]] = []
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("libx264", rate=source.rate)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = size
        # Without pictures out of order a repetition may begin anywhere.
        stream.codec_context.options = {"preset": "veryfast", "crf": "20", "bf": "0"}

        def keep(made: Sequence[Packet[VideoStream]]) -> None:
            packets.extend((one.pts or 0, bytes(one), one.is_keyframe) for one in made)

        for frame in source:
            image = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
            picture = av.VideoFrame.from_ndarray(np.asarray(image, np.uint8), format="rgb24")
            picture.pts, picture.time_base = frame.index, frame.time_base
            keep(stream.encode(picture.reformat(format="yuv420p")))
        keep(stream.encode(None))
        for index in range(round(60.0 * minutes * float(source.rate))):
            turn, place = divmod(index, len(packets))
            pts, data, is_key = packets[place]
            packet: Packet[Stream] = Packet(data)
            packet.stream, packet.time_base, packet.is_keyframe = stream, 1 / source.rate, is_key
            packet.pts = packet.dts = turn * len(packets) + pts
            container.mux(packet)


def measure(case: Case, folder: Path, say: Callable[[str], None]) -> Result:
    """Make the recording and run it in each configuration.

    Args:   folder: for the recordings. say: gets a line when a step begins.
    Raises: CloseupError, EngineError: one of them fails.
    """
    use_few_arenas()  # as the program does
    recording, written = folder / "call.mkv", folder / "better.mkv"
    say("making the recording")
    make_recording(recording, case.size, case.minutes)
    figures, runtime = dict[str, Figures](), ""
    for name in case.configurations:
        say(f"configuration {name}")
        if name == "codec":
            figures[name] = _codec(recording, written, case)
        else:
            figures[name], runtime = _whole(recording, written, case, ENHANCED_WITH.get(name))
        written.unlink()
    return Result(
        size=case.size, scale=case.scale, minutes=case.minutes, runtime=runtime, roads=figures
    )


def _codec(recording: Path, written: Path, case: Case) -> Figures:
    """Decoded, enlarged in its own YUV, encoded: what nobody can do without."""
    with FileSource(recording) as source:
        size = (round(source.width * case.scale), round(source.height * case.scale))
        view = View((0.0, 0.0, float(source.width), float(source.height)), size)
        sink = _sink(source, size, written, case)
    watch = _Watch()
    with open_recording(recording) as container:
        stream = pictures_of(container)
        assert stream is not None
        stream.thread_type = "AUTO"
        # Only looked at for its size.
        image = np.zeros((size[1], size[0], 3), np.uint8)
        for index, native in enumerate(container.decode(stream)):
            assert native.pts is not None
            pts, clock = native.pts, exact(native.time_base)
            assert clock is not None
            sink.send(Frame(image, index, pts, clock, 0, view=view, native=native))
            watch(None)
        sink.close()
    return watch.figures(Metrics())


def _whole(
    recording: Path, written: Path, case: Case, how: tuple[Speed, str] | None
) -> tuple[Figures, str]:
    """As `run_pipeline.py --passes 1` does it.

    Args: how: `--speed` and `--network`; None: without the network.
    """
    metrics, watch = Metrics(), _Watch()
    speed, network = how or ("best", FULL)
    with FileSource(recording, lazy=True) as source:
        stages = Stages.build(
            (source.width, source.height),
            source.rate,
            framing="fixed",
            scale=case.scale,
            runtime=case.runtime,
            eager=how is not None,
            speed=speed,
            network=network,
        )
        stages.compositor.whole = False
        sink = _sink(source, stages.output_size, written, case)
        for stage in [one for one in stages.all if one.name == "enhancer" and how is None]:
            stages.all.remove(stage)
            stage.close()
        session = EnhancementSession(stages, metrics=metrics)
        Pipeline(source, session, [sink], watch).run()
    return watch.figures(metrics), session.stats().runtime if how is not None else ""


def _sink(source: FileSource, size: Size, written: Path, case: Case) -> FileSink:
    return FileSink(
        written,
        size,
        source.rate,
        source.time_base,
        video_format=source.video_format,
        encoding=case.encoding,
        stream_copy=CopiedStreams(source.path),
    )


class _Watch:
    """Counts frames, and looks at memory now and then."""

    def __init__(self) -> None:
        self._started_s, self._processor_s = time.monotonic(), time.process_time()
        self._frames = 0
        self._memory: list[tuple[float, int]] = []

    def __call__(self, frame: Frame | None) -> None:
        self._frames += 1
        since_s = time.monotonic() - self._started_s
        if not self._memory or since_s - self._memory[-1][0] >= MEMORY_EVERY_S:
            resident = resident_bytes()
            if resident is not None:
                self._memory.append((since_s, resident))

    def figures(self, metrics: Metrics) -> Figures:
        seconds = time.monotonic() - self._started_s
        counted = [(at, size) for at, size in self._memory if at >= WARM_UP * seconds]
        return Figures(
            frames=self._frames,
            seconds=round(seconds, 2),
            fps=round(self._frames / seconds, 2),
            processor_ms=round(1e3 * (time.process_time() - self._processor_s) / self._frames, 2),
            faces_enhanced=metrics.counter(ENHANCED),
            memory_mb=(_mb(counted[0][1]), _mb(counted[-1][1])) if counted else None,
            memory_mb_a_minute=slope_a_minute(counted),
            stages_ms={n: round(one.p50_ms, 2) for n, one in metrics.summaries().items()},
        )


def slope_a_minute(samples: Sequence[tuple[float, int]]) -> float | None:
    """MB a minute of (seconds, bytes); None where they are of too short a time to tell."""
    if not samples or samples[-1][0] - samples[0][0] < LEAST_SLOPE_S:
        return None
    seconds, sizes = np.array(samples, np.float64).T
    return round(float(np.polyfit(seconds / 60.0, sizes / 1e6, 1)[0]), 3)


def _mb(size: int) -> float:
    return round(size / 1e6, 1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.throughput", description=__doc__.split("\n")[0]
    )
    add = parser.add_argument
    add("--minutes", type=float, default=0.5, help="of the recording (default 0.5)")
    add("--size", default="1280x720", metavar="WxH", help="of its pictures (default 1280x720)")
    add("--scale", type=float, default=1.0, help="of the canvas (default 1)")
    every, usual = ",".join(CONFIGURATIONS), ",".join(MEASURED)
    add("--configurations", "--roads", default=usual, metavar="LIST", help="some of "
        f"{every} (default {usual})")  # fmt: skip
    add("--codec", choices=CODECS, default="auto")
    add("--encoder", choices=ENCODERS, default="software")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    add("--json", action="store_true", help="the result as JSON on stdout")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="closeup-") as folder:
            result = measure(_case(given), Path(folder), lambda line: print(line, file=sys.stderr))
    except (CloseupError, EngineError) as error:
        return reported(error)
    print(json.dumps(result) if given.json else table(result))
    return 0


def _case(given: argparse.Namespace) -> Case:
    """Raises: ConfigError: a value is out of range."""
    size = parse_size(given.size)
    if not 1.0 <= given.scale <= 4.0:
        raise ConfigError(f"--scale {given.scale:g} is out of range; give 1 to 4")
    if not 0.01 <= given.minutes <= 1000.0:
        raise ConfigError(f"--minutes {given.minutes:g} is out of range; give 0.01 to 1000")
    configurations = tuple(given.configurations.split(","))
    if unknown := set(configurations) - set(CONFIGURATIONS):
        raise ConfigError(
            f"--configurations: there is no {unknown.pop()}; there are {', '.join(CONFIGURATIONS)}"
        )
    encoding = Encoding(given.codec, None, given.encoder)
    return Case(size, given.minutes, given.scale, configurations, encoding, given.runtime)


def table(result: Result) -> str:
    """For people, without a line break at its end."""
    width, height = result["size"]
    lines = [f"{width}x{height}, canvas x{result['scale']:g}, {result['minutes']:g} minutes"]
    if result["runtime"]:
        lines.append(f"network run by {result['runtime']}")
    lines.append(
        f"{'runs':<11}{'frames':>7}{'fps':>9}{'enhanced':>10}{'CPU ms':>9}{'MB':>14}"
        f"{'MB/minute':>11}"
    )
    for name, found in result["roads"].items():
        memory = "{:.0f} to {:.0f}".format(*found["memory_mb"]) if found["memory_mb"] else "-"
        slope = found["memory_mb_a_minute"]
        lines.append(
            f"{name:<11}{found['frames']:>7}{found['fps']:>9.1f}{found['faces_enhanced']:>10}"
            f"{found['processor_ms']:>9.1f}{memory:>14}"
            f"{'-' if slope is None else format(slope, '.2f'):>11}"
        )
        if found["stages_ms"]:
            parts = ", ".join(f"{part} {ms:g}" for part, ms in found["stages_ms"].items())
            lines.append(f"  ms a frame, median: {parts}")
    return "\n".join(lines)


if __name__ == "__main__":
    run_program(main)
