"""The shipped graph in the form in which OpenVINO runs it fast.

- OpenVINO's own bfloat16 mode would round sampling positions and the exemplars' detail too. Here
  each value has its type in the graph: learnt convolutions in bfloat16; in float32 packed pixels,
  the detail and the confidence taken from them, the sampler, and the enlarged camera picture that
  all detail is added to. It is the same speed and 8 dB nearer.
- All sides are fixed, which costs 0.1 s of compilation for each bucket and gains a fifth, in
  `encode` a third; there the number of exemplars stays open.
- Without exemplars nothing is aligned: a graph of its own leaves all of that out.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.runtimes.no_telemetry import without_telemetry

with without_telemetry():
    import openvino as ov
    from openvino import opset13 as op
    from openvino.passes import ConstantFolding, Manager

Array = NDArray[np.float32]
VERSION = str(ov.__version__).split("-")[0]
TO_LAST = [0, 2, 3, 1]
"""Channels of (N, C, h, w) behind the sides."""
FLOAT, HALF = ov.Type.f32, ov.Type.bf16


@cache
def open_core() -> Any:
    """OpenVINO, one for the whole program, for good.

    Its CPU plugin gives the thread that loads it a stack for signals, and takes the memory away
    with the last network. Freed in another thread, the next Ctrl-C would end in a crash.
    """
    return ov.Core()


def share(array: Array) -> Any:
    """A tensor on the array's own memory, which must live as long as the tensor is used."""
    return ov.Tensor(array, shared_memory=True)


class EncodeGraph:
    """A shipped `*.encode.onnx`, from which a model is built for each bucket.

    Raises: RuntimeError: OpenVINO cannot read it. ValueError: it wants no RGBA.
    """

    def __init__(self, core: Any, half: Path | bytes) -> None:
        self._model = core.read_model(half)
        _keep_quantised(self._model)
        channels = self._model.input("exemplars").get_partial_shape()[1]
        if channels != ov.Dimension(4):
            raise ValueError(f"exemplars of {channels} channels instead of 4")

    def build(self, side: int, precision: str) -> Any:
        """The model for exemplars of `side` px, any number of them.

        Args:    precision: as of `EnhanceGraph.build`; inputs and outputs are float32 with all.
        Returns: a model with the outputs hr and query.
        Raises:  ValueError: the file holds another network.
        """
        model = self._model.clone()
        model.reshape({"exemplars": ov.PartialShape([-1, 4, side, side])})
        _fold(model)
        if precision == "bf16":
            nodes = model.get_ordered_ops()
            learnt = set().union(*(_readers(node) for node in nodes if _is_learnt(node)))
            detail = _readers(_only(model, "Subtract"))
            results = {result.get_name() for result in model.get_results()}
            _set_types(model, {node.get_name() for node in nodes} - learnt | detail | results)
            model.validate_nodes_and_infer_types()
        return model


class EnhanceGraph:
    """A shipped `*.enhance.onnx`, from which a model is built for each bucket and number of slots.

    Raises: RuntimeError: OpenVINO cannot read it.
    """

    def __init__(self, core: Any, half: Path | bytes) -> None:
        self._model = core.read_model(half)
        _keep_quantised(self._model)
        self.channels, self.query_channels = (
            self._model.input(name).get_partial_shape()[1].get_length() for name in ("hr", "query")
        )

    def build(self, side: int, slots: int, precision: str) -> Any:
        """The model for crops of `side` px.

        Args:    slots: number of exemplars; with 0 its only input is `crop`. precision: "bf16", or
                 another for the types that are in the file; inputs are float32 with all.
        Returns: a model with two outputs: the picture in float32, and as RGB uint8 (1, H, W, 3).
        Raises:  ValueError: the file holds another network.
        """
        model, n = self._model.clone(), max(slots, 1)
        shapes = {
            "crop": [1, 3, side, side],
            "validity": [1, n],
            "hr": [n, self.channels, side, side],
            "query": [n, self.query_channels, side, side],
        }
        model.reshape({name: ov.PartialShape(shape) for name, shape in shapes.items()})
        _fold(model)
        if not slots:
            # the exemplars' weighted means: the sum of their weights is zero, and so are they
            for mean in _mean_nodes(model):
                nothing = np.zeros(list(mean.get_output_shape(0)), np.float32)
                _replace(mean.output(0), _floats(nothing).output(0))
        if precision == "bf16":
            wide = _readers(_enlarging_pad(model)) | (_sampling(model) if slots else set())
            _set_types(model, wide)
        used = [p for p in model.get_parameters() if _reaches(p)]
        (picture,) = model.get_results()
        model = ov.Model([picture], used, "enhance")
        model.validate_nodes_and_infer_types()
        pixels = op.result(_pixels(picture.input_value(0)))
        return ov.Model([picture, pixels], used, "enhance")


def _fold(model: Any) -> None:
    """Turn shape arithmetic into constants."""
    passes = Manager()
    passes.register_pass(ConstantFolding())
    passes.run_passes(model)


def _is_learnt(node: Any) -> bool:
    """Whether it is a convolution with weights; bicubic enlargement is one behind a Pad."""
    is_one = node.get_type_name() in ("Convolution", "GroupConvolution")
    return is_one and _maker(node, 0).get_type_name() != "Pad"


def _mean_nodes(model: Any) -> list[Any]:
    """The weighted means over the exemplars: the only quotients of two computed values."""
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == "Divide" and _maker(node, 1).get_type_name() != "Constant"
    ]


def _sampling(model: Any) -> set[str]:
    """Names of the nodes from the bounded offsets over the sampler to the merged detail; where no
    detail is sampled, those that merge it.

    Raises: ValueError: the file holds another network.
    """
    merged = [mean for mean in _mean_nodes(model) if "hr" not in _inputs(mean)]
    if len(merged) != 1:
        raise ValueError("the detail is not merged as in HIME")
    if not any(node.get_type_name() == "GridSample" for node in model.get_ordered_ops()):
        shares = [n for n in _upstream(merged[0]).values() if n.get_type_name() == "Sigmoid"]
        return _sources(merged[0]).difference(*(_sources(share) for share in shares))
    sampler = _only(model, "GridSample")
    between = _readers(sampler) & _sources(merged[0])
    positions = _sources(sampler) - _sources_of_offsets(sampler)
    return between | positions


def _inputs(node: Any) -> set[str]:
    """Names of the model's inputs that a node depends on."""
    found = _upstream(node).values()
    return {n.get_friendly_name() for n in found if n.get_type_name() == "Parameter"}


def _enlarging_pad(model: Any) -> Any:
    """The Pad of the crop, behind which a convolution enlarges it."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Pad" and _maker(node, 0).get_type_name() == "Parameter":
            return node
    raise ValueError("the crop is not enlarged as in HIME")


def _sources_of_offsets(sampler: Any) -> set[str]:
    """Names of the nodes before the tanh that bounds the offsets: those may be narrow."""
    for name, node in _upstream(sampler).items():
        if node.get_type_name() == "Tanh":
            return _sources(node) - {name}
    raise ValueError("the offsets are not bounded as in HIME")


def _set_types(model: Any, wide: set[str]) -> None:
    """Make everything bfloat16 but the nodes named `wide`."""
    nodes = model.get_ordered_ops()
    ends = ("Constant", "Parameter")
    casts: dict[tuple[str, int, Any], Any] = {}
    for node in nodes:
        if node.get_type_name() in ends:
            continue
        kind = FLOAT if node.get_name() in wide else HALF
        for reader in node.inputs():
            source = reader.get_source_output()
            maker = source.get_node()
            if source.get_element_type() != FLOAT:
                continue
            narrow = maker.get_type_name() not in ends and maker.get_name() not in wide
            if (kind == HALF) == narrow:
                continue
            key = (maker.get_name(), source.get_index(), str(kind))
            if key not in casts:
                casts[key] = op.convert(source, kind).output(0)
            reader.replace_source_output(casts[key])


def _keep_quantised(model: Any) -> None:
    """Keep INT8 weights from being folded into float32 ones, which would undo the quantisation."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Convert" and node.get_input_element_type(0) == ov.Type.i8:
            node.get_rt_info()["DisableConstantFolding_0"] = True


def _pixels(picture: Any) -> Any:
    """float32 (1, 3, H, W), 0..1 -> uint8 (1, H, W, 3); the cast cuts off, so a half is added."""
    scaled = op.add(op.multiply(picture, _floats(np.array(255.0))), _floats(np.array(0.5)))
    return op.transpose(op.convert(op.clamp(scaled, 0.0, 255.0), "u8"), _ints(TO_LAST))


def _readers(node: Any) -> set[str]:
    """Names of a node and of all that depends on it."""
    names, todo = set(), [node]
    while todo:
        one = todo.pop()
        if (name := one.get_name()) not in names:
            names.add(name)
            for output in one.outputs():
                todo += [reader.get_node() for reader in output.get_target_inputs()]
    return names


def _upstream(node: Any) -> dict[str, Any]:
    """A node and all that it depends on, by name."""
    found: dict[str, Any] = {}
    todo = [node]
    while todo:
        one = todo.pop()
        if one.get_name() not in found:
            found[one.get_name()] = one
            todo += [value.get_node() for value in one.input_values()]
    return found


def _sources(node: Any) -> set[str]:
    """Names of a node and of all that it depends on."""
    return set(_upstream(node))


def _reaches(parameter: Any) -> bool:
    """Whether a result depends on this parameter."""
    return any(name.startswith("Result") for name in _readers(parameter))


def _only(model: Any, kind: str) -> Any:
    found = [node for node in model.get_ordered_ops() if node.get_type_name() == kind]
    if len(found) != 1:
        raise ValueError(f"{len(found)} operators {kind} instead of one")
    return found[0]


def _maker(node: Any, index: int) -> Any:
    return node.input_value(index).get_node()


def _replace(output: Any, other: Any) -> None:
    for reader in output.get_target_inputs():
        reader.replace_source_output(other)


def _floats(values: NDArray[np.floating[Any]]) -> Any:
    return op.constant(np.ascontiguousarray(values, np.float32))


def _ints(values: list[int]) -> Any:
    return op.constant(np.array(values, np.int64))
