"""TrackWorker: enhances the pictures of one call, in a thread of its own. It knows no event loop.

put → newest wins → [worker thread: all the stages, failing open] → deliver

While the stages are being made, or are late, whoever brings the pictures can have them `plain`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction

import av

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.errors import ConfigError
from stream.fail_open import FailOpen
from stream.frame import Exemplar, Frame
from stream.graph import Stages
from stream.link import Link, LinkClosedError
from stream.media.pyav import exact
from stream.quality_controller import QualityController
from stream.quality_ladder import QualityLevel
from stream.rtc.frame_conversion import to_frame, to_rgb
from stream.rtc.status import Recent, Status
from stream.shared_runtime import SharedRuntime
from stream.stages.framing.framing import Mode
from stream.telemetry.metrics import DROPPED, ENHANCED, FACES, FAILED_OPEN, FRAMES, Metrics, age_of

RATE = Fraction(30)
"""Nominal; every picture carries its own time."""
CLOCK = Fraction(1, 90_000)
LOOK_S = 1.0
"""So often an idle worker looks whether the program is ending."""
OUTPUT = "track"
"""Under this name metrics get the age of pictures, from their arrival until they are finished."""


@dataclass(frozen=True)
class Picture:
    """A video frame on its way through a worker."""

    frame: av.VideoFrame
    index: int
    arrived_ns: int
    """`time.monotonic_ns()` when it was received."""


class TrackWorker:
    """One call's stages and their thread.

    Args:   shared_runtime: shared with other calls, or not; stays its owner's.
            deliver: gets each finished picture, in the worker's thread.
            framing: "auto" or "fixed". strength: 0..1.
            camera: what it gives, where that was measured.
            metrics: gets times and counts, as of `Pipeline`.
            say: gets one line when something fails or works again, in any thread.
            ended: called last, in the worker's thread.
    Raises: ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        shared_runtime: SharedRuntime,
        deliver: Callable[[Picture], None],
        *,
        framing: Mode = "auto",
        strength: float = 1.0,
        camera: CameraProfile = ANY_CAMERA,
        metrics: Metrics | None = None,
        say: Callable[[str], None] = lambda line: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        self.framing, self.strength = framing, strength
        self._camera = camera
        self._metrics = Metrics() if metrics is None else metrics
        self.recent = Recent()
        self._shared_runtime, self._deliver = shared_runtime, deliver
        self._tell, self._ended = say, ended
        self._link: Link[Picture] = Link.latest()
        self._stages: Stages | None = None
        self._fail_open: FailOpen | None = None
        self._shape: tuple[tuple[int, int], Mode] | None = None
        self._building = self._broken = False
        self._closed = threading.Event()
        self._trouble = ""
        # Its level is this call's, the metrics are those of all calls: it is in `status`.
        self._quality_controller = QualityController(self._apply, float(1 / RATE), Metrics())
        self._thread = threading.Thread(target=self._run, name="closeup track")
        self._thread.start()

    @property
    def framing(self) -> Mode:
        """ "auto" or "fixed"; takes effect with the next picture."""
        return self._framing

    @framing.setter
    def framing(self, framing: Mode) -> None:
        if framing not in ("auto", "fixed"):
            raise ConfigError(f'framing is "auto" or "fixed", not "{framing}"')
        self._framing: Mode = framing

    @property
    def strength(self) -> float:
        """Of the enhancement, 0..1; takes effect with the next picture."""
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not 0.0 <= strength <= 1.0:
            raise ConfigError(f"the strength must lie between 0 and 1, not {strength:g}")
        self._strength = strength

    @property
    def late(self) -> bool:
        """Whether a picture should be shown `plain` rather than wait for the stages."""
        fail_open = self._fail_open
        return self._broken or self._building or (fail_open is not None and fail_open.is_late())

    def put(self, picture: Picture) -> None:
        """Hand over the next picture; an older one that still waits is dropped."""
        if self._link.put(picture):
            self._metrics.count(DROPPED)

    def plain(self, picture: Picture) -> Picture:
        """The camera's picture as it would be framed; from any thread, takes milliseconds."""
        fail_open = self._fail_open
        self.recent.add(picture.arrived_ns)
        if self._broken:
            self._metrics.count(FAILED_OPEN)
        if fail_open is None:
            return picture
        return self._drawn(picture, fail_open.plain(_frame(picture)))

    def forget(self) -> None:
        """Wipe what is remembered of everybody; from any thread."""
        if (stages := self._stages) is not None:
            stages.bank.forget()

    def exemplars(self) -> tuple[Exemplar, ...]:
        """What is kept of everybody in the latest picture, oldest first."""
        if (stages := self._stages) is None:
            return ()
        return tuple(
            one for number in self.recent.people for one in stages.bank.exemplars_of(number)
        )

    def status(self) -> Status:
        """What is going on, for people to read."""
        loading = self._fail_open is None or self._fail_open.preparing
        state = self._trouble or ("the models are being loaded" if loading else "")
        return self.recent.status(
            trouble=state,
            strength=self.strength,
            framing=self.framing,
            dropped=self._link.dropped,
            quality=self._quality_controller.quality.name,
        )

    def close(self) -> None:
        """Let no more pictures in. The thread wipes what it knows and ends; `join` waits for it."""
        self._closed.set()
        self._link.close()

    def join(self) -> None:
        """Wait until the thread has ended; not in an event loop."""
        self._thread.join()

    def _run(self) -> None:
        try:
            while True:
                try:
                    picture = self._link.get(LOOK_S)
                except TimeoutError:
                    # A program that ends without closing its track must not hang.
                    if not threading.main_thread().is_alive():
                        return
                    continue
                except LinkClosedError:
                    return
                self._enhance(picture)
        finally:
            self._close_stages()

    def _enhance(self, picture: Picture) -> None:
        if self._broken:
            return
        try:
            fail_open = self._fail_open_for((picture.frame.width, picture.frame.height))
        except Exception as error:
            # Whatever it was: the call goes on with the camera's picture.
            self._broken = True
            self._say(f"nothing can be enhanced: {' '.join(str(error).split())}")
            return
        if fail_open is None:
            return  # the picture is as old as the models took to load
        assert self._stages is not None
        self._stages.compositor.strength = self._strength
        try:
            started_s = time.monotonic()
            done = fail_open(_frame(picture))
            if fail_open.complete:
                self._quality_controller(done, time.monotonic() - started_s)
            made = self._drawn(picture, done)
        except Exception as error:
            self._say(f"a picture cannot be read: {' '.join(str(error).split())}")
            return
        self._count(picture, done)
        self._deliver(made)

    def _fail_open_for(self, size: tuple[int, int]) -> FailOpen | None:
        """The stages behind `FailOpen`, fitted to the picture and the framing; None when they have
        just been made."""
        shape = size, self._framing
        if self._stages is None:
            self._make(size, self._framing)
            self._shape = shape
            return None
        if shape != self._shape:
            self._stages = self._stages.reframed(size, RATE, self._framing)
            self._fail_open = self._fail_open_over(self._stages)
            self._shape = shape
        return self._fail_open

    def _make(self, size: tuple[int, int], framing: Mode) -> None:
        self._building = True
        try:
            self._stages = Stages.build(
                size,
                RATE,
                framing=framing,
                runtime=self._shared_runtime,
                camera=self._camera,
                live=True,
            )
            fail_open = self._fail_open_over(self._stages)
            fail_open.preparing = True
            self._fail_open = fail_open
        finally:
            self._building = False
        fail_open.prepare(self._stages.steps(self._quality_controller), self._closed.is_set)

    def _fail_open_over(self, stages: Stages) -> FailOpen:
        return FailOpen(stages.all, self._metrics, stages.whole, self._say)

    def _apply(self, quality: QualityLevel) -> None:
        if self._stages is not None:
            self._stages.apply(quality)

    def _drawn(self, picture: Picture, done: Frame) -> Picture:
        """The output as a video frame; the very frame that came in where nothing was changed."""
        output = done.output
        if output is None or output is done.image:
            return picture
        return replace(picture, frame=to_frame(output, picture.frame))

    def _count(self, picture: Picture, done: Frame) -> None:
        self.recent.add(picture.arrived_ns, done)
        age_ns = time.monotonic_ns() - picture.arrived_ns
        self._metrics.record(age_of(OUTPUT), age_ns / 1e6)
        self._metrics.count(FRAMES)
        self._metrics.count(FACES, len(done.faces))
        shown = [face.patch for face in done.faces if face.patch and face.patch.weight > 0.0]
        self._metrics.count(ENHANCED, len(shown))

    def _say(self, line: str) -> None:
        self._trouble = "" if line.endswith("works again") else line
        self._tell(line)

    def _close_stages(self) -> None:
        stages, self._stages, self._fail_open = self._stages, None, None
        try:
            if stages is not None:
                stages.close()
        finally:
            self._ended()


def _frame(picture: Picture) -> Frame:
    frame = picture.frame
    pts, time_base = frame.pts, exact(frame.time_base)
    if pts is None or time_base is None:
        # A track without times: its pictures come when they are taken.
        pts, time_base = round(picture.arrived_ns / 1e9 / CLOCK), CLOCK
    return Frame(to_rgb(frame), picture.index, pts, time_base, picture.arrived_ns)
