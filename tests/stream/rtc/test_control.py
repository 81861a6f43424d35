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
from tests.rtc_calls import Tone, run, until


class Channel:
    """Stands for a data channel; `bufferedAmount` is what waits."""

    readyState = "open"  # noqa: N815 (as aiortc calls it)

    def __init__(self) -> None:
        self.bufferedAmount = 0
        self.sent: list[dict[str, Any]] = []

        self.take: dict[str, Any] = {}

    def on(self, event: str, what: Any) -> None:
        """What takes messages, and the end."""
        self.take[event] = what

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


class Sound:
    """Stands for a call's sound."""

    wait_ms = 0.0

    def __init__(self) -> None:
        self.skipped: list[float] = []

    def skip(self, ms: float) -> None:
        self.skipped.append(ms)


def test_sound_that_the_browser_has_in_excess_is_left_out_once() -> None:
    async def program() -> None:
        channel, sound = Channel(), Sound()
        control = Control(channel, Video(), sound)  # type: ignore[arg-type]

        def tell(held_ms: Any, wanted_ms: Any) -> None:
            told = {"sound_held_ms": held_ms, "sound_wanted_ms": wanted_ms}
            channel.take["message"](json.dumps(told))

        tell(900, 800)
        assert sound.skipped == [], "it is what the browser wants"
        tell(900, 600)
        assert sound.skipped == [300.0]
        tell(900, 600)
        assert sound.skipped == [300.0], "the gap has not been played yet"
        control._skips_again_s = 0.0
        tell(900, 650)
        assert sound.skipped == [300.0, 250.0]
        for odd in ("much", [1], None):
            tell(odd, 0)
        assert len(channel.told("note")) == 3
        control.close()

    run(program())


@pytest.mark.parametrize("name", ["strength", "detail", "sound_held_ms", "sound_wanted_ms"])
def test_a_number_beyond_all_floats_does_not_end_the_call(name: str) -> None:
    """JSON's integers have no largest; what is raised here ends the connection."""

    async def program() -> None:
        channel = Channel()
        control = Control(channel, Video(), None)  # type: ignore[arg-type]
        channel.take["message"](json.dumps({"sound_held_ms": 0, name: 10**400}))
        assert len(channel.told("note")) == 1
        control.close()

    run(program())


@pytest.mark.parametrize(
    ("asked", "left_out"), [(400.0, 400.0), (-1.0, 0.0), (1e9, 3000.0), (float("nan"), 0.0)]
)
def test_a_page_cannot_silence_its_call(asked: float, left_out: float) -> None:
    from stream.rtc.sound import DelayedSound

    async def program() -> None:
        tone = Tone()
        track = DelayedSound(tone, lambda: 0.0)
        track.skip(asked)
        assert track._surplus_ms == left_out
        track.stop()

    run(program())
