"""Consistency check, and harm by exemplars: how well measures tell harm from gain.

    python -m bench.consistency_evaluation --data PEOPLE --scale 4 --size 32 --photos 3

PEOPLE holds a folder of square headshots for each person, none of whom should be known to the
network. Headshots are damaged as by a call, and covered, darkened, drowned in noise; the network
gets good, strange, blurred, mirrored, blank, covered, shifted exemplars. Nothing is written but
figures. `--identity` asks a face recogniser, too (extra `identity`).
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from bench.measures.image_measures import psnr
from bench.scenes.corruptions import crops, exemplars, read, shrunk
from engines.aligned_enhancement import enhanced
from engines.back_projection import back_project
from engines.errors import reported, run_program
from engines.hime.identity import Recogniser, missing
from engines.option_types import named_path
from engines.runtime import EngineError, Runtime, open_runtime
from stream.frame import Floats, Image
from stream.stages.enhancement.consistency_check import DOUBT, difference

SEED = 7
HARM_DB, ALLOWED = 0.2, 0.02
"""Exemplars that cost more than this against none do harm; a threshold for a measure is put where
all that it would wrongly drop is this part of what good exemplars bring."""
ASIDE = (0.5, 1.0, 2.0)
"""Patches are also shown so many pixels of the camera beside their place."""


@dataclass
class Result:
    """One crop with one set of exemplars."""

    crop: str
    given: str
    bicubic: float
    none: float
    """PSNR of the truth, dB: of bicubic enlargement, and of the network without exemplars."""
    psnr: float
    shown: float
    """With these exemplars; and after the compositor's back-projection."""
    differs: float
    """As the consistency check measures it."""
    aside: dict[float, tuple[float, float]] = field(default_factory=dict)
    """The same patch shown beside its place: (difference, dB over bicubic when shown)."""
    measures: dict[str, float] = field(default_factory=dict)
    """Higher is more suspicious."""


def measures(
    crop: Image, patch: Image, without: Image, given: list[Image], scale: int
) -> dict[str, float]:
    """Candidates for a measure of harm by exemplars, all without the truth.

    Args: crop: RGB uint8 (b, b, 3). patch, without: made with exemplars and without, RGB uint8 (s
          b, s b, 3). given: the exemplars. scale: s.
    """
    side = crop.shape[0]
    seen, one, other = (_luma(x) for x in (crop, patch, without))
    off, off_without = (_luma(shrunk(x, side)) - seen for x in (patch, without))
    fine = seen - _soft(seen, 1.0)
    added = _high(one - other, scale / 2)
    near = [_middle(_luma(shrunk(x, side))) for x in given]
    return {
        "less detail than without": -float(np.log(_detail(patch, scale) / _detail(without, scale))),
        "less detail, coarser": -_log_ratio(_high(one, scale), _high(other, scale)),
        "detail unlike without": -_alike(_high(one, scale / 2), _high(other, scale / 2)),
        "further from crop, low": _rms(_soft(off, 1.5)) - _rms(_soft(off_without, 1.5)),
        "further from crop": _log_ratio(off, off_without),
        "smoother than crop": float(
            np.sum(_middle(off_without - off) * _middle(fine)) / (np.sum(_middle(fine) ** 2) + 1e-6)
        ),
        "change unlike exemplars": -max(_alike(added, _high(_luma(x), scale / 2)) for x in given),
        "exemplars have less detail": -max(
            float(np.log(max(_detail(x, scale), 1e-3) / _detail(without, scale))) for x in given
        ),
        "exemplars unlike crop": -max(float(_alike_all(x, _middle(seen))) for x in near),
    }


def _detail(image: Image, scale: int) -> float:
    """Standard deviation of what is smaller than half a pixel of the crop, in 8-bit levels."""
    # Green stands for luma, in float: what is compared differs by fractions of a level.
    return _rms(_high(np.asarray(image[..., 1], np.float32), scale / 4))


def _luma(image: Image) -> Floats:
    return np.asarray(image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32))


def _soft(x: Floats, sigma: float) -> Floats:
    return np.asarray(cv2.GaussianBlur(x, (0, 0), sigma), np.float32)


def _high(x: Floats, sigma: float) -> Floats:
    return x - _soft(x, sigma)


def _middle(x: Floats) -> Floats:
    edge = x.shape[0] // 8
    return x[edge:-edge, edge:-edge]


def _rms(x: Floats) -> float:
    return float(np.sqrt(np.mean(_middle(x) ** 2)))


def _log_ratio(x: Floats, y: Floats) -> float:
    return float(np.log(max(_rms(x), 1e-6) / max(_rms(y), 1e-6)))


def _alike(x: Floats, y: Floats) -> float:
    return _alike_all(_middle(x), _middle(y))


def _alike_all(x: Floats, y: Floats) -> float:
    x, y = x - x.mean(), y - y.mean()
    return float(np.sum(x * y) / np.sqrt(np.sum(x * x) * np.sum(y * y) + 1e-6))


def run(
    people: dict[str, list[Image]],
    runtime: Runtime,
    size: int,
    photos: int,
    look: Callable[[str, Image, Image, Image], None],
) -> list[Result]:
    """Everything that is measured. `look` sees (exemplars, crop enlarged, patch shown, truth).

    Args: people: headshots by name. runtime: says the scale. size: side of the crop, px. photos: of
          each person, as truths. look: sees (exemplars, crop enlarged, patch shown, truth).
    """
    scale = runtime.scale
    names = list(people)
    results = []
    for number, name in enumerate(names):
        for k in np.linspace(0, len(people[name]) - 1, photos).astype(int):
            rng = np.random.default_rng([SEED, number, k])
            own = [people[name][i] for i in rng.permutation(len(people[name])) if i != k][:3]
            other = people[names[(number + 1 + int(rng.integers(len(names) - 1))) % len(names)]][:3]
            known = exemplars(
                [shrunk(x, scale * size) for x in own],
                [shrunk(x, scale * size) for x in other],
                scale,
                rng,
            )
            for damage, truth, crop in crops(shrunk(people[name][k], scale * size), scale, rng):
                crop = np.ascontiguousarray(crop)
                large = np.asarray(
                    cv2.resize(crop, truth.shape[:2], interpolation=cv2.INTER_CUBIC), np.uint8
                )
                without = runtime.enhance(crop, None)
                for kind, given in known.items():
                    if damage != "call" and kind not in ("own", "stranger", "blurred"):
                        continue
                    patch = enhanced(runtime, crop, given)
                    shown = back_project(patch, crop)
                    base = psnr(large, truth)
                    results.append(
                        Result(
                            damage,
                            kind,
                            base,
                            psnr(without, truth),
                            psnr(patch, truth),
                            psnr(shown, truth),
                            difference(patch, crop),
                            measures=measures(crop, patch, without, given, scale),
                        )
                    )
                    if kind == "own":
                        for way in ASIDE:
                            moved = np.roll(patch, round(way * scale), axis=1)
                            gain = psnr(back_project(moved, crop), truth) - base
                            results[-1].aside[way] = (difference(moved, crop), gain)
                    if damage == "call" and kind in ("own", "stranger"):
                        look(kind, large, shown, truth)
    return results


def gains(results: list[Result]) -> None:
    """Print what exemplars bring and cost."""
    print(f"{'crop':<8}{'exemplars':<17}{'none':>7}{'these':>7}{'harmed':>8}")
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.crop, result.given].append(result)
    for (crop, given), group in groups.items():
        none = np.array([r.none - r.bicubic for r in group])
        these = np.array([r.psnr - r.bicubic for r in group])
        print(
            f"{crop:<8}{given:<17}{none.mean():>7.2f}{these.mean():>7.2f}"
            f"{np.mean(these < none - HARM_DB):>8.0%}"
        )
    print("dB over bicubic; harmed: cost more than", HARM_DB, "dB against none")


def separation(results: list[Result]) -> None:
    """Print how well each measure tells exemplars that harm from those that help."""
    change = np.array([r.psnr - r.none for r in results])
    harm, good = change < -HARM_DB, change > 0.0
    print(f"{'measure':<28}{'threshold':>10}{'cases':>8}{'dB':>7}")
    for name in results[0].measures:
        values = np.array([r.measures[name] for r in results])
        order = np.argsort(-values[good])
        lost = np.cumsum(change[good][order])
        place = int(np.searchsorted(lost, ALLOWED * lost[-1]))
        threshold = float(values[good][order][place])
        caught = harm & (values > threshold)
        part = change[caught].sum() / change[harm].sum() if harm.any() else float("nan")
        found = caught.sum() / max(harm.sum(), 1)
        print(f"{name:<28}{threshold:>10.3f}{found:>8.0%}{part:>7.0%}")
    print(
        f"{harm.sum()} harmed of {len(results)}; cases and dB: of the harm, what is caught by the "
        f"threshold that costs {ALLOWED:.0%} of the gain"
    )


def places(results: list[Result]) -> None:
    """Print what the consistency check measures of patches in their place and beside it."""
    own = np.array([r.differs for r in results])
    worse = np.mean([r.shown < r.bicubic - 0.1 for r in results])
    print(f"{'patch':<14}{'least':>8}{'median':>8}{'most':>8}{'doubted':>9}{'below bicubic':>15}")
    print(
        f"{'in its place':<14}{own.min():>8.3f}{np.median(own):>8.3f}{own.max():>8.3f}"
        f"{np.mean(own > DOUBT):>9.1%}{worse:>15.1%}"
    )
    for way in ASIDE:
        moved = np.array([r.aside[way] for r in results if r.aside])
        differs, gain = moved[:, 0], moved[:, 1]
        print(
            f"{f'{way} px aside':<14}{differs.min():>8.3f}{np.median(differs):>8.3f}"
            f"{differs.max():>8.3f}{np.mean(differs > DOUBT):>9.1%}{np.mean(gain < -0.1):>15.1%}"
        )


class Identity:
    """Asks a face recogniser whether a picture shows the same person as the truth.

    Raises: ValueError: the extra `identity` is missing.
    """

    def __init__(self) -> None:
        if reason := missing():
            raise ValueError(reason)
        self._recogniser = Recogniser()
        self._seen: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def __call__(self, given: str, plain: Image, shown: Image, truth: Image) -> None:
        """Take in one picture: cosine of bicubic and of ours to the truth."""
        cosine = self._recogniser.cosine
        self._seen[given].append((cosine(plain, truth), cosine(shown, truth)))

    def print(self) -> None:
        """One line for each kind of exemplars."""
        for given, pairs in self._seen.items():
            plain, ours = np.array(pairs).T
            print(
                f"identity, {given}: bicubic {plain.mean():.4f}, ours {ours.mean():.4f}, "
                f"least margin {np.min(ours - plain):+.4f}, lower in {np.mean(ours < plain):.0%}"
            )


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    p = argparse.ArgumentParser(prog="python -m bench.consistency_evaluation", description=__doc__)
    p.formatter_class = argparse.RawDescriptionHelpFormatter
    p.add_argument("--data", type=named_path, required=True, help="a folder for each person")
    p.add_argument("--scale", type=int, choices=(4, 8), default=4)
    p.add_argument("--size", type=int, default=32, help="side of the crops, px (default 32)")
    p.add_argument("--photos", type=int, default=3, help="of each person (default 3)")
    p.add_argument("--runtime", default="onnxruntime-cpu")
    p.add_argument("--identity", action="store_true", help="ask a face recogniser")
    args = p.parse_args(argv)
    try:
        people = read(args.data)
        identity = Identity() if args.identity else None
        if args.size % 8 or args.size < 16 or args.photos < 1:
            raise ValueError("--size must be a multiple of 8 from 16 on, --photos 1 or more")
        with open_runtime(args.runtime, args.scale).runtime as runtime:
            results = run(people, runtime, args.size, args.photos, identity or (lambda *_: None))
    except (OSError, ValueError, EngineError) as error:
        return reported(error)
    for table in (gains, separation, places):
        table(results)
        print()
    if identity:
        identity.print()
    return 0


if __name__ == "__main__":
    run_program(main)
