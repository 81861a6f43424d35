"""FaceNetwork: the network for one face, with its exemplars aligned."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from engines.alignment import SEARCH_PER_CELL
from engines.exemplar_transfer import finished
from engines.runtime import Features, Runtime
from stream.frame import Face, Image
from stream.stages.enhancement.crop_selector import Crop
from stream.stages.enhancement.exemplar_alignment import ExemplarAlignment
from stream.stages.enhancement.runtime_set import RuntimeSet


class FaceNetwork:
    """Runs the network for one face and keeps what it needs of its exemplars.

    Args: runtimes: of all faces. on_encode: called whenever exemplars are encoded.
    """

    def __init__(self, runtimes: RuntimeSet, on_encode: Callable[[], None]) -> None:
        self._runtimes = runtimes
        self._on_encode = on_encode
        self._encoded: tuple[int, Runtime] | None = None
        """Of which alignment the features are, and by which runtime."""
        self._features: Features | None = None
        self._alignment = ExemplarAlignment()

    def forget(self) -> None:
        """The next crop takes nothing over from the last ones."""
        self._alignment.forget()

    def forget_exemplars(self) -> None:
        """Let go of their pictures, too."""
        self._features, self._alignment = None, ExemplarAlignment()

    def enhance(
        self,
        crop: Crop,
        face: Face,
        now_s: float,
        *,
        share: float,
        detail: float,
        every_s: float,
        per_cell: float = SEARCH_PER_CELL,
    ) -> Image:
        """Run the network, with the exemplars where there are some.

        Args:    now_s: of the frame. share: how much of the result with exemplars to show, 0..1;
                 below 1 the network runs without them, too. detail: see `Enhancer`. every_s: while
                 the crop stays in its place, exemplars are not aligned and encoded more often.
                 per_cell: see `engines.alignment.search_side`.
        Returns: RGB uint8 (s b, s b, 3).
        """
        side = crop.image.shape[0]
        shipped = self._runtimes.chosen(crop.scale, side)
        if not face.exemplars:
            self._encoded = self._features = None
            return finished(shipped.enhance(crop.image, None), shipped.scale, [], detail)
        runtime = self._runtimes.of(face.track_id, crop.scale, side)
        features = self._features_for(runtime, crop, face, now_s, every_s, per_cell)
        with_them = runtime.enhance(crop.image, features)
        self._alignment.remember(with_them)
        with_them = finished(with_them, runtime.scale, self._alignment.pictures, detail)
        if share >= 1.0:
            return with_them
        without = finished(shipped.enhance(crop.image, None), shipped.scale, [], detail)
        return np.asarray(cv2.addWeighted(with_them, share, without, 1.0 - share, 0.0), np.uint8)

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
            face.roll,
        )
        encoded = (self._alignment.aligned, runtime)
        if self._features is None or self._encoded != encoded:
            self._features = runtime.encode(aligned)
            self._encoded = encoded
            self._on_encode()
        return self._features
