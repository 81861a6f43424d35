"""Live: one call, from a camera to a window, a virtual camera and recordings."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Self

from stream.frame import Frame, Image
from stream.graph import Stages
from stream.media.sinks.file_sink import FileSink
from stream.media.sinks.preview import Preview
from stream.media.sinks.virtual_camera import VirtualCamera
from stream.media.sources.camera_source import CameraSource
from stream.options import VIRTUAL_CAMERA, LiveOptions, chosen_scale
from stream.pipeline import Pipeline
from stream.protocols import Sink
from stream.quality_controller import QualityController
from stream.telemetry.metrics import DROPPED, EXEMPLARS, FAILED_OPEN, Metrics
from stream.telemetry.progress import Progress
from stream.telemetry.prometheus import serve
from stream.telemetry.report import Report, make_report
from stream.telemetry.stats import Stats

TICK_S = 0.1
PATIENCE_S = 1.0


@dataclass
class PreviewControls:
    """What the preview's keys and figures reach of a running call."""

    stages: Stages
    metrics: Metrics
    quality_controller: QualityController

    @property
    def strength(self) -> float:
        """Of the enhancement, 0..1."""
        return self.stages.compositor.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self.stages.compositor.strength = strength

    def forget(self) -> None:
        """Wipe the exemplars of everybody."""
        self.stages.bank.forget()

    def closeups(self, track_id: int) -> Sequence[Image]:
        """What is kept of one person."""
        return [one.image for one in self.stages.bank.exemplars_of(track_id)]

    def dropped(self) -> int:
        """Frames dropped so far."""
        return self.metrics.counter(DROPPED)

    def quality(self) -> str:
        """What was given up so that the picture keeps up; empty for nothing."""
        level = self.quality_controller.level
        return f"{level} ({self.quality_controller.quality.name})" if level else ""

    def failed_open(self) -> int:
        """Frames on which a stage failed or was late, so far."""
        return self.metrics.counter(FAILED_OPEN)


def run_call(options: LiveOptions, say: Callable[[str], None]) -> Report:
    """Run a call until the camera ends (it does not, unless made up), `q` or Ctrl-C.

    Args:   say: gets one line when something fails on the way, or works again.
    Raises: CloseupError, EngineError: it cannot begin, or an output failed; recordings that were
            being written are removed then. Ctrl-C (or SIGTERM) and `q` finish them.
    """
    metrics = Metrics()
    # The port first: it may be taken, and nothing is open yet.
    with serving(metrics, options, say), CameraSource(options.device, say) as camera:
        size = (camera.width, camera.height)
        stages = Stages.build(
            size,
            camera.rate,
            framing=options.framing,
            scale=chosen_scale(size, options),
            strength=options.strength,
            runtime=options.runtime,
            camera=options.camera,
            live=True,
        )
        quality_controller = QualityController(stages.apply, float(1 / camera.rate), metrics)
        controls = PreviewControls(stages, metrics, quality_controller)
        preview = None if options.headless else Preview(controls)
        try:
            sinks = open_sinks(camera, stages, preview, options)
        except BaseException:
            stages.close()
            raise

        def on_frame(_: Frame) -> None:
            metrics.set(EXEMPLARS, stages.bank.harvested)
            advance()

        pipeline = Pipeline(
            camera,
            stages.all,
            sinks,
            metrics,
            on_frame,
            whole=stages.whole,
            say=say,
            on_worked=quality_controller,
            prepare=stages.steps(quality_controller),
        )
        started_s = time.monotonic()
        with showing(metrics, options) as advance, Ending() as ending:
            watch(pipeline, preview, camera, ending)
        outputs = [str(path) for path in options.files]
        outputs += [VIRTUAL_CAMERA] * options.virtual_camera
        return make_report(
            metrics,
            duration_s=time.monotonic() - started_s,
            exemplars=stages.bank.harvested,
            input_name=options.device.name,
            output_name=", ".join(outputs),
            runtime=stages.opener.taken.name if stages.opener.taken else "",
            profile=stages.opener.profile,
            passed_over=stages.opener.passed_over,
        )


def open_sinks(
    camera: CameraSource, stages: Stages, preview: Preview | None, options: LiveOptions
) -> list[Sink]:
    """All outputs. Raises: OutputError: one of them cannot be had; none is left open then."""
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
    if options.virtual_camera:
        sinks.append(VirtualCamera(stages.output_size, camera.rate))
    return sinks


@contextmanager
def serving(metrics: Metrics, options: LiveOptions, say: Callable[[str], None]) -> Iterator[None]:
    """Serve the figures to Prometheus, if that was asked for.

    Raises: ConfigError: the port cannot be had.
    """
    if options.metrics_port is None:
        yield
        return
    with serve(metrics, options.metrics_port) as address:
        say(f"figures for Prometheus at {address}")
        yield


@contextmanager
def showing(metrics: Metrics, options: LiveOptions) -> Iterator[Callable[[], None]]:
    """Show how far the call is, or the figures; yields what is to be called for each frame."""
    if options.stats is not None:
        with Stats(metrics, options.stats, sys.stdout):
            yield lambda: None
        return
    progress = Progress(None)
    try:
        yield progress.advance
    finally:
        progress.finish()


def watch(
    pipeline: Pipeline, preview: Preview | None, camera: CameraSource, ending: Ending
) -> None:
    """Run in the main thread, which owns the window, until the user or the camera ends it.

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
    """Within `with`, Ctrl-C and SIGTERM ask for the end instead of raising; once is enough.

    Some programs send the signal twice. Who asks again after `PATIENCE_S` means it: that raises
    KeyboardInterrupt. In other threads than the main one it leaves signals alone.
    """

    def __init__(self) -> None:
        self.asked = False
        self._asked_s = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        now_s = time.monotonic()
        if self.asked and now_s - self._asked_s > PATIENCE_S:
            raise KeyboardInterrupt
        if not self.asked:
            self.asked, self._asked_s = True, now_s
