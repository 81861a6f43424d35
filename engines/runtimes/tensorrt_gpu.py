"""HIME on NVIDIA cards: TensorRT, and TensorRT for RTX.

One pair of engines for each bucket, built on first use or by `prepare`, and kept on disk. A frame
costs one copy to the card (the crop, a few kilobytes), one graph, one copy back; features stay on
the card for as long as the caller keeps them. Several faces share one wait.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np

from engines.contract import (
    BUCKETS,
    DEFAULT_WEIGHTS,
    Features,
    Halves,
    Image,
    Runtime,
    check_crop,
    check_exemplars,
)
from engines.errors import EngineError, UnavailableError
from engines.install import install_command
from engines.runtimes.fallback_runtime import FallbackRuntime
from engines.runtimes.feature_cache import FeatureCache
from engines.runtimes.onnxruntime_cpu import OnnxRuntimeCpu
from engines.runtimes.openvino_cpu import OpenVinoCpu
from engines.tensorrt.bucket import SLOTS, Bucket, OnCard, answer_of
from engines.tensorrt.build import Api, Options, Progress, build, is_installed, load_api
from engines.tensorrt.card import Card, Pinned
from engines.tensorrt.engine import Port
from engines.tensorrt.engine_cache import EngineCache, Entry, Key, RefusedError
from engines.weights.manifest import HALVES, weights_files

_log = logging.getLogger("closeup.engines")

RTX_CARDS = ((7, 5), (8, 6), (8, 9))
"""Compute capabilities below 12 on which TensorRT for RTX runs."""
Face = tuple[Image, Features | None]
Ports = dict[str, dict[str, Port]]
"""By half and name."""


def _exact(scale: int, weights: str = DEFAULT_WEIGHTS) -> Runtime:
    """Whose answer engines are tested by: float32, and installed everywhere."""
    return OnnxRuntimeCpu(scale, "fp32", weights=weights)


def _quick(scale: int, weights: str = DEFAULT_WEIGHTS) -> Runtime:
    """The fastest on the CPU that this machine has. Raises: UnavailableError, WeightsError."""
    try:
        return OpenVinoCpu(scale, weights=weights)
    except UnavailableError:
        return OnnxRuntimeCpu(scale, weights=weights)


class TensorrtGpu:
    """See `engines.contract.Runtime`. `prepare` may run in another thread meanwhile.

    Args:   scale: 4 or 8. precision: "fp16", which is None too, or "fp32".
            files: other halves than the shipped ones, with Q/DQ nodes for INT8 or FP8.
            api, card, cache: found on this machine by default.
            reference: opens the runtime whose answer new engines must match; float32 on the CPU
            by default.
            weights: which of the shipped ones, of `engines.contract.WEIGHTS`.
    Raises: UnavailableError: a package, driver or card is missing or unfit; says what to do.
            WeightsError: the shipped weights are missing or damaged.
    """

    name = "tensorrt"
    precisions = ("fp16", "fp32")

    def __init__(
        self,
        scale: int,
        precision: str | None = None,
        *,
        files: tuple[Path, Path] | None = None,
        options: Options | None = None,
        api: Api | None = None,
        card: Card | None = None,
        cache: EngineCache | None = None,
        reference: Callable[[int], Runtime] | None = None,
        weights: str = DEFAULT_WEIGHTS,
    ) -> None:
        if precision not in (None, *self.precisions):
            raise UnavailableError(f"{self.name} computes in {self.precisions}, not {precision}")
        self.scale, self.precision = scale, precision or self.precisions[0]
        self._files = files or weights_files(scale, weights=weights)
        if api is None and is_installed(self.name):
            card = card or Card()  # first: TensorRT for RTX takes 90 MB, and nobody gives them back
        self._api = api or load_api(self.name)
        self._card = card = card or Card()
        low = card.capability < (12, 0)
        if self._api.name == "tensorrt-rtx" and low and card.capability not in RTX_CARDS:
            number = ".".join(map(str, card.capability))
            raise UnavailableError(
                f"TensorRT for RTX does not run on {card.name} (compute capability {number}): "
                f"{install_command('tensorrt')} brings one that does"
            )
        self._variants = _load_variants(self.name)  # last: it takes longer than all other questions
        self._cache = cache or EngineCache()
        self._options = options or Options()
        self._reference = reference or partial(_exact, weights=weights)
        self._buckets: dict[int, Bucket] = {}
        self._features: FeatureCache[OnCard] = FeatureCache()

    def ready(self, bucket: int) -> bool:
        """Whether crops of this side are answered without building anything."""
        return bucket in self._buckets

    def prepare(
        self, buckets: Iterable[int] | None = None, progress: Progress | None = None
    ) -> None:
        """Load or build the engines of buckets: seconds to minutes on first use.

        Args:   buckets: sides of crops, px; all that a call may need by default.
                progress: told the share of all buckets that is done; returns whether to go on.
        Raises: EngineError: they cannot be built here; in one line.
        """
        missing = [
            bucket
            for bucket in dict.fromkeys(buckets or BUCKETS[self.scale])
            if not self.ready(bucket)
        ]
        for done, bucket in enumerate(missing):

            def share(part: float, done: int = done) -> bool:
                return progress is None or progress((done + part) / len(missing))

            if not share(0.0):
                return
            self._buckets[bucket] = self._open(bucket, share)

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`. Of more than SLOTS exemplars the first count."""
        check_exemplars(exemplars, self.scale)
        bucket = self._bucket(exemplars[0].shape[0] // self.scale)
        chosen = exemplars[:SLOTS]
        self._card.use()
        on_card = bucket.start_encode(chosen, self._card.stream)
        self._card.wait(self._card.stream)
        hr, query = (p.array[: len(chosen)].astype(np.float32) for p in bucket.features)
        self._features.put((hr, query), on_card)
        return hr, query

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`; the background is `FallbackRuntime`'s."""
        return True

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`."""
        return self.enhance_all([(crop, features)])[0]

    def enhance_all(self, faces: Sequence[Face]) -> list[Image]:
        """Enhance the faces of one frame: one after the other on the card, with one wait.

        Args:    faces: crops and features as in `enhance`, of one or several sizes.
        Returns: pictures in the order of the faces, new arrays.
        Raises:  ValueError: sizes that do not fit. EngineError: the card failed.
        """
        checked = [(self._bucket(check_crop(crop)), crop, features) for crop, features in faces]
        for bucket, _, features in checked:
            bucket.check(features)
        self._card.use()
        stream, lanes = self._card.stream, []
        for index, (bucket, crop, features) in enumerate(checked):
            on_card, count = None, 0
            if features is not None:
                on_card, count = self._on_card(bucket, features), len(features[0])
            lane = bucket.lane(index)
            bucket.start_enhance(lane, crop, on_card, count, stream)
            lanes.append(lane)
        self._card.wait(stream)
        return [lane.picture.array[0].copy() for lane in lanes]

    def _on_card(self, bucket: Bucket, features: Features) -> OnCard:
        """Features on the card, brought there if another runtime has made them."""
        found = self._features.get(features)
        if found is None:
            found = self._upload(bucket.features, features)
            self._features.put(features, found)
        return found

    def _upload(self, pinned: Sequence[Pinned], features: Features) -> OnCard:
        stream, blocks = self._card.stream, []
        for target, values in zip(pinned, features, strict=True):
            target.array[...] = 0
            target.array[: len(values)] = values[:SLOTS]
            block = self._card.memory(target.size)
            self._card.copy(block, target, stream)
            blocks.append(block)
        self._card.wait(stream)  # the pinned arrays are free again
        return blocks[0], blocks[1]

    def _bucket(self, side: int) -> Bucket:
        if side not in self._buckets:
            said = False

            def say(share: float) -> bool:
                nonlocal said
                if share > 0.0 and not said:
                    said = True
                    _log.warning(
                        "%s: building the engines for crops of %d px; they are kept for the next "
                        "start",
                        self.name,
                        side,
                    )
                return True

            self.prepare([side], say)
        return self._buckets[side]

    def _open(self, side: int, progress: Progress) -> Bucket:
        """Engines from the cache, or new ones. Raises: EngineError."""
        models = self._models(self._files, side)
        ports = {
            half: {name: Port(*port) for name, port in self._variants.ports(model).items()}
            for half, model in models.items()
        }
        general = self._general()
        key = {**general, "scale": self.scale, "bucket": side, "precision": self.precision}
        key |= {half: hashlib.sha256(model).hexdigest() for half, model in models.items()}

        def take(entry: Entry) -> Bucket:
            if entry.keys() != {*HALVES, "answer"}:
                raise RefusedError("it has other parts")
            return self._take(entry, ports, side)

        def make() -> Entry:
            return self._make(side, models, general, progress)

        return self._cache.get(key, make, take, lambda: progress(0.0))

    def _general(self) -> dict[str, str | int]:
        """What every engine here depends on."""
        return {
            "runtime": self._api.name,
            "version": self._api.version,
            **self._card.facts,
            **asdict(self._options),
        }

    def _models(self, halves: Halves, side: int) -> dict[str, bytes]:
        """Variants for crops of this side, px, by half. Raises: EngineError."""
        models = {}
        for half, source in zip(HALVES, halves, strict=True):
            variant = self._variants.OnnxVariant(half, self.scale, side, SLOTS, self.precision)
            try:
                models[half] = self._variants.make_variant(source, variant)
            except (OSError, ValueError) as error:
                raise EngineError(str(error)) from error
        return models

    def _take(self, entry: Entry, ports: Ports, side: int) -> Bucket:
        """Turn an entry into a tested bucket. Raises: RefusedError, CudaError."""
        bucket = Bucket(self._api, self._card, entry, ports, self.scale)
        return self._tested(bucket, entry["answer"])

    def _tested(self, bucket: Bucket, answer: bytes) -> Bucket:
        """The bucket, which is closed if it does not answer so. Raises: RefusedError, CudaError."""
        # a stream of its own: this may be another thread than the one that enhances frames, and
        # nothing else may be put on a stream while it is recorded
        stream = self._card.new_stream()
        try:
            bucket.test(answer, stream)
        except BaseException:
            bucket.close()
            raise
        finally:
            self._card.end_stream(stream)
        return bucket

    def _make(self, side: int, models: dict[str, bytes], general: Key, progress: Progress) -> Entry:
        """Build both engines, and ask the reference for the answer to test them by."""
        timing_key = {**general, "timing": 1}
        timing = (self._cache.load(timing_key) or {}).get("timing", b"")
        entry: Entry = {}
        for done, (half, model) in enumerate(models.items()):

            def share(part: float, done: int = done) -> bool:
                return progress((done + part) / len(models))

            built = build(self._api, model, self._options, share, timing)
            entry[half], timing = built.plan, built.timing
        if timing:
            self._cache.store(timing_key, {"timing": timing})
        with self._reference(self.scale) as reference:
            entry["answer"] = answer_of(reference, side)
        return entry

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._features.clear()  # features are faces: they leave the card with the runtime
        for bucket in self._buckets.values():
            bucket.close()
        self._buckets.clear()


class TensorrtRtx(TensorrtGpu):
    """The same with TensorRT for RTX: GeForce and RTX PRO cards."""

    name = "tensorrt-rtx"


class LiveTensorrt(FallbackRuntime):
    """TensorRT for calls that do not wait: the CPU answers until the engines are there."""

    runtime: type[TensorrtGpu] = TensorrtGpu

    def __init__(
        self, scale: int, precision: str | None = None, *, weights: str = DEFAULT_WEIGHTS
    ) -> None:
        """As `TensorrtGpu`.

        Raises: UnavailableError, WeightsError.
        """
        better = self.runtime(scale, precision, weights=weights)
        super().__init__(_quick(scale, weights), better)


class LiveTensorrtRtx(LiveTensorrt):
    """The same with TensorRT for RTX."""

    runtime = TensorrtRtx


def _load_variants(name: str) -> Any:
    try:
        from engines.onnx_variants import variants
    except ImportError as error:
        raise UnavailableError(
            f"{name} needs the package onnx: install it with {install_command(name)}"
        ) from error
    return variants
