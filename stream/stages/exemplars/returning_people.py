"""Returning people: who of those that left the picture is back, so that their exemplars serve them.

Somebody who was out of sight is a new track. A face is taken for somebody who left where it is
clearly theirs, more than once; in doubt it stays a new person, because somebody else's exemplars
would be drawn into it. The same rule as in recordings (`stream.recordings.people.person_index`).

Descriptors are biometric figures of people: in memory only, overwritten with zeros when let go.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from stream.frame import Face, Frame
from stream.stages.exemplars.descriptor_set import DescriptorSet, clearly_same
from stream.stages.exemplars.hog_descriptor import HogDescriptor, usable

SURE_TIMES = 2
"""So many looks must find the same person, and none another."""
FAR_PX, FAR_SAME = 48.0, 0.56
"""Faces up to this width, px, show less of what tells people apart: from this likeness on they are
somebody's, where larger ones need `Describer.same`. `calibration.reidentification --call` found
strangers of whom two looks are alike up to 0.466, in 189,000 pairs, people of one studio among
them; by the slope of the tail one in a million is beyond 0.55."""
SOON, SOON_S = 30, 0.1
"""A face is compared with those who left so many times, so often, when it has come ..."""
LATER_S = 1.0 / 6.0
"""... and then so often."""
LOOKS_A_FRAME = 3
"""So many faces of a frame are described at most (1 ms each); the others have their turn next."""
TRACKS = 64
"""So many tracks that are known under another track_id are remembered."""


@dataclass
class _Seen:
    """What a face looked like, and who was in the picture with it."""

    descriptors: DescriptorSet = field(default_factory=DescriptorSet)
    beside: set[int] = field(default_factory=set)
    looks: int = 0
    looked_s: float = -math.inf
    like: Counter[int] = field(default_factory=Counter)
    """Whom it was found to be, how many times."""

    def is_due(self, time_s: float) -> bool:
        """Whether to ask again whose face that is."""
        return abs(time_s - self.looked_s) >= (SOON_S if self.looks < SOON else LATER_S)


class ReturningPeople:
    """Gives a face that has come back the track_id that it had before it left.

    Args: on_joined: called with the track_id that such a face had in between, and with the first.
          on_parted: called with the first where both are in the picture: they are two people.
    """

    def __init__(
        self,
        on_joined: Callable[[int, int], None] = lambda between, first: None,
        on_parted: Callable[[int], None] = lambda first: None,
    ) -> None:
        self._on_joined = on_joined
        self._on_parted = on_parted
        self._describer = HogDescriptor()
        self._seen: dict[int, _Seen] = {}
        self._known_as: dict[int, int] = {}
        """The tracker's track_id of a face that has come back → its first one."""

    def named(
        self, frame: Frame, remembered: AbstractSet[int], unlike: AbstractSet[int] = frozenset()
    ) -> tuple[Face, ...]:
        """The frame's faces, each under the track_id that the person had first, no two alike.

        Args: frame: with faces as the tracker gives them. remembered: track_ids of the people of
              whom exemplars are kept. unlike: of those who may be somebody else now: what they
              look like is not kept.
        """
        self._part(frame.faces)
        faces = {face.track_id: self._as_known(face) for face in frame.faces}
        here = {face.track_id for face in faces.values() if face.score > 0.0}
        looks = 0
        for tracked, face in faces.items():
            present = {one.track_id for one in faces.values()}
            seen = self._seen.setdefault(face.track_id, _Seen())
            if face.track_id in here:
                # A track that is kept where it was may be of the same face, which has moved.
                seen.beside |= here - {face.track_id}
            if looks >= LOOKS_A_FRAME or not usable(face):
                continue
            able = self._able(face.track_id, remembered - present)
            asked = bool(able) and seen.is_due(frame.time_s)
            wanted = seen.descriptors.wants() and face.track_id not in unlike
            if not wanted and not asked:
                continue
            looks += 1
            look = self._describer.describe(frame.image, face)
            found = None
            if asked:
                found = self._found(face, DescriptorSet([look]), able)
                seen.looks, seen.looked_s = seen.looks + 1, frame.time_s
            if wanted:
                seen.descriptors.add(look)
            else:
                look.fill(0.0)
            if found is None:
                continue
            seen.like[found] += 1
            if len(seen.like) == 1 and seen.like[found] >= SURE_TIMES:
                self._join(tracked, face.track_id, found)
                faces[tracked] = replace(face, track_id=found)
                here = {one.track_id for one in faces.values() if one.score > 0.0}
        return tuple(sorted(faces.values(), key=lambda face: face.track_id))

    def start_over(self, track_id: int) -> None:
        """Somebody else is there from now on. Args: track_id: the first one."""
        seen = self._seen.pop(track_id, None)
        if seen is not None:
            seen.descriptors.wipe()
        for one in self._seen.values():
            one.beside.discard(track_id)
            del one.like[track_id]

    def forget(self, track_id: int) -> None:
        """Of this person nothing is kept any more. Args: track_id: the first one."""
        self.start_over(track_id)
        self._known_as = {new: old for new, old in self._known_as.items() if old != track_id}

    def wipe(self) -> None:
        """Forget everybody."""
        for track_id in list(self._seen):
            self.forget(track_id)

    def _as_known(self, face: Face) -> Face:
        first = self._known_as.get(face.track_id)
        return face if first is None else replace(face, track_id=first)

    def _part(self, faces: tuple[Face, ...]) -> None:
        """Two tracks of one frame are two people: the one that began first keeps the track_id."""
        score = {face.track_id: face.score for face in faces}
        served = {one: one for one in score if one not in self._known_as}
        parted = set()
        for new, first in list(self._known_as.items()):
            if new not in score:
                continue
            before = served.setdefault(first, new)
            if before != new:
                del self._known_as[new]
                if score[before] > 0.0 < score[new]:
                    parted.add(first)
        for first in parted:
            if first in self._seen:
                self._seen[first].descriptors.wipe()
            self._on_parted(first)

    def _able(self, track_id: int, absent: AbstractSet[int]) -> set[int]:
        """Which of the absent ones a face may be."""
        return {one for one in absent if one in self._seen and not self._together(one, track_id)}

    def _found(self, face: Face, look: DescriptorSet, able: AbstractSet[int]) -> int | None:
        """Whose face that is; None: nobody's, or not clear. Args: able: who it may be."""
        track_id = face.track_id
        likeness = {
            one: seen.descriptors.likeness(look)
            for one, seen in self._seen.items()
            if one != track_id
        }
        best = max(able, key=lambda one: likeness[one])
        rivals = {
            one for one in likeness if self._together(one, best) or self._together(one, track_id)
        }
        same = FAR_SAME if face.width_px <= FAR_PX else self._describer.same
        return best if clearly_same(likeness, best, rivals, same) else None

    def _together(self, one: int, other: int) -> bool:
        """Whether both were in the picture at one time."""
        return other in self._seen[one].beside or one in self._seen[other].beside

    def _join(self, tracked: int, track_id: int, first: int) -> None:
        """The face that was `track_id` so far is `first`."""
        seen, before = self._seen.pop(track_id), self._seen[first]
        before.beside |= seen.beside
        before.descriptors.absorb(seen.descriptors)
        for one in self._seen.values():
            if track_id in one.beside:
                one.beside.remove(track_id)
                one.beside.add(first)
            if count := one.like.pop(track_id, 0):
                one.like[first] += count
        known_as = {new: first if old == track_id else old for new, old in self._known_as.items()}
        known_as[tracked] = first
        self._known_as = dict(list(known_as.items())[-TRACKS:])
        self._on_joined(track_id, first)
