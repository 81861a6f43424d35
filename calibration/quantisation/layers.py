"""Layers: which convolutions tolerate INT8, measured one by one, and files with those in INT8.

Quantised are inputs, weights and outputs of convolutions alone (Q/DQ pairs, per tensor and per
channel, symmetric), with onnxruntime.quantization: it needs `onnx` alone, and leaves what it does
not know as it is, GridSample among it. What else reads the camera's picture gets it in float32.
Activations are unsigned with the zero point in the middle: the levels of int8, in the form for
which ONNX Runtime has fast kernels (`engines.onnx_variants.graph_surgery`).
"""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    create_calibrator,
    quantize_static,
)
from onnxruntime.quantization.calibrate import save_tensors_data

from calibration.quantisation.material import Sample
from engines.onnx_variants.graph_surgery import fix_shapes, shapes_of, with_exact_inputs
from engines.onnx_variants.variants import OnnxVariant, feature_channels
from engines.runtime import Features
from engines.runtimes.cpu import to_unit
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.weights.manifest import HALVES

Array = NDArray[np.float32]
Files = tuple[Path, Path]
KEPT = ("lr_features.head.", "transfer.", "reconstruction.gain.", "reconstruction.last.")
"""Names of these begin so. The first would read 7 bits of the camera's picture, which nothing after
it can make good, and is next to no work. What the others make is not smoothed by anything after
them: sampling positions (with those in INT8, x8, detail was up to 20 levels off in stripes of
strong colours, without 9) and the exemplars' shares, how much of their detail is shown, and the
picture."""
CHEAPEST = 0.9
PERCENTILES = (None, 99.999, 99.99, 99.9)
"""How much of the values a range holds; None: all that were seen."""
TYPICAL_PX = {4: 48, 8: 24}


@dataclass(frozen=True)
class Layer:
    """A convolution."""

    half: str
    node: str
    weight: str
    macs: int
    """Multiply-accumulates for a typical crop."""


@dataclass(frozen=True)
class Measured:
    """A layer and what it costs to quantise it alone."""

    layer: Layer
    mse: float
    """Mean squared error to the float32 picture, 0..1 squared."""

    @property
    def price(self) -> float:
        """Error for the work that is saved."""
        return self.mse / self.layer.macs


def convolutions(path: Path, half: str, scale: int) -> list[Layer]:
    """The convolutions of one half that may be quantised: with learnt weights, but for `KEPT`.

    Bicubic enlargement, of the camera's picture and of positions, is a convolution behind a Pad.

    Args: path: of the ONNX file. half: "encode" or "enhance". scale: 4 or 8.
    """
    model = onnx.load(path)
    weights = {t.name: t for t in model.graph.initializer}
    padded = {name for node in model.graph.node if node.op_type == "Pad" for name in node.output}
    sizes = OnnxVariant(half, scale, TYPICAL_PX[scale]).sizes(feature_channels(model))
    shapes = shapes_of(fix_shapes(model, sizes))
    return [
        Layer(
            *(half, node.name, node.input[1]),
            macs=int(np.prod(shapes[node.output[0]]) * np.prod(weights[node.input[1]].dims[1:])),
        )
        for node in model.graph.node
        if node.op_type == "Conv"
        and node.input[0] not in padded
        and node.input[1] in weights
        and not node.input[1].startswith(KEPT)
    ]


class Network:
    """Runs two files on samples, in ONNX Runtime, one thread."""

    def __init__(self, scale: int, files: Files) -> None:
        self._runtime = OnnxRuntimeCpu(scale, threads=1, files=files)

    def features(self, sample: Sample) -> Features | None:
        """As `Runtime.encode`; None without exemplars."""
        return self._runtime.encode(list(sample.exemplars)) if sample.exemplars else None

    def picture(self, sample: Sample, features: Features | None) -> Array:
        """(3, s b, s b), 0..1, a copy."""
        return np.clip(self._runtime.enhance_float(sample.crop, features), 0, 1)


@dataclass(frozen=True)
class Exact:
    """The float32 network's answers to some samples."""

    scale: int
    files: Files
    samples: list[Sample]
    features: list[Features | None]
    pictures: list[Array]

    @classmethod
    def of(cls, scale: int, files: Files, samples: list[Sample]) -> Exact:
        """Run the network.

        Args:   scale: 4 or 8. files: in float32. samples: what the network is run on.
        Raises: EngineError.
        """
        network = Network(scale, files)
        features = [network.features(one) for one in samples]
        pictures = [network.picture(*pair) for pair in zip(samples, features, strict=True)]
        return cls(scale, files, samples, features, pictures)

    def some(self, count: int) -> Exact:
        """The same for some of the samples, from everywhere."""
        last = len(self.samples) - 1
        places = sorted({int(k) for k in np.linspace(0, last, min(count, last + 1))})
        return Exact(
            *(self.scale, self.files, [self.samples[k] for k in places]),
            features=[self.features[k] for k in places],
            pictures=[self.pictures[k] for k in places],
        )

    def answers(self, files: Files) -> list[Array]:
        """Another pair of files on the same samples. An encode half that is the same is not run."""
        network = Network(self.scale, files)
        known = files[0] == self.files[0]
        made = []
        for sample, features in zip(self.samples, self.features, strict=True):
            own = features if known else network.features(sample)
            made.append(network.picture(sample, own))
        return made

    def mse(self, files: Files) -> float:
        """Mean squared error to the float32 pictures."""
        pairs = zip(self.answers(files), self.pictures, strict=True)
        return float(np.mean([np.square(a - b).mean() for a, b in pairs]))

    def feeds(self, half: str) -> Iterator[dict[str, Array]]:
        """Inputs of one half, sample by sample."""
        for sample, features in zip(self.samples, self.features, strict=True):
            if features is None:
                continue
            if half == "encode":
                yield {"exemplars": to_unit(list(sample.exemplars))}
            else:
                hr, query = features
                valid = np.ones((1, len(hr)), np.float32)
                crop = to_unit([sample.crop])
                yield {"crop": crop, "hr": hr, "query": query, "validity": valid}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, feed: dict[str, Array]) -> None:
        self._left = [feed]

    def get_next(self) -> dict[str, Array] | None:
        return self._left.pop() if self._left else None


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The tool prints its progress, and warns of a step that these files do not need."""
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(logging.NOTSET)


class Quantiser:
    """Ranges of all values, once; then any set of layers in INT8.

    Args: folder: for files in between. exact: what ranges are taken from.
    """

    def __init__(self, exact: Exact, folder: Path, percentile: float | None) -> None:
        self._files = dict(zip(HALVES, exact.files, strict=True))
        self.folder = folder
        self.percentile = percentile
        self._method = CalibrationMethod.MinMax
        options: dict[str, Any] = {"symmetric": True}
        if percentile is not None:
            self._method = CalibrationMethod.Percentile
            options["percentile"] = percentile
        self._ranges = {half: folder / f"{half}.{percentile}.json" for half in HALVES}
        for half, path in self._files.items():
            with _quiet():
                calibrator = create_calibrator(
                    path, ["Conv"], str(folder / "wide.onnx"), self._method, extra_options=options
                )
                # one by one: their sizes differ, and all values of all samples are gigabytes
                for feed in exact.feeds(half):
                    calibrator.collect_data(_Reader(feed))
                save_tensors_data(calibrator.compute_data(), self._ranges[half])

    def write(self, half: str, nodes: list[str], path: Path) -> Path:
        """A half with these convolutions in INT8; its own file where there are none.

        Args: half: "encode" or "enhance". nodes: names of the convolutions. path: of the new file.
        """
        if not nodes:
            return self._files[half]
        with _quiet():
            quantize_static(
                str(self._files[half]),
                str(path),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                # Weights of 7 bits: processors without VNNI add two products of 8 bits in 16 bits,
                # which overflow; pictures were up to 28 levels off there.
                reduce_range=True,
                nodes_to_quantize=nodes,
                calibrate_method=self._method,
                calibration_cache_path=str(self._ranges[half]),
                # biases in int32 are refused by NVIDIA's parser
                extra_options={
                    "ActivationSymmetric": True,
                    "WeightSymmetric": True,
                    "QuantizeBias": False,
                },
            )
        onnx.save(with_exact_inputs(onnx.load(path)), path)
        return path

    def files(self, layers: list[Layer], name: str = "trial") -> Files:
        """Both halves with these layers in INT8, in the folder."""
        encode, enhance = (
            self.write(
                half,
                [one.node for one in layers if one.half == half],
                self.folder / f"{name}.{half}.onnx",
            )
            for half in HALVES
        )
        return encode, enhance


def best_ranges(
    exact: Exact, first: Quantiser, measured: list[Measured], say: Callable[[str], None]
) -> Quantiser:
    """Try each way to choose ranges on the cheapest layers; the nearest to float32 is taken.

    The dearest layers would hide what ranges do to the others, and have little chance.

    Args: first: has measured the layers, and is one of those that are compared.
    """
    cheapest = by_price(measured)[: round(CHEAPEST * len(measured))]
    found: list[tuple[float, Quantiser]] = []
    for percentile in PERCENTILES:
        same = percentile == first.percentile
        quantiser = first if same else Quantiser(exact, first.folder, percentile)
        mse = exact.mse(quantiser.files(cheapest))
        found.append((mse, quantiser))
        say(f"ranges of {percentile or 100} % of the values: {decibel(mse):.1f} dB to float32")
    return min(found, key=lambda one: one[0])[1]


def by_price(measured: list[Measured]) -> list[Layer]:
    """Layers, the least error for the work that is saved first."""
    return [one.layer for one in sorted(measured, key=lambda one: one.price)]


def scan(exact: Exact, quantiser: Quantiser, layers: list[Layer]) -> Iterator[Measured]:
    """Quantise each layer alone.

    Args: exact: the answers in float32. quantiser: makes the files. layers: to be measured.
    """
    for layer in layers:
        yield Measured(layer, exact.mse(quantiser.files([layer])))


def truth_psnr(pictures: list[Array], samples: list[Sample]) -> list[float]:
    """dB to the truth, for each sample that has one."""
    pairs = [(p, s.truth) for p, s in zip(pictures, samples, strict=True) if s.truth is not None]
    return [decibel(float(np.square(p - to_unit([t])[0]).mean())) for p, t in pairs]


def truth_loss(exact: Exact, files: Files) -> float:
    """dB to the truth that these files lose against float32, a mean over the samples."""
    exactly = truth_psnr(exact.pictures, exact.samples)
    other = truth_psnr(exact.answers(files), exact.samples)
    return float(np.mean(np.array(exactly) - np.array(other)))


def choose(
    exact: Exact, quantiser: Quantiser, measured: list[Measured], allowed_db: float
) -> tuple[list[Layer], float]:
    """As many layers as the truth allows, the cheapest for their work first.

    Args:    exact: the answers in float32. quantiser: makes the files. measured: what each layer
             costs alone. allowed_db: PSNR to the truth that may be lost.
    Returns: the layers, and the dB to the truth that they lose together.
    """
    ordered = by_price(measured)
    fits, fails, loss = 0, len(ordered) + 1, 0.0
    count = len(ordered)
    while fails - fits > 1:
        now = truth_loss(exact, quantiser.files(ordered[:count]))
        if now <= allowed_db:
            fits, loss = count, now
        else:
            fails = count
        count = (fits + fails) // 2
    return ordered[:fits], loss


def decibel(mse: float) -> float:
    """Of a mean squared error of values in 0..1; 120 for none."""
    return float(-10 * np.log10(max(mse, 1e-12)))
