"""PersonIndex: the people of a recording and the best exemplars of each, whenever they were seen.

Somebody who was out of sight is a new track. Tracks of one person are put together where they
look alike; in doubt they stay apart: somebody else's exemplars would be drawn into the face.

Pictures of faces, so: in memory only, bounded, and overwritten with zeros at the end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import Face, Frame
from stream.quality_ladder import EVERYBODY
from stream.stages.exemplars.bank import Bank
from stream.stages.exemplars.descriptor_set import DescriptorSet, clearly_same
from stream.stages.exemplars.dlib_descriptor import Describer, best_describer
from stream.stages.exemplars.exemplar_set import CAPACITY, Exemplars
from stream.stages.exemplars.hog_descriptor import usable
from stream.stages.tracking.pace import Pace

MAX_PEOPLE = 64
"""Of more people than this only those seen for longest keep exemplars: 150 MB."""


@dataclass
class Person:
    """Somebody in a recording; at first one track."""

    tracks: set[int]
    descriptors: DescriptorSet
    exemplars: Exemplars = field(default_factory=Exemplars)
    beside: set[int] = field(default_factory=set)
    """Tracks seen at the same time: other people, whatever they look like."""
    frames: int = 0
    """In how many pictures the face was seen."""
    last_s: float = 0.0

    @property
    def number(self) -> int:
        """The first of the tracks."""
        return min(self.tracks)


class PersonIndex:
    """Looks at every frame of a recording after the tracker has; then serves the second pass.

    A context manager: at its end everything is wiped.

    Args: camera: what it gives; by default any.
          describer: what faces are compared by; the best that is installed when left out.
          capacity: exemplars kept of each person.
    """

    def __init__(
        self,
        camera: CameraProfile = ANY_CAMERA,
        describer: Describer | None = None,
        capacity: int = CAPACITY,
    ) -> None:
        self._describer = describer
        self._bank = Bank(camera, rolling=False, capacity=capacity)
        self._bank.apply(EVERYBODY)
        self._pace = Pace()
        self._running: dict[int, Person] = {}
        self._people: list[Person] = []
        self.let_go = 0
        """How many people did without exemplars because there were more than `MAX_PEOPLE`."""
        self.number_of: dict[int, int] = {}
        """track_id → number of the person; complete after `finish`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
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
        """How many exemplars were taken in."""
        return self._bank.harvested

    def see(self, frame: Frame) -> None:
        """Take in the exemplars of a frame that has its faces."""
        self._pace.see(frame.time_s)
        self._bank(frame)
        present = {face.track_id for face in frame.faces}
        for face in frame.faces:
            self._follow(face, frame, present)
        lost_s = self._pace.lost_s
        over = [one for one, p in self._running.items() if frame.time_s - p.last_s > lost_s]
        self._end(over)

    def finish(self) -> dict[int, Exemplars]:
        """The recording has ended: the exemplars of everybody, by number; still the
        index's."""
        self._end(list(self._running))
        return {person.number: person.exemplars for person in self._people}

    def pictures_of(self) -> dict[int, int]:
        """In how many pictures each person was seen, by number; complete after `finish`."""
        return {person.number: person.frames for person in self._people}

    def wipe(self) -> None:
        """Overwrite every picture with zeros and let go of it. May be called again."""
        self._bank.close()
        for person in [*self._people, *self._running.values()]:
            _wipe(person)
        self._people.clear()
        self._running.clear()

    def _comparing(self) -> Describer:
        # Opened when first needed: dlib takes a second, a recording without a face none.
        if self._describer is None:
            self._describer = best_describer()
        return self._describer

    def _follow(self, face: Face, frame: Frame, present: set[int]) -> None:
        person = self._running.get(face.track_id)
        if person is None:
            person = Person({face.track_id}, DescriptorSet())
            self._running[face.track_id] = person
        person.frames += 1
        person.last_s = frame.time_s
        person.beside |= present - person.tracks
        if usable(face) and person.descriptors.wants():
            person.descriptors.add(self._comparing().describe(frame.image, face))

    def _end(self, tracks: Iterable[int]) -> None:
        """These tracks are over: whose were they?"""
        for track_id in tracks:
            person = self._running.pop(track_id)
            person.exemplars = self._bank.take(track_id)
            self.number_of[track_id] = track_id
            self._people.append(person)
            # A person with more descriptors may now match other tracks, too.
            while (same := self._same_as(person)) is not None:
                person = self._merge(same, person)
            self._stay_bounded()

    def _same_as(self, person: Person) -> Person | None:
        """Who that is; None: somebody new, or not clear."""
        likeness = {
            id(one): one.descriptors.likeness(person.descriptors)
            for one in self._people
            if one is not person
        }
        others = [one for one in self._people if id(one) in likeness]
        able = [one for one in others if not _together(one, person)]
        best = max(able, key=lambda one: likeness[id(one)], default=None)
        if best is None:
            return None
        # Who is seen beside either of them is surely neither.
        rivals = [id(one) for one in others if _together(one, best) or _together(one, person)]
        same = self._comparing().same
        return best if clearly_same(likeness, id(best), rivals, same) else None

    def _merge(self, one: Person, other: Person) -> Person:
        """One person of two."""
        one.tracks |= other.tracks
        one.beside |= other.beside
        one.descriptors.absorb(other.descriptors)
        one.exemplars.absorb(other.exemplars)
        one.frames += other.frames
        self._people.remove(other)
        for track_id in one.tracks:
            self.number_of[track_id] = one.number
        return one

    def _stay_bounded(self) -> None:
        if len(self._people) > MAX_PEOPLE:
            shortest = min(self._people, key=lambda one: one.frames)
            self.let_go += len(shortest.exemplars) > 0
            _wipe(shortest)
            self._people.remove(shortest)


def _together(one: Person, other: Person) -> bool:
    """Whether both were in the picture at one time."""
    return bool(one.beside & other.tracks)


def _wipe(person: Person) -> None:
    person.exemplars.wipe()
    person.descriptors.wipe()
