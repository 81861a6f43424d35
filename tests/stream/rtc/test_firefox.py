"""Firefox at the relay: the page of a call, and a viewer that shows no address of its own."""

from __future__ import annotations

import asyncio

import pytest

from tests.fakes import OneFace, OpenedRuntimes
from tests.firefox import firefox
from tests.rtc_calls import Clip
from tests.rtc_relays import publisher, relay

SHOWN = "closeup.pc?.getStats().then((s) => [...s.values()].some((one) => one.framesDecoded > 10))"


@pytest.fixture(autouse=True)
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector and the network's runtime."""
    monkeypatch.setattr("stream.graph.FaceDetector", OneFace)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())


def test_firefox_calls_with_the_default_options() -> None:
    async def program() -> None:
        async with relay() as client, firefox() as browser:
            await browser.open(f"{client.relay.url}#size=320x240")
            await browser.run("document.querySelector('form button').click()")
            await browser.until("document.getElementById('state').textContent === 'connected'")
            await browser.until(SHOWN)

    asyncio.run(program())


def test_firefox_watches_though_it_names_no_address() -> None:
    async def program() -> None:
        async with relay() as client, firefox() as browser:
            sender = publisher(Clip((320, 240)))
            await client.begin(sender, "/whip/room")
            await browser.open(f"{client.relay.url}#watch=room")
            await browser.run("document.querySelector('form button').click()")
            await browser.until(SHOWN)
            await browser.until("document.getElementById('enhanced').videoWidth === 320")
            offer = await browser.run("closeup.pc.localDescription.sdp")
            # Without a camera Firefox hides its addresses.
            assert ".local" in offer
            await sender.close()

    asyncio.run(program())
