"""HIME: headshot super-resolution with several exemplars of the same person.

Source: Xiang et al., "HIME: Efficient Headshot Image Super-Resolution with Multiple Exemplars",
sections 3.1 to 3.4, and its supplementary material, section A.1 (the small model). The sizes of the
paper's two models are in `engines.hime.paper_sizes`.

The forward pass is split in two for streams: `encode` (exemplars; runs when they change) and
`enhance` (crop; runs on every frame). `forward` is exactly one after the other.

Shapes: B crops, S exemplar slots, C channels, crop h x w px, scale s; pictures RGB in 0..1.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engines.hime.ablations import Pooling, Unaligned
from engines.hime.blocks import bias_of, blocks
from engines.hime.deformable import DeformableAlignment
from engines.hime.flow_alignment import FlowAlignment
from engines.hime.transfer import DetailTransfer, pack_detail

ALIGNMENTS = ("pixels", "deformable", "flow", "none")
AGGREGATIONS = ("similarity", "average", "maximum")
LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601: the mono-channel map of section 3.1


@dataclass(frozen=True)
class Config:
    """Sizes of the network; the defaults are the paper's (section 5.1) where it gives them."""

    scale: int = 4
    """4 or 8."""
    channels: int = 32
    lr_blocks: int = 5
    """k_l"""
    hr_blocks: int = 3
    """k_h"""
    rec_blocks: int = 20
    """k_r"""
    offset_blocks: int = 6
    """Residual blocks of g() in equation 2 of the supplement. They run at half resolution: a head
    moves by several cells between exemplar and crop, and there the same blocks see twice as far
    for a quarter of the work."""
    groups: int = 8
    """Groups of channels that share one field of offsets."""
    alignment: str = "pixels"
    """"pixels": exemplars come aligned in pixels, with a confidence (`engines.alignment`). The
    paper's small model is "deformable" (`engines.hime.deformable`), its large one "flow"
    (`engines.hime.flow_alignment`); "none" (table 2) has an ordinary convolution in its place."""
    aggregation: str = "similarity"
    """Table 3: "average" and "maximum" of the slots do not look at the crop."""
    fine_blocks: int = 0
    """Residual blocks of g() at the full resolution of the crop; for "deformable" and "flow"."""
    crop_blocks: int = 0
    """Residual blocks for the crop's half of g() alone; likewise."""
    up_channels: tuple[int, ...] = ()
    """Channels after each doubling but the last; those that are not given have `channels`."""
    refined: bool = True
    """Whether a residual flow refines the alignment of each exemplar's detail; else it stays where
    it is, and g() only weighs it. Sampling costs a narrow network as much as a wide one."""
    direct: bool = False
    """Whether the enlarged picture is made in one step from the grid of the crop, not by
    doublings."""


class Features(NamedTuple):
    """What `encode` knows of the exemplars, S slots for each of B crops."""

    hr: Tensor
    """(B, S, C, h, w): F_ref, high-resolution features packed into the grid of the crop."""
    query: Tensor
    """(B, S, C', h, w): the exemplar's half of the first layer of the offset estimator. That layer
    is linear, so its two halves can be computed apart and added. With alignment "pixels" also the
    exemplar's detail, packed, and its confidence: C' = C + s^2 + 1. With "flow" the exemplar shrunk
    to the grid of the crop: C' = 3."""


class FeatureExtractor(nn.Module):
    """A convolution and k residual blocks (section 3.1)."""

    def __init__(self, inputs: int, channels: int, count: int) -> None:
        super().__init__()
        self.head = nn.Conv2d(inputs, channels, 3, padding=1)
        self.body = blocks(count, channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(F.leaky_relu(self.head(x), 0.1))
        return y


class Aggregation(nn.Module):
    """Content-conditioned feature aggregation, equations 5 to 7, with a validity for each slot."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.g1 = nn.Conv2d(channels, channels, 3, padding=1)
        self.g2 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, aligned: Tensor, crop: Tensor, validity: Tensor) -> Tensor:
        """One set of features, (B, C, h, w), of those of all exemplars.

        Args: aligned: (B, S, C, h, w). crop: features, (B, C, h, w). validity: (B, S, 1, 1, 1) or
              (B, S, 1, h, w), 0..1.
        """
        b, s, c, h, w = aligned.shape
        g1 = self.g1(aligned.flatten(0, 1)).view(b, s, c, h, w)
        score = torch.sigmoid((g1 * self.g2(crop).unsqueeze(1)).float().sum(dim=2, keepdim=True))
        score = score * validity
        # with no valid slot the sum is zero and so is the result: a network without exemplars
        mean = (score * aligned.float()).sum(dim=1) / (score.sum(dim=1) + 1e-3)
        return mean.to(crop.dtype)


def icnr_(weight: Tensor, factor: int) -> None:
    """Start a convolution before PixelShuffle as nearest-neighbour enlargement (Aitken 2017)."""
    out, inputs, kh, kw = weight.shape
    base = torch.empty(out // factor**2, inputs, kh, kw)
    nn.init.kaiming_normal_(base)
    weight.data.copy_(base.repeat_interleave(factor**2, dim=0) * 0.1)


def bicubic_kernel(scale: int) -> Tensor:
    """Weights (3 s^2, 1, 5, 5) that make bicubic enlargement a convolution and a PixelShuffle.

    A grouped convolution is many times faster than Resize in the runtimes, and exact.
    Source: Keys 1981 with a = -0.75, as in `torch.nn.functional.interpolate`.
    """
    taps = torch.zeros(scale, 5)
    for phase in range(scale):
        position = (phase + 0.5) / scale - 0.5
        for tap in range(5):
            t = abs(tap - 2 - position)
            if t <= 1:
                taps[phase, tap] = (1.25 * t - 2.25) * t * t + 1
            elif t < 2:
                taps[phase, tap] = -0.75 * (((t - 5) * t + 8) * t - 4)
    kernel = torch.einsum("ay,bx->abyx", taps, taps).reshape(scale * scale, 1, 5, 5)
    return kernel.repeat(3, 1, 1, 1)


class Reconstruction(nn.Module):
    """k_r residual blocks, sub-pixel enlargement, and the long skip (section 3.4)."""

    bicubic: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        c = config.channels
        self.scale = config.scale
        self.body = blocks(config.rec_blocks, c)
        self.step = config.scale if config.direct else 2
        doublings = 1 if config.direct else config.scale.bit_length() - 1
        given = config.up_channels[: doublings - 1]
        widths = (c, *given, *[c] * (doublings - 1 - len(given)))
        ups = [nn.Conv2d(a, 4 * b, 3, padding=1) for a, b in pairwise(widths)]
        self.ups = nn.ModuleList(ups)
        # the last doubling makes the picture directly: no layer runs at the output's resolution
        self.last = nn.Conv2d(widths[-1], 3 * self.step**2, 3, padding=1)
        for conv, factor in (*((up, 2) for up in ups), (self.last, self.step)):
            icnr_(conv.weight, factor)
        if config.alignment == "pixels":
            self.gain = nn.Conv2d(c, config.scale**2, 3, padding=1)
            nn.init.zeros_(self.gain.weight)
            nn.init.constant_(bias_of(self.gain), -1.0)
        self.register_buffer("bicubic", bicubic_kernel(config.scale), persistent=False)

    def enlarge(self, crop: Tensor) -> Tensor:
        """Bicubic enlargement: (B, 3, h, w) -> (B, 3, s h, s w), in the type of `crop`."""
        with torch.autocast(crop.device.type, enabled=False):
            y = F.conv2d(F.pad(crop, (2, 2, 2, 2), mode="replicate"), self.bicubic, groups=3)
        return F.pixel_shuffle(y, self.scale)

    def forward(self, fused: Tensor, crop: Tensor, merged: Tensor | None = None) -> Tensor:
        """The picture, (B, 3, s h, s w).

        Args: fused: (B, C, h, w). crop: (B, 3, h, w). merged: detail, packed, (B, s^2, h, w).
        """
        x = self.body(fused)
        shown = None
        if merged is not None:
            # twice a sigmoid: 0..2, so that what several exemplars' mean has smoothed can be raised
            shown = F.pixel_shuffle(2 * torch.sigmoid(self.gain(x)) * merged, self.scale)
        for up in self.ups:
            x = F.leaky_relu(F.pixel_shuffle(up(x), 2), 0.1)
        made = self.enlarge(crop) + F.pixel_shuffle(self.last(x), self.step).to(crop.dtype)
        return made if shown is None else made + shown.to(crop.dtype)


class Hime(nn.Module):
    """HIME. Crop sides must be even; exemplars are scale times as large as the crop."""

    luma: Tensor

    def __init__(self, config: Config | None = None) -> None:
        super().__init__()
        self.config = config = config or Config()
        if config.scale not in (4, 8):
            raise ValueError(f"scale must be 4 or 8, not {config.scale}")
        if config.alignment not in ALIGNMENTS or config.aggregation not in AGGREGATIONS:
            raise ValueError(f"no such network: {config.alignment}, {config.aggregation}")
        c = config.channels
        self.in_pixels = config.alignment == "pixels"
        self.lr_features = FeatureExtractor(3, c, config.lr_blocks)
        self.hr_features = FeatureExtractor(config.scale**2 + self.in_pixels, c, config.hr_blocks)
        self.alignment = self._aligner(config)
        weighted = config.aggregation == "similarity"
        self.aggregation = Aggregation(c) if weighted else Pooling(config.aggregation == "maximum")
        self.transfer = (
            DetailTransfer(c, config.scale, config.offset_blocks, config.refined)
            if self.in_pixels
            else None
        )
        self.reconstruction = Reconstruction(config)
        self.register_buffer("luma", torch.tensor(LUMA).view(1, 3, 1, 1), persistent=False)

    @staticmethod
    def _aligner(config: Config) -> DeformableAlignment | FlowAlignment | Unaligned:
        fine = config.fine_blocks, config.crop_blocks
        if config.alignment == "deformable":
            return DeformableAlignment(config.channels, config.groups, config.offset_blocks, *fine)
        if config.alignment == "flow":
            return FlowAlignment(config.channels, config.groups, *fine)
        return Unaligned(config.channels)

    @property
    def scale(self) -> int:
        """By how much it enlarges."""
        return self.config.scale

    @property
    def inputs(self) -> int:
        """Channels of an exemplar: RGB, and with alignment "pixels" its confidence."""
        return 3 + self.in_pixels

    @property
    def query_channels(self) -> int:
        """C': see `Features.query`."""
        if self.config.alignment == "flow":
            return 3
        return self.config.channels + (self.config.scale**2 + 1) * self.in_pixels

    def encode(self, exemplars: Tensor) -> Features:
        """Features of exemplars (B, S, 3 or 4, s h, s w), S >= 1, see `inputs`; run when they
        change."""
        b, n = exemplars.shape[:2]
        s = self.config.scale
        x = exemplars.flatten(0, 1)
        luma = (x[:, :3] * self.luma).sum(dim=1, keepdim=True)
        packed = F.pixel_unshuffle(luma, s)
        if self.transfer is None:
            hr = self.hr_features(packed)
            small = F.avg_pool2d(x, s)
            flown = isinstance(self.alignment, FlowAlignment)
            query = small if flown else self.alignment.from_exemplar(self.lr_features(small))
            return Features(hr.unflatten(0, (b, n)), query.unflatten(0, (b, n)))
        sure = F.avg_pool2d(x[:, 3:], s)
        hr = self.hr_features(torch.cat((packed, sure), dim=1))
        detail = pack_detail(luma, self.reconstruction.bicubic[: s * s], s)
        query = torch.cat((self.transfer.from_exemplar(hr), detail, sure), dim=1)
        return Features(hr.unflatten(0, (b, n)), torch.unflatten(query, 0, (b, n)))

    def enhance(self, crop: Tensor, features: Features, validity: Tensor) -> Tensor:
        """The enlarged crop; run on every frame.

        Args:    crop: (B, 3, h, w), 0..1. features: of S slots.
                 validity: (B, S), 0 leaves a slot out, 1 counts it fully.
        Returns: (B, 3, s h, s w); not clamped.
        """
        low = self.lr_features(crop)
        if features.hr.shape[1] == 0:
            return self.reconstruct(low, crop)
        weight = validity.view(*validity.shape, 1, 1, 1)
        if self.transfer is not None:
            return self._with_detail(crop, low, features, weight)
        b, n = features.hr.shape[:2]
        key = self.alignment.key(low, crop).unsqueeze(1).expand(-1, n, -1, -1, -1)
        aligned = self.alignment(
            features.hr.flatten(0, 1), features.query.flatten(0, 1), key.flatten(0, 1)
        )
        fused = low + self.aggregation(aligned.unflatten(0, (b, n)), low, weight)
        return self.reconstruct(fused, crop)

    def _with_detail(self, crop: Tensor, low: Tensor, features: Features, valid: Tensor) -> Tensor:
        assert self.transfer is not None
        c, cells = self.config.channels, self.config.scale**2
        b, n = features.hr.shape[:2]
        query, detail, sure = torch.split(features.query, [c, cells, 1], dim=2)
        weight = valid * sure.float()
        # another person's exemplars still help a little where they agree by chance: features are
        # weighed by validity alone, the network knows the confidence from their first layer
        aligned = self.alignment(features.hr.flatten(0, 1), query, query).unflatten(0, (b, n))
        kernel = self.reconstruction.bicubic[:cells]
        merged = self.transfer(query, detail, low, weight, kernel).to(low.dtype)
        fused = low + self.aggregation(aligned, low, valid) + self.transfer.merge(merged)
        return self.reconstruction(fused, crop, merged)  # type: ignore[no-any-return]

    def reconstruct(self, fused: Tensor, crop: Tensor) -> Tensor:
        """F_f (B, C, h, w) and the crop -> (B, 3, s h, s w)."""
        y: Tensor = self.reconstruction(fused, crop)
        return y

    def forward(self, crop: Tensor, exemplars: Tensor, validity: Tensor) -> Tensor:
        """The picture, (B, 3, s h, s w).

        Args: crop: (B, 3, h, w). exemplars: as in `encode`. validity: (B, S).
        """
        if exemplars.shape[1] == 0:
            return self.reconstruct(self.lr_features(crop), crop)
        return self.enhance(crop, self.encode(exemplars), validity)
