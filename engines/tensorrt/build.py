"""Builds TensorRT engines, with TensorRT or with TensorRT for RTX: one API, two modules.

One engine for each half, scale and bucket, of fixed shapes and without an optimisation profile: a
CUDA graph needs fixed shapes anyway, the builder picks its kernels for exactly these, and no bucket
waits for the others. The network is strongly typed: the file decides every precision, so an INT8
or FP8 engine is built from a file with Q/DQ nodes, by the same call.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engines.errors import EngineError, UnavailableError
from engines.install import install_command

if TYPE_CHECKING:
    import tensorrt

MODULES = {
    # the name of the runtime: its modules, first choice first; the wheels of TensorRT for RTX hold
    # the second alone
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
OLDEST = {"tensorrt": (10, 13), "tensorrt-rtx": (1, 6)}
"""Older ones lack what is called here, or (RTX below 1.6) read GridSample's mode wrongly."""
WORKSPACE = 256 << 20
"""Bytes of scratch memory the builder may plan with; HIME needs a tenth."""

Progress = Callable[[float], bool]
"""Told the share that is done, 0..1; returns whether to go on."""


@dataclass(frozen=True)
class Api:
    """One of the two modules."""

    name: str
    """ "tensorrt" or "tensorrt-rtx"."""
    module: Any
    """Taken by each function as its `trt`; tests/tensorrt_api types it as each real version."""

    @property
    def version(self) -> str:
        """The full version, for example "10.13.3.9"."""
        return str(self.module.__version__)


@dataclass(frozen=True)
class Options:
    """How hard to try; part of an engine's key in the cache."""

    level: int = 4
    """Builder optimisation level, 0 to 5. 4 tries more kernels than the default, 3; 5 compares
    them one by one and takes minutes."""
    workspace: int = WORKSPACE
    """Bytes."""
    refit: bool = False
    """The engine's weights can be changed afterwards, for which the builder gives up a little
    speed. TensorRT for RTX needs the card for such a build."""


@dataclass(frozen=True)
class Built:
    """What a build leaves."""

    plan: bytes
    timing: bytes
    """Timings of kernels for the next build on this card; empty for TensorRT for RTX, which picks
    its kernels at run time."""


class BuildError(EngineError):
    """The builder refused the network; says why in one line."""


def is_installed(name: str) -> bool:
    """Whether `load_api` would find something to load, right or wrong; loads nothing.

    Args: name: as of `load_api`.
    """
    for module_name in MODULES[name]:
        with suppress(ImportError, ValueError):  # odd leftovers of a package are none
            if importlib.util.find_spec(module_name) is not None:
                return True
    return False


def load_api(name: str) -> Api:
    """Import TensorRT, or TensorRT for RTX.

    Args:   name: "tensorrt" or "tensorrt-rtx".
    Raises: UnavailableError: it is missing, broken or too old; says what to install.
    """
    reason = ""
    for module_name in MODULES[name]:
        try:
            module = importlib.import_module(module_name)
        # a wheel without its libraries raises what its loader happens to raise
        except Exception as error:
            reason = reason or f"{type(error).__name__}: {first_line(error)}"
            continue
        api = Api(name, module)
        oldest = ".".join(map(str, OLDEST[name]))
        numbers = tuple(int(part) for part in api.version.split(".")[:2] if part.isdigit())
        if numbers < OLDEST[name]:
            raise UnavailableError(
                f"{name} {api.version} is older than {oldest}: "
                f"{install_command(name, upgrade=True)}"
            )
        return api
    raise UnavailableError(
        f"{name} cannot be loaded ({reason}): install it with {install_command(name)}"
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or its class where it has none."""
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def build(
    api: Api,
    model: bytes,
    options: Options | None = None,
    progress: Progress | None = None,
    timing: bytes = b"",
) -> Built:
    """Build an engine. Takes a fraction of a second (RTX) to minutes; lets other threads run.

    Args:   model: a variant of `engines.onnx_variants.variants` with fixed shapes, as ONNX bytes.
            timing: `Built.timing` of an earlier build on the same card and version.
    Raises: BuildError: in one line: what the parser or the builder did not like, or that
            `progress` stopped the build.
    """
    trt = api.module
    options = options or Options()
    log = make_logger(api)
    builder = trt.Builder(log)
    network = parse(api, builder, log, model)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace)
    config.builder_optimization_level = options.level
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    # float32 means float32, or a parity test would measure the card's habits
    config.clear_flag(trt.BuilderFlag.TF32)
    if options.refit:
        config.set_flag(trt.BuilderFlag.REFIT)
    watch = _watch(api, progress) if progress else None
    if watch is not None:
        config.progress_monitor = watch
    if api.name == "tensorrt":
        # a blob that is damaged or of another card is refused; then it starts empty
        cache = config.create_timing_cache(timing)
        if not config.set_timing_cache(cache, ignore_mismatch=False):
            config.set_timing_cache(config.create_timing_cache(b""), ignore_mismatch=False)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        stopped = watch is not None and not watch.wanted
        reason = "it was stopped" if stopped else "; ".join(log.errors[-2:]) or "it gave no reason"
        raise BuildError(f"{api.name} {api.version} built no engine: {reason}")
    if progress:
        progress(1.0)
    learnt = b""
    if api.name == "tensorrt":
        learnt = bytes(memoryview(config.get_timing_cache().serialize()))
    return Built(bytes(memoryview(plan)), learnt)


def parse(
    api: Api, builder: tensorrt.Builder, log: tensorrt.ILogger, model: bytes
) -> tensorrt.INetworkDefinition:
    """Read ONNX bytes into a strongly typed network.

    Args:   api: TensorRT or TensorRT for RTX. builder, log: of it. model: the ONNX file.
    Raises: BuildError: a file that the parser refuses, or that it misreads (see `check_sampling`).
    """
    trt = api.module
    # the flag's number differs between 10 and 11: it is asked for, never written out
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, log)
    if not parser.parse(model):
        reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
        reason = "; ".join(" ".join(text.split()) for text in reasons) or "it gave no reason"
        raise BuildError(f"{api.name} {api.version} cannot read the network: {reason[:300]}")
    check_sampling(api, network)
    return network


def check_sampling(api: Api, network: tensorrt.INetworkDefinition) -> None:
    """Refuse a network whose sampling the parser has turned into something else.

    Some versions read "linear" (opset 20) as nearest, silently: a picture that is nearly right.

    Raises: BuildError: a GridSample that is not bilinear with zeros outside.
    """
    trt = api.module
    for index in range(network.num_layers):
        layer = network.get_layer(index)
        if layer.type != trt.LayerType.GRID_SAMPLE:
            continue
        # the binding hands out the base class, and knows the way down only like this
        layer.__class__ = trt.IGridSampleLayer
        for attribute, wanted in (
            ("interpolation_mode", trt.InterpolationMode.LINEAR),
            ("sample_mode", trt.SampleMode.FILL),
            ("align_corners", False),
        ):
            found = getattr(layer, attribute)
            if found != wanted:
                raise BuildError(
                    f"{api.name} {api.version} misreads GridSample: {attribute} is {found}, "
                    f"not {wanted}; use another version"
                )


def make_logger(api: Api) -> Any:
    """A logger that keeps what TensorRT complains about, in `errors`, instead of printing it."""
    trt = api.module

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                self.errors = [*self.errors[-19:], " ".join(message.split())[:300]]

    return Log()


def _watch(api: Api, progress: Progress) -> Any:
    """A progress monitor: turns nested phases into one share that only grows."""
    trt = api.module

    class Watch(trt.IProgressMonitor):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.wanted = True
            self._phases: dict[str, list[Any]] = {}  # name: parent, steps, steps done
            self._share = 0.0

        def phase_start(self, name: str, parent: str | None, steps: Any) -> None:
            self._phases[name] = [parent, max(steps, 1), 0]

        def step_complete(self, name: str, step: Any) -> bool:
            self._phases[name][2] = step + 1
            share, at = 0.0, name
            while at in self._phases:
                parent, steps, done = self._phases[at]
                share, at = min(1.0, (done + share) / steps), parent
            self._share = max(self._share, share)
            self.wanted = self.wanted and progress(self._share)
            return self.wanted

        def phase_finish(self, name: str) -> None:
            self._phases.pop(name, None)

    return Watch()
