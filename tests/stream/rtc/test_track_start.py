"""The first seconds of a track: pictures pass while models are loaded."""

from __future__ import annotations

import threading

import pytest

from stream.telemetry.metrics import FAILED_OPEN, Metrics
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.rtc_calls import Clip, Watcher, add_stage, inverted, is_inverted, until


def test_pictures_pass_while_the_models_are_loaded_and_that_is_no_failure(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_stage(monkeypatch, inverted)
    loaded = threading.Event()
    monkeypatch.setattr(camera, "load", lambda: loaded.wait(rtc_calls.PATIENCE_S))

    async def program() -> None:
        clip, metrics, said = Clip(), Metrics(), list[str]()
        track = rtc_calls.track_class()(clip, framing="fixed", metrics=metrics, say=said.append)
        watcher = Watcher(track)
        await until(lambda: len(watcher.frames) > 20, "nothing came while models were loaded")
        assert track.status().why == "the models are being loaded"
        assert not any(is_inverted(frame) for frame in watcher.frames)
        assert metrics.counter(FAILED_OPEN) == 0
        loaded.set()
        await until(lambda: is_inverted(watcher.frames[-1]), "the stages did not take over")
        assert watcher.numbers == sorted(set(watcher.numbers))
        assert not said
        track.stop()
        await track.closed()
        clip.stop()

    rtc_calls.run(program())


def test_a_call_that_ends_while_the_models_are_loaded(
    camera: OneFace, opened: OpenedRuntimes, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, loaded = threading.Event(), threading.Event()

    def load() -> None:
        begun.set()
        assert loaded.wait(rtc_calls.PATIENCE_S)

    monkeypatch.setattr(camera, "load", load)

    async def program() -> None:
        said: list[str] = []
        track = rtc_calls.track_class()(Clip(), say=said.append)
        await until(begun.is_set)
        track.stop()
        loaded.set()
        await track.closed()
        assert not said
        assert not opened.runtimes, "what would have come next is left out"

    rtc_calls.run(program())
    assert camera.closed
