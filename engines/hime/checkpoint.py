"""Weights on disk: what training writes, and the ONNX files that are shipped."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from engines.files import replacing
from engines.hime.model import Config, Hime


class Part(Protocol):
    """What a run must remember: a network, or an optimiser."""

    def state_dict(self) -> dict[str, Any]:
        """All of it."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> Any:
        """Be as it was."""
        ...


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
    for mean, value in zip(ema.parameters(), network.parameters(), strict=True):
        mean.lerp_(value, 1 - keep)


def load_network(path: Path) -> Hime:
    """Build the network from a training checkpoint (.pt) or an exported `*.enhance.onnx`.

    An ONNX export keeps the parameters' names, so the shipped files are the only copy of the
    weights; `*.encode.onnx` is expected beside `*.enhance.onnx`. A checkpoint that says nothing
    of its configuration holds the default network.

    Raises: ValueError: the file holds something else. FileNotFoundError.
    """
    config = None
    if path.suffix == ".pt":
        saved = torch.load(path, map_location="cpu", weights_only=True)
        state = saved["ema"]
        if "config" in saved:
            config = Config(**saved["config"])
    elif path.name.endswith(".enhance.onnx"):
        state = _from_onnx(path) | _from_onnx(
            path.with_name(path.name.replace(".enhance.", ".encode."))
        )
    else:
        raise ValueError(f"{path}: expected a training checkpoint (.pt) or a .enhance.onnx file")
    head = state.get("hr_features.head.weight")
    if head is None:
        raise ValueError(f"{path}: holds no HIME network")
    if config is None:
        # s^2 pixels of luma, and the confidence where exemplars come aligned in pixels
        scale = round(int(head.shape[1]) ** 0.5)
        alignment = "pixels" if head.shape[1] > scale**2 else "deformable"
        config = Config(scale=scale, alignment=alignment)
    network = Hime(config)
    wanted = network.state_dict().keys()
    network.load_state_dict({name: state[name] for name in wanted})
    return network.eval()


def _from_onnx(path: Path) -> dict[str, Tensor]:
    """The parameters of an ONNX file."""
    # here and not above: a machine that only trains needs no ONNX
    import onnx
    from onnx import numpy_helper

    return {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy())
        for tensor in onnx.load(path).graph.initializer
    }


def start_from(network: Hime, path: Path) -> list[str]:
    """Copy the weights that fit from another network, of another scale or alignment too.

    Returns: names of the parameters that did not fit and keep their first values.
    """
    given = load_network(path).state_dict()
    own = network.state_dict()
    if network.transfer is not None and "alignment.deform.weight" in given:
        given = _for_pixels(given)
    fitting = {n: t for n, t in given.items() if n in own and own[n].shape == t.shape}
    head = "hr_features.head.weight"
    if head in given and head not in fitting and own[head].shape[1] == given[head].shape[1] + 1:
        # the confidence is one more input, which says nothing at first
        fitting[head] = torch.cat((given[head], torch.zeros_like(given[head][:, :1])), dim=1)
    network.load_state_dict(fitting, strict=False)
    return sorted(own.keys() - fitting.keys())


def _for_pixels(given: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a deformable alignment under the names of `DetailTransfer`: what finds offsets of
    cells begins as what finds offsets of pixels."""
    found = dict(given)
    for name, tensor in given.items():
        part = name.removeprefix("alignment.")
        if part.startswith(("from_crop.", "down.", "body.", "up.", "refine.")):
            found[f"transfer.{part}"] = tensor
    # its modulation is a sigmoid: half at first
    found["alignment.conv.weight"] = given["alignment.deform.weight"] / 2
    found["alignment.conv.bias"] = given["alignment.deform.bias"]
    return found
