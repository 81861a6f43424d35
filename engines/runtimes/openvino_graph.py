"""The shipped graph in the form in which OpenVINO runs it fast.

- OpenVINO has no rule for ONNX's DeformConv, and its own deformable convolution takes more than a
  third of the frame. Here the same is made of operators that have fast kernels, in a quarter of the
  time. GridSample wants (x, y) side by side; convolutions write channels last, so all x behind all
  y of a column come out as two columns, and no general transposition (a third of what is left) is
  needed. Masked samples are the columns of an ordinary convolution, which is a matrix product.
- OpenVINO's own bfloat16 mode would round sampling positions and the exemplars' features too. Here
  each value has its type in the graph: convolutions in bfloat16; in float32 the sampler and the
  enlarged camera picture that all detail is added to. It is the same speed and 8 dB nearer.
- All sides are fixed: that gains a fifth, and costs 0.1 s of compilation for each bucket.
- Without exemplars nothing is aligned: a graph of its own leaves all of that out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engines.runtimes.no_telemetry import without_telemetry

with without_telemetry():
    import openvino as ov
    from openvino import opset13 as op
    from openvino.frontend.onnx import ConversionExtension
    from openvino.passes import ConstantFolding, Manager

Array = NDArray[np.float32]
VERSION = str(ov.__version__).split("-")[0]
TAPS = 9
TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]
"""Channels of (N, C, h, w) behind the sides, and back."""
FLOAT, HALF = ov.Type.f32, ov.Type.bf16


@cache
def open_core() -> Any:
    """OpenVINO, taught to read DeformConv; one for the whole program, for good.

    Its CPU plugin gives the thread that loads it a stack for signals, and takes the memory away
    with the last network. Freed in another thread, the next Ctrl-C would end in a crash.
    """
    core = ov.Core()
    core.add_extension(ConversionExtension("DeformConv", _deform_conv))
    return core


def _deform_conv(node: Any) -> Any:
    """ONNX DeformConv 19, 3x3, with mask and bias -> OpenVINO's and an addition."""
    x, weight, offset, bias, mask = (node.get_input(k) for k in range(5))
    ones, groups = [1, 1], node.get_attribute("offset_group")
    if [node.get_attribute(k) for k in ("pads", "strides", "dilations")] != [[1] * 4, ones, ones]:
        raise ValueError("a DeformConv of another kind")
    y = op.deformable_convolution(
        *(x, offset, weight, ones, ones, ones, ones),
        mask=mask,
        deformable_group=groups,
        bilinear_interpolation_pad=True,  # zeros outside; False would repeat the border
    )
    return op.add(y, op.unsqueeze(bias, _ints([0, 2, 3]))).outputs()


def share(array: Array) -> Any:
    """A tensor on the array's own memory, which must live as long as the tensor is used."""
    return ov.Tensor(array, shared_memory=True)


class EnhanceGraph:
    """A shipped `*.enhance.onnx`, from which a model is built for each bucket.

    Raises: RuntimeError: OpenVINO cannot read it.
    """

    def __init__(self, core: Any, path: Path) -> None:
        self._model = core.read_model(path)
        _keep_quantised(self._model)
        self.channels: int = self._model.input("hr").get_partial_shape()[1].get_length()

    def build(self, side: int, slots: int, precision: str) -> Any:
        """The model for crops of `side` px.

        Args:    slots: number of exemplars; with 0 its only input is `crop`. precision: "bf16", or
                 another for the types that are in the file; inputs are float32 with all.
        Returns: a model with two outputs: the picture in float32, and as RGB uint8 (1, H, W, 3).
        Raises:  ValueError: the file holds another network.
        """
        model, c, n = self._model.clone(), self.channels, max(slots, 1)
        features = [n, c, side, side]
        shapes = {"crop": [1, 3, side, side], "validity": [1, n], "hr": features, "query": features}
        model.reshape({name: ov.PartialShape(shape) for name, shape in shapes.items()})
        passes = Manager()
        passes.register_pass(ConstantFolding())
        passes.run_passes(model)
        if slots:
            made = _replace_deform_conv(model)
        else:
            # the exemplars' weighted mean: the sum of their weights is zero, and so is this
            mean, made = _only(model, "Divide"), set()
            _replace(mean.output(0), _floats(np.zeros((1, 1, 1, 1), np.float32)).output(0))
        if precision == "bf16":
            _set_types(model, made)
        used = [p for p in model.get_parameters() if _reaches(p)]
        (picture,) = model.get_results()
        model = ov.Model([picture], used, "enhance")
        model.validate_nodes_and_infer_types()
        pixels = op.result(_pixels(picture.input_value(0)))
        return ov.Model([picture, pixels], used, "enhance")


@dataclass(frozen=True)
class Sampler:
    """Modulated deformable 3x3 convolution and the 1x1 convolution that makes its offsets."""

    weight: Array
    """(27 G, C): of the 1x1 convolution; (y, x) of each tap of each group, then the masks."""
    bias: Array
    """(27 G,)"""
    deform: Array
    """(C, C, 3, 3)"""
    groups: int
    """G: groups of channels that share offsets."""

    def build(self, x: Any, hr: Any) -> Any:
        """x, hr (S, C, b, b) -> aligned (S, C, b, b), without bias."""
        (n, c, b, _), groups = x.get_shape(), self.groups
        count, fields = 2 * TAPS * groups, n * groups
        pairs = self.weight[:count].reshape(-1, 2, c)[:, ::-1].transpose(2, 0, 1) * np.float32(
            2 / b
        )
        shift = op.convolution_backprop_data(x, _floats(pairs[:, :, None]), [1, 2])
        grid = op.add(shift, _floats(self.base(b)))
        samples = op.grid_sample(
            op.reshape(hr, _ints([fields, c // groups, b, b]), False),
            op.reshape(grid, _ints([fields, TAPS * b, b, 2]), False),
            {"align_corners": False, "mode": "bilinear", "padding_mode": "zeros"},
        )
        flat = op.reshape(x, _ints([n, c, b * b]), False)
        mask = op.matmul(_floats(self.weight[count:]), flat, False, False)
        mask = op.sigmoid(op.add(mask, _floats(self.bias[count:, None])))
        columns = op.multiply(
            op.reshape(samples, _ints([fields, c // groups, TAPS * b * b]), False),
            op.reshape(mask, _ints([fields, 1, TAPS * b * b]), False),
        )
        columns = op.reshape(columns, _ints([n, c * TAPS, b * b]), False)
        product = op.matmul(_floats(self.deform.reshape(c, -1)), columns, False, False)
        return op.reshape(product, _ints([n, c, b, b]), False)

    def base(self, side: int) -> Array:
        """Where the taps lie without x: (1, 9 G, b, 2 b), x and y in turn, the bias included.

        Convention: cell i has its centre at (2 i + 1) / b - 1 (align_corners = False).
        """
        ky, kx = (k[:, None, None] - 1 for k in np.divmod(np.arange(TAPS), 3))
        at = np.arange(side)
        base = np.empty((self.groups, TAPS, side, side, 2), np.float32)
        base[..., 0] = (2 * (kx + at) + 1) / side - 1
        base[..., 1] = (2 * (ky + at[:, None]) + 1) / side - 1
        offsets = self.bias[: 2 * TAPS * self.groups].reshape(-1, TAPS, 1, 1, 2)[..., ::-1]
        base += offsets * np.float32(2 / side)
        return base.reshape(1, -1, side, 2 * side)


def _replace_deform_conv(model: Any) -> set[str]:
    """Put a `Sampler` in the place of the deformable convolution.

    Returns: names of the nodes that belong to it, which stay in float32.
    Raises:  ValueError: its offsets and mask are made in another way than HIME's.
    """
    old = {node.get_name() for node in model.get_ordered_ops()}
    deform = _only(model, "DeformableConvolution")
    split, gate = _maker(deform, 1), _maker(deform, 3)
    biased = _maker(split, 0)
    conv = _maker(biased, 0)
    kinds = [node.get_type_name() for node in (gate, biased, conv)]
    if kinds != ["Sigmoid", "Add", "Convolution"] or _maker(gate, 0) != split:
        raise ValueError(f"offsets and mask are made by {kinds}")
    sampler = Sampler(
        _value(conv, 1)[:, :, 0, 0],
        _value(biased, 1).reshape(-1),
        _value(deform, 2),
        deform.get_attributes()["deformable_group"],
    )
    aligned = sampler.build(conv.input_value(0), model.input("hr"))
    _replace(deform.output(0), aligned.output(0))
    return {node.get_name() for node in model.get_ordered_ops()} - old


def _set_types(model: Any, sampler: set[str]) -> None:
    """Make everything bfloat16 but the nodes named `sampler` and the enlarged camera picture."""
    nodes = model.get_ordered_ops()
    # the camera picture is enlarged by a convolution behind the only Pad
    wide = sampler | _readers(_only(model, "Pad"))
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


def _value(node: Any, index: int) -> Array:
    maker = _maker(node, index)
    if maker.get_type_name() != "Constant":
        raise ValueError(f"{maker.get_friendly_name()} is no constant")
    return np.array(maker.data, np.float32)


def _floats(values: NDArray[np.floating[Any]]) -> Any:
    return op.constant(np.ascontiguousarray(values, np.float32))


def _ints(values: list[int]) -> Any:
    return op.constant(np.array(values, np.int64))
