"""Evaluator: watches a call with its truth and writes down what the viewer got of every far
face."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.measures.image_measures import (
    Motion,
    flat,
    grain,
    psnr,
    seam,
    steepness,
    temporal_variance,
)
from bench.measures.likeness import Likeness
from bench.measures.windows import cut_out, in_frame, radius_around, size_of, square_around
from bench.scenes.call import Call, TrueFace
from engines.hime.detail import Detail, detail
from engines.hime.haarpsi import similarity
from engines.hime.ssim import ssim
from stream.frame import Exemplar, Face, Frame, Image, View
from stream.image.resample import resample

WINDOW = 1.5
"""The face and its hair, in widths of the face box: what is compared with the truth."""
HEADSHOT = 2.0
RING = (0.7, 1.06)
"""Where a patch ends, in half sides of the headshot."""
CORE, RIM = 0.75, 0.5
"""All of it shows up to the first; from the second on to there is its rim."""
SLOW_EVERY, LIKENESS_EVERY = 5, 7
"""SSIM, HaarPSI, detail, tOF, seams and grain, and likeness, in every so many-th frame. Odd: with
`--every`, frames without the network are among them, too."""
SETTLED_S = 0.7
"""After the scene froze; by then every patch has faded in."""
WAYS = ("bicubic", "alone", "closeup")
"""The camera's picture enlarged; the pipeline without exemplars; the pipeline."""


@dataclass
class Seen:
    """One far face in one frame; each tuple is in the order of WAYS."""

    index: int
    person: int
    weight: float
    """How much of the patch was shown, 0..1."""
    covered: bool
    """Somebody nearer is before it."""
    psnr: tuple[float, ...]
    flicker: tuple[float, ...] | None = None
    """Change beyond the motion of what is wrong, levels."""
    ssim: tuple[float, ...] | None = None
    haarpsi: tuple[float, ...] | None = None
    seam: tuple[float, ...] | None = None
    grain: tuple[float, ...] | None = None
    """Of flat parts of the face over that of flat parts around the patch; last, the truth's."""
    jump: tuple[float, ...] | None = None
    """How steep edges are on the patch's rim over how steep they are around it, both as parts of
    the truth's."""
    identity: tuple[float, ...] | None = None
    landmarks: tuple[float, ...] | None = None
    detail: tuple[Detail, ...] | None = None
    """Of what lies above the camera's Nyquist frequency."""
    tof: tuple[float, ...] | None = None
    """Error of the optical flow between frames, px of the output."""
    zoom: float = 1.0
    """Px of the output for each of the camera's."""
    exemplars: tuple[int | None, ...] = ()
    """Whose they are; None where it cannot be told."""


@dataclass
class Moment:
    """Pictures of one far face, for the sheet: bicubic, alone, closeup, truth."""

    seen: Seen
    pictures: tuple[Image, ...]


@dataclass
class _Last:
    """The frame before."""

    index: int
    outputs: tuple[Image, ...]


@dataclass
class Notes:
    """Everything that was seen of one call."""

    seen: list[Seen] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list, repr=False)
    static: dict[int, float] = field(default_factory=dict)
    """By person: temporal variance of the output over that of the bicubic enlargement."""
    stray: int = 0
    """Patches where nobody's face is."""


class Evaluator:
    """Give it every frame with both outputs, then take its notes."""

    def __init__(self, call: Call, likeness: Likeness | None) -> None:
        self._call = call
        self._likeness = likeness
        self._last: _Last | None = None
        self._owners: dict[int, tuple[Exemplar, int | None]] = {}
        self._still: dict[int, tuple[list[Image], list[Image]]] = defaultdict(lambda: ([], []))
        self._still_at: dict[int, tuple[int, int, int, int]] = {}
        self._notes = Notes()

    def see(self, frame: Frame, alone: Frame) -> None:
        """One frame as the pipeline made it, and as it is made without exemplars."""
        view = frame.view
        assert view is not None
        assert frame.output is not None
        assert alone.output is not None
        bicubic = resample(frame.image, view.rect, view.size)
        outputs = (bicubic, alone.output, frame.output)
        true_faces = self._call.faces(frame.index)
        owners = [self._whose(face, true_faces) for face in frame.faces]
        self._notes.stray += sum(
            face.patch is not None and owner is None
            for face, owner in zip(frame.faces, owners, strict=True)
        )
        for true in true_faces:
            if true.width_px > self._call.case.far_most_px:
                continue
            matches = [f for f, owner in zip(frame.faces, owners, strict=True) if owner is true]
            self._look(frame, true, matches, true_faces, outputs, view)
        self._last = _Last(frame.index, outputs)

    def notes(self) -> Notes:
        """What was seen, complete after the last frame."""
        for person, (before, after) in self._still.items():
            if len(after) >= 10:
                plain = temporal_variance(before)
                self._notes.static[person] = temporal_variance(after) / max(plain, 1e-6)
        return self._notes

    def _look(
        self,
        frame: Frame,
        true: TrueFace,
        matches: list[Face],
        true_faces: list[TrueFace],
        outputs: tuple[Image, ...],
        view: View,
    ) -> None:
        window = square_around(true, WINDOW, view)
        if window is None:
            return
        truth = self._truth(frame.index, window, view)
        cuts = [cut_out(output, window) for output in outputs]
        weights = [face.patch.weight for face in matches if face.patch is not None]
        seen = Seen(
            index=frame.index,
            person=true.person,
            weight=max(weights, default=0.0),
            covered=_is_covered(true, true_faces),
            psnr=tuple(psnr(cut, truth) for cut in cuts),
            exemplars=tuple(self._owner(e) for face in matches for e in face.exemplars),
            zoom=view.zoom,
        )
        if self._last is not None and self._last.index == frame.index - 1:
            before = self._truth(frame.index - 1, window, view)
            motion = Motion(before, truth)
            seen.flicker = tuple(
                motion.change(
                    cut_out(last, window).astype(np.float32) - before,
                    cut.astype(np.float32) - truth,
                )
                for last, cut in zip(self._last.outputs, cuts, strict=True)
            )
            if frame.index % SLOW_EVERY == 0:
                seen.tof = tuple(
                    Motion(cut_out(last, window), cut).apart(motion)
                    for last, cut in zip(self._last.outputs, cuts, strict=True)
                )
        if frame.index % SLOW_EVERY == 0:
            if view.zoom >= 1.0:
                seen.detail = tuple(detail(cut, truth, view.zoom) for cut in cuts)
            seen.ssim = tuple(ssim(cut, truth) for cut in cuts)
            seen.haarpsi = tuple(similarity(cut, truth) for cut in cuts)
            self._look_at_patch(frame, seen, matches, true, outputs, view)
        headshot = square_around(true, HEADSHOT, view)
        if headshot is not None and not seen.covered and frame.index % LIKENESS_EVERY == 0:
            self._compare(seen, headshot, outputs, view)
        self._hold(seen, window, cuts)
        self._notes.seen.append(seen)
        self._notes.moments.append(Moment(seen, (*cuts, truth)))

    def _look_at_patch(
        self,
        frame: Frame,
        seen: Seen,
        matches: list[Face],
        true: TrueFace,
        outputs: tuple[Image, ...],
        view: View,
    ) -> None:
        area = square_around(true, 1.25 * HEADSHOT, view)
        patched = [face for face in matches if face.patch is not None]
        if area is None or not patched:
            return
        truth = self._truth(frame.index, area, view)
        cuts = [cut_out(output, area) for output in outputs]
        radius = radius_around(patched[0], area, view, size_of(area))
        ring = (radius > RING[0]) & (radius < RING[1])
        if ring.any():
            seen.seam = tuple(seam(cut, truth, ring) for cut in cuts)
        rim = (radius > RIM) & (radius < CORE)
        seen.jump = _ratios(
            (steepness(one, truth, rim), steepness(one, truth, radius > RING[1])) for one in cuts
        )
        wide, high = (round(length / view.zoom) for length in size_of(area))
        small = [
            np.asarray(cv2.resize(cut, (wide, high), interpolation=cv2.INTER_AREA), np.uint8)
            for cut in (*cuts, truth)
        ]
        radius = radius_around(patched[0], area, view, (wide, high))
        calm = flat(small[-1])
        seen.grain = _ratios(
            (grain(one, calm & (radius < CORE)), grain(one, calm & (radius > RING[1])))
            for one in small
        )

    def _compare(
        self,
        seen: Seen,
        headshot: tuple[int, int, int, int],
        outputs: tuple[Image, ...],
        view: View,
    ) -> None:
        if self._likeness is None:
            return
        truth = self._truth(seen.index, headshot, view)
        cuts = [cut_out(output, headshot) for output in outputs]
        cosines = [self._likeness.cosine(cut, truth) for cut in cuts]
        known = [cosine for cosine in cosines if cosine is not None]
        seen.identity = tuple(known) if len(known) == len(cuts) else None
        apart = [self._likeness.apart(cut, truth) for cut in cuts]
        found = [distance for distance in apart if distance is not None]
        seen.landmarks = tuple(found) if len(found) == len(cuts) else None

    def _hold(self, seen: Seen, window: tuple[int, int, int, int], cuts: list[Image]) -> None:
        """Keep what is shown of a scene that stands still."""
        frozen_s = self._call.case.frozen_s
        if frozen_s is None or seen.index / float(self._call.rate) < frozen_s + SETTLED_S:
            return
        if seen.weight < 0.999 or self._still_at.setdefault(seen.person, window) != window:
            return
        before, after = self._still[seen.person]
        before.append(cuts[0].copy())
        after.append(cuts[-1].copy())

    def _truth(self, index: int, window: tuple[int, int, int, int], view: View) -> Image:
        return self._call.render(index, in_frame(window, view), size_of(window))

    def _whose(self, face: Face, true_faces: list[TrueFace]) -> TrueFace | None:
        """The true face that a tracked one is; None where it is nobody's."""
        x, y = face.center
        apart = [math.hypot(x - t.center[0], y - t.center[1]) / t.width_px for t in true_faces]
        if not apart or min(apart) > 0.5:
            return None
        return true_faces[int(np.argmin(apart))]

    def _owner(self, exemplar: Exemplar) -> int | None:
        """Whose exemplar it is: the person whom it resembles, of those who were close then."""
        if id(exemplar) not in self._owners:
            self._owners[id(exemplar)] = (exemplar, self._find_owner(exemplar))
        return self._owners[id(exemplar)][1]

    def _find_owner(self, exemplar: Exemplar) -> int | None:
        index = round(exemplar.time_s * float(self._call.rate))
        best, owner = 0.5, None
        given = _normal(exemplar.image)
        for true in self._call.faces(index):
            x, y = true.center
            half = exemplar.side_px / 2.0
            shown = self._call.render(index, (x - half, y - half, x + half, y + half), (64, 64))
            alike = float(np.mean(given * _normal(shown)))
            if alike > best:
                best, owner = alike, true.person
        return owner


def _normal(image: Image) -> NDArray[np.float32]:
    """A coarse picture with mean 0 and deviation 1."""
    coarse = cv2.resize(image, (24, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
    coarse -= coarse.mean()
    return np.asarray(coarse / max(float(coarse.std()), 1e-3), np.float32)


def _is_covered(true: TrueFace, others: list[TrueFace]) -> bool:
    x, y = true.center
    return any(
        other.person != true.person
        and other.width_px > true.width_px
        and math.hypot(x - other.center[0], y - other.center[1]) < 2.0 * other.width_px
        for other in others
    )


def _ratios(
    pairs: Iterable[tuple[float | None, float | None]],
) -> tuple[float, ...] | None:
    """First over second of each; None where one of them was not measured."""
    found = list(pairs)
    known = [(one, other) for one, other in found if one is not None and other is not None]
    ratios = tuple(one / max(other, 0.01) for one, other in known)
    return ratios if len(ratios) == len(found) else None
