"""Export the network to ONNX, in the two halves that a stream needs.

    python -m engines.hime.export --weights runs/x4/checkpoint.pt --out engines/weights

writes `hime_x4.encode.onnx` and `hime_x4.enhance.onnx` (opset 19, float32):

    encode:   exemplars (S, 4, s h, s w)                     -> hr (S, C, h, w), query (S, C', h, w)
    enhance:  crop (1, 3, h, w), hr, query, validity (1, S)  -> picture (1, 3, s h, s w)

Pictures are RGB in 0..1; S, h and w are dynamic, h and w even. Parameters keep their names, so that
`engines.hime.checkpoint.load_network` can read the files back.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from engines.errors import reported, run_program
from engines.files import replacing
from engines.hime.checkpoint import load_network
from engines.hime.model import Features, Hime
from engines.option_types import named_path, output_folder

OPSET = 19  # 20 spells some modes in a way that TensorRT's parser misreads
PREFIX = "network."
KINDS = (("pixels", "similarity"), ("pixels", "average"))
"""Alignment and aggregation of the networks that the runtimes know, of any size."""


class Encode(nn.Module):
    """The half that runs when exemplars change."""

    def __init__(self, network: Hime) -> None:
        super().__init__()
        self.network = network

    def forward(self, exemplars: Tensor) -> tuple[Tensor, Tensor]:
        features = self.network.encode(exemplars.unsqueeze(0))
        return features.hr.squeeze(0), features.query.squeeze(0)


class Enhance(nn.Module):
    """The half that runs on every frame."""

    def __init__(self, network: Hime) -> None:
        super().__init__()
        self.network = network

    def forward(self, crop: Tensor, hr: Tensor, query: Tensor, validity: Tensor) -> Tensor:
        """The picture, (1, 3, s h, s w).

        Args: crop: (1, 3, h, w). hr, query: as `Encode` gives them. validity: (1, S).
        """
        features = Features(hr.unsqueeze(0), query.unsqueeze(0))
        return self.network.enhance(crop, features, validity)


def export(network: Hime, folder: Path, name: str) -> tuple[Path, Path]:
    """Write both halves as `name`.encode.onnx and `name`.enhance.onnx, and check them.

    Args:   folder: where to write, made if need be. name: of the files, without endings.
    Raises: ValueError: an exported half differs from the network by more than float32 rounding, or
            the network is an ablation that the runtimes do not know. OSError.
    """
    if (network.config.alignment, network.config.aggregation) not in KINDS:
        raise ValueError(
            f"only the product's kind of network is exported, not one with alignment "
            f'"{network.config.alignment}" and aggregation "{network.config.aggregation}"'
        )
    folder.mkdir(parents=True, exist_ok=True)
    network = network.eval()
    s, c = network.config.scale, network.config.channels
    h, w, slots = 24, 32, 3
    slot = torch.export.Dim("slots", min=1, max=16)
    # halves of the sides: the offset estimator works at half resolution, so sides are even
    half_h = torch.export.Dim("half_height", min=4, max=256)
    half_w = torch.export.Dim("half_width", min=4, max=256)
    big = {0: slot, 2: 2 * s * half_h, 3: 2 * s * half_w}
    low = {2: 2 * half_h, 3: 2 * half_w}
    crop = torch.rand(1, 3, h, w)
    exemplars = torch.rand(slots, network.inputs, s * h, s * w)
    hr, query = (torch.rand(slots, n, h, w) for n in (c, network.query_channels))
    halves = (
        (Encode(network), (exemplars,), {"exemplars": big}, ["exemplars"], ["hr", "query"]),
        (
            Enhance(network),
            (crop, hr, query, torch.ones(1, slots)),
            {"crop": low, "hr": {0: slot, **low}, "query": {0: slot, **low}, "validity": {1: slot}},
            ["crop", "hr", "query", "validity"],
            ["picture"],
        ),
    )
    models: dict[Path, onnx.ModelProto] = {}
    for module, inputs, shapes, names, results in halves:
        path = folder / f"{name}.{type(module).__name__.lower()}.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter's own deprecations
            program = torch.onnx.export(
                module.eval(),
                inputs,
                dynamo=True,
                opset_version=OPSET,
                dynamic_shapes=shapes,
                input_names=names,
                output_names=results,
                verbose=False,
            )
        if program is None:
            raise ValueError(f"{path.name}: the exporter returned nothing")
        models[path] = program.model_proto
        _plain_names(models[path])
    encode, enhance = models
    _add_merged(network, models[enhance], models[encode])
    for path, model in models.items():
        onnx.checker.check_model(model, full_check=True)
        with replacing(path) as part:
            onnx.save(model, part)
    check(network, encode, enhance)
    return encode, enhance


def _add_merged(network: Hime, *halves: onnx.ModelProto) -> None:
    """Write into the first half what is in none: the exporter merges parameters that are equal, as
    fresh biases are, and whoever reads the files back needs each by its name."""
    written = {tensor.name for half in halves for tensor in half.graph.initializer}
    for name, value in network.state_dict().items():
        if name not in written:
            halves[0].graph.initializer.append(onnx.numpy_helper.from_array(value.numpy(), name))


def _plain_names(model: onnx.ModelProto) -> None:
    """Give parameters the names of the state dict, and drop notes about the exporting machine."""
    for tensor in model.graph.initializer:
        tensor.name = tensor.name.removeprefix(PREFIX)
    for node in model.graph.node:
        for k, name in enumerate(node.input):
            node.input[k] = name.removeprefix(PREFIX)
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]


@torch.inference_mode()
def check(network: Hime, encode: Path, enhance: Path) -> float:
    """Compare the ONNX files, run by ONNX Runtime at another size, with the network.

    Args:    encode, enhance: the two files.
    Returns: the largest difference, 0..1.
    Raises:  ValueError: it is more than float32 rounding.
    """
    s = network.config.scale
    rng = np.random.default_rng(0)
    crop = rng.random((1, 3, 16, 40), np.float32)
    exemplars = rng.random((2, network.inputs, 16 * s, 40 * s), np.float32)
    validity = np.array([[1.0, 0.5]], np.float32)
    sessions = [
        onnxruntime.InferenceSession(p, providers=["CPUExecutionProvider"])
        for p in (encode, enhance)
    ]
    hr, query = sessions[0].run(None, {"exemplars": exemplars})
    given = {"crop": crop, "hr": hr, "query": query, "validity": validity}
    made = torch.from_numpy(sessions[1].run(None, given)[0])
    own = network(*(torch.from_numpy(x) for x in (crop, exemplars[None], validity)))
    difference = float((made - own).abs().max())
    if difference > 1e-4:
        raise ValueError(f"{enhance.name} differs from the network by {difference:.2g}")
    return difference


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m engines.hime.export", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--weights", type=named_path, required=True, help="checkpoint.pt")
    parser.add_argument("--out", type=output_folder, required=True, help="folder")
    args = parser.parse_args(argv)
    try:
        network = load_network(args.weights)
        for path in export(network, args.out, f"hime_x{network.config.scale}"):
            print(f"{path}: {path.stat().st_size / 1e6:.2f} MB")
    except (OSError, ValueError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
