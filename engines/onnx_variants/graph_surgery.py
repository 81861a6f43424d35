"""Tools for surgery on ONNX graphs: fixed shapes, folded constants, inferred types."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from onnx.reference import ReferenceEvaluator

Array = NDArray[np.generic]
QUANTISATION = ("QuantizeLinear", "DequantizeLinear")


def fix_shapes(model: ModelProto, sizes: dict[str, tuple[int, ...]]) -> ModelProto:
    """Give the inputs fixed shapes and turn all shape arithmetic into constants.

    Raises: ValueError: another input, or a shape that stays open.
    """
    if {value.name for value in model.graph.input} != sizes.keys():
        names = sorted(value.name for value in model.graph.input)
        raise ValueError(f"inputs {names} instead of {sorted(sizes)}")
    fixed = ModelProto()
    fixed.CopyFrom(model)
    for value in fixed.graph.input:
        set_shape(value, sizes[value.name])
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    while True:
        del fixed.graph.value_info[:]
        fixed = onnx.shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
        if not _fold_constants(fixed):
            break
    drop_unused(fixed)
    for name, shape in shapes_of(fixed).items():
        if 0 in shape:
            raise ValueError(f"the shape of {name} stays open")
    return fixed


def set_shape(value: onnx.ValueInfoProto, shape: Iterable[int]) -> None:
    """Give an input or output a fixed shape."""
    tensor = value.type.tensor_type
    tensor.ClearField("shape")
    for size in shape:
        tensor.shape.dim.add().dim_value = size


def shapes_of(model: ModelProto) -> dict[str, tuple[int, ...]]:
    """Shapes of all inferred values; an open side is 0."""
    graph = model.graph
    return {
        value.name: tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
        for value in (*graph.input, *graph.value_info, *graph.output)
        if value.type.tensor_type.HasField("shape")
    }


def _fold_constants(model: ModelProto) -> bool:
    """Replace nodes whose result is known by initializers. Returns: whether there were any."""
    graph = model.graph
    known = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    shapes = shapes_of(model)
    left, folded = [], False
    for node in graph.node:
        if node.op_type == "Shape" and all(shapes.get(node.input[0], (0,))):
            size = len(shapes[node.input[0]])
            ends = {a.name: a.i for a in node.attribute}
            part = shapes[node.input[0]][ends.get("start", 0) : ends.get("end", size)]
            results: list[Array] = [np.array(part, np.int64)]
        # a folded Q/DQ pair would leave float weights and no quantisation for the builder to see
        elif node.op_type not in QUANTISATION and all(n in known for n in node.input if n):
            given = {name: known[name] for name in node.input if name}
            results = [np.asarray(r) for r in ReferenceEvaluator(node).run(None, given)]
        else:
            left.append(node)
            continue
        folded = True
        for name, result in zip(node.output, results, strict=True):
            known[name] = np.asarray(result)
            graph.initializer.append(numpy_helper.from_array(known[name], name))
    del graph.node[:]
    graph.node.extend(left)
    return folded


def with_signed(model: ModelProto) -> ModelProto:
    """Read quantised activations as int8 with zero point 0 instead of uint8 with 128.

    The levels are the same. ONNX Runtime has fast kernels for the unsigned variant alone, TensorRT
    takes nothing but the signed one.

    Raises: ValueError: a zero point of another value.
    """
    graph = model.graph
    points = {n.input[2] for n in graph.node if n.op_type in QUANTISATION and len(n.input) > 2}
    for tensor in graph.initializer:
        value = numpy_helper.to_array(tensor)
        if tensor.name in points and value.dtype == np.uint8:
            if (value != 128).any():
                raise ValueError(f"{tensor.name} is not in the middle: {value}")
            tensor.CopyFrom(numpy_helper.from_array(np.zeros(value.shape, np.int8), tensor.name))
    del graph.value_info[:]
    return model


def with_exact_inputs(model: ModelProto) -> ModelProto:
    """Let everything but convolutions read the graph's inputs as they came, not quantised.

    A quantiser gives the rounded value to all who read it. Of the camera's picture, which is
    enlarged and shown, that would be 7 bits.
    """
    graph = model.graph
    inputs = {value.name for value in graph.input}
    rounded = {
        n.output[0]: n.input[0]
        for n in graph.node
        if n.op_type == "QuantizeLinear" and n.input[0] in inputs
    }
    exact = {
        n.output[0]: rounded[n.input[0]]
        for n in graph.node
        if n.op_type == "DequantizeLinear" and n.input[0] in rounded
    }
    for node in graph.node:
        if node.op_type != "Conv":
            for i, name in enumerate(node.input):
                node.input[i] = exact.get(name, name)
    return model


def drop_unused(model: ModelProto) -> None:
    """Drop the initializers that no node reads."""
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)


def inferred(model: ModelProto) -> ModelProto:
    """The model with the type and shape of every value; wrong types raise onnx's own errors."""
    del model.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(model, strict_mode=True)
