"""WhipSink: Ctrl-C while it begins leaves no thread and no event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.media.stream_address import output_stream
from stream.rtc.clients import whip_sink
from stream.rtc.clients.whip_sink import WhipSink
from tests import ctrl_c
from tests.rtc_calls import run
from tests.rtc_relays import relay

THREAD = "closeup whip"


def sink_for(url: str) -> WhipSink:
    address = output_stream(f"whip+{url}whip/out")
    assert address is not None
    return WhipSink(address, None, bit_rate=500_000, sound=True, say=lambda line: None)


@pytest.mark.parametrize("runs", [False, True])
def test_ctrl_c_while_the_thread_starts(monkeypatch: pytest.MonkeyPatch, runs: bool) -> None:
    ctrl_c.in_thread_start(monkeypatch, THREAD, runs=runs)
    with pytest.raises(KeyboardInterrupt):
        sink_for("http://127.0.0.1:9/")
    assert ctrl_c.ended(THREAD)


class Interrupted(Future[None]):
    """Ctrl-C comes when the wait is over."""

    def result(self, timeout: float | None = None) -> None:
        super().result(timeout)
        raise KeyboardInterrupt


@pytest.mark.usefixtures("camera", "opened")
def test_ctrl_c_while_the_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whip_sink, "Future", Interrupted)

    async def program() -> None:
        async with relay() as client:

            def begin() -> None:
                with pytest.raises(KeyboardInterrupt):
                    sink_for(client.relay.url)

            await asyncio.to_thread(begin)
            assert ctrl_c.ended(THREAD)
            assert not client.relay.connections.open, "the server was told"

    run(program())
