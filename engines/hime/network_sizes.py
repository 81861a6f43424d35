"""Sizes of the product's network, by name: from the full one to a fifth of its time on a CPU.

Convolutions of 32 channels cost little where the processor multiplies matrices (AMX); there the
sampler, the picture's rearrangements and each exemplar's pass count, which do not depend on how
wide the layers are. So the smaller sizes take the exemplars' detail where the alignment put it
(`Config.refined`) and make the picture in one step (`Config.direct`) before they lose channels.
Widths between 16 and 32 are as slow as 32.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from engines.hime.model import Config

FULL = "full"
SIZES: dict[str, dict[str, Any]] = {
    FULL: {},
    "large": {
        "lr_blocks": 3,
        "hr_blocks": 2,
        "rec_blocks": 10,
        "offset_blocks": 3,
        "direct": True,
    },
    "sampled": {
        "channels": 16,
        "lr_blocks": 3,
        "hr_blocks": 2,
        "rec_blocks": 12,
        "offset_blocks": 2,
        "direct": True,
    },
    "medium": {
        "lr_blocks": 2,
        "hr_blocks": 2,
        "rec_blocks": 8,
        "offset_blocks": 0,
        "refined": False,
        "direct": True,
    },
    "small": {
        "channels": 16,
        "lr_blocks": 2,
        "hr_blocks": 1,
        "rec_blocks": 10,
        "offset_blocks": 0,
        "refined": False,
        "direct": True,
    },
    "tiny": {
        "channels": 16,
        "lr_blocks": 1,
        "hr_blocks": 1,
        "rec_blocks": 4,
        "offset_blocks": 0,
        "refined": False,
        "direct": True,
        "aggregation": "average",
    },
}
"""Name → what differs from the defaults of `Config`, the largest first."""


def sized_config(config: Config, size: str) -> Config:
    """The configuration of a named size.

    Args:   config: what the size does not name, such as the scale. size: of `SIZES`.
    Raises: ValueError: the network is of a kind that has one size only.
    """
    if size != FULL and (config.alignment, config.aggregation) != ("pixels", "similarity"):
        raise ValueError("--size is for --alignment pixels and --aggregation similarity")
    return replace(config, **SIZES[size])
