"""What a page is told, over which network."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.frame import Image
from stream.rtc.control import EVERY_S, Control
from stream.rtc.status import Recent
from tests.rtc_calls import run, until


class Channel:
    """Stands for a data channel; `bufferedAmount` is what waits."""

    readyState = "open"  # noqa: N815 (as aiortc calls it)

    def __init__(self) -> None:
        self.bufferedAmount = 0
        self.sent: list[dict[str, Any]] = []

    def on(self, event: str, what: Any) -> None:
        """Nothing comes."""

    def send(self, text: str) -> None:
        """Keep it."""
        self.sent.append(json.loads(text))

    def told(self, what: str) -> list[dict[str, Any]]:
        """The messages that have this."""
        return [one for one in self.sent if what in one]


class Video:
    """Stands for a call's track."""

    def __init__(self) -> None:
        self.kept = [picture(number) for number in range(4)]

    def status(self) -> Any:
        return Recent().status(
            trouble="",
            strength=1.0,
            detail=1.0,
            framing="fixed",
            dropped=0,
            quality="",
            learning="",
        )

    def exemplars(self) -> list[Image]:
        return self.kept


def picture(number: int) -> Image:
    return np.full((256, 256, 3), 40 * number, np.uint8)


def test_each_closeup_goes_over_once_and_alone() -> None:
    async def program() -> None:
        channel, video = Channel(), Video()
        control = Control(channel, video, None)  # type: ignore[arg-type]
        await until(lambda: len(channel.told("closeups")) == 4)
        shown = [one["closeups"] for one in channel.told("closeups")]
        numbers = [0, 1, 2, 3]
        assert shown == [numbers[:1], numbers[:2], numbers[:3], numbers]
        for told, number in zip(channel.told("closeups"), numbers, strict=True):
            (source,) = told["pictures"].values()
            assert list(told["pictures"]) == [str(number)]
            assert source.startswith("data:image/jpeg;base64,")
        # One goes, one comes.
        video.kept = [*video.kept[1:], picture(5)]
        await until(lambda: len(channel.told("closeups")) == 5)
        told = channel.told("closeups")[-1]
        assert told["closeups"] == [1, 2, 3, 4]
        assert list(told["pictures"]) == ["4"]
        await asyncio.sleep(5 * EVERY_S)
        assert len(channel.told("closeups")) == 5
        control.close()

    run(program())


def test_on_a_slow_network_figures_are_few_and_closeups_wait_but_forgetting_does_not() -> None:
    async def program() -> None:
        channel, video, slow = Channel(), Video(), False
        control = Control(channel, video, None, lambda: slow)  # type: ignore[arg-type]
        await until(lambda: len(channel.told("closeups")) == 4)
        slow = True
        video.kept = [*video.kept[1:], picture(5)]
        await until(lambda: len(channel.told("closeups")) == 5)
        told = channel.told("closeups")[-1]
        assert told["closeups"] == [1, 2, 3], "gone at once"
        assert not told["pictures"], "what is new waits"
        channel.sent.clear()
        await asyncio.sleep(20 * EVERY_S)
        assert 1 <= len(channel.told("fps")) <= 4
        assert not channel.told("closeups")
        slow = False
        await until(lambda: channel.told("closeups"))
        assert channel.told("closeups")[0]["closeups"] == [1, 2, 3, 4]
        slow = True
        video.kept = []
        await until(lambda: channel.told("closeups")[-1]["closeups"] == [])
        control.close()

    run(program())


def test_figures_and_closeups_never_wait_for_each_other() -> None:
    async def program() -> None:
        channel, video = Channel(), Video()
        channel.bufferedAmount = 1
        control = Control(channel, video, None)  # type: ignore[arg-type]
        await asyncio.sleep(5 * EVERY_S)
        assert channel.sent == []
        channel.bufferedAmount = 0
        await until(lambda: channel.told("fps") and channel.told("closeups"))
        control.close()

    run(program())
