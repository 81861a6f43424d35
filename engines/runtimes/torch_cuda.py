"""HIME with PyTorch on an NVIDIA card: the reference there, and a way without building engines.

One CUDA graph for each bucket and number of exemplars. Half precision is the network's own habit:
weights and activations in float16, while packed pixels, sampling, the means over the exemplars and
the enlarged camera picture stay in float32.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from engines.contract import DEFAULT_WEIGHTS, Features, Image, check_crop, check_exemplars
from engines.errors import EngineError, UnavailableError
from engines.install import install_command
from engines.runtimes.feature_cache import FeatureCache
from engines.weights.manifest import weights_files

if TYPE_CHECKING:
    from torch import Tensor, nn

OnDevice = tuple["Tensor", "Tensor"]

_RECORDING = threading.Lock()
"""One graph at a time: CUDA refuses to wait for a card, as every recording does before it begins,
while another thread records on it (CUDA C++ Programming Guide, prohibited operations of stream
capture)."""


class TorchCuda:
    """See `engines.contract.Runtime`.

    Args:   precision: "fp16", which is None too, or "fp32" (without TF32).
            weights: one of `engines.contract.WEIGHTS`.
            device: "cuda", "cuda:1"; "cpu" computes the same without graphs, for tests.
    Raises: UnavailableError: PyTorch is missing, sees no card or not this one, or the card is full
            or fails. WeightsError.
    """

    name = "torch-cuda"
    precisions = ("fp16", "fp32")

    def __init__(
        self,
        scale: int,
        precision: str | None = None,
        device: str = "cuda",
        weights: str = DEFAULT_WEIGHTS,
    ) -> None:
        if precision not in (None, *self.precisions):
            raise UnavailableError(f"{self.name} computes in {self.precisions}, not {precision}")
        files = weights_files(scale, weights=weights)
        try:
            import torch

            from engines.hime.checkpoint import load_network
            from engines.hime.model import Features as Encoded
        except Exception as error:  # a half-installed torch raises what its loader raises
            raise UnavailableError(
                f"PyTorch cannot be loaded ({type(error).__name__}): "
                f"install it with {install_command('train')}"
            ) from error
        self.scale, self.precision = scale, precision or self.precisions[0]
        self._torch, self._encoded = torch, Encoded
        self._device = self._checked(device)
        self._graphs = self._device.type == "cuda"
        self._network = load_network(files[1])
        with self._card_errors(UnavailableError):
            self._halve(self._network, torch.float16 if self.precision == "fp16" else torch.float32)
            self._network.to(self._device)
        self._features: FeatureCache[OnDevice] = FeatureCache()
        self._runs: dict[tuple[int, int], _Run] = {}

    def _checked(self, name: str) -> Any:
        """The device of this name. Raises: UnavailableError: there is none."""
        torch = self._torch
        try:
            device = torch.device(name)
        except RuntimeError as error:
            raise UnavailableError(f'PyTorch knows no device "{name}"') from error
        if device.type == "cuda" and not torch.cuda.is_available():
            build = (
                "this PyTorch is built for" if torch.version.cuda else "PyTorch is built without"
            )
            raise UnavailableError(f"PyTorch sees no NVIDIA card; {build} CUDA")
        if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
            raise UnavailableError(
                f"there is no NVIDIA card number {device.index}; cards: {torch.cuda.device_count()}"
            )
        return device

    @contextmanager
    def _card_errors(self, kind: type[EngineError] = EngineError) -> Iterator[None]:
        """What the card's errors are told as: one line of a `kind`."""
        try:
            yield
        except RuntimeError as error:  # of CUDA, cuDNN and cuBLAS, which has no class of its own
            full = isinstance(error, self._torch.OutOfMemoryError)
            what = (str(error).splitlines() or [type(error).__name__])[0]
            raise kind(f"the card {'is full' if full else 'failed'}: {what}") from error

    @staticmethod
    def _halve(network: Any, dtype: Any) -> None:
        """Give the network its type; pictures stay float32 up to the first convolutions."""
        bicubic = network.reconstruction.bicubic
        network.to(dtype)
        network.luma = network.luma.float()
        network.reconstruction.bicubic = bicubic.float()

        def cast(module: nn.Module, given: tuple[Tensor]) -> tuple[Tensor]:
            return (given[0].to(dtype),)

        for extractor in (network.lr_features, network.hr_features):
            extractor.register_forward_pre_hook(cast)

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`. Raises: EngineError: the card failed."""
        check_exemplars(exemplars, self.scale)
        given = self._torch.from_numpy(np.stack(exemplars))
        with self._card_errors(), self._exact():
            made = self._network.encode(self._picture(given.to(self._device)).unsqueeze(0))
            # detail and confidence were computed in float32, and have made all of `query` that
            on_device = made.hr, made.query.to(made.hr.dtype)
            hr, query = (part[0].float().cpu().numpy() for part in on_device)
        self._features.put((hr, query), on_device)
        return hr, query

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`."""
        return True

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`. Raises: EngineError: the card failed."""
        side = check_crop(crop)
        if features is not None and features[0].shape[2:] != (side, side):
            raise ValueError(f"features for a crop of {features[0].shape[2]} px, crop of {side} px")
        key = (side, 0 if features is None else len(features[0]))
        with self._card_errors(), self._exact():
            given = None if features is None else self._on_device(features)
            if key not in self._runs:
                self._runs[key] = _Run(self._enhance, crop, given, self._device, self._graphs)
            return self._runs[key](crop, given)

    def _on_device(self, features: Features) -> OnDevice:
        found = self._features.get(features)
        if found is None:
            dtype = next(self._network.parameters()).dtype
            hr, query = (
                self._torch.from_numpy(part).to(self._device, dtype).unsqueeze(0)
                for part in features
            )
            found = hr, query
            self._features.put(features, found)
        return found

    def _picture(self, pixels: Tensor) -> Tensor:
        """uint8 (N, H, W, C) -> float32 (N, C, H, W), 0..1."""
        return pixels.permute(0, 3, 1, 2).float() / 255

    def _enhance(self, pixels: Tensor, given: OnDevice | None) -> Tensor:
        """RGB uint8 (1, b, b, 3) and features -> RGB uint8 (1, s b, s b, 3)."""
        torch, network = self._torch, self._network
        crop = self._picture(pixels)
        if given is None:
            picture = network.reconstruct(network.lr_features(crop), crop)
        else:
            validity = torch.ones(given[0].shape[:2], device=self._device)
            picture = network.enhance(crop, self._encoded(*given), validity)
        rounded = (picture.float().clamp(0, 1) * 255 + 0.5).to(torch.uint8)
        made: Tensor = rounded.permute(0, 2, 3, 1).contiguous()
        return made

    def _exact(self) -> Any:
        """No gradients, and float32 that means float32."""
        torch = self._torch
        torch.backends.cudnn.allow_tf32 = self.precision != "fp32"
        return torch.inference_mode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        # features and buffers are faces: they leave the card with the runtime
        self._features.clear()
        self._runs.clear()
        if (
            self._graphs
        ):  # what PyTorch keeps for later, too; a card that failed has nothing to give
            with _RECORDING, suppress(RuntimeError):
                self._torch.cuda.empty_cache()


class _Run:
    """A frame of one bucket and number of exemplars: fixed buffers, and a graph on a card."""

    def __init__(
        self,
        work: Callable[[Tensor, OnDevice | None], Tensor],
        crop: Image,
        given: OnDevice | None,
        device: Any,
        graphs: bool,
    ) -> None:
        import torch

        self._pinned = torch.from_numpy(crop[None].copy())
        self._given = None if given is None else (given[0].clone(), given[1].clone())
        self._resident = given
        self._graph: Any = None
        self._work = work
        if graphs:
            self._pinned = self._pinned.pin_memory()
        self._pixels = self._pinned.to(device)
        if graphs:
            with _RECORDING, torch.cuda.device(device):
                self._record(device)

    def _record(self, device: Any) -> None:
        """Make the graph. Raises: EngineError: it makes another picture than its recording."""
        import torch

        cuda: Any = torch.cuda  # typed in part only
        # for the recording, too: PyTorch's own is one for all, on the card that came first
        side = cuda.Stream(device)
        side.wait_stream(cuda.current_stream(device))
        with cuda.stream(side):
            for _ in range(3):  # libraries choose their kernels and take their memory
                eager = self._work(self._pixels, self._given)
        cuda.current_stream(device).wait_stream(side)
        self._graph = cuda.CUDAGraph()
        with cuda.graph(self._graph, stream=side, capture_error_mode="thread_local"):
            self._made = self._work(self._pixels, self._given)
        self._made.zero_()  # an empty graph would leave it so
        self._graph.replay()
        cuda.synchronize(device)
        if int((self._made.int() - eager.int()).abs().max()) > 1:
            raise EngineError("the recorded graph makes another picture than its recording")

    def __call__(self, crop: Image, given: OnDevice | None) -> Image:
        self._pinned.copy_(self._torch_view(crop))
        self._pixels.copy_(self._pinned, non_blocking=True)
        if given is not None and self._given is not None and given is not self._resident:
            self._given[0].copy_(given[0])
            self._given[1].copy_(given[1])
            self._resident = given
        if self._graph is None:
            self._made = self._work(self._pixels, self._given)
        else:
            self._graph.replay()
        # waits for the card; a copy even where device and host are one
        return np.array(self._made[0].cpu().numpy())

    @staticmethod
    def _torch_view(crop: Image) -> Tensor:
        import torch

        return torch.from_numpy(np.ascontiguousarray(crop)[None])
