"""People: headshots by person, and batches for training.

A batch is a pure function of (seed, step), so training resumes exactly where it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from engines.alignment import align
from engines.hime import degrade
from engines.hime.devices import mixed_precision
from engines.hime.licences import Permit
from engines.hime.local_changes import changed_pair
from engines.hime.model import Hime
from engines.hime.people import Person as Person
from engines.hime.people import cut as cut
from engines.hime.people import load_people as load_people
from engines.hime.people import recolour
from engines.hime.variations import FOREIGN, VARIATIONS, another_moment

LEAST_BATCH = 4
"""Crops, however large they are."""
Image = NDArray[np.uint8]
Rng = np.random.Generator


def shrink_bicubic(truth: Tensor, scale: int) -> Tensor:
    """Clean shrinking: bicubic with antialiasing. (B, 3, s h, s w) -> (B, 3, h, w), 0..1."""
    side = (truth.shape[-2] // scale, truth.shape[-1] // scale)
    small: Tensor = F.interpolate(
        truth, size=side, mode="bicubic", align_corners=False, antialias=True
    )
    # a camera's pixels are whole numbers
    return (small.clamp(0, 1) * 255).round() / 255


def to_tensor(images: list[Image]) -> Tensor:
    """RGB uint8 (H, W, 3) each -> float32 (N, 3, H, W), 0..1."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().div(255)


def to_images(pictures: Tensor) -> list[Image]:
    """(N, C, H, W), 0..1 -> RGB uint8 (H, W, C) each."""
    rounded = (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return [np.ascontiguousarray(picture) for picture in rounded]


@dataclass(frozen=True)
class Recipe:
    """How batches are made."""

    scale: int
    sizes: tuple[int, ...] = (32,)
    """Crop sides, px; one is drawn for each batch."""
    size_weights: tuple[float, ...] = (1.0,)
    half_until: int = 0
    """Steps at the start with sides half as large: four times the samples at an equal cost."""
    pixels: int = 32 * 32 * 32
    """Crop pixels in a batch: smaller crops come in larger batches, at an equal cost."""
    clean: float = 0.35
    """Share of the batch with clean bicubic shrinking; the rest is damaged as in a call."""
    sharpened: float = 0.0
    """Share of the damaged crops that a cheap camera has sharpened."""
    slots: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    slot_weights: tuple[float, ...] = (0.06, 0.14, 0.1, 0.5, 0.1, 0.1)
    """Exemplar slots of a batch and how often."""
    drop: float = 0.08
    """Share of slots that are marked invalid."""
    wrong: float = 0.07
    """Share of slots with another person's photo."""
    strange: float = 0.0
    """Share of samples all of whose exemplars are of one other person, as after a mistake of
    identity."""
    changed: float = 0.0
    """Share of samples of which a part is otherwise in all exemplars than in the truth
    (`engines.hime.local_changes`): of several made from one photo, most show what the crop shows,
    and a network that sees no others believes exemplars that agree."""
    blank: float = 0.02
    blurred: float = 0.04
    """Share of slots with a photo out of focus, and of samples with nothing else: a network that
    never saw them believes them."""
    aligned: bool = True
    """Exemplars are aligned to the crop in pixels, as the stream does it."""
    made: float = 0.0
    """Share of exemplars that are made from the photo itself (`engines.hime.variations`) although
    the person has others. Where there is no other, and this is above 0, all of them are."""
    variations: tuple[str, ...] = VARIATIONS
    """How those differ from the photo."""
    photographs: float = 0.0
    """Share of the samples that are general photographs, with exemplars made from them."""
    flip: str = "both"
    """What is mirrored in half of the samples: crop and exemplars alike ("both"), nothing ("none"),
    or always one of the two alone ("one"): supplement, section B.5."""
    least_photos: int = 1
    """People with fewer photos are left out: supplement, section B.2."""
    jitter: float = 0.02
    """Standard deviation of the detector's errors: shift, as a share of the side; the scale
    varies as much."""


@dataclass(frozen=True)
class Batch:
    """B crops with S exemplar slots; pictures 0..1."""

    crop: Tensor
    """(B, 3, b, b)"""
    exemplars: Tensor
    """(B, S, 3, s b, s b), or aligned in pixels (B, S, 4, s b, s b): RGB and confidence"""
    validity: Tensor
    """(B, S)"""
    truth: Tensor
    """(B, 3, s b, s b)"""

    def to(self, device: torch.device) -> Batch:
        """The same there."""
        parts = (self.crop, self.exemplars, self.validity, self.truth)
        return Batch(*(part.to(device) for part in parts))


class Batches(Dataset[Batch]):
    """Batch number `index` of a training run."""

    def __init__(
        self,
        sources: list[Path],
        recipe: Recipe,
        seed: int,
        steps: int,
        photographs: Sequence[Path] = (),
        permit: Permit | None = None,
        guide: Hime | None = None,
    ) -> None:
        """Every source of people has an equal share of the samples.

        Args: photographs: without people, for a share `recipe.photographs` of the samples.
              permit: pictures of other licences are left out.
              guide: a finished network of the recipe's scale. Exemplars are aligned a second time,
              to what it makes with them, as in a stream from its second frame on; by pairs without
              that a network learns to trust exemplars less than they deserve.
        """
        self.sources = sources
        self.photographs = tuple(photographs)
        self.permit = permit
        self.guide = guide
        self.recipe = recipe
        self.seed = seed
        self.steps = steps

    def read(self) -> None:
        """Read all sources, once. Raises: ValueError, OSError: as `load_people`."""
        _ = self.people, self._scenes

    @cached_property
    def people(self) -> list[Person]:
        """Read where they are used, in the loader's process: nothing large travels there."""
        return [person for people in self._by_source for person in people]

    @cached_property
    def weights(self) -> NDArray[np.float64]:
        """How often each person is drawn."""
        # within a source, between "every person alike" and "every photo alike"
        shares = [np.sqrt([min(len(p.photos), 40) for p in people]) for people in self._by_source]
        weights: NDArray[np.float64] = np.concatenate([s / s.sum() for s in shares])
        return weights / len(self.sources)

    @cached_property
    def _largest(self) -> int:
        """Side of the largest photos, px."""
        return int(max(person.photos[0].shape[0] for person in self.people))

    @cached_property
    def _by_source(self) -> list[list[Person]]:
        least = self.recipe.least_photos
        loaded = [load_people(source, permit=self.permit) for source in self.sources]
        found = [[one for one in people if len(one.photos) >= least] for people in loaded]
        for source, people in zip(self.sources, found, strict=True):
            if not people:
                raise ValueError(f"{source}: nobody has {least} photos")
        return found

    @cached_property
    def _scenes(self) -> list[Image]:
        """All general photographs."""
        return [
            photo
            for source in self.photographs
            for scene in load_people(source, permit=self.permit)
            for photo in scene.photos
        ]

    def __len__(self) -> int:
        return self.steps

    def __getitem__(self, index: int) -> Batch:
        r = self.recipe
        rng = np.random.default_rng([self.seed, index])
        side = int(rng.choice(r.sizes, p=np.array(r.size_weights) / sum(r.size_weights)))
        side //= 2 if index < r.half_until else 1
        slots = int(rng.choice(r.slots, p=np.array(r.slot_weights) / sum(r.slot_weights)))
        count = max(LEAST_BATCH, r.pixels // side**2)
        clean = round(count * r.clean)
        truths, exemplars, validity = [], [], []
        for k in range(count):
            truth, refs, valid = self._sample(side * r.scale, slots, k < clean, rng)
            truths.append(truth)
            exemplars += refs
            validity.append(valid)
        truth_t = to_tensor(truths)
        crops = [shrink_bicubic(truth_t[:clean], r.scale)] if clean else []
        if clean < count:
            crops.append(to_tensor(degrade.call(truths[clean:], r.scale, rng, r.sharpened)))
        crop = torch.cat(crops)
        big, channels = side * r.scale, 4 if r.aligned else 3
        if r.aligned and slots:
            given = [exemplars[k * slots : (k + 1) * slots] for k in range(count)]
            exemplars = [one for aligned in self._aligned(crop, given) for one in aligned]
        refs_t = to_tensor(exemplars) if slots else torch.zeros(0, channels, big, big)
        return Batch(
            crop,
            refs_t.view(count, slots, channels, big, big),
            torch.tensor(np.array(validity, np.float32).reshape(count, slots)),
            truth_t,
        )

    def _person(self, side: int, rng: Rng) -> Person:
        if side > self._largest:
            raise ValueError(f"nobody has photos of {side} px, which such crops are made of")
        while True:
            person = self.people[int(rng.choice(len(self.people), p=self.weights))]
            if person.photos[0].shape[0] >= side:
                return person

    def _aligned(self, crops: Tensor, exemplars: list[list[Image]]) -> list[list[Image]]:
        """Exemplars, aligned to each of the crops, (B, 3, b, b)."""
        pictures = to_images(crops)
        first = [align(*pair) for pair in zip(pictures, exemplars, strict=True)]
        if self.guide is None:
            return first
        made = self._made_with(crops, torch.stack([to_tensor(one) for one in first]))
        return [align(*three) for three in zip(pictures, exemplars, made, strict=True)]

    @torch.inference_mode()
    def _made_with(self, crops: Tensor, exemplars: Tensor) -> list[Image]:
        """What the guide makes of crops (B, 3, b, b) with exemplars (B, S, 4, s b, s b)."""
        assert self.guide is not None
        device = next(self.guide.parameters()).device
        crops, exemplars = crops.to(device), exemplars.to(device)
        sure = torch.ones(exemplars.shape[:2], device=device)
        with mixed_precision(device):
            made = self.guide(crops, exemplars, sure)
        return to_images(made.float())

    def _order(self, person: Person, rng: Rng) -> NDArray[np.intp]:
        """Places of a person's photos: first the truth's, then the exemplars'."""
        return rng.permutation(len(person.photos))

    def _drawn(self, side: int, rng: Rng) -> tuple[Image, ...]:
        """The photo of a sample, and others of the same person."""
        share = self.recipe.photographs
        if share and self._scenes and rng.random() < share:
            scene = self._scenes[int(rng.integers(len(self._scenes)))]
            # a window of its own, at twice the side: as large as a face's photo is
            zoom = rng.uniform(min(1.0, 1.5 * side / scene.shape[0]), 1.0)
            shift = rng.uniform(zoom - 1, 1 - zoom, 2) / 2
            return (cut(scene, 2 * side, zoom, (shift[0], shift[1])),)
        person = self._person(side, rng)
        return tuple(person.photos[k] for k in self._order(person, rng))

    def _stranger(self, side: int, rng: Rng) -> Image:
        photos = self._person(side, rng).photos
        return photos[int(rng.integers(len(photos)))]

    def _made(self, ref: Image, rng: Rng) -> Image:
        """The same content at another moment. Args: ref: (n, n, 3)."""
        side, kinds, other = ref.shape[0], self.recipe.variations, None
        if "foreign" in kinds and rng.random() < FOREIGN:
            other = cut(self._stranger(side, rng), side, 1.0, (0.0, 0.0))
        return another_moment(ref, other, kinds, rng)

    def _sample(
        self, side: int, slots: int, clean: bool, rng: Rng
    ) -> tuple[Image, list[Image], list[float]]:
        """Truth, exemplars (undamaged for a clean crop) and validity."""
        r = self.recipe
        photo, *others = self._drawn(side, rng)
        room = photo.shape[0] / side
        zoom = rng.uniform(max(0.8, 1 / room), 1.0)
        slack = (1 - zoom) / 2
        shift = (rng.uniform(-slack, slack), rng.uniform(-slack, slack))
        gain = np.exp(rng.normal(0, 0.06, 3) + rng.normal(0, 0.12))
        gamma = float(np.exp(rng.normal(0, 0.12)))
        flip = bool(rng.random() < 0.5) and r.flip != "none"
        flip_others = {"both": flip, "none": False, "one": not flip}[r.flip]

        def finish(image: Image, gain: NDArray[np.float64], mirrored: bool) -> Image:
            image = recolour(image, gain, gamma)
            return np.ascontiguousarray(image[:, ::-1]) if mirrored else image

        truth = finish(cut(photo, side, zoom, shift), gain, flip)
        # also all of a sample's together: where one of three is sharp, the others do no harm
        soft = rng.random() < r.blurred
        strangers: tuple[Image, ...] = ()
        if r.strange and rng.random() < r.strange:
            photos = self._person(side, rng).photos
            strangers = tuple(photos[k] for k in rng.permutation(len(photos)))
        refs: list[Image] = []
        valid: list[float] = []
        for k in range(slots):
            make = bool(r.made) and (not others or rng.random() < r.made)
            other = others[k % len(others)] if others else None
            draw = rng.random()
            if strangers:
                other, make = strangers[k % len(strangers)], False
            elif draw < r.wrong:
                other, make = self._stranger(side, rng), False
            elif draw < r.wrong + r.blank:
                other, make = np.full((side, side, 3), rng.integers(256), np.uint8), False
            elif make:
                other = photo
            if other is None:
                refs.append(np.zeros((side, side, 3), np.uint8))
                valid.append(0.0)
                continue
            step = rng.normal(0, r.jitter, 2)
            near = (shift[0] + float(step[0]), shift[1] + float(step[1]))
            scale = zoom * float(np.exp(rng.normal(0, r.jitter)))
            light = gain * np.exp(rng.normal(0, 0.04))
            ref = cut(other, side, scale, near)
            ref = finish(self._made(ref, rng) if make else ref, light, flip_others)
            if soft or r.wrong + r.blank <= draw < r.wrong + r.blank + r.blurred:
                sigma = rng.uniform(0.2, 1.2) * r.scale
                ref = np.asarray(cv2.GaussianBlur(ref, (0, 0), sigma), np.uint8)
            refs.append(ref if clean else degrade.close_up(ref, rng))
            valid.append(float(rng.random() >= r.drop))
        changed = changed_pair(truth, refs, r.changed, rng) if r.changed else None
        return (*(changed or (truth, refs)), valid)
