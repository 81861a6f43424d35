"""TrackWorker: enhances the pictures of one call, in a thread of its own. It knows no event loop.

put → newest wins → [worker thread: a session] → deliver

While the session is being made, or is late, the caller can have its pictures `plain`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction

import av

from engines.errors import one_line
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.events import note_of, notes_to
from stream.frame import Exemplar, Frame
from stream.graph import Stages
from stream.link import Link, LinkClosedError
from stream.live_learning import LearningPermit, LiveLearning, check_learning, learning_in_words
from stream.media.pyav import exact
from stream.picture_options import DETAIL, FRAMING, STRENGTH
from stream.picture_settings import PictureSettings
from stream.quality_ladder import FULL
from stream.rtc.frame_conversion import to_frame, to_rgb
from stream.rtc.status import Recent, Status
from stream.session import EnhancementSession
from stream.shared_runtime import SharedRuntime
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.framing.framing import Mode
from stream.telemetry.metrics import DROPPED, FAILED_OPEN, Metrics, age_of

RATE = Fraction(30)
"""Nominal; every picture carries its own time."""
CLOCK = Fraction(1, 90_000)
PAUSE_S, USUAL_S = Fraction(1), Fraction(1, 2)
"""Pictures that usually come within the second time and stay away for the first: the network was
away. For the stages that time did not pass: who is still there, in the same place of the same
scene and with the same face, is followed on and keeps the close-ups."""
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
    deliver: Callable[[Picture], None]
    """Of the track that it came from, and goes back to when it is finished."""
    shift: Fraction = Fraction(0)
    """Its time here is so many seconds later than the frame says."""


class TrackWorker(PictureSettings):
    """One call's session and its thread.

    Args:   shared_runtime: shared with other calls, or not; stays its owner's.
            deliver: gets each finished picture, in the worker's thread.
            framing: "auto" or "fixed". strength, detail: 0..1.
            camera: what it gives, where that was measured.
            metrics: gets times and counts, too, as of `Pipeline`; of one call or of several.
            permit: the people of the call are learnt while it goes on, when it allows that; None:
            they are not.
            say: gets one line when something fails or works again, in any thread.
            ended: called last, in the worker's thread.
    Raises: ConfigError: an argument is out of range, or nothing can be learnt here.
    """

    def __init__(
        self,
        shared_runtime: SharedRuntime,
        deliver: Callable[[Picture], None],
        *,
        framing: Mode = FRAMING.default,
        strength: float = STRENGTH.default,
        detail: float = DETAIL.default,
        camera: CameraProfile = ANY_CAMERA,
        metrics: Metrics | None = None,
        permit: LearningPermit | None = None,
        say: Callable[[str], None] = lambda line: None,
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(strength, detail)
        self.framing = framing
        if permit is not None:
            check_learning(shared_runtime.weights)
        self._permit, self._beside = permit, ExitStack()
        self._camera = camera
        self._metrics = Metrics(metrics)
        self.recent = Recent()
        self._shared_runtime, self._deliver = shared_runtime, deliver
        self._tell, self._ended = say, ended
        self._link: Link[Picture] = Link.latest()
        self._session: EnhancementSession | None = None
        self._shape: tuple[tuple[int, int], Mode] | None = None
        self._building = False
        self._broken = self._unreadable = ""
        """Why nothing can be enhanced, and why the last picture could not; empty: it can."""
        self._arrived = 0
        self._last: tuple[Fraction, int] | None = None
        """Time of the last picture, and its arrival."""
        self._step_s = Fraction(0)
        """From the picture before to the last one."""
        self._shift, self._resumes = Fraction(0), False
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="closeup track")
        self._thread.start()

    @property
    def framing(self) -> Mode:
        """ "auto" or "fixed"; takes effect with the next picture."""
        return self._framing

    @framing.setter
    def framing(self, framing: Mode) -> None:
        self._framing: Mode = FRAMING.check(framing)

    @property
    def late(self) -> bool:
        """Whether a picture should be shown `plain` rather than wait for the stages."""
        session = self._session
        return bool(self._broken) or self._building or (session is not None and session.late)

    def attach(self, deliver: Callable[[Picture], None], say: Callable[[str], None]) -> None:
        """Work for another track from now on, whose pictures show the same people.

        Args: deliver, say: as at the beginning.
        """
        self._deliver, self._tell = deliver, say
        self._resumes = True

    def works_for(self, deliver: Callable[[Picture], None]) -> bool:
        """Whether it does not work for another track by now."""
        return self._deliver == deliver

    def picture(self, frame: av.VideoFrame) -> Picture:
        """The next picture, for `put` or `plain`; it has just arrived."""
        now_ns = time.monotonic_ns()
        time_base = exact(frame.time_base)
        if frame.pts is not None and time_base is not None:
            self._pass_time(frame.pts * time_base, now_ns)
        self._resumes = False
        picture = Picture(frame, self._arrived, now_ns, self._deliver, self._shift)
        self._arrived += 1
        return picture

    def _pass_time(self, time_s: Fraction, now_ns: int) -> None:
        """Set how much later than its own time the next picture is for the stages.

        Args: time_s: its own time. now_ns: when it came.
        """
        if self._last is not None:
            last_s, came_ns = self._last
            step_s = time_s + self._shift - last_s
            if self._resumes:
                step_s = Fraction(now_ns - came_ns, 1_000_000_000)
            if step_s > PAUSE_S and self._step_s < USUAL_S:
                step_s = max(self._step_s, 1 / RATE)
            self._step_s = step_s
            self._shift = last_s + step_s - time_s
        self._last = time_s + self._shift, now_ns

    def put(self, picture: Picture) -> None:
        """Hand over the next picture; an older one that still waits is dropped."""
        if self._link.put(picture):
            self._metrics.count(DROPPED)

    def plain(self, picture: Picture) -> Picture:
        """The camera's picture as it would be framed; from any thread, takes milliseconds."""
        session = self._session
        self.recent.add(picture.arrived_ns)
        if self._broken:
            self._metrics.count(FAILED_OPEN)
        if session is None:
            return picture
        done = session.plain(_frame(picture))
        session.hand_on(done)
        return self._drawn(picture, done)

    def forget(self) -> None:
        """Wipe what is remembered of everybody; from any thread."""
        if (session := self._session) is not None:
            session.forget()

    def exemplars(self) -> tuple[Exemplar, ...]:
        """What is kept of everybody in the latest picture, oldest first."""
        if (session := self._session) is None:
            return ()
        return tuple(one for track in self.recent.people for one in session.exemplars_of(track))

    def status(self) -> Status:
        """What is going on, for people to read."""
        session = self._session
        quality = FULL if session is None else session.quality
        return self.recent.status(
            trouble=self._trouble(session),
            strength=self.strength,
            detail=self.detail,
            framing=self.framing,
            learning="" if session is None else learning_in_words(session.metrics.gauges),
            dropped=self._link.dropped,
            quality=quality.name,
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
            self._close_session()

    def _enhance(self, picture: Picture) -> None:
        if self._broken:
            return
        try:
            session = self._session_for((picture.frame.width, picture.frame.height))
        except Exception as error:
            # Whatever it was: the call goes on with the camera's picture.
            self._broken = f"nothing can be enhanced: {one_line(error)}"
            self._tell(self._broken)
            return
        if session is None:
            return  # the picture is as old as the models took to load
        session.strength, session.detail = self.strength, self.detail
        try:
            done = session.process(_frame(picture))
            made = self._drawn(picture, done)
        except Exception as error:
            self._unreadable = f"a picture cannot be read: {one_line(error)}"
            self._tell(self._unreadable)
            return
        self._unreadable = ""
        if session.hand_on(done):
            self.recent.add(picture.arrived_ns, done)
            age_ns = time.monotonic_ns() - picture.arrived_ns
            self._metrics.record(age_of(OUTPUT), age_ns / 1e6)
            made.deliver(made)

    def _session_for(self, size: tuple[int, int]) -> EnhancementSession | None:
        """The session, fitted to the picture and the framing; None when it has just been made."""
        shape = size, self._framing
        if self._session is None:
            self._make(size, self._framing)
            self._shape = shape
            return None
        if shape != self._shape:
            self._session.reframe(size, RATE, self._framing)
            self._shape = shape
        return self._session

    def _make(self, size: tuple[int, int], framing: Mode) -> None:
        self._building = True
        personal = None if self._permit is None else PersonalRuntimes()
        try:
            stages = Stages.build(
                size,
                RATE,
                framing=framing,
                runtime=self._shared_runtime,
                camera=self._camera,
                live=True,
                personal=personal,
            )
            self._session = EnhancementSession(
                stages,
                live_rate=RATE,
                metrics=self._metrics,
                on_event=notes_to(lambda line: self._tell(line)),
            )
        finally:
            self._building = False
        if self._session.prepare(self._closed.is_set) and personal is not None:
            learning = LiveLearning(self._session, personal, permit=self._permit)
            self._beside.enter_context(learning)

    def _drawn(self, picture: Picture, done: Frame) -> Picture:
        """The output as a video frame; the very frame that came in where nothing was changed."""
        output = done.output
        if output is None or output is done.image:
            return picture
        return replace(picture, frame=to_frame(output, picture.frame))

    def _trouble(self, session: EnhancementSession | None) -> str:
        """What is wrong now, for people; empty when nothing is."""
        if self._broken or self._unreadable:
            return self._broken or self._unreadable
        if session is None or session.preparing:
            return "the models are being loaded"
        failing = session.failing
        return note_of(failing[-1]) or "" if failing else ""

    def _close_session(self) -> None:
        session, self._session = self._session, None
        try:
            self._beside.close()
            if session is not None:
                session.close()
        finally:
            self._ended()


def _frame(picture: Picture) -> Frame:
    frame = picture.frame
    pts, time_base = frame.pts, exact(frame.time_base)
    if pts is None or time_base is None:
        # A track without times: its pictures come when they are taken.
        pts, time_base = round(picture.arrived_ns / 1e9 / CLOCK), CLOCK
    pts += round(picture.shift / time_base)
    return Frame(to_rgb(frame), picture.index, pts, time_base, picture.arrived_ns)
