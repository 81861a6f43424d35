"""Variants of the shipped ONNX files for runtimes that want fixed shapes, half precision, or no
DeformConv: made by surgery on the graph, without the network's own code.

    shipped:  DeformConv, float32, any slots, height and width
    variant:  GridSample, float32 or float16, one crop size, a fixed number of slots, and on request
              pictures as RGB uint8 (N, H, W, 3) instead of float32 (N, 3, H, W) in 0..1

A variant is strongly typed: every value has one type, written in the file, and a builder that
follows it has no precision left to choose. In a float16 variant these stay float32: sampling
positions and the features at the sampler (a half position is off by a hundredth of a cell), the
aggregation's sums and quotient (small over small), and the enlarged camera picture that all detail
is added to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.onnx_variants.graph_surgery import (
    Array,
    drop_unused,
    fix_shapes,
    inferred,
    set_shape,
    shapes_of,
    with_signed,
)

PRECISIONS = ("fp32", "fp16")
SAMPLING = "sampling/"
"""Prefix of the names of nodes and values that replace a DeformConv and stay in float32."""
FEATURES = ("hr", "query")
"""Inputs and outputs that are features; the others are pictures and the validity."""
FLOAT, HALF, BYTE = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.UINT8


@dataclass(frozen=True)
class OnnxVariant:
    """Which variant: of one half of the network, for one bucket.

    Raises: ValueError: no such precision, an odd bucket.
    """

    half: str
    """ "encode" or "enhance"."""
    scale: int
    bucket: int
    """Side of the crop, px."""
    slots: int = 3
    """Exemplars; a slot that is not used has validity 0."""
    precision: str = "fp16"
    pixels: bool = True
    """Pictures are RGB uint8 (N, H, W, 3): scaling and rounding are part of the graph."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, not {self.precision!r}")
        if self.half not in ("encode", "enhance"):
            raise ValueError(f'half must be "encode" or "enhance", not {self.half!r}')
        if self.bucket < 8 or self.bucket % 2 or self.slots < 1:
            raise ValueError(f"no network of {self.slots} slots for a bucket of {self.bucket} px")

    def sizes(self, channels: int) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs as the shipped file names them."""
        b, s, big = self.bucket, self.slots, self.bucket * self.scale
        if self.half == "encode":
            return {"exemplars": (s, 3, big, big)}
        features = (s, channels, b, b)
        return {"crop": (1, 3, b, b), "hr": features, "query": features, "validity": (1, s)}


def make_variant(path: Path, variant: OnnxVariant) -> bytes:
    """Read a shipped ONNX file and make a variant of it.

    Returns: the bytes of an ONNX file (opset of the source).
    Raises:  ValueError: the file is not a half of the network. OSError.
    """
    try:
        model = onnx.load(path)
        channels = _channels(model)
        model = fix_shapes(with_signed(model), variant.sizes(channels))
        model = with_grid_sample(model)
        if variant.precision == "fp16":
            model = with_half(model)
        if variant.pixels:
            model = with_pixels(model)
        onnx.checker.check_model(model, full_check=True)
    except OSError:
        raise
    # protobuf and onnx raise classes of their own for each way in which a file can be wrong
    except Exception as error:
        line = (str(error) or type(error).__name__).strip().splitlines()[0]
        raise ValueError(f"{path.name} is no half of the network: {line}") from error
    return bytes(model.SerializeToString())


def ports(model: bytes) -> dict[str, tuple[tuple[int, ...], DTypeLike, bool]]:
    """Inputs and outputs of a variant: name: shape, type, whether it is an input."""
    graph = onnx.load_from_string(model).graph
    found: dict[str, tuple[tuple[int, ...], DTypeLike, bool]] = {}
    for values, is_input in ((graph.input, True), (graph.output, False)):
        for value in values:
            tensor = value.type.tensor_type
            shape = tuple(int(d.dim_value) for d in tensor.shape.dim)
            dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
            found[value.name] = (shape, dtype, is_input)
    return found


def _channels(model: ModelProto) -> int:
    """C, from the features among the inputs or outputs."""
    for value in (*model.graph.input, *model.graph.output):
        if value.name == "hr":
            return int(value.type.tensor_type.shape.dim[1].dim_value)
    raise ValueError("neither input nor output is named hr")


def with_grid_sample(model: ModelProto) -> ModelProto:
    """Replace each DeformConv by sampling, masking and a 1x1 convolution.

    Args:    model: from `fix_shapes`.
    Raises:  ValueError: a DeformConv that is not 3x3, stride 1, padding 1, with mask and bias.
    Source:  Dai et al. 2017, equation 2; Zhu et al. 2019, equation 1.
    """
    shapes, nodes = shapes_of(model), []
    weights = {t.name: t for t in model.graph.initializer}
    for index, node in enumerate(model.graph.node):
        if node.op_type != "DeformConv":
            nodes.append(node)
            continue
        own, constants = _sampler(node, f"{SAMPLING}{index}/", shapes[node.input[0]], weights)
        nodes.extend(own)
        model.graph.initializer.extend(constants)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    drop_unused(model)
    return inferred(model)


def _sampler(
    node: NodeProto, name: str, shape: tuple[int, ...], weights: dict[str, TensorProto]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """Nodes and constants for one DeformConv over an input of `shape` (N, C, h, w)."""
    given = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    plain = (given.get("strides"), given.get("pads"), given.get("dilations"))
    weight = numpy_helper.to_array(weights[node.input[1]])
    if plain != ([1, 1], [1] * 4, [1, 1]) or weight.shape[2:] != (3, 3) or len(node.input) != 5:
        raise ValueError(f"a DeformConv of another kind: {weight.shape} {plain}")
    (n, c, h, w), groups, taps = shape, int(given["offset_group"]), 9
    tap = np.arange(taps)
    # cell i has its centre at (2 i + 1) / size - 1 (align_corners = 0); a tap is a fixed shift
    x = np.arange(w) + (tap % 3 - 1)[:, None, None]
    y = np.arange(h)[:, None] + (tap // 3 - 1)[:, None, None]
    base = np.stack(np.broadcast_arrays((2 * x + 1) / w - 1, (2 * y + 1) / h - 1), axis=-1)
    constants: dict[str, Array] = {
        "base": base.reshape(1, taps * h, w, 2).astype(np.float32),
        "cell": np.array([2 / w, 2 / h], np.float32),
        "xy": np.array([1, 0]),
        "pairs": np.array([n * groups, taps, 2, h, w]),
        "grid_shape": np.array([n * groups, taps * h, w, 2]),
        "cells": np.array([n * groups, c // groups, h, w]),
        "mask_shape": np.array([n * groups, 1, taps * h, w]),
        "columns_shape": np.array([n, c * taps, h, w]),
    }
    # the masked samples are the columns of an ordinary convolution: no neighbours are left in it
    flat = weight.reshape(len(weight), -1, 1, 1)
    features, _, offset, bias, mask = node.input

    def make(op: str, result: str, *inputs: str, **attributes: Any) -> NodeProto:
        return helper.make_node(op, inputs, [result], result.replace("/", "_"), **attributes)

    modes = {"mode": "bilinear", "padding_mode": "zeros", "align_corners": 0}
    columns = name.removeprefix(SAMPLING)
    nodes = [
        make("Reshape", f"{name}offset", offset, f"{name}pairs"),
        make("Gather", f"{name}swapped", f"{name}offset", f"{name}xy", axis=2),
        make("Transpose", f"{name}last", f"{name}swapped", perm=[0, 1, 3, 4, 2]),
        make("Reshape", f"{name}shift", f"{name}last", f"{name}grid_shape"),
        make("Mul", f"{name}scaled", f"{name}shift", f"{name}cell"),
        make("Add", f"{name}grid", f"{name}scaled", f"{name}base"),
        make("Reshape", f"{name}features", features, f"{name}cells"),
        make("GridSample", f"{name}sampled", f"{name}features", f"{name}grid", **modes),
        make("Reshape", f"mask/{columns}", mask, f"{name}mask_shape"),
        make("Mul", f"masked/{columns}", f"{name}sampled", f"mask/{columns}"),
        make("Reshape", f"columns/{columns}", f"masked/{columns}", f"{name}columns_shape"),
        make("Conv", node.output[0], f"columns/{columns}", f"{name}weight", bias),
    ]
    tensors = [numpy_helper.from_array(v, f"{name}{k}") for k, v in constants.items()]
    return nodes, [*tensors, numpy_helper.from_array(flat, f"{name}weight")]


def _kept(model: ModelProto) -> set[int]:
    """Nodes of a float16 variant that stay in float32, by index."""
    readers: dict[str, list[int]] = {}
    makers: dict[str, int] = {}
    nodes = model.graph.node
    for k, node in enumerate(nodes):
        makers.update(dict.fromkeys(node.output, k))
        for name in node.input:
            readers.setdefault(name, []).append(k)

    def reach(seeds: Iterable[int], forward: bool) -> set[int]:
        seen, todo = set(), list(seeds)
        while todo:
            k = todo.pop()
            if k not in seen:
                seen.add(k)
                ways = [readers.get(o, []) for o in nodes[k].output]
                back = [[makers[i]] for i in nodes[k].input if i in makers]
                todo += [other for way in (ways if forward else back) for other in way]
        return seen

    def of(op: str) -> set[int]:
        return {k for k, node in enumerate(nodes) if node.op_type == op}

    sampling = {k for k, node in enumerate(nodes) if node.output[0].startswith(SAMPLING)}
    weighing = reach(of("ReduceSum"), True) & reach(of("Div"), False)
    return sampling | weighing | of("ReduceSum") | of("Div") | reach(of("Pad"), True)


def with_half(model: ModelProto) -> ModelProto:
    """Weights and activations in float16, except where the module says.

    Args: model: from `with_grid_sample`. Its features become float16, its pictures and the validity
          stay float32.
    """
    graph, kept = model.graph, _kept(model)
    kinds = {v.name: v.type.tensor_type.elem_type for v in (*graph.input, *graph.value_info)}
    weights = {t.name: t for t in graph.initializer}
    kinds |= {name: t.data_type for name, t in weights.items()}
    for value in (*graph.input, *graph.output):
        if value.name in FEATURES:
            value.type.tensor_type.elem_type = HALF
    for value in graph.input:
        kinds[value.name] = value.type.tensor_type.elem_type
    outputs = {value.name: value.type.tensor_type.elem_type for value in graph.output}
    made: dict[str, TensorProto] = {}
    nodes: list[NodeProto] = []
    casts: dict[tuple[str, int], str] = {}

    def as_kind(name: str, kind: int) -> str:
        """The name of this value in this type."""
        if kinds.get(name) not in (FLOAT, HALF) or kinds[name] == kind:
            return name
        if (name, kind) not in casts:
            casts[name, kind] = other = f"{name}:{'half' if kind == HALF else 'float'}"
            if name in weights:
                value = numpy_helper.to_array(weights[name]).astype(np.float16)
                made[other] = numpy_helper.from_array(value, other)
            else:
                nodes.append(helper.make_node("Cast", [name], [other], to=kind))
        return casts[name, kind]

    for k, node in enumerate(graph.node):
        kind = FLOAT if k in kept else HALF
        for i, name in enumerate(node.input):
            node.input[i] = as_kind(name, kind)
        nodes.append(node)
        for i, name in enumerate(node.output):
            # a result of the other type is cast on its way out
            if outputs.get(name, kind) != kind:
                node.output[i] = f"{name}:inner"
                nodes.append(helper.make_node("Cast", [f"{name}:inner"], [name], to=outputs[name]))
                kinds[f"{name}:inner"] = kind
            elif kinds.get(name, FLOAT) == FLOAT:
                kinds[name] = kind
    del graph.node[:]
    graph.node.extend(nodes)
    graph.initializer.extend(made.values())
    drop_unused(model)
    return inferred(model)


def with_pixels(model: ModelProto) -> ModelProto:
    """Pictures in and out as RGB uint8 (N, H, W, 3): a quarter of the bytes, no work for the host.

    Args: model: static, with pictures as float32 (N, 3, H, W) in 0..1.
    """
    graph, before, after = model.graph, [], []
    for value in graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.name in FEATURES or len(shape) != 4:
            continue
        name, inner = value.name, f"{value.name}:unit"
        for node in graph.node:
            for i, given in enumerate(node.input):
                if given == name:
                    node.input[i] = inner
        # TensorRT takes bytes only at its border: they must be cast before anything else
        before += [
            helper.make_node("Cast", [name], [f"{name}:wide"], to=FLOAT),
            helper.make_node("Transpose", [f"{name}:wide"], [f"{name}:planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Mul", [f"{name}:planes", "pixels/unit"], [inner]),
        ]
        value.type.tensor_type.elem_type = BYTE
        set_shape(value, (shape[0], *shape[2:], shape[1]))
    for value in graph.output:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        if value.name in FEATURES:
            continue
        name = value.name
        steps = (f"{name}:unit", f"{name}:clipped", f"{name}:scaled", f"{name}:moved")
        for node in graph.node:
            for i, result in enumerate(node.output):
                if result == name:
                    node.output[i] = steps[0]
        after += [
            helper.make_node("Clip", [steps[0], "pixels/zero", "pixels/one"], [steps[1]]),
            helper.make_node("Mul", [steps[1], "pixels/white"], [steps[2]]),
            helper.make_node("Add", [steps[2], "pixels/half"], [steps[3]]),
            helper.make_node("Transpose", [steps[3]], [f"{name}:last"], perm=[0, 2, 3, 1]),
            helper.make_node("Cast", [f"{name}:last"], [name], to=BYTE),
        ]
        value.type.tensor_type.elem_type = BYTE
        set_shape(value, (shape[0], *shape[2:], shape[1]))
    values = {"unit": 1 / 255, "zero": 0.0, "one": 1.0, "white": 255.0, "half": 0.5}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(v, np.float32), f"pixels/{k}") for k, v in values.items()
    )
    nodes = [*before, *graph.node, *after]
    del graph.node[:]
    graph.node.extend(nodes)
    drop_unused(model)
    return inferred(model)
