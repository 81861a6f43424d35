"""The state of networks and optimisers on disk, and their moving average."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from engines.files import replacing


class Part(Protocol):
    """What a run must remember: a network, or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Be as it was."""
        ...


def read_state(path: Path) -> dict[str, Any]:
    """What a file of PyTorch holds, by name.

    Raises: ValueError: it is no such file. OSError.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        raise ValueError(f"{path}: no file of PyTorch, or a damaged one") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: holds no weights")
    return state


def save_parts(path: Path, parts: Mapping[str, Part], values: Mapping[str, Any]) -> None:
    """Write beside, then rename: a run that dies while saving loses nothing.

    Args: parts, values: of the run, by name.
    """
    state = {name: part.state_dict() for name, part in parts.items()}
    with replacing(path) as part:
        torch.save(state | dict(values), part)


def load_parts(path: Path, state: Mapping[str, Any], parts: Mapping[str, Part]) -> None:
    """Every part as it was saved.

    Args:   path: for messages. state: what the file holds. parts: of the run, by name.
    Raises: ValueError: a part is missing: the run was one of other losses.
    """
    for name, part in parts.items():
        if name not in state:
            raise ValueError(f"{path} has no {name}: start with --init in another folder")
        part.load_state_dict(state[name])


@torch.no_grad()
def follow(ema: nn.Module, network: nn.Module, step: int, keep: float) -> None:
    """Move the moving average of a network's weights.

    Args: ema: changed in place. step: of the network. keep: share of the average that stays.
    """
    # the average of a young run should not be made of its first values
    keep = min(keep, (1 + step) / (10 + step))
    # on a GPU one launch for all, not one for each
    average = get_ema_multi_avg_fn(keep)  # type: ignore[no-untyped-call]
    average(list(ema.parameters()), list(network.parameters()), 0)
