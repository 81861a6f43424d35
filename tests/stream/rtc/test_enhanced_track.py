"""EnhancedVideoTrack: aiortc to aiortc in one process, with every kind of bad luck."""

from __future__ import annotations

import asyncio
import re
import time
from fractions import Fraction
from typing import Any

import pytest

from bench import barcode
from engines.runtime import EngineError
from stream.errors import ConfigError, ModelError
from stream.frame import Frame, Image
from stream.graph import Stages
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import backdrop, need_models, scene_with_face
from tests.places import DOCS
from tests.rtc_calls import Clip, Tone, Watcher, add_stage, inverted, is_inverted, until

PAGE = DOCS / "python.md"


def test_documented_program_runs() -> None:
    need_models()
    section = PAGE.read_text(encoding="utf-8").split("## A track for an aiortc program")[1]
    found = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert found is not None
    names: dict[str, Any] = {}
    exec(compile(found.group(1), str(PAGE), "exec"), names)

    async def program() -> None:
        caller, clip = rtc_calls.peer(), Clip((320, 240))
        caller.addTrack(clip)
        await caller.setLocalDescription(await caller.createOffer())
        await caller.setRemoteDescription(await names["answer"](caller.localDescription))
        watcher = Watcher(caller.getReceivers()[0].track)
        await until(lambda: len(watcher.frames) > 30, "no pictures came back")
        assert watcher.frames[-1].width == 320
        await caller.close()
        for call in names["calls"]:
            await call.close()
        clip.stop()

    rtc_calls.run(program())
    names["shared_runtime"].close()


def test_far_faces_are_enhanced_and_the_close_ups_forgotten(
    camera: OneFace, opened: OpenedRuntimes
) -> None:
    async def program() -> None:
        clip = Clip((640, 480))
        clip.scene = lambda size: scene_with_face(camera.width, size)
        said: list[str] = []

        def walk_away(size: tuple[int, int]) -> Image:
            camera.width = max(40.0, 0.97 * camera.width)
            return scene_with_face(camera.width, size)

        track = rtc_calls.track_class()(clip, framing="fixed", say=said.append)
        watcher = Watcher(track)
        await until(lambda: len(track.exemplars()) > 1, "no close-ups were kept")
        assert track.status().enhanced == 0
        clip.scene = walk_away
        tried = len(opened.runtimes[0].encoded)
        await until(lambda: len(opened.runtimes[0].encoded) > tried, "no close-up was used")
        await until(lambda: track.status().enhanced == 1, "the far face was not enhanced")
        assert track.status().why == ""
        track.strength = 0.0
        await until(lambda: "strength" in track.status().why)
        track.framing = "auto"
        await until(lambda: track.status().view != (0.0, 0.0, 1.0, 1.0), "nothing moved")
        track.forget()
        assert not track.exemplars()
        pts = [frame.pts for frame in watcher.frames]
        assert pts == sorted(set(pts))
        assert {frame.time_base for frame in watcher.frames} == {rtc_calls.CLOCK}
        assert {(frame.width, frame.height) for frame in watcher.frames} == {(640, 480)}
        track.stop()
        await track.closed()
        await until(lambda: watcher.ended)
        assert not said

    rtc_calls.run(program())
    assert camera.closed
    assert [one.is_open for one in opened.runtimes] == [False] * len(opened.runtimes)


def test_tracks_share_a_model_and_keep_their_own_memory(
    camera: OneFace, opened: OpenedRuntimes
) -> None:
    from stream.rtc import SharedRuntime

    async def program() -> None:
        with SharedRuntime() as shared_runtime:
            clips = [Clip((640, 480)), Clip((640, 480))]
            clips[0].scene = lambda size: scene_with_face(camera.width, size)
            tracks = [
                rtc_calls.track_class()(clip, framing="fixed", shared_runtime=shared_runtime)
                for clip in clips
            ]
            watchers = [Watcher(track) for track in tracks]
            await until(lambda: tracks[0].exemplars(), "no close-ups were kept")
            await until(lambda: all(track._worker._session for track in tracks))
            assert tracks[0]._worker._session is not tracks[1]._worker._session
            assert not tracks[1].exemplars()
            tracks[0].stop()
            await tracks[0].closed()
            count = len(watchers[1].frames)
            await until(lambda: len(watchers[1].frames) > count + 5, "the other one stopped")
            assert opened.runtimes[0].is_open
            tracks[1].stop()
            await tracks[1].closed()
        assert [one.is_open for one in opened.runtimes] == [False]
        with pytest.raises(EngineError, match="closed"):
            shared_runtime(4)

    rtc_calls.run(program())


def test_a_line_that_loses_and_reorders(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_stage(monkeypatch, inverted)

    async def program() -> None:
        clip, caller, callee = Clip(), rtc_calls.peer(), rtc_calls.peer()
        tracks: list[Any] = []

        @callee.on("track")
        def on_track(track: Any) -> None:
            tracks.append(rtc_calls.track_class()(track, framing="fixed"))
            callee.addTrack(tracks[0])

        caller.addTrack(clip)
        await rtc_calls.join(caller, callee)
        rtc_calls.make_lossy(caller, loss=0.03, late=0.05)
        rtc_calls.make_lossy(callee, loss=0.03, late=0.05, seed=1)
        watcher = Watcher(caller.getReceivers()[0].track)
        await until(lambda: len(watcher.numbers) > 60, "too few pictures came back")
        numbers = watcher.numbers
        assert numbers == sorted(numbers), "a picture was shown after a newer one"
        assert is_inverted(watcher.frames[-1])
        await caller.close()
        await callee.close()
        await tracks[0].closed()
        clip.stop()

    rtc_calls.run(program())


@pytest.mark.parametrize("seconds", [0.1, 0.6])
def test_a_slow_stage_makes_no_queue(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch, seconds: float
) -> None:
    """Slow: every picture is a new one. Too slow: the camera's pictures come in between."""

    def work(frame: Frame) -> Frame:
        time.sleep(seconds)
        return inverted(frame)

    add_stage(monkeypatch, work)

    async def program() -> None:
        clip = Clip()
        track = rtc_calls.track_class()(clip, framing="fixed")
        await until(lambda: track.status().why != "the models are being loaded")
        watcher = Watcher(track)
        ages: list[int] = []
        for _ in range(8):
            count = len(watcher.frames)
            await until(lambda count=count: len(watcher.frames) > count)  # type: ignore[misc]
            ages.append(clip.sent - watcher.numbers[-1])
            await asyncio.sleep(0.3)
        assert max(ages) < 60, f"pictures grow old: {ages}"
        shown = [is_inverted(frame) for frame in watcher.frames]
        if seconds < 0.25:
            assert any(shown)
            assert track.delay_ms >= 100.0
            await until(lambda: track.status().quality != "full quality")
        else:
            assert shown.count(False) > shown.count(True)
            assert track.status().passed_by > 0
        track.stop()
        await track.closed()
        clip.stop()

    rtc_calls.run(program())


def test_the_size_changes_in_the_middle_of_a_call(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_stage(monkeypatch, inverted)

    async def program() -> None:
        clip = Clip((320, 240))
        track = rtc_calls.track_class()(clip)
        watcher = Watcher(track)
        for size in ((320, 240), (640, 360), (320, 180), (301, 203)):
            clip.size = size

            def enhanced(size: tuple[int, int] = size) -> bool:
                if not watcher.frames or not is_inverted(watcher.frames[-1]):
                    return False
                last = watcher.frames[-1]
                return bool(abs(last.width - size[0]) < 2 and abs(last.height - size[1]) < 2)

            await until(enhanced, f"no pictures of {size}")
        assert track.status().passed_by < 200
        track.stop()
        await track.closed()

    monkeypatch.setattr(camera, "detect", lambda *_, **__: [])
    rtc_calls.run(program())


def test_whatever_fails_the_cameras_picture_comes_through(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(frame: Frame) -> Frame:
        raise OSError("no stage today")

    add_stage(monkeypatch, fail)

    async def program(what: str) -> None:
        clip, said = Clip(), list[str]()
        track = rtc_calls.track_class()(clip, say=said.append)
        watcher = Watcher(track)
        await until(lambda: len(watcher.frames) > 40)
        await until(lambda: said)
        assert what in said[0]
        assert what in track.status().why
        assert len(said) < 3
        assert not is_inverted(watcher.frames[-1])
        assert watcher.numbers[-1] > 30
        clip.stop()
        await until(lambda: watcher.ended, "the track did not end with its source")
        await track.closed()

    rtc_calls.run(program("no stage today"))

    def refuse(*_: Any, **__: Any) -> Stages:
        raise ModelError("no models today")

    monkeypatch.setattr(Stages, "build", refuse)
    rtc_calls.run(program("no models today"))


def test_a_publisher_that_vanishes_and_a_source_that_raises(
    camera: OneFace, opened: OpenedRuntimes
) -> None:
    class Broken(Clip):
        async def recv(self) -> Any:
            if self.sent > 10:
                raise OSError("unplugged")
            return await super().recv()

    async def program() -> None:
        said: list[str] = []
        track = rtc_calls.track_class()(Broken(), say=said.append)
        watcher = Watcher(track)
        await until(lambda: watcher.ended)
        assert said == ["the source failed: unplugged"]
        await track.closed()

    rtc_calls.run(program())


def test_a_program_that_forgets_its_track_ends(camera: OneFace, opened: OpenedRuntimes) -> None:
    async def program() -> None:
        clip = Clip()
        track = rtc_calls.track_class()(clip)
        for _ in range(3):
            await track.recv()
        # neither stopped nor closed: ending the loop ends the thread

    rtc_calls.run(program())


def test_what_is_refused(camera: OneFace, opened: OpenedRuntimes) -> None:
    async def program() -> None:
        with pytest.raises(ValueError, match="video"):
            rtc_calls.track_class()(Tone())
        with pytest.raises(ConfigError, match="strength"):
            rtc_calls.track_class()(Clip(), strength=2.0)
        with pytest.raises(ConfigError, match='not "round"'):
            rtc_calls.track_class()(Clip(), framing="round")

    rtc_calls.run(program())
    with pytest.raises(RuntimeError, match="no running event loop"):
        rtc_calls.track_class()(Clip())


def test_bar_codes() -> None:
    picture = backdrop((320, 240)).copy()
    assert barcode.read(picture) is None
    for number in (0, 1, 0x5555, 0xABCD, 0xFFFF):
        barcode.draw(picture, number)
        assert barcode.read(picture) == number
        assert barcode.read(picture[..., 1]) == number
    assert barcode.read(picture[:, :200]) is None
    assert Fraction(1, 90_000) == rtc_calls.CLOCK
