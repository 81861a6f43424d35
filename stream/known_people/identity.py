"""Identity: whether a face is a kept person's, on another day than the close-ups are of.

Measured with 20 people, photos of other days, cameras and light, faces of 24 to 128 px: with dlib
(extra `identity`) strangers are alike up to 0.935, and nine of ten photos of the person are beyond
0.945. Gradients know a person again in the light of the close-ups alone: they are sure of nobody
else, and of one photo of another day in 25, so that the person is often not known then.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from stream.frame import Face, Floats, Image
from stream.known_people.known_person import KeptCloseUp
from stream.stages.exemplars.dlib_descriptor import Describer, DlibDescriptor, best_describer
from stream.stages.exemplars.hog_descriptor import HogDescriptor, usable

SURE = {DlibDescriptor.name: 0.95, HogDescriptor.name: HogDescriptor.same}
"""Likeness from which a face is the person's: more than any stranger's, also of the 38,000 pairs
(dlib) and 96,000 pairs (gradients) that `calibration.reidentification` has compared."""
STRANGER = {DlibDescriptor.name: 0.92}
"""Below it a face is somebody else's: one stranger of a hundred is above, the person hardly ever
below. Gradients cannot tell."""


class Identity:
    """Compares faces with one person's close-ups.

    Args: close_ups: some of them are described here, which takes a moment for each.
          describer: the best that is installed when left out.
    """

    def __init__(
        self, close_ups: Sequence[KeptCloseUp], describer: Describer | None = None
    ) -> None:
        self._describer = describer or best_describer()
        shown = [one for one in close_ups if usable(one.face)]
        self._descriptors = [self._describer.describe(one.image, one.face) for one in shown]

    @property
    def sure(self) -> float:
        """Likeness from which a face is the person's."""
        return SURE[self._describer.name]

    @property
    def across_days(self) -> bool:
        """Whether it knows the person in another light than that of the close-ups."""
        return self._describer.name in STRANGER

    def likeness(self, image: Image, face: Face) -> float | None:
        """Of a face to the close-up that it is most like, at most 1; None: it shows too little.

        Args: image: RGB uint8 (H, W, 3). face: in its pixels.
        """
        descriptors = self._descriptors  # another thread may wipe
        if not descriptors or not usable(face):
            return None
        described: Floats = self._describer.describe(image, face)
        return float(np.max(np.stack(descriptors) @ described))

    def is_stranger(self, close_ups: Sequence[KeptCloseUp]) -> bool:
        """Whether other close-ups are clearly of somebody else; False where nobody can tell."""
        least = STRANGER.get(self._describer.name)
        found = [self.likeness(one.image, one.face) for one in close_ups]
        likeness = [one for one in found if one is not None]
        return least is not None and bool(likeness) and float(np.median(likeness)) < least

    def wipe(self) -> None:
        """Overwrite the descriptors with zeros and let go of them. May be called again."""
        descriptors, self._descriptors = self._descriptors, []
        for one in descriptors:
            one.fill(0.0)
