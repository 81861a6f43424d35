"""Live: one call, from a camera to a window, a virtual camera and recordings."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any, Self

from stream.events import notes_to
from stream.frame import Frame, Image
from stream.graph import Stages
from stream.known_people.called_person import called_person
from stream.live_learning import LiveLearning, learning_in_words
from stream.live_streams import reader_of, stream_sink
from stream.media.live_sound import LiveSound
from stream.media.sinks.file_sink import FileSink
from stream.media.sinks.preview import Preview
from stream.media.sinks.virtual_camera import VirtualCamera
from stream.media.sources.camera_source import CameraSource
from stream.option_table import VIRTUAL_CAMERA
from stream.options import LiveOptions, chosen_scale
from stream.pipeline import Pipeline
from stream.protocols import Sink
from stream.session import EnhancementSession
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.telemetry.metrics import Metrics
from stream.telemetry.progress import Progress
from stream.telemetry.prometheus import serve
from stream.telemetry.report import Report, make_report
from stream.telemetry.stats import Stats

TICK_S = 0.1
PATIENCE_S = 1.0


@dataclass
class PreviewControls:
    """What the preview's keys and figures reach of a running call."""

    session: EnhancementSession

    @property
    def detail(self) -> float:
        """How much fine detail is shown, 0..1."""
        return self.session.detail

    @detail.setter
    def detail(self, detail: float) -> None:
        self.session.detail = detail

    @property
    def strength(self) -> float:
        """Of the enhancement, 0..1."""
        return self.session.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self.session.strength = strength

    def forget(self) -> None:
        """Wipe the exemplars of everybody."""
        self.session.forget()

    def closeups(self, track_id: int) -> Sequence[Image]:
        """What is kept of one person."""
        return [one.image for one in self.session.exemplars_of(track_id)]

    def dropped(self) -> int:
        """Frames dropped so far."""
        return self.session.stats().dropped

    def quality(self) -> str:
        """What was given up so that the picture keeps up; empty for nothing."""
        level = self.session.stats().level
        return f"{level} ({self.session.quality.name})" if level else ""

    def learning(self) -> str:
        """Whether somebody is learnt, and what it has brought; empty without learning."""
        return learning_in_words(self.session.metrics.gauges)

    def failed_open(self) -> int:
        """Frames on which a stage failed or was late, so far."""
        return self.session.stats().failed_open


def run_call(options: LiveOptions, say: Callable[[str], None]) -> Report:
    """Run a call until the camera ends (it does not, unless made up), `q` or Ctrl-C.

    Args:   say: gets one line when something fails on the way, or works again.
    Raises: CloseupError, EngineError: it cannot begin, or an output failed; recordings that were
            being written are removed then. Signals (`Ending`) and `q` finish them.
    """
    metrics = Metrics()
    sound = LiveSound() if options.streams else None
    # The port first: it may be taken, and nothing is open yet.
    with (
        serving(metrics, options, say),
        called_person(options.person, say) as called,
        CameraSource(options.device, say, reader_of(options, sound)) as camera,
    ):
        size = (camera.width, camera.height)
        personal = PersonalRuntimes() if options.learn_live else None
        personal = called.runtimes if called else personal
        stages = Stages.build(
            size,
            camera.rate,
            framing=options.framing,
            scale=chosen_scale(size, options),
            strength=options.strength,
            detail=options.detail,
            runtime=options.runtime,
            weights=options.weights,
            network=options.network,
            camera=options.camera,
            live=True,
            known=called.face if called else None,
            to_load_too=(called.load,) if called else (),
            personal=personal,
        )
        session = EnhancementSession(
            stages, live_rate=camera.rate, metrics=metrics, on_event=notes_to(say)
        )
        with ExitStack() as begun:
            begun.callback(session.close)
            preview = None if options.headless else Preview(PreviewControls(session))
            sinks = open_sinks(camera, stages, preview, options, sound, say)
            for sink in sinks:
                begun.callback(sink.abort)
            started_s = time.monotonic()
            with (
                showing(metrics, options) as advance,
                Ending() as ending,
                learning(session, personal if options.learn_live else None),
            ):
                pipeline = Pipeline(camera, session, sinks, advance)
                begun.pop_all()  # it closes them from now on
                watch(pipeline, preview, camera, ending)
        outputs = [str(path) for path in options.files]
        outputs += [one.name for one in options.streams]
        outputs += [VIRTUAL_CAMERA] * options.virtual_camera
        return make_report(
            metrics,
            duration_s=time.monotonic() - started_s,
            exemplars=session.stats().exemplars,
            input_name=options.device.name,
            output_name=", ".join(outputs),
            opened=stages.opener.opened,
        )


def open_sinks(
    camera: CameraSource,
    stages: Stages,
    preview: Preview | None,
    options: LiveOptions,
    sound: LiveSound | None,
    say: Callable[[str], None],
) -> list[Sink]:
    """All outputs.

    Args:   camera: says rate and time base. stages: say the size of the output. preview: the
            window, where there is one. options: say which files, and whether there is a virtual
            camera, and which servers. sound: of the camera, where an output carries it.
            say: gets lines while the call goes on.
    Raises: OutputError: one of them cannot be had; none is left open then.
    """
    sinks: list[Sink] = [
        FileSink(
            path,
            stages.output_size,
            camera.rate,
            camera.time_base,
            overwrite=options.overwrite,
        )
        for path in options.files
    ]
    if preview is not None:
        sinks.append(preview)
    # Last: the others open nothing before the first frame.
    opened: list[Sink] = []
    try:
        for address in options.streams:
            opened.append(stream_sink(address, camera, stages, options, sound, say))
        if options.virtual_camera:
            opened.append(VirtualCamera(stages.output_size, camera.rate))
    except BaseException:
        for sink in opened:
            sink.abort()
        raise
    return sinks + opened


@contextmanager
def serving(metrics: Metrics, options: LiveOptions, say: Callable[[str], None]) -> Iterator[None]:
    """Serve the figures to Prometheus, if that was asked for.

    Args:   metrics: what is served. options: name the port, if any. say: gets the address.
    Raises: ConfigError: the port cannot be had.
    """
    if options.metrics_port is None:
        yield
        return
    with serve(metrics, options.metrics_port) as address:
        say(f"figures for Prometheus at {address}")
        yield


@contextmanager
def learning(session: EnhancementSession, personal: PersonalRuntimes | None) -> Iterator[None]:
    """Learn the people of the call meanwhile, if that was asked for."""
    with LiveLearning(session, personal) if personal is not None else nullcontext():
        yield


@contextmanager
def showing(metrics: Metrics, options: LiveOptions) -> Iterator[Callable[[Frame], None]]:
    """Show how far the call is, or the figures; yields what is to be called for each frame."""
    if options.stats is not None:
        with Stats(metrics, options.stats, sys.stdout):
            yield lambda frame: None
        return
    progress = Progress(None)
    try:
        yield lambda frame: progress.advance()
    finally:
        progress.finish()


def watch(
    pipeline: Pipeline, preview: Preview | None, camera: CameraSource, ending: Ending
) -> None:
    """Run in the main thread, which owns the window, until the user or the camera ends it.

    Args:   pipeline: started and stopped here. preview: the window; None in a call without one.
            camera: stopped at the end. ending: whether somebody asked for the end.
    Raises: the first error of any part.
    """
    pipeline.start()
    try:
        while pipeline.running and not ending.asked:
            if preview is None:
                time.sleep(TICK_S)
            elif not preview.poll():
                break
    finally:
        camera.stop()
        pipeline.stop()
        pipeline.wait()


class Ending:
    """Within `with`, Ctrl-C, SIGTERM and SIGHUP ask for the end instead of raising; once is enough.

    Some programs send the signal twice. Who asks again after `PATIENCE_S` means it: that raises
    KeyboardInterrupt, once; then the handler from before is asked. What was ignored stays ignored;
    in other threads than the main one it leaves signals alone.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_s = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for name in ("SIGINT", "SIGTERM", "SIGHUP"):
                number = getattr(signal, name, None)
                if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.asked and now_s - self._asked_s > PATIENCE_S:
            # Once more, and nothing is waited for.
            self.__exit__(None, None, None)
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._asked_s = True, now_s
