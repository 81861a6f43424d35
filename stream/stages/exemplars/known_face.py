"""KnownFace: somebody whose close-ups were kept from other days, and whether a face is theirs.

A descriptor decides, and it has to be sure several times; in doubt it identifies nobody. Luma
alone cannot: across days a quarter of all strangers resemble somebody's close-ups as much as the
person does. It is computed in a thread of its own: a face recogniser takes longer than a frame has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

from stream.frame import Exemplar, Face, Frame, Image
from stream.image.headshot import cut_headshot

LOOK_S = 0.5
"""A face is looked at so often while it is not decided ..."""
SELDOM_S = 4.0
"""... and so often when `SOON` looks did not decide it: expression and light change."""
SOON = 10
WAITING = 3
"""So many looks wait to be made at most; each holds its picture."""
SURE_TIMES = 3
"""So many looks in a row must be sure."""

Likeness = Callable[[Image, Face], float | None]
"""How much a face is like the person, at best 1; None: it shows too little of itself."""


@dataclass
class _Looks:
    last_s: float = -math.inf
    made: int = 0
    sure: int = 0
    running: Future[float | None] | None = None


class KnownFace:
    """One person, and which face of a call is theirs.

    Args: exemplars: the kept close-ups, for the bank; wiped by `wipe`.
          likeness: of a face to that person; called in another thread.
          sure: likeness from which a look is for the person.
          executor: where `likeness` runs; left out, one thread.
    """

    def __init__(
        self,
        exemplars: Sequence[Exemplar],
        likeness: Likeness,
        sure: float,
        executor: Executor | None = None,
    ) -> None:
        self._exemplars = list(exemplars)
        self._likeness = likeness
        self._sure = sure
        self._executor = executor or ThreadPoolExecutor(1, "closeup identity")
        self._looks: dict[int, _Looks] = {}
        self._met: list[tuple[Image, float]] = []
        self.track_id: int | None = None
        """Of the face that is theirs; None: none is, or it is not decided."""
        self.on_change: Callable[[int | None], None] = lambda track_id: None
        """Called with every new `track_id`, in the thread that runs the stages."""

    def exemplars(self) -> list[Exemplar]:
        """Copies, which become the receiver's own."""
        copies = []
        for one in self._exemplars:
            image = one.image.copy()
            image.setflags(write=False)
            copies.append(
                Exemplar(image, one.side_px, one.pose, one.sharpness, one.time_s, one.roll)
            )
        return copies

    def meets(self, face: Face, frame: Frame) -> bool:
        """Ask with every face of every frame: True once, when it is decided to be the person's."""
        if not self._exemplars or any(one.track_id == self.track_id for one in frame.faces):
            return False  # is in the picture already
        if not self._is_decided(face, frame):
            return False
        if self.track_id is not None:
            self.forget(self.track_id)
        side = max(2, round(face.headshot_side_px))
        shown = cut_headshot(frame.image, face.center, side)
        self._met = [(shown, face.roll)]
        self._set(face.track_id)
        return True

    def pictures_of(self, track_id: int) -> list[tuple[Image, float]]:
        """Headshots of this call and how the head is tilted, radians, if that is the person:
        close-ups of other days are lit differently, so that the face resembles these rather than
        them."""
        return self._met if track_id == self.track_id else []

    def forget(self, track_id: int) -> None:
        """That face is gone, or is somebody else's: it is decided anew."""
        self._drop(track_id)
        if track_id == self.track_id:
            for image, _ in self._met:
                image.fill(0)
            self._met = []
            self._set(None)

    def rename(self, between: int, first: int) -> None:
        """The face that was `between` goes on under the track_id that it had before.

        Args: between, first: as of `ReturningPeople`.
        """
        looks = self._looks.pop(between, None)
        if between == self.track_id:
            self._drop(first)
            self._set(first)
        elif looks is not None and first != self.track_id:
            self._drop(first)
            self._looks[first] = looks

    def wipe(self) -> None:
        """Overwrite the pictures with zeros; nobody is the person any more. May be called again."""
        for one in self._exemplars:
            one.image.setflags(write=True)
            one.image.fill(0)
        self._exemplars.clear()
        for track_id in list(self._looks):
            self._drop(track_id)
        if self.track_id is not None:
            self.forget(self.track_id)

    def close(self) -> None:
        """Wipe, and end the thread. May be called again."""
        self.wipe()
        self._executor.shutdown(cancel_futures=True)

    def _drop(self, track_id: int) -> None:
        """Nobody waits for the looks at a face any more."""
        looks = self._looks.pop(track_id, None)
        if looks is not None and looks.running is not None:
            looks.running.cancel()

    def _set(self, track_id: int | None) -> None:
        self.track_id = track_id
        self.on_change(track_id)

    def _is_decided(self, face: Face, frame: Frame) -> bool:
        looks = self._looks.setdefault(face.track_id, _Looks())
        if looks.running is not None:
            if not looks.running.done():
                return False
            running, looks.running = looks.running, None
            _note(looks, running.result(), self._sure)
        if looks.sure >= SURE_TIMES:
            return True
        pause_s = LOOK_S if looks.made < SOON else SELDOM_S
        due = face.score > 0.0 and abs(frame.time_s - looks.last_s) >= pause_s
        made = [one.running for one in self._looks.values()]
        if due and sum(one is not None and not one.done() for one in made) < WAITING:
            looks.last_s = frame.time_s
            looks.running = self._executor.submit(self._likeness, frame.image, face)
        return False


def _note(looks: _Looks, likeness: float | None, sure: float) -> None:
    if likeness is not None:
        looks.made += 1
        looks.sure = looks.sure + 1 if likeness >= sure else 0
