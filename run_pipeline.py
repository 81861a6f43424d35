"""Closeup's command line: make the far-away faces of a recording sharp.

    python run_pipeline.py --input call.mp4 --output better.mp4
    python run_pipeline.py --input demo

Exit status: 0 done, 2 an error that one line on stderr explains, 130 stopped by Ctrl-C.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.runtime import EngineError, Runtime, open_runtime
from stream.config import DEMO, DEMO_OUTPUT, Options, chosen_scale, parse
from stream.errors import CloseupError, ConfigError, OutputError
from stream.frame import Frame
from stream.media.companion import CopiedStreams, EncodedSound
from stream.media.demo import DemoSource
from stream.media.demo_sheet import DemoSheet
from stream.media.file_sink import FileSink, check_output, check_place
from stream.media.file_source import FileSource
from stream.media.remux import copy_recording
from stream.metrics import Metrics
from stream.pipeline import Pipeline, Sink, Stage
from stream.progress import Progress
from stream.report import Report, Tally, format_report, make_report, write_report
from stream.stages.bank import Bank
from stream.stages.compositor import Compositor
from stream.stages.detector import FaceDetector
from stream.stages.enhancer import Enhancer
from stream.stages.framing import Framing
from stream.stages.tracker import Tracker


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    try:
        run(parse(arguments))
    except (CloseupError, EngineError) as error:
        print("error: " + " ".join(str(error).split()), file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped; no output was written", file=sys.stderr)
        return 130
    return 0


def run(options: Options) -> None:
    """Check, build, run, report.

    Raises: CloseupError, EngineError: see `main`.
    """
    if options.input is None:
        if options.output == DEMO_OUTPUT:
            options.output.parent.mkdir(exist_ok=True)
        check_files(options)
        run_demo(DemoSource(), options)
    else:
        with FileSource(options.input) as source:
            check_files(options)
            run_recording(source, options.input, options)


def check_files(options: Options) -> None:
    """Whether everything can be written, before any work is done.

    Raises: OutputError, ConfigError: it cannot.
    """
    check_output(options.output, options.overwrite, options.input)
    if options.input is None:
        check_place(sheet_path(options), options.overwrite)
    if options.report is not None:
        others = [options.output, options.input, sheet_path(options)]
        if options.report.resolve() in [path.resolve() for path in others if path is not None]:
            raise ConfigError(f"--report {options.report} names a recording; give another name")
        check_place(options.report, options.overwrite)


def sheet_path(options: Options) -> Path:
    """Where the demo's picture goes: beside its recording."""
    return options.output.with_suffix(".png")


def run_recording(source: FileSource, path: Path, options: Options) -> None:
    """One recording through the graph."""
    scale = chosen_scale((source.width, source.height), options)
    stages = Stages.build(source, scale, options)
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        colour=source.colour,
        pixel_aspect=source.pixel_aspect,
        companion=(companion := CopiedStreams(path)),
        overwrite=options.overwrite,
    )
    report, tally = run_graph(source, stages, [sink], options)
    notes = [source.note] if source.note else []
    if companion.left_out:
        kinds = ", ".join(companion.left_out)
        notes.append(f"subtitles left out, the output cannot hold {kinds}")
    if sink.packets_left_out:
        notes.append(f"{sink.packets_left_out} damaged packets of sound left out")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if tally.faces_seen == 0:
        pass_through(path, options.output)
    finish(report, options)


def run_demo(source: DemoSource, options: Options) -> None:
    """The demo through the same graph, with a sink that compares with the truth."""
    scale = chosen_scale((source.width, source.height), options)
    stages = Stages.build(source, scale, options)
    sheet = DemoSheet(sheet_path(options))
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        companion=EncodedSound(source.sound, source.sound_rate),
        overwrite=options.overwrite,
    )
    report, _ = run_graph(source, stages, [sink, sheet], options)
    finish(report, options)
    bicubic, closeup = sheet.psnr_bicubic, sheet.psnr_closeup
    if bicubic is None or closeup is None:
        print("far face: none was enhanced, nothing to compare")
        return
    print(f"{sheet.path}: the far face before, after, and as it is")
    gain = closeup - bicubic
    print(f"far face: bicubic {bicubic:.2f} dB, Closeup {closeup:.2f} dB, {gain:+.2f} dB")


@dataclass
class Opener:
    """Opens runtimes, and remembers which was taken and why others were not."""

    name: str
    taken: Runtime | None = None
    passed_over: list[str] = field(default_factory=list)

    def __call__(self, scale: int) -> Runtime:
        """The runtime for a scale, 4 or 8. Raises: EngineError."""
        lines: list[str] = []
        self.taken = open_runtime(self.name, scale, report=lines.append)
        self.passed_over = lines[:-1]  # the last one names what was taken
        return self.taken


@dataclass(frozen=True)
class Stages:
    """The stages of a run and what others need to know of them."""

    all: list[Stage]
    bank: Bank
    opener: Opener
    output_size: tuple[int, int]

    @classmethod
    def build(cls, source: FileSource | DemoSource, scale: float, options: Options) -> Stages:
        """Make all the stages.

        Raises: ConfigError: the picture is too small. ModelError: the detector's models.
        """
        framing = Framing(options.framing, (source.width, source.height), scale, source.rate)
        opener = Opener(options.runtime)
        in_place = options.framing == "fixed"
        enhancer = Enhancer(opener, source.rate, restore_in_place=in_place)
        bank = Bank()
        # Last: it may fetch its models, and nothing that can fail follows.
        tracker = Tracker(FaceDetector())
        stages: list[Stage] = [tracker, bank, framing, enhancer, Compositor(options.strength)]
        return cls(stages, bank, opener, framing.output_size)


def run_graph(
    source: FileSource | DemoSource, stages: Stages, sinks: list[Sink], options: Options
) -> tuple[Report, Tally]:
    """Run to the end, with progress, and measure."""
    metrics, tally, progress = Metrics(), Tally(), Progress(source.frames_total)

    def on_frame(frame: Frame) -> None:
        tally.add(frame)
        progress.advance()

    started_s = time.monotonic()
    try:
        Pipeline(source, stages.all, sinks, metrics, on_frame).run()
    finally:
        progress.finish()
    report = make_report(
        tally,
        metrics.summaries(),
        duration_s=time.monotonic() - started_s,
        exemplars=stages.bank.harvested,
        input_name=str(options.input or DEMO),
        output_name=str(options.output),
        runtime=stages.opener.taken.name if stages.opener.taken else "",
        passed_over=stages.opener.passed_over,
    )
    return report, tally


def pass_through(recording: Path, output: Path) -> None:
    """Replace what was written by an unchanged copy: there was no face to enhance."""
    try:
        copy_recording(recording, output, overwrite=True)
    except OutputError:
        # The kind of the output cannot hold the recording's codecs; what was written can be seen.
        print("no face was found: the picture was not enhanced, only converted")
    else:
        print("no face was found: the recording was passed through unchanged")


def finish(report: Report, options: Options) -> None:
    """Say what was done, for people and for programs."""
    print(format_report(report))
    if options.report is not None:
        write_report(options.report, report)
    print(f"{options.output} written")


if __name__ == "__main__":
    sys.exit(main())
