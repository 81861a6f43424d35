"""Material: what a network meets in calls, as samples: from headshots of people or recordings.

Headshots have a truth: they are shrunk and damaged as in a call (`engines.hime.degrade`), in
several sizes and lights, with the noise and the codecs that it draws; exemplars are aligned to them
(`engines.alignment`). Recordings go through the product's own stages: what the network is given
there is taken as it is, and the exemplars that the bank has kept serve as headshots. Everything
stays in memory.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engines.alignment import align
from engines.hime import degrade
from engines.hime.licences import Permit
from engines.hime.people import Person, cut, load_people, recolour
from engines.runtime import Features, Image, OpenedRuntime, Runtime
from engines.runtimes.feature_cache import FeatureCache
from stream.errors import ModelError
from stream.frame import Frame
from stream.graph import Opener, Stages
from stream.image.detection import Detection
from stream.media.sources.file_source import FileSource
from stream.session import EnhancementSession
from stream.stages.exemplars import quality
from stream.stages.tracking.face_detector import FaceDetector

SIZES = {4: (32, 48, 64), 8: (16, 24, 32)}
"""Sides of crops, px, in turn."""
LIGHTS = (1.0, 0.6, 1.3, 0.8)
"""Gains, in turn: a face in the shade, by a window."""
WARMTH = (1.0, 1.0, 1.0), (1.1, 1.0, 0.85), (0.92, 1.0, 1.08)
"""Colours of the light: gains for R, G, B, in turn."""
SLOTS = 3
MOST_LOOKED_AT = 300
"""Headshots among which samples are chosen; each look takes some 10 ms."""
PATTERNS = 8
"""Pictures of noise, fine and coarse in turn: a camera may show what no face has, and what lies
beyond a range is cut off. Without any, stripes of strong colours at 16 px come to 34 dB of float32,
with four of fine noise to 37, with eight to 46; the pictures of people to 52.7, 49.2 and 48.5 dB
(x4)."""
PATTERN_SIZES = (16, 24, 32)
"""Sides of their crops, px, in turn."""
COARSE = 4
"""Side of coarse noise's fields, px."""
FAR_CROPS = 12
"""Crops that a recording gives, spread over it."""


@dataclass(frozen=True)
class Sample:
    """What the network is given, and what would be right."""

    crop: Image
    """RGB uint8 (b, b, 3)"""
    exemplars: tuple[Image, ...]
    """RGBA uint8 (s b, s b, 4) each, aligned to the crop; none works."""
    truth: Image | None
    """RGB uint8 (s b, s b, 3), where it is known."""


@dataclass
class Material:
    """People and what was seen of them."""

    people: list[Person] = field(default_factory=list)
    seen: dict[int, list[Sample]] = field(default_factory=dict)
    """By scale: crops of recordings, without truth."""

    def add(self, other: Material) -> None:
        """Take in more."""
        self.people += other.people
        for scale, samples in other.seen.items():
            self.seen.setdefault(scale, []).extend(samples)


def gather(sources: list[Path], seconds: float = 20.0, permit: Permit | None = None) -> Material:
    """Read folders (or zips) of people and recordings.

    Args:   seconds: so much of each recording. permit: pictures of other licences are left out.
    Raises: CloseupError: a recording cannot be read. ValueError: a folder; a picture or recording
            without a licence. OSError.
    """
    found = Material()
    for source in sources:
        if source.is_dir() or source.suffix == ".zip":
            found.add(Material(load_people(source, permit=permit)))
        elif permit is not None:
            raise ValueError(f"{source} is a recording, which has no licence in the sources file")
        else:
            found.add(watch(source, seconds))
    return found


def make_samples(people: list[Person], scale: int, count: int, seed: int) -> list[Sample]:
    """Samples with truth, as different from each other as the photos allow.

    Args:   count: about so many. seed: of the damage.
    Raises: ValueError: no photo is large enough.
    """
    smallest = scale * SIZES[scale][0]
    index = [(p, k) for p, one in enumerate(people) for k in range(len(one.photos))]
    index = [(p, k) for p, k in index if people[p].photos[k].shape[0] >= smallest]
    if not index:
        raise ValueError(f"no headshot has {smallest} px or more")
    index = [index[int(i)] for i in np.linspace(0, len(index) - 1, min(len(index), MOST_LOOKED_AT))]
    looks = describe([people[p].photos[k] for p, k in index])
    samples = []
    for number, place in enumerate(spread(looks, min(count, len(index)))):
        p, k = index[place]
        photos = people[p].photos
        rng = np.random.default_rng([seed, p, k])
        fitting = [b for b in SIZES[scale] if b * scale <= photos[k].shape[0]]
        side = fitting[number % len(fitting)]
        gains = LIGHTS[number % len(LIGHTS)] * np.array(WARMTH[number % len(WARMTH)])

        def lit(photo: Image, big: int = side * scale, gains: Looks = gains) -> Image:
            return recolour(cut(photo, big, 1.0, (0.0, 0.0)), gains, 1.0)

        truth = lit(photos[k])
        others = [photos[i] for i in rng.permutation(len(photos)) if i != k][:SLOTS]
        exemplars = [degrade.close_up(lit(photo), rng) for photo in others]
        (crop,) = degrade.call([truth], scale, rng)
        samples.append(Sample(crop, tuple(align(crop, exemplars)), truth))
    return samples


def make_patterns(scale: int, count: int = PATTERNS) -> list[Sample]:
    """Noise of all colours, of pixels or fields, for ranges; as many exemplars as a face may have.

    Args: count: how many.
    """
    samples = []
    for number in range(count):
        rng = np.random.default_rng([scale, number])
        side = PATTERN_SIZES[number % len(PATTERN_SIZES)]
        field = 1 if number % 2 else COARSE

        def noise(
            px: int, channels: int, rng: np.random.Generator = rng, field: int = field
        ) -> Image:
            fine = rng.integers(0, 256, (px // field, px // field, channels), np.uint8)
            return np.asarray(fine.repeat(field, axis=0).repeat(field, axis=1))

        exemplars = [noise(scale * side, 4) for _ in range(number // 2 % (SLOTS + 1))]
        for exemplar in exemplars:
            exemplar[..., 3] = 255
        samples.append(Sample(noise(side, 3), tuple(exemplars), None))
    return samples


Looks = NDArray[np.float64]


def describe(photos: list[Image]) -> Looks:
    """How each headshot looks: yaw, pitch, light, contrast and sharpness, each of unit spread.

    Returns: (N, 5). Poses are zero where the face detection models cannot be had.
    """
    rows = []
    with contextlib.ExitStack() as stack:
        detector: FaceDetector | None = None
        with contextlib.suppress(ModelError):
            detector = FaceDetector()
            stack.callback(detector.close)
        for photo in photos:
            head = _pose(detector, photo)
            light = photo.mean(axis=2)
            rows.append((head.yaw, head.pitch, light.mean(), light.std(), quality.sharpness(photo)))
    looks = np.array(rows, np.float64)
    return np.asarray((looks - looks.mean(axis=0)) / (looks.std(axis=0) + 1e-9))


def _pose(detector: FaceDetector | None, photo: Image) -> quality.Pose:
    found: list[Detection] = [] if detector is None else list(detector.detect(photo))
    if not found:
        return quality.Pose(0.0, 0.0, 0.0)
    return quality.pose(max(found, key=lambda one: one.score).keypoints)


def spread(looks: Looks, count: int) -> list[int]:
    """Choose rows as far from each other as possible, the first nearest to the middle."""
    chosen = [int(np.argmin(np.square(looks).sum(axis=1)))]
    nearest = np.full(len(looks), np.inf)
    while len(chosen) < count:
        distance = np.square(looks - looks[chosen[-1]]).sum(axis=1)
        nearest = np.minimum(nearest, distance)
        nearest[chosen] = -1.0
        chosen.append(int(np.argmax(nearest)))
    return chosen


def watch(path: Path, seconds: float) -> Material:
    """Run the product on a recording, and keep what its network is given.

    Raises: CloseupError: it cannot be read. EngineError.
    """
    listener = Listener()
    photos: dict[int, tuple[Image, ...]] = {}
    with FileSource(path) as source:
        rate = Fraction(source.rate or 30)
        size = (source.width, source.height)
        stages = Stages.build(size, rate, framing="auto", runtime=listener)
        session = EnhancementSession(stages)
        try:
            for frame in source:
                if frame.time_s > seconds:
                    break
                _take_exemplars(session.process(frame), session, photos)
        finally:
            session.close()
    people = [
        Person(f"{path.stem} {track}", kept) for track, kept in sorted(photos.items()) if kept
    ]
    return Material(people, listener.heard())


def _take_exemplars(
    frame: Frame, session: EnhancementSession, photos: dict[int, tuple[Image, ...]]
) -> None:
    """Copies: the bank overwrites its own."""
    for face in frame.faces:
        kept = session.exemplars_of(face.track_id)
        if len(kept) > len(photos.get(face.track_id, ())):
            photos[face.track_id] = tuple(one.image.copy() for one in kept)


class Listener(Opener):
    """Opens runtimes that write down what they are given."""

    def __init__(self) -> None:
        super().__init__("onnxruntime-cpu")
        self._samples: dict[int, list[Sample]] = {}

    def __call__(self, scale: int) -> OpenedRuntime:
        """The runtime for a scale. Raises: EngineError."""
        opened = super().__call__(scale)
        samples = self._samples.setdefault(scale, [])
        return replace(opened, runtime=_Heard(opened.runtime, samples))

    def heard(self) -> dict[int, list[Sample]]:
        """Samples by scale, some from everywhere."""
        some = {}
        for scale, samples in self._samples.items():
            places = np.linspace(0, len(samples) - 1, min(len(samples), FAR_CROPS))
            some[scale] = [samples[int(place)] for place in places]
        return some


class _Heard:
    """See `engines.runtime.Runtime`."""

    def __init__(self, runtime: Runtime, samples: list[Sample]) -> None:
        self.name, self.scale = runtime.name, runtime.scale
        self._runtime, self._samples = runtime, samples
        self._exemplars: FeatureCache[tuple[Image, ...]] = FeatureCache()

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`."""
        features = self._runtime.encode(exemplars)
        self._exemplars.put(features, tuple(exemplars))
        return features

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`."""
        return self._runtime.at_once(bucket, soon=soon)

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`."""
        known = () if features is None else self._exemplars.get(features) or ()
        self._samples.append(Sample(crop.copy(), known, None))
        return self._runtime.enhance(crop, features)

    def __enter__(self) -> Self:
        self._runtime.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._exemplars.clear()
        self._runtime.__exit__(*error)


def split(people: list[Person]) -> tuple[list[Person], list[Person]]:
    """Two thirds to calibrate with, and every third person held out.

    Raises: ValueError: fewer than three people.
    """
    if len(people) < 3:
        raise ValueError(
            f"{len(people)} people: at least 3 are needed, so that some can be held out; "
            "or name others with --held-out"
        )
    return [one for k, one in enumerate(people) if k % 3 != 2], people[2::3]
