"""Closeup's command line: make the far-away faces of a recording sharp.

    python run_pipeline.py --input call.mp4 --output better.mp4
    python run_pipeline.py --input calls/ --input "2024-*/*.mkv" --output better/
    ssh host cat call.mkv | python run_pipeline.py --input - --output better.mkv
    python run_pipeline.py --input demo
    python run_pipeline.py --input webcam
    python run_pipeline.py --input webcam --headless --output virtualcam --output call.mp4
    python run_pipeline.py --config desk.toml
    python run_pipeline.py --input webrtc
    python run_pipeline.py doctor
    python run_pipeline.py learn NAME --input webcam
    python run_pipeline.py people
    python run_pipeline.py forget NAME

Installed, it is the console script `closeup`.

Exit status: 0 done, 1 some recordings of an archive failed, 2 an error that one line on stderr
explains; stopped by a signal 128 and its number: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP.
"""

from __future__ import annotations

import os
import signal
import sys

if __name__ == "__main__" or sys.argv[0].endswith(("closeup", "closeup.exe")):
    for _number in (0, 1, 2):
        try:
            os.fstat(_number)
        except OSError:
            # Closed: it would be the next file's that is opened, and get what is for people.
            os.open(os.devnull, os.O_RDWR)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Ctrl-C while all the rest is imported, a second, ends the program without a word.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TextIO

from engines.allocator import use_few_arenas
from engines.errors import reported
from engines.install import install_command
from engines.runtime import EngineError, check_network, scales_in_int8
from engines.self_measurement import measure_first, measuring_beside
from engines.weights.manifest import weights_used
from stream.cli.arguments import DOCTOR, parse
from stream.cli.console import lenient_console
from stream.cli.doctor import examine, format_findings, healthy
from stream.cli.people_commands import COMMANDS, KEPT_AS_IT_WAS
from stream.cli.provenance_options import shows_faces
from stream.cli.stopping import EXIT_STATUS, stopped_by_signals
from stream.errors import CloseupError, ConfigError, StoppedError, heed
from stream.live import run_call
from stream.media.demo.demo_sheet import DemoSheet
from stream.media.demo.demo_source import DemoSource
from stream.media.sandbox.sandboxed_source import open_source
from stream.media.sinks.file_sink import check_output, check_place
from stream.media.sinks.window import check_display
from stream.media.sources.spool import NAME, STDIN, spooled
from stream.option_table import RUNTIME
from stream.options import DEMO_OUTPUT, BatchOptions, Common, LiveOptions, Options
from stream.recordings.batch.batch import run_batch
from stream.recordings.batch.task import work_dir_of
from stream.recordings.job import provenance_of, run_demo, run_recording
from stream.recordings.report.collector import ReportCollector
from stream.recordings.report.html import PAGE, check_page, write_page
from stream.recordings.resume.lock import alone
from stream.recordings.resume.work_dir import clear_work
from stream.rtc.relay_options import RelayOptions
from stream.telemetry.progress import JsonProgress, MakeMeter, Progress
from stream.telemetry.report import Report, format_report, write_report


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    with lenient_console(), stopped_by_signals():
        return _main(arguments)


def _main(arguments: Sequence[str] | None) -> int:
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given == [DOCTOR]:
        findings = examine()
        print(format_findings(findings))
        return 0 if healthy(findings) else 2
    stopped = "stopped; no output was written"
    try:
        if given and given[0] in COMMANDS:
            stopped = KEPT_AS_IT_WAS
            COMMANDS[given[0]](given[1:])
            return 0
        options = parse(given)
        if isinstance(options, BatchOptions) or (isinstance(options, Options) and options.resume):
            stopped = "stopped; the same command goes on from here"
        if isinstance(options, BatchOptions):
            return run_many(options)
        run(options)
    except (CloseupError, EngineError) as error:
        return reported(error)
    except KeyboardInterrupt as interrupt:
        heed(interrupt)
        print(stopped, file=sys.stderr)
        number = interrupt.number if isinstance(interrupt, StoppedError) else signal.SIGINT
        return EXIT_STATUS + number
    return 0


def run(options: Options | LiveOptions | RelayOptions) -> None:
    """Check, build, run, report.

    Raises: CloseupError, EngineError: see `main`.
    """
    if isinstance(options, Options):
        # Not in a call: its threads would wait for each other's heap, up to 11 ms of 42.
        use_few_arenas()
    else:
        # A call would go on without them, a recording (see `told`) until its first far face.
        weights_used(scales_in_int8(options.runtime), weights=options.weights)
        check_network(options.network, options.weights)
    beside = measuring_beside if measures(options) else nullcontext
    if isinstance(options, RelayOptions):
        with beside():
            run_webrtc(options)
    elif isinstance(options, LiveOptions):
        with beside():
            run_live(options)
    elif options.input is None:
        if options.output == DEMO_OUTPUT:
            options.output.parent.mkdir(exist_ok=True)
        check_files(options)
        show_demo(told(options))
    elif options.input == Path(STDIN):
        # Before all of it is read, which may take an hour.
        check_output(options.output, options.overwrite)
        with spooled(options.output) as recording:
            run_one(replace(options, input=recording), STDIN)
    else:
        run_one(options, str(options.input))


def run_one(options: Options, name: str) -> None:
    """One recording, which the report calls by a name."""
    assert options.input is not None
    recording, collector = options.input, collector_of(options)
    meter: MakeMeter = Progress
    out = sys.stdout
    if options.progress == "json":
        # Who reads events from stdout reads nothing else there.
        names = name, str(options.output)
        meter, out = partial(JsonProgress, names=names, stream=out), sys.stderr
    with redirect_stdout(out), open_source(recording, lazy=True) as source:
        check_files(options)
        options = told(options)
        if not options.resume:
            outcome = run_recording(source, options, meter, collector=collector)
        else:
            with work_dir_of(options, dict(options.network_files)) as place:
                outcome = run_recording(source, options, meter, place)
            clear_work(options.output)
        for note in outcome.notes:
            text = note.text
            if name == STDIN:
                text = text.replace(recording.name, NAME)
            if note.is_result:
                print(text)
            else:
                print(f"note: {text}", file=sys.stderr)
        outcome.report["input"] = name
        finish(outcome.report, options, [options.output], collector=collector)


def measures(options: Options | LiveOptions | RelayOptions) -> bool:
    """Whether what was measured would be used."""
    return options.measure and options.runtime == RUNTIME.default


def told(options: Options) -> Options:
    """With the network that the output names: the fastest here, which is found out first."""
    if measures(options):
        measure_first(lambda line: print(f"note: {line}", file=sys.stderr, flush=True))
    check_network(options.network, options.weights)
    files = weights_used(
        scales_in_int8(options.runtime), weights=options.weights, network=options.network
    )
    return replace(options, network_files=tuple(files.items()))


def collector_of(options: Options) -> ReportCollector | None:
    """What collects pictures for the report; None where it is not one to look at."""
    return ReportCollector() if shows_faces(options.report) else None


def run_many(options: BatchOptions) -> int:
    """An archive. Returns the exit status."""
    events = sys.stdout
    options = replace(options, each=told(options.each))
    with redirect_stdout(sys.stderr if options.each.progress == "json" else events):
        failed = run_batch(options, dict(options.each.network_files), events)
    return 1 if failed else 0


def check_files(options: Options) -> None:
    """Whether everything can be written, before any work is done.

    Raises: OutputError, ConfigError: it cannot.
    """
    check_output(options.output, options.overwrite, options.input)
    if options.input is None:
        check_place(sheet_path(options), options.overwrite)
    check_report(options, [options.output, options.input, sheet_path(options)])
    provenance_of(options)


def check_report(options: Common, others: Sequence[Path | None]) -> None:
    """Whether the report can be written, and is none of the `others`.

    Raises: OutputError, ConfigError: it cannot.
    """
    if options.report is not None:
        if options.report.resolve() in [path.resolve() for path in others if path is not None]:
            raise ConfigError(f"--report {options.report} names a recording; give another name")
        check = check_page if shows_faces(options.report) else check_place
        check(options.report, options.overwrite)


def sheet_path(options: Options) -> Path:
    """Where the demo's picture goes: beside its recording."""
    return options.output.with_suffix(".png")


def show_demo(options: Options) -> None:
    """The demo, and what it gained."""
    sheet = DemoSheet(sheet_path(options))
    collector = collector_of(options)
    with alone(options.output):
        report = run_demo(DemoSource(), options, sheet, collector)
    finish(report, options, [options.output], collector=collector)
    bicubic, closeup = sheet.psnr_bicubic, sheet.psnr_closeup
    if bicubic is None or closeup is None:
        print("far face: none was enhanced, nothing to compare")
        return
    print(f"{sheet.path}: the far face before, after, and as it is")
    gain = closeup - bicubic
    print(f"far face: bicubic {bicubic:.2f} dB, Closeup {closeup:.2f} dB, {gain:+.2f} dB")


def run_live(options: LiveOptions) -> None:
    """A call, until it is ended."""
    for path in options.files:
        check_output(path, options.overwrite)
    check_report(options, options.files)
    if not options.headless:
        check_display()
    with ExitStack() as locks:
        for path in options.files:
            locks.enter_context(alone(path))
        report = run_call(options, lambda line: print(f"note: {line}", file=sys.stderr))
    # Who reads figures from stdout reads nothing else there.
    finish(report, options, options.files, sys.stdout if options.stats is None else sys.stderr)


def run_webrtc(options: RelayOptions) -> None:
    """The relay, until it is ended."""
    try:
        from stream.rtc.server import run_relay
    except ImportError as error:
        raise ConfigError(
            f"the relay needs aiortc and aiohttp ({error}); {install_command('webrtc')}"
        ) from error
    run_relay(options, lambda line: print(line, flush=True))


def finish(
    report: Report,
    options: Common,
    written: Sequence[Path],
    out: TextIO | None = None,
    collector: ReportCollector | None = None,
) -> None:
    """Say what was done, for people (on stdout, or `out`) and for programs.

    Args: report: the figures. options: say where it is written. written: the outputs. out: stdout
          when left out. collector: of the pictures of a report page.
    """
    print(format_report(report), file=out)
    if options.report is not None and collector is not None:
        write_page(options.report, report, collector)
        print(f"{options.report / PAGE} written", file=out)
    elif options.report is not None:
        write_report(options.report, report)
    for path in written:
        print(f"{path} written", file=out)


if (
    __name__ == "__main__" or sys.argv[0].endswith(("closeup", "closeup.exe"))
) and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if __name__ == "__main__":
    sys.exit(main())
