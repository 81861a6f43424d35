"""Sound waits for the picture, and only as long as it must."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from stream.frame import Frame, Image
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import backdrop
from tests.rtc_calls import Clip, Tone, Watcher, add_stage, until

FRAME_MS = 20.0


def wait_class() -> Any:
    from stream.rtc.sound import Wait

    return Wait


def test_a_wait_follows_the_picture() -> None:
    wait = wait_class()()
    assert [wait.follow(40.0, FRAME_MS) for _ in range(100)][-1] == 0.0
    path = [wait.follow(120.0, FRAME_MS) for _ in range(300)]
    assert path[0] == 1.0, "it grows by no more than a listener overhears"
    assert max(b - a for a, b in pairwise(path)) <= 1.0
    assert path[-1] == pytest.approx(120.0, abs=0.6)
    assert wait.follow(127.0, FRAME_MS) == path[-1], "noise moves nothing"
    assert [wait.follow(40.0, FRAME_MS) for _ in range(300)][-1] == pytest.approx(40.0, abs=0.6)
    assert [wait.follow(30.0, FRAME_MS) for _ in range(300)][-1] == 0.0
    assert [wait.follow(9000.0, FRAME_MS) for _ in range(3000)][-1] == pytest.approx(1000.0, abs=1)


def test_sound_comes_late_by_what_the_picture_is_late() -> None:
    async def program() -> None:
        from stream.rtc.sound import DelayedSound

        tone, late_ms = Tone(), 0.0
        track = DelayedSound(tone, lambda: late_ms)
        arrivals: dict[int, float] = {}
        read = tone.recv

        async def noted() -> Any:
            frame = await read()
            assert frame.pts is not None
            arrivals[frame.pts] = time.monotonic()
            return frame

        tone.recv = noted  # type: ignore[method-assign]
        watcher = Watcher(track)

        def waited_ms() -> float:
            last = len(watcher.frames) - 1
            return 1000.0 * (watcher.times_s[last] - arrivals[watcher.frames[last].pts])

        await until(lambda: len(watcher.frames) > 10)
        assert track.wait_ms == 0.0
        late_ms = 80.0
        await until(lambda: track.wait_ms > 79.0, "the wait does not grow")
        await until(lambda: waited_ms() >= 79.0)
        late_ms = 10.0
        await until(lambda: track.wait_ms == 0.0, "the wait does not end")
        pts = [frame.pts for frame in watcher.frames]
        assert pts == [960 * number for number in range(len(pts))], "sound was lost"
        tone.stop()
        await until(lambda: watcher.ended)

    rtc_calls.run(program())


def test_sound_that_is_too_late_is_not_heard() -> None:
    async def program() -> None:
        from stream.rtc.sound import DelayedSound

        tone, late = Tone(), False
        track = DelayedSound(tone, lambda: 0.0, lambda: late)
        watcher = Watcher(track)
        await until(lambda: len(watcher.frames) > 10)
        late = True
        await asyncio.sleep(0.3)
        count = len(watcher.frames)
        await asyncio.sleep(0.3)
        assert len(watcher.frames) <= count + 1
        late = False
        await until(lambda: len(watcher.frames) > count + 10)
        pts = [frame.pts for frame in watcher.frames]
        steps = {after - before for before, after in pairwise(pts)}
        assert len(steps) == 2, "times stay, with a gap"
        tone.stop()
        await until(lambda: watcher.ended)

    rtc_calls.run(program())


def test_sound_that_the_receiver_has_in_excess_is_left_out_once() -> None:
    async def program() -> None:
        from stream.rtc.sound import DelayedSound

        tone = Tone()
        track = DelayedSound(tone, lambda: 0.0)
        watcher = Watcher(track)
        await until(lambda: len(watcher.frames) > 5)
        track.skip(210.0)
        count = len(watcher.frames)
        await until(lambda: len(watcher.frames) > count + 10)
        pts = [frame.pts for frame in watcher.frames]
        steps = [(after - before) // 960 for before, after in pairwise(pts)]
        assert sorted(set(steps)) == [1, 11], "times stay, with a gap"
        assert steps.count(11) == 1
        tone.stop()
        await until(lambda: watcher.ended)

    rtc_calls.run(program())


def test_picture_and_sound_stay_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage of 0.2 s, through the whole relay: sound takes as long as the picture."""
    from tests.rtc_relays import received, relay

    monkeypatch.setattr("stream.graph.FaceDetector", OneFace)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())

    def slow(frame: Frame) -> Frame:
        time.sleep(0.2)
        return frame

    add_stage(monkeypatch, slow)

    async def program() -> None:
        async with relay() as client:
            peer, clip, tone = rtc_calls.peer(), Clip(), Tone()
            born: dict[int, float] = {}

            def scene(size: tuple[int, int]) -> Image:
                born[clip.sent] = time.monotonic()
                return backdrop(size)

            clip.scene = scene
            tone.level = lambda: 1.0 if time.monotonic() % 1.0 < 0.5 else 0.0
            peer.addTrack(clip)
            peer.addTrack(tone)
            await client.begin(peer, "/call")
            (connection,) = client.relay.connections.open
            picture, sound = (Watcher(received(peer, kind)) for kind in ("video", "audio"))
            await until(lambda: connection.sound is not None and connection.sound.wait_ms > 150.0)
            await asyncio.sleep(2.0)
            pictures, sounds = len(picture.frames), len(sound.frames)
            await asyncio.sleep(5.0)
            shown = zip(picture.numbers[pictures:], picture.times_s[pictures:], strict=True)
            late_picture_s = float(np.median([time_s - born[n] for n, time_s in shown]))
            beeps = [time_s % 1.0 for time_s in starts(sound, sounds)]
            late_sound_s = float(np.median(beeps))
            assert late_picture_s > 0.2
            # without the wait, sound would lead by more than 0.2 s
            assert abs(late_picture_s - late_sound_s) < 0.15, (late_picture_s, beeps)
            await peer.close()

    rtc_calls.run(program())


def starts(watcher: Watcher, first: int) -> list[float]:
    """When a beep began to be heard, s."""
    loud = [float(np.abs(frame.to_ndarray()).mean()) > 500 for frame in watcher.frames[first:]]
    times_s = watcher.times_s[first + 1 :]
    return [t for (was, now), t in zip(pairwise(loud), times_s, strict=True) if now and not was]
