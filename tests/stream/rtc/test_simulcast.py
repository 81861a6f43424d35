"""Chromium offers three layers of its picture; the relay takes one."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.rtc.relay_options import RelayOptions
from tests.browser import browser, write_clip
from tests.network_faults import noted_arrivals
from tests.pictures import backdrop
from tests.rtc_relays import Server

pytestmark = pytest.mark.usefixtures("camera", "opened")
PUBLISH = """async () => {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 } });
  const pc = window.pc = new RTCPeerConnection();
  const sendEncodings = [{ rid: "a" }, { rid: "b", scaleResolutionDownBy: 2 }];
  pc.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly", sendEncodings });
  await pc.setLocalDescription();
  const body = pc.localDescription.sdp;
  const headers = { "Content-Type": "application/sdp" };
  const answer = await fetch("whip/room", { method: "POST", headers, body });
  const sdp = await answer.text();
  if (answer.status === 201) await pc.setRemoteDescription({ type: "answer", sdp });
  return [answer.status, body.includes("a=simulcast"), sdp];
}"""


def test_chromium_simulcast_gets_one_layer(tmp_path: Path) -> None:
    clip = tmp_path / "clip.y4m"
    write_clip(clip, lambda number: backdrop((640, 480)), 30)
    with (
        noted_arrivals() as arrivals,
        Server(RelayOptions(port=0, framing="fixed")) as relay,
        browser(clip) as chromium,
    ):
        page = chromium.new_page()
        page.goto(relay.url)
        status, offered, answer = page.evaluate(PUBLISH)
        assert (status, offered) == (201, True), answer
        assert "a=simulcast" not in answer
        for _ in range(240):
            if len(arrivals.pictures) > 10:
                break
            page.wait_for_timeout(250)
        assert len(arrivals.pictures) > 10
