"""HIME on the CPU with OpenVINO (extra `openvino`): the fastest where it is installed."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from engines.allocator import trim
from engines.contract import DEFAULT_WEIGHTS, Features, Halves, Image
from engines.errors import UnavailableError
from engines.install import install_command
from engines.runtimes.background_compile import BackgroundCompiler
from engines.runtimes.cpu import Array, CpuRuntime, default_threads, files_for, first_line

SLOTS = 3
"""Fewer exemplars run in the network for so many, with validity 0 for the rest: a call that has
just begun would otherwise stop twice more for a compilation."""
KEPT = 6
"""Compiled networks that are kept of each half, the latest used."""
RESTS_AFTER = 6
"""Others of its half have run so often since: then a network rests, and its buffers go back to the
system, half of the 20 to 110 MB that it takes. Who leans back passes through five sizes within a
second. Taking one up again takes 3 ms of 60, so faces of many sizes lose next to nothing."""
ANY = -1
"""Stands for the number of exemplars of an `encode` half, which takes any."""


class _Compiled:
    """Compiled networks by side and number of exemplars. A call's thread and the one that compiles
    ahead of it both look here."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], Any] = OrderedDict()
        self._ran: dict[tuple[int, int], int] = {}
        """When each ran last, by the count of runs; without those that rest."""
        self._runs = 0
        self._lock = threading.Lock()

    def get(self, side: int, slots: int) -> Any:
        """The network, now the latest used; None where it is not compiled."""
        with self._lock:
            found = self._kept.get((side, slots))
            if found is not None:
                self._kept.move_to_end((side, slots))
            return found

    def put(self, side: int, slots: int, network: Any) -> None:
        """Keep a network, in place of the one that was used the longest ago."""
        with self._lock:
            self._kept[side, slots] = network
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)

    def run(self, side: int, slots: int) -> None:
        """Run one that is kept; those that have not run for long rest from now on."""
        with self._lock:
            network = self._kept[side, slots]
            self._runs += 1
            self._ran[side, slots] = self._runs
            due = [one for one, ran in self._ran.items() if self._runs - ran >= RESTS_AFTER]
            for one in due:
                del self._ran[one]
            tired = [self._kept[one] for one in due if one in self._kept]
        for one in tired:
            one.get_compiled_model().release_memory()
        if tired:
            trim()
        network.infer()

    @property
    def awake(self) -> set[tuple[int, int]]:
        """Those that hold buffers: all that have run of late."""
        return set(self._ran)

    def clear(self) -> None:
        """Free all."""
        with self._lock:
            self._kept.clear()
            self._ran.clear()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(tuple(self._kept))

    def __len__(self) -> int:
        return len(self._kept)


class OpenVinoCpu(CpuRuntime):
    """Both halves, compiled; see `engines.runtimes.openvino_graph` for what is done to them."""

    name = "openvino-cpu"
    precisions = ("bf16", "fp32", "int8")

    def __init__(
        self,
        scale: int,
        precision: str | None = None,
        threads: int | None = None,
        files: Halves | None = None,
        weights: str = DEFAULT_WEIGHTS,
    ) -> None:
        """Load and compile the shipped weights for `scale` (4 or 8).

        Args:   precision: "bf16" (sampling stays in float32), "int8" (what is not quantised in the
                file stays in float32), "fp32", or None for bf16 where the processor computes in
                it, else fp32. threads: None for one a core, at most 4. files: other halves, encode
                and enhance, of this precision.
                weights: which of the shipped ones, of `engines.contract.WEIGHTS`.
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
                f"OpenVINO cannot be loaded ({error}); install it with: "
                f"{install_command('openvino', upgrade=True)}"
            ) from error
        encode, enhance = files_for(scale, precision, files, weights)
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
                # As in `engines.small_network`: every process would begin at the first core.
                "ENABLE_CPU_PINNING": False,
                # The types in the graph are meant. Left alone, OpenVINO computes in bfloat16
                # wherever it can, sampling positions included.
                "INFERENCE_PRECISION_HINT": "dynamic" if precision == "bf16" else "f32",
            }

            def compiled(model: Any) -> Any:
                return core.compile_model(model, "CPU", options).create_infer_request()

            self._encode_graph = graph.EncodeGraph(core, encode)
            self._graph = graph.EnhanceGraph(core, enhance)
            # a network of another kind is noticed here
            self._encode_graph.build(8 * scale, precision)
            self._graph.build(8, 1, precision)
            self._compile = compiled
            self._share = graph.share
        except UnavailableError:
            raise
        except Exception as error:  # ValueError of ours, RuntimeError and others of the binding
            raise UnavailableError(
                f"OpenVINO {graph.VERSION} cannot run the network ({first_line(error)}); "
                f"tried with 2026.4: {install_command('openvino', upgrade=True)}"
            ) from error
        self._last: Any = None
        self._encoders, self._enhancers = _Compiled(), _Compiled()
        self._compiler = BackgroundCompiler(self._make_ready)
        super().__init__(scale, precision)

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`: with exemplars and without."""
        # all three are looked up: who asks is about to use them
        found = [kept.get(bucket, slots) for kept, slots in self._needed()]
        missing = None in found
        if missing and soon:
            self._compiler.want(bucket)
        # Where it can never be, `enhance` says why.
        return not missing or self._compiler.failed(bucket) or not self._open

    def _encode_half(self, exemplars: Array) -> Features:
        side = exemplars.shape[2] // self.scale
        encoder = self._network(self._encoders, side, ANY)
        made: list[Features] = []
        # One at a time: all together take as long, and three times the memory.
        for number in range(len(exemplars)):
            encoder.set_tensor("exemplars", self._share(exemplars[number : number + 1]))
            self._encoders.run(side, ANY)
            # copies: the request writes its next features into the same memory
            hr, query = (np.array(encoder.get_output_tensor(k).data) for k in (0, 1))
            made.append((hr, query))
        hr, query = (np.concatenate(parts) for parts in zip(*made, strict=True))
        return hr, query

    def _enhance_half(self, crop: Array, features: Features | None) -> Array:
        side, given = crop.shape[2], 0 if features is None else len(features[0])
        slots = max(given, SLOTS) if given else 0
        enhancer = self._network(self._enhancers, side, slots)
        enhancer.set_tensor("crop", self._share(crop))
        if features is not None:
            hr, query = features
            if given < slots:
                hr, query = (np.resize(x, (slots, *x.shape[1:])) for x in features)
            valid = np.array([[1.0] * given + [0.0] * (slots - given)], np.float32)
            enhancer.set_tensor("hr", self._share(hr))
            enhancer.set_tensor("query", self._share(query))
            enhancer.set_tensor("validity", self._share(valid))
        self._enhancers.run(side, slots)
        self._last = enhancer
        picture: Array = enhancer.get_output_tensor(0).data
        return picture

    def _pixels(self, picture: Array) -> Image:
        # rounded in the graph, on all threads
        return np.array(self._last.get_output_tensor(1).data[0])

    def _needed(self) -> tuple[tuple[_Compiled, int], ...]:
        """What a call needs of a bucket: where it is kept, for how many exemplars."""
        return (self._enhancers, 0), (self._encoders, ANY), (self._enhancers, SLOTS)

    def _network(self, kept: _Compiled, side: int, slots: int) -> Any:
        """A network for this bucket, compiled when it is first needed (0.1 s)."""
        found = kept.get(side, slots)
        if found is None:
            found = self._compile(self._build(side, slots))
            kept.put(side, slots, found)
        return found

    def _build(self, side: int, slots: int) -> Any:
        if slots == ANY:
            return self._encode_graph.build(side * self.scale, self.precision)
        return self._graph.build(side, slots, self.precision)

    def _make_ready(self, side: int) -> None:
        """Compile what is missing of a bucket, out of the way of a call."""
        for kept, slots in self._needed():
            if kept.get(side, slots) is None:
                compile_it = partial(self._compile, self._build(side, slots))
                kept.put(side, slots, self._compiler.behind(compile_it))

    def _close(self) -> None:
        self._compiler.close()
        # requests keep their buffers, and faces in them, until they are freed
        self._last = None
        self._encoders.clear()
        self._enhancers.clear()
