"""Calls between two ends in one process, and what flows in them."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from typing import Any, TypeVar

import av
import numpy as np
import pytest

pytest.importorskip("aiortc", reason="WebRTC needs the extra webrtc")

from aiortc import RTCConfiguration, RTCPeerConnection
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from bench import barcode
from stream.frame import Frame, Image
from stream.graph import Stages
from stream.protocols import Stage
from tests.pictures import backdrop

T = TypeVar("T")
CLOCK = Fraction(1, 90_000)
PATIENCE_S = 60.0
"""Against hanging alone: machines that run tests are noisy."""


def run(program: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in a loop of its own; no worker may be left after it."""

    async def bounded() -> T:
        return await asyncio.wait_for(program, PATIENCE_S)

    result = asyncio.run(bounded())
    for thread in threading.enumerate():
        if thread.name == "closeup track":
            thread.join(PATIENCE_S)
            assert not thread.is_alive()
    return result


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait until a condition holds. Raises: TimeoutError."""
    deadline = time.monotonic() + PATIENCE_S / 2
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what or "it did not happen")
        await asyncio.sleep(0.02)


def track_class() -> Any:
    """EnhancedVideoTrack, which is imported when it is asked for."""
    from stream.rtc import EnhancedVideoTrack

    return EnhancedVideoTrack


class Clip(MediaStreamTrack):
    """A camera: numbered pictures at a steady rate; `size` may be changed on the way."""

    kind = "video"

    def __init__(self, size: tuple[int, int] = (320, 240), fps: float = 30.0) -> None:
        super().__init__()
        self.size, self.fps = size, fps
        self.sent = 0
        self.scene: Callable[[tuple[int, int]], Image] = backdrop
        self._started_s: float | None = None

    async def recv(self) -> av.VideoFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._started_s is None:
            self._started_s = time.monotonic()
        due_s = self._started_s + self.sent / self.fps
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        image = self.scene(self.size).copy()
        barcode.draw(image, self.sent)
        frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(self.sent / self.fps / CLOCK), CLOCK
        self.sent += 1
        return frame


class Tone(MediaStreamTrack):
    """A microphone: 20 ms of sound at a time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0
        self.level: Callable[[], float] = lambda: 1.0
        self._started_s: float | None = None

    async def recv(self) -> av.AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if self._started_s is None:
            self._started_s = time.monotonic()
        await asyncio.sleep(max(0.0, self._started_s + self.sent * 0.02 - time.monotonic()))
        time_s = (self.sent * 960 + np.arange(960)) / 48_000
        samples = (8000 * self.level() * np.sin(2 * np.pi * 440 * time_s)).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, self.sent * 960, Fraction(1, 48_000)
        self.sent += 1
        return frame


class Watcher:
    """Takes all that a track gives: what came, and when."""

    def __init__(self, track: MediaStreamTrack) -> None:
        self.frames: list[Any] = []
        self.times_s: list[float] = []
        self.ended = False
        self._task = asyncio.create_task(self._watch(track))

    @property
    def numbers(self) -> list[int]:
        """The bar codes of the pictures that have one."""
        found = (barcode.read(frame.to_ndarray(format="rgb24")) for frame in self.frames)
        return [number for number in found if number is not None]

    async def _watch(self, track: MediaStreamTrack) -> None:
        try:
            while True:
                frame = await track.recv()
                self.times_s.append(time.monotonic())
                self.frames.append(frame)
        except MediaStreamError:
            self.ended = True


def peer() -> RTCPeerConnection:
    """One end of a call that asks nobody on the internet for its address."""
    return RTCPeerConnection(RTCConfiguration(iceServers=[]))


async def join(caller: RTCPeerConnection, callee: RTCPeerConnection) -> None:
    """Offer, answer, connected."""
    await caller.setLocalDescription(await caller.createOffer())
    await callee.setRemoteDescription(caller.localDescription)
    await callee.setLocalDescription(await callee.createAnswer())
    await caller.setRemoteDescription(callee.localDescription)
    await until(lambda: caller.connectionState == "connected", "no connection")


def make_lossy(sender: RTCPeerConnection, loss: float, late: float, seed: int = 0) -> None:
    """Lose some of a peer's packets, and let others arrive after those behind them."""
    ice = sender.getSenders()[0].transport.transport
    send, dice = ice._send, random.Random(seed)

    async def worse(data: bytes) -> None:
        throw = dice.random()
        if throw < loss:
            return
        if throw < loss + late:
            asyncio.get_running_loop().call_later(
                0.03, lambda: asyncio.ensure_future(suppressed(send(data)))
            )
            return
        await send(data)

    ice._send = worse


async def suppressed(sending: Coroutine[Any, Any, None]) -> None:
    """A packet that comes when the line is closed already."""
    with suppress(ConnectionError):
        await sending


def add_stage(monkeypatch: pytest.MonkeyPatch, work: Callable[[Frame], Frame]) -> None:
    """One more stage, at the end."""

    class Last(Stage):
        name = "last"

        def __call__(self, frame: Frame) -> Frame:
            return work(frame)

    build = Stages.build

    def longer(*given: Any, **named: Any) -> Stages:
        stages = build(*given, **named)
        stages.all.append(Last())
        return stages

    monkeypatch.setattr(Stages, "build", longer)


def inverted(frame: Frame) -> Frame:
    """A picture that cannot be taken for the camera's; the bar code stays."""
    assert frame.output is not None
    output = 255 - frame.output
    output[: barcode.BAR_PX] = frame.output[: barcode.BAR_PX]
    return replace(frame, output=output)


def is_inverted(frame: Any) -> bool:
    shown = frame.to_ndarray(format="rgb24")
    return bool(np.abs(shown[60:].astype(int) + backdrop(shown.shape[1::-1])[60:] - 255).mean() < 9)
