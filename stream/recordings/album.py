"""Album: the people of a recording and the best close-ups of each, whenever they were seen.

Pictures of faces, so: in memory only, bounded, and overwritten with zeros at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType
from typing import Self

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import Frame
from stream.stages.bank import Bank
from stream.stages.exemplars import Exemplars
from stream.stages.tracker import LOST_S

MAX_PEOPLE = 64
"""Of more people than this only those seen for longest keep close-ups: 150 MB."""


@dataclass
class Person:
    """Somebody in a recording."""

    number: int
    """The first of the tracks that are this person."""
    exemplars: Exemplars
    frames: int
    """In how many pictures the face was seen."""


class Album:
    """Looks at every frame of a recording after the tracker has; then serves the second pass.

    A context manager: at its end everything is wiped.

    Args: camera: what it gives; by default any.
    """

    def __init__(self, camera: CameraProfile = ANY_CAMERA) -> None:
        self._bank = Bank(camera, rolling=False)
        self._frames: dict[int, int] = {}
        self._seen_s: dict[int, float] = {}
        self._people: list[Person] = []
        self.number_of: dict[int, int] = {}
        """track_id → number of the person."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.wipe()

    @property
    def people(self) -> int:
        """How many people were seen."""
        return len(set(self.number_of.values()))

    @property
    def merged(self) -> int:
        """How many tracks were found to be somebody who had been seen before."""
        return len(self.number_of) - self.people

    @property
    def harvested(self) -> int:
        """How many close-ups were taken in."""
        return self._bank.harvested

    def see(self, frame: Frame) -> None:
        """Take in the close-ups of a frame that has its faces."""
        self._bank(frame)
        for face in frame.faces:
            self._frames[face.track_id] = self._frames.get(face.track_id, 0) + 1
            self._seen_s[face.track_id] = frame.time_s
        ended = [one for one, seen_s in self._seen_s.items() if frame.time_s - seen_s > LOST_S]
        for track_id in ended:
            self._end(track_id)

    def finish(self) -> dict[int, Exemplars]:
        """The recording has ended: the close-ups of everybody, by number; still the album's."""
        for track_id in list(self._seen_s):
            self._end(track_id)
        return {one.number: one.exemplars for one in self._people}

    def wipe(self) -> None:
        """Overwrite every picture with zeros and let go of it. May be called again."""
        self._bank.close()
        for person in self._people:
            person.exemplars.wipe()
        self._people.clear()

    def _end(self, track_id: int) -> None:
        """A track is over: whose was it?"""
        del self._seen_s[track_id]
        self.number_of[track_id] = track_id
        person = Person(track_id, self._bank.take(track_id), self._frames.pop(track_id))
        self._people.append(person)
        if len(self._people) > MAX_PEOPLE:
            shortest = min(self._people, key=lambda one: one.frames)
            shortest.exemplars.wipe()
            self._people.remove(shortest)
