"""Parts of HIME made simpler, to measure what the real ones bring (HIME, tables 2 and 3)."""

from __future__ import annotations

from torch import Tensor, nn


class Unaligned(nn.Module):
    """An ordinary convolution of the exemplar's features where they are (table 2, "Conv")."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # no offsets are estimated, so the estimator's first layer is nothing
        self.from_exemplar = nn.Identity()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def key(self, low: Tensor, crop: Tensor) -> Tensor:
        """The features of the crop, which `forward` does not look at."""
        return low

    def forward(self, hr: Tensor, query: Tensor, key: Tensor) -> Tensor:
        """Features of the exemplars as they are, (N, C, h, w).

        Args: hr: (N, C, h, w). query, key: not looked at.
        """
        y: Tensor = self.conv(hr)
        return y


class Pooling(nn.Module):
    """Average or maximum of the valid slots, without a look at the crop (table 3)."""

    def __init__(self, maximum: bool) -> None:
        super().__init__()
        self.maximum = maximum

    def forward(self, aligned: Tensor, crop: Tensor, validity: Tensor) -> Tensor:
        """As `Aggregation`; for the maximum a slot counts or does not.

        Args: aligned, crop, validity: as of `Aggregation`.
        """
        if self.maximum:
            known = aligned.masked_fill(validity <= 0, float("-inf")).amax(dim=1)
            return known.masked_fill((validity <= 0).all(dim=1), 0)
        mean = (validity * aligned.float()).sum(dim=1) / (validity.sum(dim=1) + 1e-3)
        return mean.to(crop.dtype)
