"""FaceNetwork: the network for one face, with the exemplars as far as they pay."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from engines.alignment import SEARCH_PER_CELL
from engines.exemplar_transfer import finished
from engines.runtime import Features, Runtime
from stream.frame import Face, Image
from stream.stages.enhancement.crop_selector import Crop
from stream.stages.enhancement.exemplar_alignment import ExemplarAlignment
from stream.stages.enhancement.exemplar_gate import ExemplarGate, Verdict
from stream.stages.enhancement.runtime_set import RuntimeSet


class _Run(NamedTuple):
    """What the network was given, and what it made of it."""

    runtime: Runtime
    crop: Image
    features: Features | None
    made: Image


class FaceNetwork:
    """Runs the network for one face and keeps what it needs of its exemplars.

    Args: runtimes: of all faces. on_encode: called whenever exemplars are encoded.
          keeps: what was made of the last crop, for the case that the next one is the same.
    """

    def __init__(
        self, runtimes: RuntimeSet, on_encode: Callable[[], None], *, keeps: bool = False
    ) -> None:
        self._runtimes = runtimes
        self._on_encode = on_encode
        self._keeps = keeps
        self._encoded: tuple[int, Runtime] | None = None
        """Of which alignment the features are, and by which runtime."""
        self._features: Features | None = None
        self._alignment = ExemplarAlignment()
        self._gate = ExemplarGate()
        self._runs: dict[bool, _Run] = {}
        """The last one with exemplars, and that without."""

    @property
    def verdict(self) -> Verdict:
        """What was concluded about the exemplars; may be set."""
        return self._gate.verdict

    @verdict.setter
    def verdict(self, verdict: Verdict) -> None:
        self._gate = ExemplarGate(verdict)

    def forget(self) -> None:
        """The next crop takes nothing over from the last ones."""
        self._alignment.forget()
        self._runs.clear()

    def forget_exemplars(self) -> None:
        """Let go of their pictures, too."""
        self._runs.clear()
        self._features, self._alignment = None, ExemplarAlignment()

    def enhance(
        self,
        crop: Crop,
        face: Face,
        now_s: float,
        step_s: float,
        *,
        shown: bool,
        detail: float,
        every_s: float,
        per_cell: float = SEARCH_PER_CELL,
    ) -> Image:
        """Run the network, with the exemplars as far as they pay; both ways to find that out.

        Args:    now_s: of the frame. step_s: since the one before. shown: whether patches of the
                 face were shown before. detail: see `Enhancer`. every_s: while the crop stays in
                 its place, exemplars are not aligned and encoded more often. per_cell: see
                 `engines.alignment.search_side`.
        Returns: RGB uint8 (s b, s b, 3).
        """
        side = crop.image.shape[0]
        shipped = self._runtimes.chosen(crop.scale, side)
        if not face.exemplars:
            self._encoded = self._features = None
            self._gate = ExemplarGate()
            return self._run(shipped, crop.image, None)
        runtime = self._runtimes.of(face.track_id, crop.scale, side)
        gate = self._gate
        gate.meet(face.exemplars_version, face.headshot_side_px)
        with_them = without = None

        def informed() -> Image:
            features = self._features_for(runtime, crop, face, now_s, every_s, per_cell)
            return self._run(runtime, crop.image, features)

        if gate.is_due(now_s):
            with_them, without = informed(), self._run(shipped, crop.image, None)
            gate.compare(with_them, without, runtime.scale, now_s)
        share = gate.fade(step_s, shown=shown)
        if share > 0.0 and with_them is None:
            with_them = informed()
        if share < 1.0 and without is None:
            without = self._run(shipped, crop.image, None)
        if with_them is None or share <= 0.0:
            assert without is not None
            return without
        self._alignment.remember(with_them)
        with_them = finished(with_them, runtime.scale, self._alignment.pictures, detail)
        if without is None or share >= 1.0:
            return with_them
        return np.asarray(cv2.addWeighted(with_them, share, without, 1.0 - share, 0.0), np.uint8)

    def _run(self, runtime: Runtime, crop: Image, features: Features | None) -> Image:
        """What the network makes of a crop; of the very one that it had last, what it made then:
        a screen is often recorded twice as fast as the call on it goes."""
        last = self._runs.get(features is not None)
        if (
            last is not None
            and last.runtime is runtime
            and last.features is features
            and np.array_equal(last.crop, crop)
        ):
            return last.made
        made = runtime.enhance(crop, features)
        if self._keeps:
            self._runs[features is not None] = _Run(runtime, crop, features, made)
        return made

    def _features_for(
        self,
        runtime: Runtime,
        crop: Crop,
        face: Face,
        now_s: float,
        every_s: float,
        per_cell: float,
    ) -> Features:
        aligned = self._alignment.align(
            face.exemplars,
            crop.image,
            crop.corner,
            (
                face.exemplars_version,
                crop.scale,
                crop.image.shape[0],
                crop.scale * crop.side_px,
            ),
            now_s,
            every_s,
            per_cell,
        )
        encoded = (self._alignment.aligned, runtime)
        if self._features is None or self._encoded != encoded:
            self._features = runtime.encode(aligned)
            self._encoded = encoded
            self._on_encode()
        return self._features
