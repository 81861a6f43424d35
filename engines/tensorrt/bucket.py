"""One bucket on the card: both engines, their memory, the graph of a frame, and its test."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engines.contract import Features, Image, Runtime
from engines.tensorrt.build import Api
from engines.tensorrt.card import Block, Card, CudaError
from engines.tensorrt.engine import Engine, Port
from engines.tensorrt.engine_cache import Entry, RefusedError

SLOTS = 3
"""Exemplars that an engine takes; of more, the first (a bank lists its best first)."""
ALIKE_DB = 40.0
"""PSNR to the stored answer that an engine must reach. FP16 has far more, a misread GridSample or
a kernel of another card far less."""

OnCard = tuple[Block, Block]
"""hr and query of SLOTS exemplars; of fewer, the rest is finite and has validity 0."""


class Lane:
    """Pinned memory for one face of a call."""

    def __init__(self, card: Card, bucket: int, scale: int) -> None:
        self.crop = card.pinned((1, bucket, bucket, 3), np.uint8)
        self.validity = card.pinned((1, SLOTS), np.float32)
        self.picture = card.pinned((1, bucket * scale, bucket * scale, 3), np.uint8)


class Bucket:
    """Both engines of one bucket, their pinned memory, and the graph of a frame.

    Args:   weights: other ones than the plans have, as ONNX files by half; see `Engine`.
    Raises: RefusedError, RefitError, CudaError: as `Engine`.
    """

    def __init__(
        self,
        api: Api,
        card: Card,
        plans: Entry,
        ports: dict[str, dict[str, Port]],
        scale: int,
        weights: Mapping[str, bytes] | None = None,
    ) -> None:
        self.side = ports["enhance"]["crop"].shape[1]
        self._card, self._scale = card, scale
        given = weights or {}
        encode, enhance = (
            Engine(api, card, plans[half], ports[half], given.get(half))
            for half in ("encode", "enhance")
        )
        self.encode, self.enhance = encode, enhance
        self.exemplars = card.pinned(*ports["encode"]["exemplars"][:2])
        self.features = [card.pinned(*ports["encode"][name][:2]) for name in ("hr", "query")]
        self.lanes: list[Lane] = []
        self.graph: Any = None
        self.resident: OnCard | None = None
        """What lies in the inputs of `enhance`."""

    def lane(self, index: int) -> Lane:
        """Pinned memory of the call's face number `index`."""
        while len(self.lanes) <= index:
            self.lanes.append(Lane(self._card, self.side, self._scale))
        return self.lanes[index]

    def check(self, features: Features | None) -> None:
        """Raises: ValueError: they are for crops of another side."""
        for array, pinned in zip(features or (), self.features, strict=features is not None):
            if array.shape[1:] != pinned.array.shape[1:]:
                raise ValueError(
                    f"features for a crop of {array.shape[-1]} px, crop of {self.side} px"
                )

    def start_encode(self, exemplars: Sequence[Image], stream: Any) -> OnCard:
        """Encode at most SLOTS exemplars. Returns: the features; also in `self.features`."""
        card, pinned = self._card, self.exemplars
        pinned.array[...] = 0
        pinned.array[: len(exemplars)] = exemplars
        card.copy(self.encode.buffers["exemplars"], pinned, stream)
        self.encode.enqueue(stream)
        kept = []
        for name, array in zip(("hr", "query"), self.features, strict=True):
            made = self.encode.buffers[name]
            block = card.memory(made.size)
            card.copy(block, made, stream)
            card.copy(array, made, stream)
            kept.append(block)
        return kept[0], kept[1]

    def start_enhance(
        self, lane: Lane, crop: Image, features: OnCard | None, count: int, stream: Any
    ) -> None:
        """Enhance one crop with `count` exemplars; the picture comes in `lane.picture`.

        Args: lane: buffers on the host. crop: RGB uint8 (b, b, 3). features: of the exemplars; None
              without any. count: of the exemplars. stream: in which the work is queued.
        """
        card, buffers = self._card, self.enhance.buffers
        lane.crop.array[0] = crop
        lane.validity.array[...] = np.arange(SLOTS) < count
        if features is not None and features is not self.resident:
            for name, block in zip(("hr", "query"), features, strict=True):
                card.copy(buffers[name], block, stream)
            self.resident = features
        card.copy(buffers["crop"], lane.crop, stream)
        card.copy(buffers["validity"], lane.validity, stream)
        if self.graph is None:
            self.enhance.enqueue(stream)
        else:
            card.launch(self.graph, stream)
        card.copy(lane.picture, buffers["picture"], stream)

    def test(self, answer: bytes, stream: Any) -> None:
        """Compare with the stored answer, record the graph, and compare that too.

        Raises: RefusedError: another picture.
        """
        card, lane = self._card, self.lane(0)
        crop, exemplars = probe_pictures(self.side, self._scale)
        features = self.start_encode(exemplars, stream)
        for recorded in (False, True):
            if recorded:
                self.graph = card.capture(lambda: self.enhance.enqueue(stream), stream)
                # an empty graph raises nothing: it would leave the first run's picture in place
                card.clear(self.enhance.buffers["picture"], stream)
            self.start_enhance(lane, crop, features, len(exemplars), stream)
            card.wait(stream)
            quality = psnr(lane.picture.array, np.frombuffer(answer, np.uint8))
            if quality < ALIKE_DB:
                way = "recorded as a graph, " if recorded else ""
                raise RefusedError(f"{way}its answer is off: {quality:.1f} dB")
        self.resident = None

    def close(self) -> None:
        """Free everything on the card; a card that is gone has nothing left to free."""
        if self.graph is not None:
            with contextlib.suppress(CudaError):
                self._card.end_graph(self.graph)
        self.encode.close()
        self.enhance.close()
        self.lanes.clear()


def probe_pictures(side: int, scale: int) -> tuple[Image, list[Image]]:
    """A crop and three exemplars that look like nobody: smooth waves of several directions.

    Returns: RGB uint8 (side, side, 3), and RGBA uint8 (scale side, scale side, 4) each: their
             confidence is a wave as well.
    """

    def waves(size: int, phase: float, channels: int) -> Image:
        at = (np.arange(size) + 0.5) / size
        y, x, k = at[:, None, None], at[None, :, None], np.arange(channels)
        value = np.sin(9 * x + 2 * k + phase) + np.sin(31 * y - 7 * x * k + phase)
        return np.asarray(np.round(127.5 + 60 * value), np.uint8)

    big = side * scale
    return waves(side, 0.0, 3), [waves(big, 0.1 + 0.2 * slot, 4) for slot in range(SLOTS)]


def answer_of(reference: Runtime, side: int) -> bytes:
    """What a runtime makes of the pictures that engines are tested by. Args: side: px."""
    crop, exemplars = probe_pictures(side, reference.scale)
    return reference.enhance(crop, reference.encode(exemplars)).tobytes()


def psnr(a: Image, b: Image) -> float:
    """Likeness of two pictures of one size, dB; 0 for different sizes, at most 138."""
    if a.size != b.size:
        return 0.0
    error = np.square(a.reshape(-1).astype(np.float64) - b.reshape(-1)).mean()
    return float(10 * np.log10(255**2 / max(error, 1e-9)))
