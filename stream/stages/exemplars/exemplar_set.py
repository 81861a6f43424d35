"""Exemplar set: the exemplars of one person: what is worth keeping, and which serve best.

Nothing here depends on frames or tracks; the bank does.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import CANDIDATES_PER_FACE, EXEMPLARS_PER_FACE, Exemplar

CAPACITY = 12
"""Exemplars kept of one person: 2.4 MB."""
LEAST_GAIN = 1.6
"""A headshot below the camera's `near_px` may serve a face whose own is smaller by this factor."""
# Poses nearer to each other than this (in distances between the eyes, about 4 degrees) count as
# one; so many of one pose are kept, because several pictures of one view average noise away, and
# show other expressions.
POSE_STEP = 0.06
SAME_POSE = 6
# An exemplar of a pose that is there often enough already must be sharper than the worst of them by
# a tenth, or fresher by so much: light, hair and glasses change in the course of a call. The latest
# three are replaced when the first of them is older than the last of these.
SHARPER = 1.1
FRESHER_S = 30.0
PRESENT_S = 2.0
# How much sharper counts as much as one pose step, and what a near-copy of a chosen one costs.
SHARPNESS_WEIGHT = 4.0
COPY_COST = 0.5
# What an exemplar costs, in pose steps, that is older than the newest one by much more than so many
# seconds. The newest shows face, light and expression as they were last, and a codec's picture gets
# better while somebody sits still: of nine exemplars from the 1.3 s before a walk (four recordings)
# the last three made the result's detail more coherent, 0.58, 0.72, 0.57 and 0.78 in place of 0.54,
# 0.70, 0.53 and 0.75 with three spread evenly, and the network's picture 0.1 to 0.3 dB better.
AGE_COST, AGE_S = 1.5, 1.0
# A new choice must be better by so much, in pose steps, to replace the present one.
STICKINESS = 1.0

Key = tuple[float, int, float, tuple[float, float]]
"""When a headshot was seen, its side, how sharp it is, and its pose."""


class Exemplars:
    """A bounded, diverse collection; the pictures in it are its own and it wipes them.

    Args: camera: says what counts as close.
          rolling: of what is equally good, the newer is kept; False: time counts for nothing.
          capacity: how many are kept; with more of them more of one pose.
    """

    def __init__(
        self,
        camera: CameraProfile = ANY_CAMERA,
        *,
        rolling: bool = True,
        capacity: int = CAPACITY,
    ) -> None:
        self._near_px = camera.near_px
        self._capacity = capacity
        same_pose = SAME_POSE if rolling else EXEMPLARS_PER_FACE
        self._same_pose = same_pose * max(1, capacity // CAPACITY)
        self._rolling = rolling
        self._kept: list[Exemplar] = []

    def __len__(self) -> int:
        return len(self._kept)

    def all(self) -> tuple[Exemplar, ...]:
        """Everything kept, oldest first."""
        return tuple(self._kept)

    def keys(self) -> frozenset[Key]:
        """What tells the pictures that are kept from others, for `keep_only`."""
        return frozenset(_key(one) for one in self._kept)

    def keep_only(self, keys: Collection[Key]) -> None:
        """Let go of all others. Args: keys: as of `keys`."""
        for one in [one for one in self._kept if _key(one) not in keys]:
            self._drop(one)

    def best_sharpness(self) -> float:
        """Of the sharpest one; 0 when there is none."""
        return max((one.sharpness for one in self._kept), default=0.0)

    def admit(self, new: Exemplar, in_use: Iterable[Exemplar] = ()) -> bool:
        """Take an exemplar in where it adds something, and let go of what is worth least.

        Args:    new: sharp and well exposed; its image becomes this collection's own.
                 in_use: these are not let go.
        Returns: whether it was taken in.
        """
        if _key(new) in self.keys():
            return False  # as of somebody who was recognised twice
        held = {id(one) for one in in_use}
        rivals = [one for one in self._kept if pose_distance(one, new.pose) < POSE_STEP]
        alike = [one for one in rivals if not self._is_poorer(one, new)]
        if len(alike) >= self._same_pose:
            worst = min(alike, key=lambda one: (one.sharpness, one.time_s))
            sharper = new.sharpness >= SHARPER * worst.sharpness
            oldest = min(alike, key=lambda one: one.time_s)
            fresher = self._rolling and new.time_s - oldest.time_s >= FRESHER_S
            # Of the latest ones, as many as a face is given follow the present.
            latest = sorted(alike, key=lambda one: one.time_s)[-EXEMPLARS_PER_FACE]
            present = self._rolling and new.time_s - latest.time_s >= PRESENT_S
            if not sharper and not fresher and not present:
                return False
            loser = worst if sharper else oldest if fresher else latest
            if id(loser) in held:
                return False
            self._drop(loser)
        self._kept.append(new)
        close = [one for one in self._kept if one.side_px >= self._near_px]
        if len(close) >= EXEMPLARS_PER_FACE:
            # Enough real exemplars: the makeshift ones go.
            for one in [one for one in self._kept if one.side_px < self._near_px]:
                if id(one) not in held:
                    self._drop(one)
        while len(self._kept) > self._capacity:
            free = [one for one in self._kept if id(one) not in held]
            self._drop(min(free, key=self._worth))
        return any(one is new for one in self._kept)

    def choose(
        self, pose: tuple[float, float], side_px: float, present: tuple[Exemplar, ...] = ()
    ) -> tuple[Exemplar, ...]:
        """Those that serve a face best: nearest pose, then sharpness, then diversity.

        Args:    pose: (yaw, pitch) of the face now.
                 side_px: side of its headshot now.
                 present: what it has; kept unless another choice is clearly better.
        Returns: 0 to 8 exemplars; the first three are the best together, the others follow.
        """
        usable = [one for one in self._kept if self._serves(one, side_px)]
        if not usable:
            return ()
        sharpest = max(one.sharpness for one in usable)
        newest = max(one.time_s for one in usable)
        single = {id(one): self._misfit(one, pose, sharpest, newest) for one in usable}
        # Among the fittest few, every combination: 56 of them.
        fittest = sorted(usable, key=lambda one: single[id(one)])[:CANDIDATES_PER_FACE]
        count = min(EXEMPLARS_PER_FACE, len(fittest))

        def total(chosen: tuple[Exemplar, ...]) -> float:
            alone = sum(single[id(one)] for one in chosen)
            return alone + COPY_COST * _copies(chosen)

        best = min(itertools.combinations(fittest, count), key=total)
        chosen = (*best, *(one for one in fittest if not any(one is other for other in best)))
        stays = len(present) == len(chosen) and all(id(one) in single for one in present)
        # A makeshift exemplar is replaced by a real one at once.
        closer = sum(one.side_px >= self._near_px for one in chosen)
        stays = stays and closer <= sum(one.side_px >= self._near_px for one in present)
        if stays and total(present[:count]) < total(best) + STICKINESS:
            return present
        return chosen

    def absorb(self, other: Exemplars) -> None:
        """Take in what another collection of the same person has; that one is empty afterwards."""
        while other._kept:
            one = other._kept.pop(0)
            if not self.admit(one):
                erase(one)

    def wipe(self) -> None:
        """Overwrite every picture with zeros and let go of it."""
        while self._kept:
            erase(self._kept.pop())

    def _drop(self, one: Exemplar) -> None:
        self._kept = [other for other in self._kept if other is not one]
        erase(one)

    def _worth(self, one: Exemplar) -> float:
        """What would be lost with this one: 0 to about 3."""
        others = [other for other in self._kept if other is not one]
        nearest = min((pose_distance(other, one.pose) for other in others), default=math.inf)
        newest = max(other.time_s for other in self._kept)
        unlike = min(nearest / (2.0 * POSE_STEP), 1.0)
        fresh = math.exp(-(newest - one.time_s) / 60.0) if self._rolling else 0.0
        close = min(one.side_px / self._near_px, 1.0)
        return close * (one.sharpness / max(self.best_sharpness(), 1e-6) + unlike + 0.5 * fresh)

    def _serves(self, one: Exemplar, side_px: float) -> bool:
        return one.side_px >= self._near_px or one.side_px >= LEAST_GAIN * side_px

    def _is_poorer(self, one: Exemplar, new: Exemplar) -> bool:
        """Whether `one` is makeshift next to `new`, so that it is no reason to turn `new` away."""
        return one.side_px < self._near_px and new.side_px >= 1.25 * one.side_px

    def _misfit(
        self, one: Exemplar, pose: tuple[float, float], sharpest: float, newest_s: float
    ) -> float:
        """In pose steps: how far its pose is, how much blunter it is, too small, and how old."""
        blunt = 1.0 - one.sharpness / max(sharpest, 1e-6)
        small = max(0.0, 1.0 - one.side_px / self._near_px)
        old = 1.0 - math.exp(-(newest_s - one.time_s) / AGE_S) if self._rolling else 0.0
        apart = pose_distance(one, pose) / POSE_STEP
        return apart + SHARPNESS_WEIGHT * (blunt + 2.0 * small) + AGE_COST * old


def pose_distance(one: Exemplar, pose: tuple[float, float]) -> float:
    """Between an exemplar's pose and another, in distances between the eyes."""
    return math.hypot(one.pose[0] - pose[0], one.pose[1] - pose[1])


def _key(one: Exemplar) -> Key:
    return one.time_s, one.side_px, one.sharpness, one.pose


def _copies(chosen: tuple[Exemplar, ...]) -> float:
    """How much of a choice repeats itself: 0 to the number of pairs."""
    pairs = itertools.combinations(chosen, 2)
    return sum(max(0.0, 1.0 - pose_distance(a, b.pose) / POSE_STEP) for a, b in pairs)


def erase(one: Exemplar) -> None:
    """Overwrite its picture with zeros."""
    one.image.setflags(write=True)
    one.image.fill(0)
