"""ExemplarGate: whether exemplars help one face, measured now and then by running without them.

The network is run with and without the exemplars on the same crop. Those that fit add detail. Those
that do not (out of focus, blank) make the result smoother than the crop alone would give: then they
are not used. Strangers' exemplars are ignored by the network itself. The limits are checked on
labelled data by `python -m calibration.thresholds`; `python -m bench.consistency_evaluation` says
what other measures would have done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np

from stream.frame import Image
from stream.protocols import FaceState

LEAST_DETAIL = 0.79
"""Exemplars that leave less than this part of the detail are dropped. Few do since they are aligned
in pixels (32 px x4: of 48 faces of 756 that lose 0.2 dB by blurred, covered or somebody else's
exemplars it drops one); before, it took away 90 % of what bad ones cost."""
DETAIL_AGAIN = 0.941
"""Dropped ones must leave this much to be taken up again: hysteresis near the limit."""
RETRY_S = 10.0
"""How often exemplars are tried that stay the same: the face and the light change."""
DOUBT_S = 0.4
"""A verdict that would change what is seen is checked once more after so long."""
OTHER_SIZE = 1.4
"""Nor does a verdict hold for a face this much larger or smaller: what helps a far face may be too
coarse for a near one."""
FADE_S = 0.5


@dataclass(frozen=True)
class Verdict(FaceState):
    """What the gate has found out about the exemplars of one face."""

    share: float = 0.0
    """0..1: how much of the result with exemplars to show."""
    version: int | None = None
    """Of the exemplars that this is about, as `Face.exemplars_version`."""
    side_px: float = 0.0
    """Of the headshot when they were judged last."""
    pays: bool = False
    judged: bool = False
    contradicted: bool = False
    """Whether the last judgement said otherwise, and is to be checked."""
    due_s: float = -math.inf
    """When they are to be judged again, seconds of the recording."""


class ExemplarGate:
    """Judges the exemplars of one face.

    Args: verdict: what was known before.
    """

    def __init__(self, verdict: Verdict | None = None) -> None:
        self.verdict = Verdict() if verdict is None else verdict

    def meet(self, version: int, side_px: float) -> None:
        """Say which exemplars the face has now (`Face.exemplars_version`), and how large it is."""
        known = self.verdict
        larger, smaller = max(side_px, known.side_px), min(side_px, known.side_px)
        if version != known.version or larger > OTHER_SIZE * smaller:
            self.verdict = replace(
                known, version=version, side_px=side_px, judged=False, contradicted=False
            )

    def is_due(self, now_s: float) -> bool:
        """Whether to run the network both ways on this frame and `compare`."""
        known = self.verdict
        return not known.judged or not known.due_s - RETRY_S <= now_s < known.due_s

    def compare(self, with_them: Image, without: Image, scale: int, now_s: float) -> None:
        """Compare what the network makes of one crop with and without the exemplars.

        Args: both: RGB uint8 (s*b, s*b, 3). scale: s.
        """
        known = self.verdict
        part = detail(with_them, scale) / max(detail(without, scale), 1e-3)
        pays = part >= (LEAST_DETAIL if known.pays or not known.judged else DETAIL_AGAIN)
        if known.judged and pays != known.pays and not known.contradicted:
            self.verdict = replace(known, contradicted=True, due_s=now_s + DOUBT_S)
            return
        self.verdict = replace(
            known, pays=pays, judged=True, contradicted=False, due_s=now_s + RETRY_S
        )

    def fade(self, step_s: float, shown: bool) -> float:
        """Move the share on by a frame, and return it; at once where the face is not shown yet."""
        share, target = self.verdict.share, 1.0 if self.verdict.pays else 0.0
        step = step_s / FADE_S if shown else 1.0
        share = min(max(target, share - step), share + step)
        self.verdict = replace(self.verdict, share=share)
        return share


def detail(image: Image, scale: int) -> float:
    """How much fine detail the middle of a patch shows: standard deviation, in 8-bit levels.

    Fine is what is smaller than half a pixel of the crop that the patch was made from.

    Args: image: RGB uint8 (s*b, s*b, 3). scale: s.
    """
    edge = image.shape[0] // 8
    # Green stands for luma, in float: what is compared differs by fractions of a level.
    green = image[edge:-edge, edge:-edge, 1].astype(np.float32)
    fine = green - np.asarray(cv2.GaussianBlur(green, (0, 0), scale / 4.0), np.float32)
    return float(fine.std())
