"""The network beside the frames of a call, so that none of them waits for it.

A network that is run within a frame makes that frame late, however seldom it runs. So it works in a
thread of its own, on one crop after the other, while `DetailCarrier` brings what it made last to
where the face is now.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait

from stream.frame import Image
from stream.stages.enhancement.crop_selector import Crop
from stream.stages.enhancement.detail_carrier import DetailCarrier

NICE = 12
"""Of its thread: a fifteenth of the weight of those that a frame waits for."""


class Job:
    """The network, at work on one crop.

    Args: crop: what it gets. work: runs it; gives RGB uint8 (s b, s b, 3).
    """

    def __init__(self, crop: Crop, work: Callable[[], Image]) -> None:
        self.crop = crop
        self._work = work
        self._begun_s = time.monotonic()
        self._ended_s: float | None = None

    def run(self) -> Image:
        """Do it, in the thread of the network."""
        try:
            return self._work()
        finally:
            self._ended_s = time.monotonic()

    def took_s(self) -> float:
        """Since it was asked for, waiting for others included; so far, while it works."""
        return (self._ended_s or time.monotonic()) - self._begun_s


class BackgroundNetwork:
    """One thread for the network of all faces; it begins with the first job."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def begin(self, job: Job) -> Future[Image]:
        """Have a job done, after those that were begun before it."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "closeup network", _behind)
        return self._pool.submit(job.run)

    def close(self) -> None:
        """Wait for what is under way, and begin nothing more. May be called again."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)


class CarriedPatch:
    """Of one face: what the network made last, for the frames after it."""

    def __init__(self) -> None:
        self.carrier: DetailCarrier | None = None
        self._job: tuple[Job, Future[Image]] | None = None
        self._begun = 0
        """Number of the frame in which it was begun."""
        self.beside_s = 0.0
        """How long the network worked beside the frames for its last patch, or works already."""

    def forget(self) -> None:
        """The next patch stands alone; nothing works beside the frames any more."""
        if self._job is not None:
            wait([self._job[1]])
        self.carrier = self._job = None
        self.beside_s = 0.0

    def finish(self) -> None:
        """Wait for what works beside the frames: afterwards the network is the caller's.

        Raises: what the network raised.
        """
        if self._job is not None:
            (job, made), self._job = self._job, None
            self.carrier = None
            self.carrier = DetailCarrier(made.result(), job.crop.image, job.crop.corner)
            self.beside_s = job.took_s()

    def beside(
        self,
        network: BackgroundNetwork,
        crop: Crop,
        work: Callable[[], Image],
        frame: int,
        every: int,
    ) -> Image:
        """The patch as it would look now; the network goes on with this crop when it is due.

        Args:    work: runs the network on the crop. frame: its number. every: the network begins in
                 every so many frames at most.
        Returns: RGB uint8 (s b, s b, 3). The first one, and that of a crop that jumped, is waited
                 for.
        Raises:  what the network raised.
        """
        if self._job is not None:
            if self._job[1].done():
                self.finish()
            else:
                self.beside_s = max(self.beside_s, self._job[0].took_s())
        if self._job is None and not 0 <= frame - self._begun < every:
            self._begin(network, crop, work, frame)
        image = self._shown(crop)
        if image is None:
            self.finish()
            image = self._shown(crop)
        if image is None:
            self._begin(network, crop, work, frame)
            self.finish()
            image = self._shown(crop)
        assert image is not None, "made of this very crop"
        return image

    def _begin(
        self, network: BackgroundNetwork, crop: Crop, work: Callable[[], Image], frame: int
    ) -> None:
        job = Job(crop, work)
        self._job, self._begun = (job, network.begin(job)), frame

    def _shown(self, crop: Crop) -> Image | None:
        return None if self.carrier is None else self.carrier(crop.image, crop.corner)


def _behind() -> None:
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
