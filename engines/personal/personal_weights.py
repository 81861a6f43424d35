"""Personal weights: what was learnt of one person, in memory, in the form that runtimes load.

They are made from pictures of a face and say something about it: biometric data. They are written
nowhere by this module, and overwritten with zeros when nobody needs them any more.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engines.contract import Halves
from engines.errors import WeightsError
from engines.weights.manifest import sha256, weights_files

Parameters = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class PersonalWeights:
    """Parameters of the network for one person at one scale."""

    scale: int
    parameters: Parameters = field(repr=False)
    """By their names in the shipped files; what is missing stays as shipped."""
    of: tuple[str, ...]
    """SHA-256 of the shipped files that they were learnt from; they fit no others."""

    def halves(self) -> Halves:
        """The shipped graphs with these parameters, as ONNX files in memory.

        Raises: WeightsError: they were learnt from other weights than are shipped, or do not fit.
        """
        if self.of != shipped_digests(self.scale):
            raise WeightsError("these personal weights were learnt from other shipped weights")
        encode, enhance = (
            with_parameters(path, self.parameters) for path in weights_files(self.scale)
        )
        return encode, enhance

    def to_bytes(self) -> bytes:
        """For whoever keeps them, at the user's wish."""
        memory = io.BytesIO()
        texts = {"scale": np.array(self.scale), "of": np.array(self.of)}
        named = {f"parameter {name}": value for name, value in self.parameters.items()}
        np.savez_compressed(memory, allow_pickle=False, **texts, **named)
        return memory.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> PersonalWeights:
        """What `to_bytes` gave. Raises: WeightsError: it is something else, or damaged."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as kept:
                parameters = {
                    name.removeprefix("parameter "): kept[name].astype(np.float32)
                    for name in kept.files
                    if name.startswith("parameter ")
                }
                return cls(int(kept["scale"]), parameters, tuple(map(str, kept["of"])))
        except Exception as error:  # zipfile, zlib and numpy have classes of their own for damage
            raise WeightsError("damaged personal weights; learn them again") from error

    def copy(self) -> PersonalWeights:
        """With numbers of its own: what comes through a pipe cannot be written to."""
        parameters = {name: np.array(value) for name, value in self.parameters.items()}
        return PersonalWeights(self.scale, parameters, self.of)

    def wipe(self) -> None:
        """Overwrite every number with zero. What runtimes have loaded is theirs to free."""
        for value in self.parameters.values():
            value.fill(0)


def shipped_digests(scale: int) -> tuple[str, ...]:
    """SHA-256 of the shipped halves. Raises: WeightsError."""
    return tuple(sha256(path) for path in weights_files(scale))


def with_parameters(path: Path, parameters: Parameters) -> bytes:
    """A shipped ONNX half with other values of its parameters.

    Args:   path: one of `HALVES`. parameters: by name; those of the other half are left out.
    Raises: WeightsError: a parameter has another shape than the file's. ImportError: no onnx.
    """
    # here and not above: only who learns needs it
    import onnx
    from onnx import numpy_helper

    model = onnx.load(path)
    for tensor in model.graph.initializer:
        value = parameters.get(tensor.name)
        if value is None:
            continue
        if tuple(tensor.dims) != value.shape:
            raise WeightsError(f"{tensor.name}: {value.shape} instead of {tuple(tensor.dims)}")
        tensor.CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), tensor.name))
    return bytes(model.SerializeToString())
