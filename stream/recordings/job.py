"""Job: one recording, or the demo, through the graph into a file."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from functools import partial

from stream.errors import OutputError
from stream.frame import Frame
from stream.graph import Opener, Stages
from stream.media.demo.demo_sheet import DemoSheet
from stream.media.demo.demo_source import DemoSource
from stream.media.remux import copy_recording
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sinks.c2pa_signing import C2paSigner
from stream.media.sinks.file_sink import FileSink, check_output
from stream.media.sinks.provenance import Provenance
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams, EncodedSound
from stream.options import DEMO, Options, chosen_scale
from stream.pipeline import Pipeline
from stream.protocols import Sink
from stream.recordings.first_pass import Look
from stream.recordings.people.person_index import Album
from stream.recordings.report.collector import Gallery
from stream.recordings.resume.segments import SegmentedSink
from stream.recordings.resume.stage_checkpoint import Memory
from stream.recordings.resume.work_dir import Workplace
from stream.recordings.verify import check_recording
from stream.stages.compositing.badge import Badge
from stream.telemetry.metrics import ENHANCED, Metrics
from stream.telemetry.progress import MakeMeter, Progress
from stream.telemetry.report import Report, make_report

SECOND = "pass 2 of 2: "
CONVERTED = "no face was found: the picture is not enhanced, only converted"


def run_recording(
    source: FileSource,
    options: Options,
    meter: MakeMeter = Progress,
    place: Workplace | None = None,
    gallery: Gallery | None = None,
    opener: Opener | None = None,
) -> Report:
    """One recording through the graph, and a check whether the output has all that the input had.

    One without a face is passed through unchanged.

    Args:   meter: is told of every frame.
            place: already entered; what is finished there is gone on with, and stays there when the
            run is interrupted. Without it nothing is left.
            gallery: collects what a report to look at shows.
            opener: of the network, where several recordings share it.
    Raises: CloseupError, EngineError: it cannot be read, enhanced or written.
    """
    if place is None:
        report = in_passes(source, options, meter, gallery=gallery, opener=opener)
        report["check"] = check_recording(source.path, options.output)
        return report
    check_output(options.output, options.overwrite, source.path, options.encoding)
    there = replace(options, output=place.target, overwrite=True)
    report = in_passes(source, there, meter, place, opener=opener)
    report["check"] = check_recording(source.path, place.target)
    report["output"] = str(options.output)
    place.publish()
    return report


def in_passes(
    source: FileSource,
    options: Options,
    meter: MakeMeter,
    place: Workplace | None = None,
    gallery: Gallery | None = None,
    opener: Opener | None = None,
) -> Report:
    """The recording looked through and enhanced, or enhanced in one go."""
    if options.passes == 1:
        report = enhance(source, options, meter, place, gallery=gallery, opener=opener)
        if report["faces_seen"] == 0 and not pass_through(source, options, overwrite=True):
            print(CONVERTED)
        return report
    # Whether the canvas is too large is said before the work.
    chosen_scale((source.width, source.height), options)
    with Album(options.camera) as album:
        look = Look(album)
        with open_source(source.path) as first:
            look.run(first, meter)
            note = first.note
        if not look.faces:
            if pass_through(source, options, overwrite=options.overwrite):
                say_notes(note)
                return report_of(look.metrics, look.duration_s, options, look=look)
            print(CONVERTED)
        return enhance(source, options, meter, place, look, gallery, opener)


def enhance(
    source: FileSource,
    options: Options,
    meter: MakeMeter,
    place: Workplace | None = None,
    look: Look | None = None,
    gallery: Gallery | None = None,
    opener: Opener | None = None,
) -> Report:
    """The recording through all the stages, with what a first pass has seen.

    Raises: CloseupError, EngineError: as `run_recording`.
    """
    stages = build_stages(source, options, look, gallery, opener)
    provenance = provenance_of(options)
    companion = CopiedStreams(source.path)
    make_sink = partial(
        FileSink,
        size=stages.output_size,
        rate=source.rate,
        time_base=source.time_base,
        form=source.form,
        overwrite=options.overwrite,
    )
    sink: FileSink | SegmentedSink
    if place is None:
        sink = make_sink(
            options.output,
            encoding=options.encoding,
            companion=companion,
            provenance=provenance,
        )
        report = run_graph(source, stages, [sink], options, meter, look)
    else:
        encoding = replace(options.encoding, repeatable=True)
        memory = Memory(stages.all, place)
        make_segment = partial(make_sink, encoding=encoding)
        sink = SegmentedSink(place, memory, make_segment, companion, source.rate, provenance)
        report = run_graph(source, stages, [sink], options, meter, look, memory)
    left_out, converted = ", ".join(companion.left_out), ", ".join(companion.converted)
    say_notes(
        source.note,
        *sink.notes,
        f"left out, the output cannot hold it: {left_out}" if left_out else None,
        f"subtitles converted: {converted}" if converted else None,
        f"{sink.packets_left_out} damaged packets of other tracks left out"
        if sink.packets_left_out
        else None,
    )
    return report


def run_demo(
    source: DemoSource, options: Options, sheet: DemoSheet, gallery: Gallery | None = None
) -> Report:
    """The demo through the same graph, with a sink that compares with the truth."""
    stages = build_stages(source, options, gallery=gallery)
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        encoding=options.encoding,
        companion=EncodedSound(source.sound, source.sound_rate),
        provenance=provenance_of(options),
        overwrite=options.overwrite,
    )
    return run_graph(source, stages, [sink, sheet], options)


def build_stages(
    source: FileSource | DemoSource,
    options: Options,
    look: Look | None = None,
    gallery: Gallery | None = None,
    opener: Opener | None = None,
) -> Stages:
    """The stages for a source. Raises: ConfigError, ModelError: see `Stages.build`."""
    stages = Stages.build(
        (source.width, source.height),
        source.rate,
        framing=options.framing,
        scale=chosen_scale((source.width, source.height), options),
        strength=options.strength,
        runtime=opener or options.runtime,
        camera=options.camera,
        tracker=look.replay() if look else None,
    )
    if look:
        stages.bank.start_with(look.album.finish())
    if gallery is not None:
        gallery.bank = stages.bank
        stages.all.append(gallery)
    if options.badge:
        stages.all.append(Badge())
    return stages


def provenance_of(options: Options) -> Provenance:
    """What the output says about itself. Raises: ConfigError: it cannot be signed."""
    signer = None
    if options.c2pa_key is not None and options.c2pa_cert is not None:
        signer = C2paSigner(options.c2pa_key, options.c2pa_cert, options.input)
    return Provenance(dict(options.weights), signer)


def run_graph(
    source: FileSource | DemoSource,
    stages: Stages,
    sinks: list[Sink],
    options: Options,
    meter: MakeMeter = Progress,
    look: Look | None = None,
    memory: Memory | None = None,
) -> Report:
    """Run to the end, with progress, and measure.

    Args: memory: of an earlier run that was interrupted, if there was one.
    """
    metrics = Metrics()
    running = stages.all
    if memory is not None:
        metrics.count(ENHANCED, memory.enhanced)
        running = memory.stages
    progress = meter(look.frames, label=SECOND) if look else meter(source.frames_total)

    def on_frame(frame: Frame) -> None:
        progress.advance(memory is not None and frame.index < memory.first)
        if memory is not None:
            memory.see(frame)

    started_s = time.monotonic()
    try:
        Pipeline(source, running, sinks, metrics, on_frame).run()
    finally:
        progress.finish()
    return report_of(metrics, time.monotonic() - started_s, options, stages, look)


def report_of(
    metrics: Metrics,
    duration_s: float,
    options: Options,
    stages: Stages | None = None,
    look: Look | None = None,
) -> Report:
    """The report of a run.

    Args: metrics, duration_s: of the last pass. stages: None when there was none but the look.
    """
    first = look if stages else None
    taken = stages.opener.taken if stages else None
    return make_report(
        metrics,
        duration_s=duration_s + (first.duration_s if first else 0.0),
        exemplars=look.album.harvested if look else stages.bank.harvested if stages else 0,
        input_name=str(options.input or DEMO),
        output_name=str(options.output),
        runtime=taken.name if taken else "",
        profile=stages.opener.profile if taken and stages else "",
        passed_over=stages.opener.passed_over if stages else (),
        people=look.album.people if look else None,
        merged_tracks=look.album.merged if look else None,
        look=first.metrics if first else None,
    )


def pass_through(source: FileSource, options: Options, *, overwrite: bool) -> bool:
    """Write an unchanged copy: there is no face to enhance.

    Returns: whether that is possible: the kind of the output may not hold the recording's codecs.
    """
    try:
        copy_recording(source.path, options.output, overwrite=overwrite)
    except OutputError:
        return False
    print("no face was found: the recording was passed through unchanged")
    return True


def say_notes(*notes: str | None) -> None:
    """What the user should know about the recording, a line each."""
    for note in notes:
        if note:
            print(f"note: {note}", file=sys.stderr)
