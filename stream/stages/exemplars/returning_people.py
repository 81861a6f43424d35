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
FAR_PX, FAR_SAME = 48.0, 0.925
"""Faces up to this width, px, show less that all faces have: from this likeness on they are
somebody's, where larger ones need `Describer.same`. `calibration.reidentification --call` found
strangers of whom two looks are alike up to 0.916, in 96,000 pairs, people of one studio among them;
by the slope of its tail less than one in a million is beyond."""
SOON, SOON_S = 30, 0.1
"""A face is looked at so many times, so often, when it has come; then as `DescriptorSet.wants`."""


@dataclass
class _Seen:
    """What a face looked like, and who was in the picture with it."""

    descriptors: DescriptorSet = field(default_factory=DescriptorSet)
    beside: set[int] = field(default_factory=set)
    looks: int = 0
    looked_s: float = -math.inf
    like: Counter[int] = field(default_factory=Counter)
    """Whom it was found to be, how many times."""

    def is_due(self, time_s: float, wanted: bool) -> bool:
        """Whether to ask again whose face that is. Args: wanted: as `DescriptorSet.wants`."""
        return abs(time_s - self.looked_s) >= SOON_S if self.looks < SOON else wanted


class ReturningPeople:
    """Gives a face that has come back the track_id that it had before it left.

    Args: on_joined: called with the track_id that such a face had in between, and with the first.
    """

    def __init__(self, on_joined: Callable[[int, int], None] = lambda between, first: None) -> None:
        self._on_joined = on_joined
        self._describer = HogDescriptor()
        self._seen: dict[int, _Seen] = {}
        self._known_as: dict[int, int] = {}
        """The tracker's track_id of a face that has come back → its first one."""

    def named(self, frame: Frame, remembered: AbstractSet[int]) -> tuple[Face, ...]:
        """The frame's faces, each under the track_id that the person had first.

        Args: frame: with faces as the tracker gives them. remembered: track_ids of the people of
              whom exemplars are kept.
        """
        tracked_now = {face.track_id for face in frame.faces}
        # Whose own track goes on has not left: who was taken for them is somebody else.
        self._known_as = {new: old for new, old in self._known_as.items() if old not in tracked_now}
        faces = {face.track_id: self._as_known(face) for face in frame.faces}
        for tracked, face in faces.items():
            present = {one.track_id for one in faces.values()}
            seen = self._seen.setdefault(face.track_id, _Seen())
            seen.beside |= present - {face.track_id}
            if not usable(face):
                continue
            absent, wanted = remembered - present, seen.descriptors.wants()
            asked = bool(absent) and seen.is_due(frame.time_s, wanted)
            if not wanted and not asked:
                continue
            look = DescriptorSet([self._describer.describe(frame.image, face)])
            found = self._found(face, look, absent) if asked else None
            if asked:
                seen.looks, seen.looked_s = seen.looks + 1, frame.time_s
            if found is not None:
                seen.like[found] += 1
            if wanted:
                seen.descriptors.absorb(look)
            look.wipe()
            if found is not None and len(seen.like) == 1 and seen.like[found] >= SURE_TIMES:
                self._join(tracked, face.track_id, found)
                faces[tracked] = replace(face, track_id=found)
        return tuple(sorted(faces.values(), key=lambda face: face.track_id))

    def forget(self, track_id: int) -> None:
        """Of this person nothing is kept any more. Args: track_id: the first one."""
        seen = self._seen.pop(track_id, None)
        if seen is not None:
            seen.descriptors.wipe()
        for one in self._seen.values():
            one.beside.discard(track_id)
            del one.like[track_id]
        self._known_as = {new: old for new, old in self._known_as.items() if old != track_id}

    def wipe(self) -> None:
        """Forget everybody."""
        for track_id in list(self._seen):
            self.forget(track_id)

    def _as_known(self, face: Face) -> Face:
        first = self._known_as.get(face.track_id)
        return face if first is None else replace(face, track_id=first)

    def _found(self, face: Face, look: DescriptorSet, absent: AbstractSet[int]) -> int | None:
        """Whose face that is, of the absent ones; None: nobody's, or not clear."""
        track_id = face.track_id
        able = {one for one in absent if one in self._seen and not self._together(one, track_id)}
        if not able:
            return None
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
        self._known_as[tracked] = first
        self._on_joined(track_id, first)
