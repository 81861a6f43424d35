"""The relay's page in Chromium over a network with faults: it says why, waits, and comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.rtc.connection import Connection
from stream.rtc.track_worker import TrackWorker
from tests.faulty_network import Faults, FaultyNetwork
from tests.network_faults import (
    LONG_MS,
    Arrivals,
    Sample,
    call,
    noisy,
    noted_arrivals,
    shows_more,
    watch,
)
from tests.wiring import record

pytestmark = pytest.mark.usefixtures("camera", "opened")


def made_workers(monkeypatch: pytest.MonkeyPatch) -> list[TrackWorker]:
    """Those that will be made."""
    made, make = list[TrackWorker](), Connection._make_worker

    def note(self: Connection) -> TrackWorker:
        made.append(make(self))
        return made[-1]

    monkeypatch.setattr(Connection, "_make_worker", note)
    return made


def test_chromium_survives_an_outage_with_its_camera_on(tmp_path: Path) -> None:
    with FaultyNetwork() as network, call(network, tmp_path) as page:
        shows_more(page, 10)
        network.faults = Faults(cut=True)
        page.wait_for_selector("#stage.frozen", timeout=LONG_MS)
        page.get_by_text("no network; waiting for it …").wait_for(timeout=LONG_MS)
        network.faults = Faults()
        page.wait_for_selector("#state.live", timeout=LONG_MS)
        page.wait_for_selector("#stage:not(.frozen)", timeout=LONG_MS)
        shows_more(page, 10)
        assert page.evaluate("closeup.local.getVideoTracks()[0].readyState") == "live"


def test_chromium_survives_30_s_without_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call: within 5 s after it pictures come as before and are as new, and what was
    remembered of who is in them is still there."""
    workers = made_workers(monkeypatch)
    with (
        FaultyNetwork() as network,
        noted_arrivals() as arrivals,
        call(network, tmp_path, picture=noisy) as page,
    ):
        shows_more(page, 60)
        before = seen(arrivals, watch(page, 5))
        network.faults = Faults(cut=True)
        page.wait_for_timeout(3_000)  # until what was on its way has been worked on
        known = workers[0].exemplars()
        assert known
        page.wait_for_timeout(27_000)
        assert workers[0].exemplars() == known
        network.faults = Faults()
        watch(page, 5)
        after = seen(arrivals, watch(page, 5))
        assert len(workers) == 1
        assert workers[0].exemplars()
    # Half and a second: a machine that runs tests has other work, too.
    assert len(after) > len(before) / 2
    assert max(after) < max(before) + 1.0


def seen(arrivals: Arrivals, part: list[Sample]) -> list[float]:
    """Ages of the pictures of a part of a call, s."""
    return [age for _, age in arrivals.between(part[0].time_s, part[-1].time_s)]


def test_chromium_calls_anew_when_the_relay_has_ended_the_call(tmp_path: Path) -> None:
    with FaultyNetwork() as network, noted_arrivals() as arrivals, call(network, tmp_path) as page:
        shows_more(page, 10)
        # What a connection says that has failed after it was there.
        page.evaluate(
            """() => {
              const old = closeup.pc;
              Object.defineProperty(old, "connectionState", { get: () => "failed" });
              old.onconnectionstatechange();
            }"""
        )
        page.get_by_text("reconnecting …").wait_for(timeout=LONG_MS)
        page.get_by_text("connected", exact=True).wait_for(timeout=LONG_MS)
        count = len(arrivals.pictures)
        for _ in range(LONG_MS // 250):
            if len(arrivals.pictures) > count + 10:
                break
            page.wait_for_timeout(250)
        assert len(arrivals.pictures) > count + 10
        assert page.evaluate("closeup.local.getVideoTracks()[0].readyState") == "live"


def test_chromium_says_why_no_connection_comes_about(tmp_path: Path) -> None:
    with FaultyNetwork() as network:
        network.faults = Faults(cut=True)
        with call(network, tmp_path, wait_ms=0, around=True) as page:
            page.get_by_text("is UDP blocked between this browser and the relay?").wait_for(
                timeout=LONG_MS
            )
            assert page.locator("#state").inner_text() == "not connected"


def test_chromium_goes_on_by_another_way_when_its_network_has_changed(tmp_path: Path) -> None:
    """An ICE restart: the way of before stays cut, the relay's addresses are reached directly."""
    with FaultyNetwork() as network, call(network, tmp_path, around=True) as page:
        shows_more(page, 10)
        posts: list[str] = []
        page.on("request", lambda request: posts.append(request.method))
        network.faults = Faults(cut=True)
        page.wait_for_selector("#state:not(.live)", timeout=LONG_MS)
        page.wait_for_selector("#state.live", timeout=LONG_MS)
        shows_more(page, 10)
        assert "PATCH" in posts
        assert "POST" not in posts, "it is the same call"


def test_chromium_that_calls_anew_finds_what_was_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = record(monkeypatch, TrackWorker)
    with FaultyNetwork() as network, call(network, tmp_path) as page:
        shows_more(page, 10)
        place = page.evaluate("closeup.place")
        page.evaluate(
            """() => {
              const old = closeup.pc;
              Object.defineProperty(old, "connectionState", { get: () => "failed" });
              old.onconnectionstatechange();
            }"""
        )
        page.wait_for_function("(place) => closeup.place !== place", arg=place, timeout=LONG_MS)
        page.get_by_text("connected", exact=True).wait_for(timeout=LONG_MS)
        shows_more(page, 10)
        assert len(workers) == 1, "which has the exemplars of the call before"
