"""Variants of the shipped ONNX files for runtimes that want fixed shapes or half precision: made
by surgery on the graph, without the network's own code.

    shipped:  float32, any slots, height and width
    variant:  float32 or float16, one crop size, a fixed number of slots, and on request pictures as
              uint8 (N, H, W, C) instead of float32 (N, C, H, W) in 0..1

A variant is strongly typed: every value has one type, written in the file, and a builder that
follows it has no precision left to choose. In a float16 variant these stay float32: packed pixels
and the detail that is taken from them; sampling positions and the detail at the sampler (a half
position is off by up to a tenth of a pixel); the weighted means over the exemplars (small over
small); and the enlarged camera picture that all detail is added to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import DTypeLike
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from engines.onnx_variants.graph_surgery import (
    drop_unused,
    fix_shapes,
    inferred,
    set_shape,
    with_signed,
)

PRECISIONS = ("fp32", "fp16")
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
    """Pictures are uint8 (N, H, W, C), RGB, of exemplars RGBA: scaling and rounding are part of the
    graph."""

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {PRECISIONS}, not {self.precision!r}")
        if self.half not in ("encode", "enhance"):
            raise ValueError(f'half must be "encode" or "enhance", not {self.half!r}')
        if self.bucket < 8 or self.bucket % 2 or self.slots < 1:
            raise ValueError(f"no network of {self.slots} slots for a bucket of {self.bucket} px")

    def sizes(self, channels: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs as the shipped file names them.

        Args: channels: of the features by name, from `feature_channels`.
        """
        b, s, big = self.bucket, self.slots, self.bucket * self.scale
        if self.half == "encode":
            return {"exemplars": (s, 4, big, big)}
        features = {name: (s, channels[name], b, b) for name in FEATURES}
        return {"crop": (1, 3, b, b), **features, "validity": (1, s)}


def make_variant(source: Path | bytes, variant: OnnxVariant) -> bytes:
    """Read a shipped ONNX file, or another of its kind in memory, and make a variant of it.

    Returns: the bytes of an ONNX file (opset of the source).
    Raises:  ValueError: the file is not a half of the network. OSError.
    """
    try:
        model = onnx.load(source) if isinstance(source, Path) else onnx.load_from_string(source)
        model = fix_shapes(with_signed(model), variant.sizes(feature_channels(model)))
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
        name = source.name if isinstance(source, Path) else f"what was given as {variant.half}"
        raise ValueError(f"{name} is no half of the network: {line}") from error
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


def feature_channels(model: ModelProto) -> dict[str, int]:
    """Channels of the features among the inputs or outputs, by name.

    Raises: ValueError: there are no such features.
    """
    values = {value.name: value for value in (*model.graph.input, *model.graph.output)}
    if missing := [name for name in FEATURES if name not in values]:
        raise ValueError(f"neither input nor output is named {missing[0]}")
    return {name: int(values[name].type.tensor_type.shape.dim[1].dim_value) for name in FEATURES}


class _Graph:
    """Who reads what in a model; nodes by index."""

    def __init__(self, model: ModelProto) -> None:
        self.nodes = model.graph.node
        self._readers: dict[str, list[int]] = {}
        self._makers: dict[str, int] = {}
        for k, node in enumerate(self.nodes):
            self._makers.update(dict.fromkeys(node.output, k))
            for name in node.input:
                self._readers.setdefault(name, []).append(k)

    def of(self, *kinds: str) -> set[int]:
        """All nodes of these operators."""
        return {k for k, node in enumerate(self.nodes) if node.op_type in kinds}

    def makers(self, node: int) -> set[int]:
        """The nodes whose results this one reads."""
        return {self._makers[name] for name in self.nodes[node].input if name in self._makers}

    def readers(self, name: str) -> set[int]:
        """The nodes that read a value."""
        return set(self._readers.get(name, ()))

    def after(self, seeds: Iterable[int]) -> set[int]:
        """These nodes and all that depend on them."""
        return self._reach(
            seeds,
            lambda k: {r for name in self.nodes[k].output for r in self._readers.get(name, ())},
        )

    def before(self, seeds: Iterable[int]) -> set[int]:
        """These nodes and all that they depend on."""
        return self._reach(seeds, self.makers)

    @staticmethod
    def _reach(seeds: Iterable[int], near: Callable[[int], set[int]]) -> set[int]:
        seen: set[int] = set()
        todo = list(seeds)
        while todo:
            k = todo.pop()
            if k not in seen:
                seen.add(k)
                todo += near(k)
        return seen


def _kept(model: ModelProto) -> set[int]:
    """Nodes of a float16 variant that stay in float32, by index.

    Raises: ValueError: they are not there: another network.
    """
    graph = _Graph(model)
    # bicubic enlargement is a convolution behind a Pad, a learnt one pads by itself
    pads = graph.of("Pad")
    learnt = {k for k in graph.of("Conv") if not graph.makers(k) & pads}
    samplers = graph.of("GridSample")
    if not samplers:
        return set(range(len(graph.nodes))) - graph.after(learnt)
    # a quotient of two computed values; that of a position has the side below it
    means = {k for k in graph.of("Div") if len(graph.makers(k)) == 2}
    positions = graph.before(samplers) & graph.after(graph.of("Tanh"))
    shares = samplers | graph.of("Sigmoid", "ReduceSum") | graph.readers("validity")
    picture = graph.after(graph.readers("crop") & pads)
    if len(samplers) != 1 or len(means) != 2 or not positions or not picture:
        raise ValueError("the exemplars are not sampled and weighed as in HIME")
    weighing = graph.after(shares) & graph.before(means)
    return positions | weighing | picture | graph.of("ReduceSum")


def with_half(model: ModelProto) -> ModelProto:
    """Weights and activations in float16, except where the module says.

    Args:   model: from `fix_shapes`. Its features become float16, its pictures and the validity
            stay float32.
    Raises: ValueError: it is another network.
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
    """Pictures in and out as uint8 (N, H, W, C): a quarter of the bytes, no work for the host.

    Args: model: static, with pictures as float32 (N, C, H, W) in 0..1.
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
