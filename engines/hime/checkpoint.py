"""Weights on disk: what training writes, and the ONNX files that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engines.contract import WEIGHTS
from engines.errors import WeightsError
from engines.hime.model import Config, Hime
from engines.hime.state_files import read_state
from engines.weights.manifest import read_manifest, sha256, weights_files


def load_network(path: Path) -> Hime:
    """Build the network from a training checkpoint (.pt) or an exported `*.enhance.onnx`.

    An ONNX export keeps the parameters' names, so the shipped files are the only copy of the
    weights; `*.encode.onnx` is expected beside `*.enhance.onnx`. A checkpoint that says nothing
    of its configuration holds the default network.

    Raises: ValueError: the file holds something else. FileNotFoundError.
    """
    config = None
    if path.suffix == ".pt":
        saved = read_state(path)
        state = saved.get("ema", {})
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
    try:
        if config is None:
            # s^2 pixels of luma, and the confidence where exemplars come aligned in pixels
            scale = round(int(head.shape[1]) ** 0.5)
            in_pixels = head.shape[1] > scale**2
            config = _sized(scale, state) if in_pixels else Config(scale, alignment="deformable")
        network = Hime(config)
        network.load_state_dict({name: state[name] for name in network.state_dict()})
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"{path}: holds no whole HIME network") from error
    return network.eval()


def _sized(scale: int, state: dict[str, Tensor]) -> Config:
    """The product's kind of network, in the size that the parameters have."""

    def count(body: str) -> int:
        return len({name.split(".")[-3] for name in state if name.startswith(body)})

    return Config(
        scale,
        channels=int(state["hr_features.head.weight"].shape[0]),
        lr_blocks=count("lr_features.body."),
        hr_blocks=count("hr_features.body."),
        rec_blocks=count("reconstruction.body."),
        offset_blocks=count("transfer.body."),
        aggregation="similarity" if "aggregation.g1.weight" in state else "average",
        refined=int(state["transfer.out.weight"].shape[0]) > scale**2,
        direct=int(state["reconstruction.last.weight"].shape[0]) == 3 * scale**2,
    )


def named_weights(given: str, scale: int) -> Path:
    """The file that a program's --weights means: one of `engines.contract.WEIGHTS`, or a path.

    Raises: WeightsError: no such weights are shipped, or not whole.
    """
    return weights_files(scale, weights=given)[1] if given in WEIGHTS else Path(given)


def origins_of(path: Path) -> list[dict[str, Any]] | None:
    """What weights were trained on, as `licences.Credits.rows`; None: nobody says.

    A checkpoint says it itself; of an ONNX file, the manifest beside it, while it is the file that
    the manifest names.
    """
    if path.suffix == ".pt":
        found: list[dict[str, Any]] | None = read_state(path).get("origins")
    else:
        found = _origins_in_manifest(path)
    return found


def _origins_in_manifest(path: Path) -> list[dict[str, Any]] | None:
    try:
        entries = read_manifest(path.parent)["networks"].values()
    except WeightsError:
        return None
    own = next((one for one in entries if path.name in one["files"]), None)
    if own is None or own["files"][path.name] != sha256(path):
        return None
    found: list[dict[str, Any]] = own["training"].get("data", [])
    # the research weights have no licence for each picture
    return found if found and all("tier" in row for row in found) else None


def _from_onnx(path: Path) -> dict[str, Tensor]:
    """The parameters of an ONNX file."""
    # here and not above: a machine that only trains needs no ONNX
    import onnx
    from onnx import numpy_helper

    try:
        tensors = onnx.load(path).graph.initializer
        return {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in tensors}
    except OSError:
        raise
    # protobuf and onnx raise classes of their own for each way in which a file can be wrong
    except Exception as error:
        raise ValueError(f"{path}: no ONNX file, or a damaged one") from error


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
