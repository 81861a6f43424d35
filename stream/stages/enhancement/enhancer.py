"""Enhancer: runs the network on the faces that will be shown larger than the camera saw them.

Crops lie at whole pixels and change their place and size as rarely as possible: jitter from
frame to frame in the crop becomes flicker in the patch.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

from engines.runtime import BUCKETS, Runtime
from stream.frame import Face, Frame, Image, Patch, View
from stream.picture_options import DETAIL
from stream.protocols import FaceState, Stage
from stream.quality_ladder import FULL, QualityLevel
from stream.stages.enhancement.background_network import BackgroundNetwork, CarriedPatch
from stream.stages.enhancement.crop_selector import (
    LEAVE,
    STEPS_PER_OCTAVE,
    TAKE,
    Crop,
    CropSelector,
)
from stream.stages.enhancement.detail_carrier import DetailCarrier
from stream.stages.enhancement.face_network import FaceNetwork
from stream.stages.enhancement.network_timing import seconds_a_face
from stream.stages.enhancement.runtime_set import PersonalRuntimes, RuntimeSet
from stream.stages.enhancement.temporal_filter import TemporalFilter

MIN_ZOOM = 1.2
STAY_ZOOM = 1.15
FADE_S = 0.5
APPEAR_S = 0.2
"""A patch fades in faster than it fades out: the face is blurred until it is there."""
FORGET_S = 1.0
"""A face that is gone for longer starts anew: features are dropped."""


@dataclass
class _Track:
    """What the stage remembers of one face."""

    last_s: float
    network: FaceNetwork = field(repr=False)
    weight: float = 0.0
    informed: float = 0.0
    """How much of what is made with exemplars to show, 0..1."""
    center: tuple[float, float] = (0.0, 0.0)
    """Of the face when it was last seen."""
    wanted: bool = False
    selector: CropSelector = field(default_factory=CropSelector)
    carried: CarriedPatch = field(default_factory=CarriedPatch, repr=False)
    """Where patches are used for more than one frame."""
    temporal_filter: TemporalFilter = field(default_factory=TemporalFilter, repr=False)

    def forget_patches(self) -> None:
        """The next patch takes nothing over from the last ones."""
        self.carried.forget()  # first: it may be using the network
        self.temporal_filter.forget()
        self.network.forget()


class Enhancer(Stage):
    """Sets `face.patch` of the faces that gain by it.

    Args:   open_runtime: opens the runtime of a scale (4 or 8); called once for each, when first
            needed; closed with the stage. rate: nominal frames a second.
            detail: 0 shows what is surest, 1 is about as sharp as the truth.
            waits: while the network is made ready for another size of crop, as recordings do; a
            call takes a size that is ready meanwhile, or shows the face as it is.
            beside: at quality levels that say so, or where the network does not run in every frame,
            no frame waits for it.
            open_small: opens the small network of a scale, or says that there is none; asked after
            the full one is open. always_small: where there is one, whatever the quality level.
            personal: runtimes of people whose weights were learnt; for a face that has exemplars,
            for in doubt whose it is it has none. Closed with the stage.
    """

    name = "enhancer"

    def __init__(
        self,
        open_runtime: Callable[[int], Runtime],
        rate: Fraction,
        *,
        detail: float = DETAIL.default,
        waits: bool = True,
        beside: bool = False,
        personal: PersonalRuntimes | None = None,
        open_small: Callable[[int], Runtime | None] = lambda scale: None,
        always_small: bool = False,
    ) -> None:
        self._runtimes = RuntimeSet(open_runtime, personal, open_small, waits=waits)
        self._always_small = self._runtimes.small_first = always_small
        self._nominal_s = float(1 / rate)
        self.detail = detail
        """0..1; may be set from any thread, for the next frame."""
        self._waits = waits
        self.beside = BackgroundNetwork() if beside else None
        """Runs the network there; None: within the frames, always."""
        self._quality = FULL
        self._forgetting = threading.Event()
        """Somebody has asked for it; done with the next frame, in its thread."""
        self._frames = 0
        self._tracks: dict[int, _Track] = {}
        self._last_s: float | None = None
        self.encodes = 0
        """How often exemplars were encoded so far."""
        self.beside_s = 0.0
        """Seconds that the network has worked beside each of the last frames; 0: it did not."""

    def warm_up(self, scale: int = 4) -> None:
        """Open the runtime of a scale now, not with the first far face: it may take seconds, which
        a call has before its start and nowhere else.

        Raises: EngineError: it cannot be opened.
        """
        self._runtimes.shipped(scale)

    @property
    def has_small(self) -> bool:
        """Whether a quality level can have the small network: it is open, and not always used."""
        return self._runtimes.has_small and not self._always_small

    def try_out(self, scale: int = 4) -> float:
        """Seconds that the network of a scale takes for a face, see `network_timing`.

        Raises: EngineError: it cannot be opened.
        """
        return seconds_a_face(self._runtimes.shipped(scale))

    def __call__(self, frame: Frame) -> Frame:
        """Enhance the faces of one frame.

        Raises: ValueError: framing has not chosen a view.
        """
        return self._follow(frame, drawn=True)

    def replay(self, frame: Frame) -> Frame:
        """Follow the faces, without the network: they get no patches."""
        return self._follow(frame, drawn=False)

    def apply(self, quality: QualityLevel) -> None:
        """See `Stage.apply`."""
        self._quality = quality
        self._runtimes.small_first = quality.small or self._always_small

    def forget(self) -> None:
        """Let go of exemplars and patches with the next frame; from any thread."""
        self._forgetting.set()

    def save(self) -> dict[int, FaceState]:
        """Nothing but pictures would have to be: they are let go of."""
        self._forget_patches()
        return {}

    def close(self) -> None:
        """Forget all faces and close the runtimes."""
        if self.beside is not None:
            self.beside.close()
        self._tracks.clear()
        self._runtimes.close()

    def _follow(self, frame: Frame, *, drawn: bool) -> Frame:
        view = frame.view
        if view is None:
            raise ValueError("the enhancer needs a view: framing comes first")
        if self._forgetting.is_set():
            self._forgetting.clear()
            self._forget_patches()
            for track in self._tracks.values():
                track.network.forget_exemplars()
        self._frames += 1
        self.beside_s = 0.0
        now_s = frame.time_s
        step_s = self._nominal_s if self._last_s is None else now_s - self._last_s
        step_s = self._nominal_s if step_s <= 0.0 else min(step_s, FADE_S)
        self._last_s = now_s

        for face in frame.faces:
            if face.track_id not in self._tracks:
                network = FaceNetwork(self._runtimes, self._count_encode)
                shown = self._shown_there(face, frame)
                self._tracks[face.track_id] = _Track(now_s, network, *shown)
            track = self._tracks[face.track_id]
            track.wanted = self._gains(face, view, track.wanted)
            track.last_s, track.center = now_s, face.center
        chosen = self._choose(frame.faces)
        largest_px = self._share([face for face in frame.faces if face.track_id in chosen])
        faces = []
        for face in frame.faces:
            track = self._tracks[face.track_id]
            size = (
                self._size(track.selector, face, view, largest_px)
                if face.track_id in chosen
                else None
            )
            target = 1.0 if size and track.wanted else 0.0
            over_s = APPEAR_S if target > track.weight else FADE_S
            track.weight = _towards(track.weight, target, step_s / over_s)
            track.informed = self._informed(face, track, step_s)
            if not size or track.weight <= 0.0:
                size = None
            elif not drawn:
                # Features are encoded, from the same exemplars, when they are needed next.
                track.selector.put(face, *size)
                size = None
            if size is None:
                track.forget_patches()
            patch = self._patch(frame, face, size) if size else None
            faces.append(replace(face, patch=patch))
        self._fade_absent(frame.faces, now_s, step_s)
        return replace(frame, faces=tuple(faces))

    def _count_encode(self) -> None:
        self.encodes += 1

    def _forget_patches(self) -> None:
        """The next patches take nothing over from the last ones."""
        for track in self._tracks.values():
            track.forget_patches()

    def _gains(self, face: Face, view: View, was: bool) -> bool:
        """Whether the viewer will see a difference."""
        side = face.headshot_side_px
        x, y = face.center
        x0, y0, x1, y1 = view.rect
        reach = side / 2.0
        if x + reach <= x0 or x - reach >= x1 or y + reach <= y0 or y - reach >= y1:
            return False
        enlarged = view.in_place or view.zoom > (STAY_ZOOM if was else MIN_ZOOM)
        return enlarged and 0.0 < side <= self._quality.widest_px * (LEAVE if was else 1.0)

    def _choose(self, faces: tuple[Face, ...]) -> set[int]:
        """The faces that get a patch: who has one keeps it, then the smallest first."""
        candidates = [
            face
            for face in faces
            if self._tracks[face.track_id].wanted or self._tracks[face.track_id].weight > 0.0
        ]
        candidates.sort(key=lambda f: (self._tracks[f.track_id].weight <= 0.0, f.headshot_side_px))
        return {face.track_id for face in candidates[: self._quality.max_faces]}

    def _share(self, faces: list[Face]) -> int:
        """Side of the largest crop with which the crops of all these faces are within the quality
        level; the same for all, so that faces of nearly one size do not take turns."""
        allowed = [b for b in BUCKETS[4] if b <= self._quality.largest_px]
        needed = []
        for face in faces:
            track = self._tracks[face.track_id]
            resting_px = 2.0 ** (track.selector.step / STEPS_PER_OCTAVE)
            side = face.headshot_side_px if track.selector.corner is None else resting_px
            needed.append(next((b for b in allowed if side <= b * TAKE), allowed[-1]))

        def pixels(largest_px: int) -> int:
            return sum(min(side, largest_px) ** 2 for side in needed)

        fitting = [b for b in allowed if pixels(b) <= self._quality.pixels]
        return fitting[-1] if fitting else allowed[0]

    def _shown_there(self, face: Face, frame: Frame) -> tuple[float, float]:
        """Weight and share of exemplars of the patch that another track has shown at this place
        until now: a face that is tracked anew, or known again, must not blink."""
        present = {one.track_id for one in frame.faces}
        gone = [track for one, track in self._tracks.items() if one not in present]
        reach = face.width_px / 2.0
        near = [(t.weight, t.informed) for t in gone if math.dist(t.center, face.center) < reach]
        return max(near, default=(0.0, 0.0))

    @staticmethod
    def _informed(face: Face, track: _Track, step_s: float) -> float:
        """Exemplars that come while a patch is shown fade in; at once they would be a jump."""
        if not face.exemplars:
            return 0.0
        shown = track.weight > step_s / APPEAR_S
        return _towards(track.informed, 1.0, step_s / FADE_S if shown else 1.0)

    def _fade_absent(self, faces: tuple[Face, ...], now_s: float, step_s: float) -> None:
        present = {face.track_id for face in faces}
        for track_id, track in list(self._tracks.items()):
            if track_id in present:
                continue
            track.weight = _towards(track.weight, 0.0, step_s / FADE_S)
            track.carried.forget()
            track.temporal_filter.forget()
            if not 0.0 <= now_s - track.last_s <= FORGET_S:
                del self._tracks[track_id]

    def _size(
        self, selector: CropSelector, face: Face, view: View, largest_px: int
    ) -> tuple[int, int] | None:
        """Scale and bucket of the crop; None: nothing of which the face would gain is ready."""
        side = face.headshot_side_px
        x8 = self._waits or 8 in self._runtimes
        scale, bucket = selector.wanted(side, view.zoom, largest_px, x8=x8)
        if self._waits:
            return scale, bucket
        ready = partial(self._runtimes.at_once, face.track_id, scale)
        if ready(bucket, soon=True):
            return scale, bucket
        others = selector.instead(side, scale, bucket, largest_px)
        return next(((scale, other) for other in others if ready(other)), None)

    def _patch(self, frame: Frame, face: Face, size: tuple[int, int]) -> Patch:
        track = self._tracks[face.track_id]
        track.selector.put(face, *size)
        crop = track.selector.cut(frame.image)
        make = partial(
            track.network.enhance,
            *(crop, face, frame.time_s),
            share=track.informed,
            detail=self.detail,
            every_s=self._quality.align_every_s,
            per_cell=self._quality.align_per_cell,
        )
        every = self._quality.enhance_every
        if (every > 1 or self._quality.beside) and self.beside is not None:
            image = track.carried.beside(self.beside, crop, make, self._frames, every)
            self.beside_s = max(self.beside_s, track.carried.beside_s / every)
            image = track.temporal_filter(image, crop.box, crop.image)
        else:
            image = self._within(track, crop, make, (self._frames + face.track_id) % every == 0)
        return Patch(image, crop.box, crop.scale, track.weight)

    def _within(self, track: _Track, crop: Crop, make: Callable[[], Image], due: bool) -> Image:
        """What the network makes of this crop, or, unless it is due, made of an earlier one, as it
        would look now."""
        track.carried.finish()
        carrier = None if due else track.carried.carrier
        carried = None if carrier is None else carrier(crop.image, crop.corner)
        if carrier is not None and carrier.carried < self._quality.least_carried:
            carried = None
        image = make() if carried is None else carried
        image = track.temporal_filter(image, crop.box, crop.image)
        if self._quality.enhance_every == 1:
            track.carried.carrier = None
        elif carried is None:
            track.carried.carrier = DetailCarrier(image, crop.image, crop.corner)
        return image


def _towards(value: float, target: float, step: float) -> float:
    return min(value + step, target) if target > value else max(value - step, target)
