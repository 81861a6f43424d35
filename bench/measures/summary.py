"""Summary: what a case comes to, and tables of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.measures.evaluator import WAYS, Notes, Seen
from stream.stages.enhancement.consistency_check import IDENTITY_MARGIN

WORSE_DB = 0.1


@dataclass(frozen=True)
class Summary:
    """Of one case, or of several together; None where nothing was measured."""

    name: str
    faces: int
    """Far faces, each counted once in every frame."""
    enhanced: float | None
    """Share of them that was shown enhanced."""
    psnr: dict[str, float] | None
    """dB, mean over the faces, by way."""
    ssim: dict[str, float] | None
    haarpsi: dict[str, float] | None
    flicker: dict[str, float] | None
    """Change from frame to frame of what is wrong, beyond the motion, levels."""
    seam: dict[str, float] | None
    """Edges where the patch ends that the truth does not have, levels a pixel."""
    jump: dict[str, float] | None
    """How steep edges are on the patch's rim over how steep they are around it; 1 is no jump."""
    grain: dict[str, float] | None
    """Noise on flat parts of the face over that around the patch, by way, and the truth's."""
    static: float | None
    """Variance with time of a frozen scene, output over bicubic enlargement."""
    identity: dict[str, float] | None
    """Cosine to the truth."""
    identity_least: float | None
    """Lowest of a face, less that of the bicubic enlargement."""
    landmarks: dict[str, float] | None
    """Distance to the truth's, in distances between the eyes."""
    wrong: float | None
    """Share of the faces with exemplars that were given one of somebody else."""
    informed: float | None
    """Share of the faces that were given exemplars."""
    worse: float | None
    """Share of the faces with a PSNR lower than that of the bicubic enlargement by over 0.1 dB."""
    worst_db: float | None
    """Lowest gain over bicubic enlargement."""
    stray: int
    """Patches where there is no face."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Promises about identity that are not kept; empty, too, where it was not measured."""
        reasons = []
        if self.identity_least is not None and self.identity_least < -IDENTITY_MARGIN:
            reasons.append(f"a face is less like the truth by {-self.identity_least:.4f}")
        if self.identity and self.identity["closeup"] < self.identity["bicubic"]:
            less = self.identity["bicubic"] - self.identity["closeup"]
            reasons.append(f"faces are less like the truth by {less:.4f} on average")
        return tuple(reasons)

    def as_json(self) -> dict[str, Any]:
        """All of it, rounded."""
        figures = {key: _rounded(value) for key, value in asdict(self).items()}
        return figures | {"broken": list(self.broken)}


def summarise(name: str, notes: Sequence[Notes]) -> Summary:
    """Sum up one call or several; every face in every frame counts alike."""
    seen = [one for call in notes for one in call.seen]
    given = [one for one in seen if one.exemplars and not one.covered]
    wrong = [one for one in given if any(owner != one.person for owner in one.exemplars)]
    gains = [one.psnr[-1] - one.psnr[0] for one in seen]
    likeness = [one.identity[-1] - one.identity[0] for one in seen if one.identity]
    static = [ratio for call in notes for ratio in call.static.values()]
    return Summary(
        name=name,
        faces=len(seen),
        enhanced=_mean([one.weight > 0.5 for one in seen]),
        psnr=_by_way(seen, lambda one: one.psnr),
        ssim=_by_way(seen, lambda one: one.ssim),
        haarpsi=_by_way(seen, lambda one: one.haarpsi),
        flicker=_by_way(seen, lambda one: one.flicker),
        seam=_by_way(seen, lambda one: one.seam),
        jump=_by_way(seen, lambda one: one.jump),
        grain=_by_way(seen, lambda one: one.grain, (*WAYS, "truth")),
        static=max(static, default=None),
        identity=_by_way(seen, lambda one: one.identity),
        identity_least=min(likeness, default=None),
        landmarks=_by_way(seen, lambda one: one.landmarks),
        wrong=len(wrong) / len(given) if given else None,
        informed=_mean([bool(one.exemplars) for one in seen]),
        worse=_mean([gain < -WORSE_DB for gain in gains]),
        worst_db=min(gains, default=None),
        stray=sum(call.stray for call in notes),
    )


COLUMNS: tuple[tuple[str, Callable[[Summary], str]], ...] = (
    ("case", lambda f: f.name),
    ("faces", lambda f: str(f.faces)),
    ("enhanced", lambda f: _percent(f.enhanced)),
    ("bicubic dB", lambda f: _number(_way(f.psnr, "bicubic"), 2)),
    ("alone", lambda f: _number(_gain(f.psnr, "alone"), 2, "+")),
    ("closeup", lambda f: _number(_gain(f.psnr, "closeup"), 2, "+")),
    ("worst dB", lambda f: _number(f.worst_db, 2, "+")),
    ("worse", lambda f: _percent(f.worse)),
    ("SSIM", lambda f: _pair(f.ssim, 3)),
    ("HaarPSI", lambda f: _pair(f.haarpsi, 3)),
    ("flicker", lambda f: _pair(f.flicker, 2)),
    ("static", lambda f: _number(f.static, 2)),
    ("seam", lambda f: _pair(f.seam, 2)),
    ("jump", lambda f: _pair(f.jump, 2)),
    ("grain", lambda f: _pair(f.grain, 2)),
    ("identity", lambda f: _pair(f.identity, 4)),
    ("least", lambda f: _number(f.identity_least, 4, "+") + (" **below**" if f.broken else "")),
    ("landmarks", lambda f: _pair(f.landmarks, 3)),
    ("wrong", lambda f: _percent(f.wrong)),
    ("informed", lambda f: _percent(f.informed)),
)


def table(rows: Sequence[Summary]) -> str:
    """A table in Markdown; "a → b" is bicubic enlargement → Closeup."""
    lines = [
        "| " + " | ".join(title for title, _ in COLUMNS) + " |",
        "|" + "---|" * len(COLUMNS),
    ]
    for row in rows:
        lines.append("| " + " | ".join(show(row) for _, show in COLUMNS) + " |")
    return "\n".join(lines)


def _by_way(
    seen: Sequence[Seen],
    value: Callable[[Seen], tuple[float, ...] | None],
    ways: Sequence[str] = WAYS,
) -> dict[str, float] | None:
    values = [v for one in seen if (v := value(one)) is not None]
    if not values:
        return None
    means = np.mean(np.array(values, np.float64), axis=0)
    return {way: float(mean) for way, mean in zip(ways, means, strict=True)}


def _mean(values: Sequence[bool]) -> float | None:
    return sum(values) / len(values) if values else None


def _way(values: dict[str, float] | None, way: str) -> float | None:
    return None if values is None else values[way]


def _gain(values: dict[str, float] | None, way: str) -> float | None:
    return None if values is None else values[way] - values["bicubic"]


def _number(value: float | None, digits: int, sign: str = "") -> str:
    return "-" if value is None else f"{value:{sign}.{digits}f}"


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"


def _pair(values: dict[str, float] | None, digits: int) -> str:
    if values is None:
        return "-"
    return f"{values['bicubic']:.{digits}f} → {values['closeup']:.{digits}f}"


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 5) if isinstance(value, float) else value
