"""Engine: a built plan on the card, with its context and its own buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import DTypeLike

from engines.errors import EngineError
from engines.tensorrt.build import Api, make_logger
from engines.tensorrt.card import Block, Card
from engines.tensorrt.engine_cache import RefusedError

if TYPE_CHECKING:
    import tensorrt


class Port(NamedTuple):
    """An input or output as it must be."""

    shape: tuple[int, ...]
    dtype: DTypeLike
    is_input: bool


class RefitError(EngineError):
    """An engine does not take other weights; says why in one line."""


class Engine:
    """Runs a plan of fixed shapes on buffers that stay where they are.

    Args:   plan: from `engines.tensorrt.build.build`. ports: all inputs and outputs, by name.
            weights: the same network as an ONNX file with other weights, for a plan that was built
            with `Options.refit`; None: those of the plan.
    Raises: RefusedError: the plan is damaged, or of another version, card or network.
            RefitError: it does not take these weights. CudaError: the card is full.
    """

    def __init__(
        self,
        api: Api,
        card: Card,
        plan: bytes,
        ports: Mapping[str, Port],
        weights: bytes | None = None,
    ) -> None:
        trt = api.module
        card.use()  # engine and context belong to the device that is current here
        log = make_logger(api)
        runtime = trt.Runtime(log)
        engine = runtime.deserialize_cuda_engine(plan)
        if engine is None:
            raise RefusedError("; ".join(log.errors[-1:]) or "it cannot be read")
        found = dict(_port(api, engine, i) for i in range(engine.num_io_tensors))
        wanted = {name: (p.shape, np.dtype(p.dtype), p.is_input) for name, p in ports.items()}
        if found != wanted:
            wrong = sorted(n for n in found.keys() | wanted if found.get(n) != wanted.get(n))
            raise RefusedError(f"it has other inputs or outputs: {', '.join(wrong)}")
        if weights is not None:  # before there is anything that may use the old ones
            refit(api, engine, log, weights)
        context = engine.create_execution_context()
        if context is None:
            raise RefusedError("; ".join(log.errors[-1:]) or "the card has no room for it")
        self.buffers: dict[str, Block] = {}
        for name, port in ports.items():
            size = int(np.prod(port.shape)) * np.dtype(port.dtype).itemsize
            self.buffers[name] = card.memory(size)
            if not context.set_tensor_address(name, self.buffers[name].address):
                raise RefusedError(f"it does not take an address for {name}")
        if missing := context.infer_shapes():
            raise RefusedError(f"it leaves shapes open: {', '.join(missing)}")
        self._api, self._log = api, log
        self._context: tensorrt.IExecutionContext | None = context
        self._engine: tensorrt.ICudaEngine | None = engine
        self._runtime: tensorrt.Runtime | None = runtime

    def enqueue(self, stream: Any) -> None:
        """Put one run on the stream. Raises: EngineError."""
        if self._context is None or not self._context.execute_async_v3(int(stream)):
            raise EngineError("; ".join(self._log.errors[-1:]) or "it does not run")

    def close(self) -> None:
        """Free the engine and its buffers."""
        # in this order: a context needs its engine, an engine its runtime and logger
        self._context = None
        self._engine = None
        self._runtime = None
        for block in self.buffers.values():
            block.free()


def refit(api: Api, engine: tensorrt.ICudaEngine, log: Any, model: bytes) -> None:
    """Give a built engine the weights of another ONNX file of the same network.

    Args:   api: TensorRT or TensorRT for RTX. engine: without work on the card. log: of `api`.
            model: the file; its graph must be the one that the engine was built from.
    Raises: RefitError. The engine may have some of the weights then: use it no more.
    """
    trt = api.module
    if not engine.refittable:
        raise RefitError("it was built to keep its weights")
    refitter = trt.Refitter(engine, log)
    parser = trt.OnnxParserRefitter(refitter, log)
    if not parser.refit_from_bytes(model):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        reason = "; ".join(" ".join(text.split()) for text in reasons) or "it gave no reason"
        raise RefitError(f"it does not take other weights: {reason[:300]}")
    if missing := refitter.get_missing_weights():
        raise RefitError(f"it lacks weights: {', '.join(sorted(missing)[:3])}")
    if not refitter.refit_cuda_engine():
        raise RefitError("; ".join(log.errors[-1:]) or "it does not take other weights")


def _port(
    api: Api, engine: tensorrt.ICudaEngine, index: int
) -> tuple[str, tuple[tuple[int, ...], np.dtype[Any], bool]]:
    trt = api.module
    name = engine.get_tensor_name(index)
    shape = tuple(int(side) for side in engine.get_tensor_shape(name))
    kinds: dict[Any, DTypeLike] = {
        trt.DataType.FLOAT: np.float32,
        trt.DataType.HALF: np.float16,
        trt.DataType.UINT8: np.uint8,
    }
    # any other type is none that a port of ours can have
    dtype: np.dtype[Any] = np.dtype(kinds.get(engine.get_tensor_dtype(name), np.void))
    return name, (shape, dtype, engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
