"""Job: one recording, or the demo, through the graph into a file."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from engines.personal.close_ups import MOST_CLOSE_UPS
from stream.frame import Frame
from stream.graph import Opener, Stages
from stream.media.demo.demo_sheet import DemoSheet
from stream.media.demo.demo_source import DemoSource
from stream.media.encoded_sound import EncodedSound
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sinks.c2pa_signing import C2paSigner
from stream.media.sinks.file_sink import FileSink, check_output
from stream.media.sinks.provenance import Provenance
from stream.media.sources.file_source import FileSource
from stream.media.stream_copy import CopiedStreams
from stream.option_table import DEMO
from stream.options import Options, chosen_scale
from stream.pipeline import Pipeline
from stream.protocols import Sink
from stream.recordings.first_pass import FirstPass
from stream.recordings.growth import GREW, written
from stream.recordings.outcome import Outcome, notes_of
from stream.recordings.pass_through import CONVERTED, pass_through
from stream.recordings.people.person_index import MAX_PEOPLE, PersonIndex
from stream.recordings.people_learning import PeopleLearning
from stream.recordings.picture_properties import PictureProperties
from stream.recordings.report.collector import ReportCollector
from stream.recordings.resume.lock import alone
from stream.recordings.resume.segments import SegmentedSink
from stream.recordings.resume.stage_checkpoint import StageCheckpoint
from stream.recordings.resume.work_dir import WorkDir
from stream.recordings.verify import check_recording
from stream.session import EnhancementSession
from stream.stages.compositing.badge import Badge
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.exemplars.exemplar_set import CAPACITY
from stream.telemetry.check import Check
from stream.telemetry.metrics import ENHANCED, Metrics
from stream.telemetry.progress import MakeMeter, Progress
from stream.telemetry.report import Report, make_report

SECOND = "pass 2 of 2: "


def run_recording(
    source: FileSource,
    options: Options,
    meter: MakeMeter = Progress,
    place: WorkDir | None = None,
    collector: ReportCollector | None = None,
    opener: Opener | None = None,
) -> Outcome:
    """One recording through the graph, and a check whether the output has all that the input had.

    One without a face is passed through unchanged.

    Args:    meter: is told of every frame.
             place: already entered; what is finished there is gone on with, and stays there when
             the run is interrupted. Without it nothing is left.
             collector: collects what a report to look at shows.
             opener: of the network, where several recordings share it.
    Returns: the report, and what its owner should know.
    Raises:  CloseupError, EngineError: it cannot be read, enhanced or written.
    """
    with alone(options.output):
        check_output(options.output, options.overwrite, source.path, options.encoding)
        before = written(source.path)
        outcome = _run_alone(source, options, meter, place, collector, opener)
        grew = None if written(source.path) == before else GREW.format(source.path.name)
        return replace(outcome, notes=(*outcome.notes, *notes_of(grew)))


def _run_alone(
    source: FileSource,
    options: Options,
    meter: MakeMeter,
    place: WorkDir | None,
    collector: ReportCollector | None,
    opener: Opener | None,
) -> Outcome:
    if place is None:
        outcome = in_passes(source, options, meter, collector=collector, opener=opener)
        outcome.report["check"] = _checked(source, options.output)
        return outcome
    there = replace(options, output=place.target, overwrite=True)
    outcome = in_passes(source, there, meter, place, opener=opener)
    outcome.report["check"] = _checked(source, place.target)
    outcome.report["output"] = str(options.output)
    place.publish()
    return outcome


def _checked(source: FileSource, output: Path) -> Check:
    return check_recording(source.path, output, source.intact, PictureProperties.of(source))


def in_passes(
    source: FileSource,
    options: Options,
    meter: MakeMeter,
    place: WorkDir | None = None,
    collector: ReportCollector | None = None,
    opener: Opener | None = None,
) -> Outcome:
    """The recording looked through and enhanced, or enhanced in one go.

    Args: meter: makes what is told how far it is. place: where interrupted work goes on; None:
          nothing is kept. collector: takes pictures for the report. opener: opens runtimes; one of
          its own when left out.
    """
    if options.passes == 1:
        done = enhance(source, options, meter, place, collector=collector, opener=opener)
        if done.report["faces_seen"]:
            return done
        passed = pass_through(source, options, overwrite=True)
        if passed is None:
            return replace(done, notes=(*done.notes, CONVERTED))
        return replace(done, notes=(*notes_of(source.note), *passed))
    # Whether the canvas is too large is said before the work.
    chosen_scale((source.width, source.height), options)
    most = MOST_CLOSE_UPS if options.learn is not None else CAPACITY
    with PersonIndex(options.camera, capacity=most) as person_index:
        first_pass = FirstPass(person_index)
        with open_source(source.path, lazy=True) as first:
            first_pass.run(first, meter)
            note = first.note
        if first_pass.faces:
            learning = learning_of(source, options, meter, place)
            personal = learning.run(first_pass) if learning else None
            done = enhance(source, options, meter, place, first_pass, collector, opener, personal)
            return learning.told_in(done) if learning else done
        passed = pass_through(source, options, overwrite=options.overwrite)
        if passed is not None:
            report = report_of(
                first_pass.metrics, first_pass.duration_s, options, first_pass=first_pass
            )
            return Outcome(report, (*passed, *notes_of(note)))
        done = enhance(source, options, meter, place, first_pass, collector, opener)
        return replace(done, notes=(CONVERTED, *done.notes))


def enhance(
    source: FileSource,
    options: Options,
    meter: MakeMeter,
    place: WorkDir | None = None,
    first_pass: FirstPass | None = None,
    collector: ReportCollector | None = None,
    opener: Opener | None = None,
    personal: PersonalRuntimes | None = None,
) -> Outcome:
    """The recording through all the stages, with what a first pass has seen and was learnt.

    Args:   meter, place, collector, opener: as of `in_passes`. first_pass: what was seen before;
            None in one pass. personal: runtimes of people who were learnt.
    Raises: CloseupError, EngineError: as `run_recording`.
    """
    stages = build_stages(source, options, first_pass, collector, opener, personal)
    stages.compositor.whole = collector is not None or options.badge
    provenance = provenance_of(options, adapted=bool(personal))
    stream_copy = CopiedStreams(source.path)
    make_sink = partial(
        FileSink,
        size=stages.output_size,
        rate=source.rate,
        time_base=source.time_base,
        video_format=source.video_format,
        overwrite=options.overwrite,
    )
    sink: FileSink | SegmentedSink
    if place is None:
        sink = make_sink(
            options.output,
            encoding=options.encoding,
            stream_copy=stream_copy,
            provenance=provenance,
        )
        report = run_graph(source, stages, [sink], options, meter, first_pass)
    else:
        encoding = replace(options.encoding, repeatable=True)
        checkpoint = StageCheckpoint(stages.all, place)
        make_segment = partial(make_sink, encoding=encoding)
        sink = SegmentedSink(place, checkpoint, make_segment, stream_copy, source.rate, provenance)
        report = run_graph(source, stages, [sink], options, meter, first_pass, checkpoint)
    let_go = first_pass.person_index.let_go if first_pass else 0
    notes = notes_of(
        source.note,
        *source.losses,
        f"more than {MAX_PEOPLE} people: {let_go} of them did without close-ups"
        if let_go
        else None,
        *sink.notes,
        *stream_copy.notes(sink.packets_left_out),
    )
    return Outcome(report, notes)


def run_demo(
    source: DemoSource, options: Options, sheet: DemoSheet, collector: ReportCollector | None = None
) -> Report:
    """The demo through the same graph, with a sink that compares with the truth.

    Args:   sheet: the second sink, which compares. collector: takes pictures for the report.
    Raises: CloseupError, EngineError: as `run_recording`.
    """
    stages = build_stages(source, options, collector=collector)
    sink = FileSink(
        options.output,
        stages.output_size,
        source.rate,
        source.time_base,
        encoding=options.encoding,
        stream_copy=EncodedSound(source.sound, source.sound_rate),
        provenance=provenance_of(options),
        overwrite=options.overwrite,
    )
    return run_graph(source, stages, [sink, sheet], options)


def build_stages(
    source: FileSource | DemoSource,
    options: Options,
    first_pass: FirstPass | None = None,
    collector: ReportCollector | None = None,
    opener: Opener | None = None,
    personal: PersonalRuntimes | None = None,
) -> Stages:
    """The stages for a source.

    Args:   first_pass, collector, opener, personal: as of `enhance`.
    Raises: ConfigError, ModelError: see `Stages.build`.
    """
    stages = Stages.build(
        (source.width, source.height),
        source.rate,
        framing=options.framing,
        scale=chosen_scale((source.width, source.height), options),
        strength=options.strength,
        detail=options.detail,
        runtime=opener or options.runtime,
        weights=options.weights,
        network=options.network,
        speed=options.speed,
        camera=options.camera,
        tracker=first_pass.replay() if first_pass else None,
        odd=True,
        personal=personal,
    )
    if first_pass:
        stages.bank.start_with(first_pass.person_index.finish())
    if collector is not None:
        collector.bank = stages.bank
        stages.all.append(collector)
    if options.badge:
        stages.all.append(Badge())
    return stages


def learning_of(
    source: FileSource, options: Options, meter: MakeMeter, place: WorkDir | None
) -> PeopleLearning | None:
    """What learns the people of a recording; None: nobody wants that.

    Args: meter: makes what is told how far it is. place: where what was learnt is kept; None:
          nowhere.
    """
    if options.learn is None:
        return None
    zoom = chosen_scale((source.width, source.height), options)
    return PeopleLearning(options.learn, zoom, meter, place)


def provenance_of(options: Options, *, adapted: bool = False) -> Provenance:
    """What the output says about itself. Raises: ConfigError: it cannot be signed.

    Args: adapted: the network has learnt people of the recording.
    """
    signer = None
    if options.c2pa_key is not None and options.c2pa_cert is not None:
        signer = C2paSigner(options.c2pa_key, options.c2pa_cert, options.input)
    return Provenance(dict(options.network_files), signer, adapted, options.speed)


def run_graph(
    source: FileSource | DemoSource,
    stages: Stages,
    sinks: list[Sink],
    options: Options,
    meter: MakeMeter = Progress,
    first_pass: FirstPass | None = None,
    checkpoint: StageCheckpoint | None = None,
) -> Report:
    """Run to the end, with progress, and measure.

    Args: checkpoint: of an earlier run that was interrupted, if there was one.
    """
    session = EnhancementSession(stages, finished=checkpoint.finished if checkpoint else None)
    if checkpoint is not None:
        session.metrics.count(ENHANCED, checkpoint.enhanced)
    progress = meter(first_pass.frames, label=SECOND) if first_pass else meter(source.frames_total)

    def on_frame(frame: Frame) -> None:
        progress.advance(checkpoint is not None and frame.index < checkpoint.first)
        if checkpoint is not None:
            checkpoint.see(frame)

    started_s = time.monotonic()
    try:
        Pipeline(source, session, sinks, on_frame).run()
    finally:
        progress.finish()
    return report_of(session.metrics, time.monotonic() - started_s, options, stages, first_pass)


def report_of(
    metrics: Metrics,
    duration_s: float,
    options: Options,
    stages: Stages | None = None,
    first_pass: FirstPass | None = None,
) -> Report:
    """The report of a run.

    Args: metrics, duration_s: of the last pass. stages: None when there was none but the first
    pass.
    """
    first = first_pass if stages else None
    return make_report(
        metrics,
        duration_s=duration_s + (first.duration_s if first else 0.0),
        exemplars=first_pass.person_index.harvested
        if first_pass
        else stages.bank.harvested
        if stages
        else 0,
        input_name=str(options.input or DEMO),
        output_name=str(options.output),
        opened=stages.opener.opened if stages else None,
        people=first_pass.person_index.people if first_pass else None,
        merged_tracks=first_pass.person_index.merged if first_pass else None,
        first_pass=first.metrics if first else None,
        network=options.network,
        speed=options.speed,
    )
