"""The networks of the papers by name, and their checkpoints."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.hime.checkpoint import load_network
from engines.hime.measures import gmacs
from engines.hime.model import Config, Hime
from engines.hime.paper_sizes import LARGE, SMALL, paper_config
from engines.hime.state_files import read_state
from engines.papers.gwainet import GwaConfig, Gwainet
from engines.papers.pwave import Pwave, PwaveConfig

GWAINET, PWAVE, PRODUCT = "gwainet", "pwave", "product"
NETWORKS = (SMALL, LARGE, GWAINET, PWAVE, PRODUCT)
SIDES = {4: 32, 8: 16, 16: 8}
"""Scale -> side of the crops, px: the pictures are 128 px."""
SIZES = ((SMALL, 4), (SMALL, 8), (LARGE, 4), (LARGE, 8), (GWAINET, 8), (PWAVE, 8), (PWAVE, 16))
"""(network, scale) whose parameters and multiplications are told."""

Network = Hime | Gwainet | Pwave


def build(name: str, scale: int, average: bool = False) -> Network:
    """An untrained network.

    Args:   name: of `NETWORKS`. scale: see `SIDES`. average: PWAve's ablation.
    Raises: ValueError: there is no such network of this scale.
    """
    if name == GWAINET:
        return Gwainet(GwaConfig(scale))
    if name == PWAVE:
        return Pwave(PwaveConfig(scale, average=average))
    if name == PRODUCT:
        return Hime(Config(scale))
    if name in (SMALL, LARGE):
        return Hime(paper_config(scale, "flow" if name == LARGE else "deformable"))
    raise ValueError(f"no network {name}; there are {', '.join(NETWORKS)}")


def kind_of(network: Gwainet | Pwave) -> dict[str, Any]:
    """What its checkpoint says of it."""
    name = GWAINET if isinstance(network, Gwainet) else PWAVE
    return {"kind": name, "config": asdict(network.config)}


@dataclass(frozen=True)
class Trained:
    """A network, and what it has seen."""

    network: Network
    samples: int | None
    """None: its file does not say."""


def load(path: Path) -> Trained:
    """A checkpoint of `engines.papers.train_network` or of `engines.hime.train`, or exported HIME.

    Raises: ValueError: the file holds something else. OSError.
    """
    if path.suffix != ".pt":
        return Trained(load_network(path), None)
    saved = read_state(path)
    kind, samples = saved.get("kind"), saved.get("samples")
    if kind is None:
        return Trained(load_network(path), samples)
    network: Gwainet | Pwave
    try:
        if kind == GWAINET:
            network = Gwainet(GwaConfig(**saved["config"]))
        else:
            network = Pwave(PwaveConfig(**saved["config"]))
        network.load_state_dict(saved["ema"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path}: holds no network of the papers") from error
    return Trained(network.eval(), samples)


def parameters(network: Network) -> int:
    """How many."""
    return sum(p.numel() for p in network.parameters())


def sizes() -> list[dict[str, Any]]:
    """Of every network: network, scale, parameters, gmacs with three exemplars, 1e9."""
    rows = []
    for name, scale in SIZES:
        network = build(name, scale)
        cost = gmacs(network, SIDES[scale], 3)
        rows.append(
            {
                "network": name,
                "scale": scale,
                "parameters": parameters(network),
                "gmacs": round(cost, 3),
            }
        )
    return rows


@torch.inference_mode()
def run(network: Network, crop: Tensor, exemplars: Tensor) -> Tensor:
    """The pictures, clamped to 0..1, in float32 on the CPU.

    Args: crop: (B, 3, h, w). exemplars: (B, S, 3 or 4, s h, s w), all valid.
    """
    device = next(network.parameters()).device
    validity = torch.ones(exemplars.shape[:2], device=device)
    made: Tensor = network(crop.to(device), exemplars.to(device), validity)
    return made.float().clamp(0, 1).cpu()
