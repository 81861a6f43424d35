"""EnhancedVideoTrack: a video track with far-away faces made sharp, for any aiortc program.

source ─ reader (task) ─► worker (thread) ─► newest finished picture ─► recv

Nothing queues and nothing runs on the event loop: the reader takes every picture from the source as
soon as it is there, and on both sides of the worker a newer picture replaces an older one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import av
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from engines.errors import one_line
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import Image
from stream.live_learning import LearningPermit
from stream.picture_options import DETAIL, FRAMING, STRENGTH
from stream.rtc.queued_track import QueuedTrack
from stream.rtc.status import Status
from stream.rtc.track_worker import Picture, TrackWorker
from stream.shared_runtime import SharedRuntime
from stream.stages.framing.framing import Mode
from stream.telemetry.metrics import Metrics


class EnhancedVideoTrack(QueuedTrack[av.VideoFrame]):
    """Another track's pictures, enhanced; times (pts, time_base) and size stay.

    Made inside a running event loop; from then on it reads the source. Whatever fails, the camera's
    picture comes through. It ends with its source, at `stop`, and when aiortc closes the connection
    that sends it; then everything that it remembers of faces is wiped.

    Args:   source: a video track; nobody else may read it (`MediaRelay` makes copies).
            framing: "auto", a virtual camera follows the people; "fixed", the whole picture, faces
            restored in place. May be set later, as `framing`.
            strength: of the enhancement, 0..1. detail: how much fine detail is shown: 0 what is
            surest, 1 about as sharp as the truth. Both may be set later.
            shared_runtime: the network, to share it between tracks; None for one of its own.
            camera: what it gives, where that was measured.
            metrics: gets the times and counts of this track, or of all that share it.
            permit: lets the people of the call be learnt while it goes on, with the processor time
            that is to spare; one for all tracks of a machine. None: nobody is learnt.
            say: gets one line, in any thread, when something fails or works again.
            worker: has worked for another track of the same people, or will; it stays its owner's
            when this track ends. The arguments from framing to metrics are its own then.
            is_late: whether a picture of the source is too old to be shown.
    Raises: ConfigError: an argument is out of range, or nobody can be learnt here.
            RuntimeError: no event loop is running.
            ValueError: the source is not a video track.
    """

    kind = "video"

    def __init__(
        self,
        source: MediaStreamTrack,
        *,
        framing: Mode = FRAMING.default,
        strength: float = STRENGTH.default,
        detail: float = DETAIL.default,
        shared_runtime: SharedRuntime | None = None,
        camera: CameraProfile = ANY_CAMERA,
        metrics: Metrics | None = None,
        permit: LearningPermit | None = None,
        say: Callable[[str], None] = lambda line: None,
        worker: TrackWorker | None = None,
        is_late: Callable[[av.VideoFrame], bool] = lambda frame: False,
    ) -> None:
        super().__init__(kept=1)
        if source.kind != "video":
            raise ValueError(f"the source must be a video track, this one has {source.kind}")
        self._home = asyncio.get_running_loop()
        self._source = source
        self._say, self._is_late = say, is_late
        self._owns_worker = worker is None
        if worker is None:
            used = shared_runtime or SharedRuntime()
            worker = TrackWorker(
                used,
                self._deliver_from_thread,
                ended=used.close if shared_runtime is None else lambda: None,
                framing=framing,
                strength=strength,
                detail=detail,
                camera=camera,
                metrics=metrics,
                permit=permit,
                say=say,
            )
        else:
            worker.attach(self._deliver_from_thread, say)
        self._worker = worker
        self._heard_s = time.monotonic()
        self._newest = -1
        self._reader = self._home.create_task(self._read(), name="closeup reader")

    @property
    def framing(self) -> Mode:
        """ "auto" or "fixed"; setting it raises ConfigError."""
        return self._worker.framing

    @framing.setter
    def framing(self, framing: Mode) -> None:
        self._worker.framing = framing

    @property
    def strength(self) -> float:
        """Of the enhancement, 0..1; setting it raises ConfigError."""
        return self._worker.strength

    @strength.setter
    def strength(self, strength: float) -> None:
        self._worker.strength = strength

    @property
    def detail(self) -> float:
        """How much fine detail is shown, 0..1; setting it raises ConfigError."""
        return self._worker.detail

    @detail.setter
    def detail(self, detail: float) -> None:
        self._worker.detail = detail

    @property
    def delay_ms(self) -> float:
        """What enhancing adds to the picture's delay lately; by this much sound should wait."""
        return self._worker.recent.delay_ms

    @property
    def silent_s(self) -> float:
        """How long ago the source's last picture came, or the track began."""
        return time.monotonic() - self._heard_s

    def status(self) -> Status:
        """What is going on."""
        return self._worker.status()

    def exemplars(self) -> list[Image]:
        """What is kept of the people in the picture: RGB uint8 (256, 256, 3) each."""
        return [one.image for one in self._worker.exemplars()]

    def forget(self) -> None:
        """Wipe what is remembered of everybody."""
        self._worker.forget()

    async def recv(self) -> av.VideoFrame:
        """The newest picture that was not received before; waits for it.

        Raises: MediaStreamError: the track has ended.
        """
        return await self._take()

    def stop(self) -> None:
        """End the track; `closed` waits until nothing of it is left."""
        super().stop()
        self._reader.cancel()
        if self._owns_worker:
            self._worker.close()

    async def closed(self) -> None:
        """Wait until the track has ended, its thread is gone and its memory of faces wiped."""
        if self._owns_worker:
            await asyncio.to_thread(self._worker.join)

    async def _read(self) -> None:
        """Take every picture from the source, as long as it has some."""
        try:
            while True:
                frame = await self._source.recv()
                assert isinstance(frame, av.VideoFrame)
                if not self._worker.works_for(self._deliver_from_thread):
                    return  # another track has taken over; its times are others
                self._heard_s = time.monotonic()
                if self._is_late(frame):
                    continue
                picture = self._worker.picture(frame)
                if self._worker.late:
                    self._deliver(await asyncio.to_thread(self._worker.plain, picture))
                else:
                    self._worker.put(picture)
        except MediaStreamError:
            pass  # the source has ended
        except Exception as error:
            self._say(f"the source failed: {one_line(error)}")
        finally:
            self.stop()

    def _deliver_from_thread(self, picture: Picture) -> None:
        # A loop that is closed has nobody left who could want it.
        with suppress(RuntimeError):
            self._home.call_soon_threadsafe(self._deliver, picture)

    def _deliver(self, picture: Picture) -> None:
        if picture.index > self._newest and self.readyState == "live":
            self._newest = picture.index
            self._put(picture.frame)
