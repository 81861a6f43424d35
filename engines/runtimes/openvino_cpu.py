"""HIME on the CPU with OpenVINO (extra `openvino`): the fastest where it is installed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engines.contract import Features, Image
from engines.errors import UnavailableError
from engines.runtimes.background_compile import BackgroundCompiler
from engines.runtimes.cpu import Array, CpuRuntime, default_threads, files_for, first_line

INSTALL = "pip install -U 'closeup[openvino]'"
SLOTS = 3
"""Fewer exemplars run in the network for so many, with validity 0 for the rest: a call that has
just begun would otherwise stop twice more for a compilation."""
KEPT = 6
"""Compiled networks that are kept, the latest used; each takes 20 to 160 MB."""


class OpenVinoCpu(CpuRuntime):
    """Both halves, compiled; see `engines.runtimes.openvino_graph` for what is done to them."""

    name = "openvino-cpu"
    precisions = ("bf16", "fp32", "int8")

    def __init__(
        self,
        scale: int,
        precision: str | None = None,
        threads: int | None = None,
        files: tuple[Path, Path] | None = None,
    ) -> None:
        """Load and compile the shipped weights for `scale` (4 or 8).

        Args:   precision: "bf16" (sampling stays in float32), "int8" (what is not quantised in the
                file stays in float32), "fp32", or None for bf16 where the processor computes in
                it, else fp32. threads: None for one a core, at most 4. files: other halves, encode
                and enhance, of this precision.
        Raises: UnavailableError: OpenVINO is missing or cannot run the network, or the processor
                has no such precision. WeightsError: as `engines.weights.manifest.weights_files`.
        """
        if precision not in (None, *self.precisions):
            known = ", ".join(self.precisions)
            raise UnavailableError(f"{self.name} computes in {known}, not {precision}")
        try:
            import engines.runtimes.openvino_graph as graph
        except (ImportError, OSError) as error:  # OSError: its libraries do not fit this system
            raise UnavailableError(
                f"OpenVINO cannot be loaded ({error}); install it with: {INSTALL}"
            ) from error
        encode, enhance = files_for(scale, precision, files)
        try:
            core = graph.open_core()
            native = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
            if precision == "bf16" and not native:
                raise UnavailableError("this processor has no bfloat16 instructions")
            precision = precision or ("bf16" if native else "fp32")
            options: dict[str, Any] = {
                "INFERENCE_NUM_THREADS": threads or default_threads(),
                "NUM_STREAMS": 1,
                "PERFORMANCE_HINT": "LATENCY",
                # The types in the graph are meant. Left alone, OpenVINO computes in bfloat16
                # wherever it can, sampling positions included.
                "INFERENCE_PRECISION_HINT": "dynamic" if precision == "bf16" else "f32",
            }

            def compiled(model: Any) -> Any:
                return core.compile_model(model, "CPU", options).create_infer_request()

            self._graph = graph.EnhanceGraph(core, enhance)
            self._graph.build(8, 1, precision)  # a network of another kind is noticed here
            self._compile = compiled
            self._encoder = compiled(core.read_model(encode))
            self._share = graph.share
        except UnavailableError:
            raise
        except Exception as error:  # ValueError of ours, RuntimeError and others of the binding
            raise UnavailableError(
                f"OpenVINO {graph.VERSION} cannot run the network ({first_line(error)}); "
                f"tried with 2026.4: {INSTALL}"
            ) from error
        self._last: Any = None
        self._enhancers: OrderedDict[tuple[int, int], Any] = OrderedDict()
        # A call's thread and the one that compiles ahead of it both look there.
        self._lock = threading.Lock()
        self._compiler = BackgroundCompiler(self._make_ready)
        super().__init__(scale, precision, self._graph.channels)

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`: with exemplars and without."""
        keys = [(bucket, slots) for slots in (0, SLOTS)]
        with self._lock:
            for key in keys:
                if key in self._enhancers:
                    self._enhancers.move_to_end(key)
            missing = not all(key in self._enhancers for key in keys)
        if missing and soon:
            self._compiler.want(bucket)
        # Where it can never be, `enhance` says why.
        return not missing or self._compiler.failed(bucket) or not self._open

    def _encode_half(self, exemplars: Array) -> Features:
        self._encoder.set_tensor("exemplars", self._share(exemplars))
        self._encoder.infer()
        # copies: the request writes its next features into the same memory
        hr, query = (np.array(self._encoder.get_output_tensor(k).data) for k in (0, 1))
        return hr, query

    def _enhance_half(self, crop: Array, features: Features | None) -> Array:
        side, given = crop.shape[2], 0 if features is None else len(features[0])
        slots = max(given, SLOTS) if given else 0
        enhancer = self._enhancer(side, slots)
        enhancer.set_tensor("crop", self._share(crop))
        if features is not None:
            hr, query = features
            if given < slots:
                hr, query = (np.resize(x, (slots, *x.shape[1:])) for x in features)
            valid = np.array([[1.0] * given + [0.0] * (slots - given)], np.float32)
            enhancer.set_tensor("hr", self._share(hr))
            enhancer.set_tensor("query", self._share(query))
            enhancer.set_tensor("validity", self._share(valid))
        enhancer.infer()
        self._last = enhancer
        picture: Array = enhancer.get_output_tensor(0).data
        return picture

    def _pixels(self, picture: Array) -> Image:
        # rounded in the graph, on all threads
        return np.array(self._last.get_output_tensor(1).data[0])

    def _enhancer(self, side: int, slots: int) -> Any:
        """The network for this bucket, compiled when it is first needed (0.1 s)."""
        key = (side, slots)
        with self._lock:
            if key in self._enhancers:
                self._enhancers.move_to_end(key)
                return self._enhancers[key]
        made = self._compile(self._graph.build(side, slots, self.precision))
        self._keep(key, made)
        return made

    def _make_ready(self, side: int) -> None:
        """Compile what is missing of a bucket, out of the way of a call."""
        for slots in (0, SLOTS):
            if (side, slots) not in self._enhancers:
                model = self._graph.build(side, slots, self.precision)
                made = self._compiler.behind(partial(self._compile, model))
                self._keep((side, slots), made)

    def _keep(self, key: tuple[int, int], made: Any) -> None:
        with self._lock:
            self._enhancers[key] = made
            while len(self._enhancers) > KEPT:
                self._enhancers.popitem(last=False)

    def _close(self) -> None:
        self._compiler.close()
        # requests keep their buffers, and faces in them, until they are freed
        self._encoder = self._last = None
        self._enhancers.clear()
