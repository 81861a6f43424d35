"""Job: one recording, or the demo, through the graph into a file."""

from __future__ import annotations

import sys
import time

from stream.config import DEMO, Options, chosen_scale
from stream.errors import OutputError
from stream.frame import Frame
from stream.graph import Stages
from stream.media.companion import CopiedStreams, EncodedSound
from stream.media.demo import DemoSource
from stream.media.demo_sheet import DemoSheet
from stream.media.file_sink import FileSink
from stream.media.file_source import FileSource
from stream.media.remux import copy_recording
from stream.metrics import Metrics
from stream.parts import Sink
from stream.pipeline import Pipeline
from stream.progress import Progress
from stream.report import Report, make_report


def run_recording(source: FileSource, options: Options) -> Report:
    """One recording through the graph; one without a face is passed through unchanged.

    Raises: CloseupError, EngineError: it cannot be read, enhanced or written; nothing is left.
    """
    stages = build_stages(source, options)
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        colour=source.colour,
        pixel_aspect=source.pixel_aspect,
        companion=(companion := CopiedStreams(source.path)),
        overwrite=options.overwrite,
    )
    report = run_graph(source, stages, [sink], options)
    notes = [source.note] if source.note else []
    if companion.left_out:
        kinds = ", ".join(companion.left_out)
        notes.append(f"subtitles left out, the output cannot hold {kinds}")
    if sink.packets_left_out:
        notes.append(f"{sink.packets_left_out} damaged packets of sound left out")
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if report["faces_seen"] == 0:
        pass_through(source, options)
    return report


def run_demo(source: DemoSource, options: Options, sheet: DemoSheet) -> Report:
    """The demo through the same graph, with a sink that compares with the truth."""
    stages = build_stages(source, options)
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        companion=EncodedSound(source.sound, source.sound_rate),
        overwrite=options.overwrite,
    )
    return run_graph(source, stages, [sink, sheet], options)


def build_stages(source: FileSource | DemoSource, options: Options) -> Stages:
    """The stages for a source. Raises: ConfigError, ModelError: see `Stages.build`."""
    return Stages.build(
        (source.width, source.height),
        source.rate,
        framing=options.framing,
        scale=chosen_scale((source.width, source.height), options),
        strength=options.strength,
        runtime=options.runtime,
        camera=options.camera,
    )


def run_graph(
    source: FileSource | DemoSource, stages: Stages, sinks: list[Sink], options: Options
) -> Report:
    """Run to the end, with progress, and measure."""
    metrics, progress = Metrics(), Progress(source.frames_total)

    def on_frame(_: Frame) -> None:
        progress.advance()

    started_s = time.monotonic()
    try:
        Pipeline(source, stages.all, sinks, metrics, on_frame).run()
    finally:
        progress.finish()
    return make_report(
        metrics,
        duration_s=time.monotonic() - started_s,
        exemplars=stages.bank.harvested,
        input_name=str(options.input or DEMO),
        output_name=str(options.output),
        runtime=stages.opener.taken.name if stages.opener.taken else "",
        passed_over=stages.opener.passed_over,
    )


def pass_through(source: FileSource, options: Options) -> None:
    """Replace what was written by an unchanged copy: there was no face to enhance."""
    try:
        copy_recording(source.path, options.output, overwrite=True)
    except OutputError:
        # The kind of the output cannot hold the recording's codecs; what was written can be seen.
        print("no face was found: the picture was not enhanced, only converted")
    else:
        print("no face was found: the recording was passed through unchanged")
