"""The relay's page in a real browser: headless Chromium with a clip for a camera."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="WebRTC needs the extra webrtc")

from bench import barcode
from stream.frame import Image
from stream.rtc.relay_options import RelayOptions
from stream.rtc.server import Relay
from tests.browser import browser, chromium, write_clip
from tests.pictures import need_models, scene_with_face
from tests.rtc_relays import Server

PATIENCE_S = 90.0
SIZE = (480, 360)
CLOSE, FAR = 170.0, 34.0
FRAMES = 180
NUMBERS = """
async (id) => {
  const [track] = document.getElementById(id).srcObject.getVideoTracks();
  const reader = new MediaStreamTrackProcessor({ track }).readable.getReader();
  const canvas = new OffscreenCanvas(288, 16);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const numbers = [];
  for (let n = 0; n < 25; n += 1) {
    const { value: frame } = await reader.read();
    pen.drawImage(frame, 0, 0);
    frame.close();
    let number = 0;
    for (let bar = 0; bar < 18; bar += 1) {
      const bit = pen.getImageData(bar * 16 + 8, 8, 1, 1).data[1] > 128;
      number = 2 * number + bit;
    }
    numbers.push(number);
  }
  await reader.cancel();
  return numbers;
}
"""
"""The bar codes, guards included, of 25 pictures of the video element with an id."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Somebody sits close, rolls away, sits far away; every picture has its number."""

    def picture(index: int) -> Image:
        part = min(max((index - 75) / 45.0, 0.0), 1.0)
        scene = scene_with_face(CLOSE ** (1.0 - part) * FAR**part, SIZE, (240.0, 190.0))
        barcode.draw(scene, index)
        return scene

    chromium()
    need_models()
    path = tmp_path_factory.mktemp("camera") / "camera.y4m"
    write_clip(path, picture, FRAMES)
    return path


@pytest.fixture(scope="module")
def chrome(clip: Path) -> Iterator[Any]:
    with browser(clip) as one:
        yield one


@pytest.fixture
def page(chrome: Any) -> Iterator[Any]:
    """A new page that fails the test when its script does."""
    one = chrome.new_page()
    one.set_default_timeout(1000.0 * PATIENCE_S)
    errors: list[str] = []
    one.on("pageerror", lambda error: errors.append(str(error)))
    yield one
    one.close()
    assert not errors


def until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def holds(page: Any, expression: str) -> None:
    """Wait until JavaScript agrees (Playwright's own way would need `eval`, which is forbidden)."""
    until(lambda: page.evaluate(expression), expression)


def start(page: Any, relay: Relay, wishes: str = "size=480x360&framing=fixed") -> None:
    page.goto(f"{relay.url}#{wishes}")
    page.get_by_role("button", name="Start the camera").click()
    holds(page, "document.getElementById('state').textContent === 'connected'")


def numbers(page: Any, video: str) -> list[int]:
    """The numbers of the pictures that a video element shows."""
    codes = page.evaluate(NUMBERS, video)
    good = [code >> 2 for code in codes if code & 3 == 2]
    assert len(good) > 15, f"pictures without their bar code: {codes}"
    return good


def test_a_call_from_beginning_to_end(page: Any) -> None:
    with Server(RelayOptions(port=0, runtime="onnxruntime-cpu")) as relay:
        start(page, relay)
        holds(page, "document.getElementById('enhanced').videoWidth === 480")
        shown = numbers(page, "enhanced")
        assert set(shown) <= set(range(FRAMES))
        assert len(set(shown)) > 5, "the picture stands still"
        page.wait_for_selector("#closeups img")
        holds(page, "document.querySelector('#closeups img').naturalWidth === 96")
        holds(page, "window.closeup.figures.enhanced > 0")
        holds(page, "document.getElementById('why').textContent.startsWith('yes')")
        holds(page, "/^[0-9]+ ms$/.test(document.getElementById('trip').textContent)")

        assert not page.is_visible("#line")
        page.click("#compare")
        assert page.is_visible("#line")
        box = page.locator("#stage").bounding_box()
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] / 2, middle)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 4, middle)
        page.mouse.up()
        assert page.get_attribute("#line", "aria-valuenow") == "25"
        assert len(set(numbers(page, "camera"))) > 5

        (connection,) = relay.connections.open
        video = connection.video
        assert video is not None
        page.fill("#strength", "0")
        holds(page, "window.closeup.figures.strength === 0")
        holds(page, "/strength|late|no face/.test(document.getElementById('why').textContent)")
        page.get_by_text("Follow me").click()
        until(lambda: video.framing == "auto", "the framing did not change")

        forgotten: list[int] = []
        forget = video._worker.forget

        def noted() -> None:
            forget()
            forgotten.append(len(video.exemplars()))

        video._worker.forget = noted  # type: ignore[method-assign]
        page.click("#forget")
        until(lambda: forgotten, "nothing was forgotten")
        assert forgotten == [0]

        page.click("#stop")
        page.wait_for_selector("#welcome")
        until(lambda: not relay.connections.open, "the session did not end")


def test_the_page_begins_with_the_relays_options_and_changes_them(page: Any) -> None:
    options = RelayOptions(
        port=0, runtime="onnxruntime-cpu", framing="fixed", strength=0.42, detail=0.98
    )
    with Server(options) as relay:
        start(page, relay, "size=480x360")
        (connection,) = relay.connections.open
        video = connection.video
        assert video is not None
        for slider, value in (("strength", 0.42), ("detail", 0.98)):
            holds(page, f"window.closeup.figures.{slider} === {value}")
            page.fill(f"#{slider}", "0.75")
            holds(page, f"window.closeup.figures.{slider} === 0.75")
            assert page.inner_text(f"#{slider} + output") == "75 %"
        assert (video.strength, video.detail, video.framing) == (0.75, 0.75, "fixed")


def test_two_tabs_and_a_reload(chrome: Any, page: Any) -> None:
    with Server(RelayOptions(port=0, runtime="onnxruntime-cpu")) as relay:
        other = chrome.new_page()
        start(page, relay)
        start(other, relay)
        assert len({connection.id for connection in relay.connections.open}) == 2
        assert len(set(numbers(page, "enhanced"))) > 3
        assert len(set(numbers(other, "enhanced"))) > 3
        first = {connection.id for connection in relay.connections.open}
        page.reload()
        until(lambda: len(relay.connections.open) == 1, "a reload leaves the session behind")
        start(page, relay)
        assert len(first & {connection.id for connection in relay.connections.open}) == 1
        other.close()
        until(lambda: len(relay.connections.open) == 1, "a closed tab leaves its session behind")


def test_publish_and_watch_in_a_browser(chrome: Any, page: Any) -> None:
    """WHEP's player is Chromium; the publisher is the page's own call, by hand."""
    with Server(RelayOptions(port=0, runtime="onnxruntime-cpu", framing="fixed")) as relay:
        page.goto(relay.url)
        page.evaluate(
            """async () => {
              const media = await navigator.mediaDevices.getUserMedia({ video: { width: 480 } });
              window.publisher = new RTCPeerConnection();
              window.publisher.addTransceiver(media.getVideoTracks()[0], { direction: "sendonly" });
              await window.publisher.setLocalDescription();
              const answer = await fetch("/whip/room", { method: "POST",
                headers: { "Content-Type": "application/sdp" },
                body: window.publisher.localDescription.sdp });
              await window.publisher.setRemoteDescription(
                { type: "answer", sdp: await answer.text() });
            }"""
        )
        holds(page, "window.publisher.connectionState === 'connected'")
        watcher = chrome.new_page()
        watcher.goto(f"{relay.url}#watch=room")
        watcher.get_by_role("button", name="Watch").click()
        holds(watcher, "document.getElementById('enhanced').videoWidth > 0")
        assert len(set(numbers(watcher, "enhanced"))) > 3
        assert sorted(connection.kind for connection in relay.connections.open) == [
            "publish",
            "watch",
        ]
        watcher.close()


def test_a_page_without_its_token_asks_for_it(page: Any) -> None:
    token = "a-secret-of-the-house"
    with Server(RelayOptions(port=0, runtime="onnxruntime-cpu", token=token)) as relay:
        page.goto(f"{relay.url}#size=480x360")
        page.get_by_role("button", name="Start the camera").click()
        page.wait_for_selector("#ask")
        assert "token" in page.inner_text("#problem")
        page.fill("#token", token)
        page.get_by_role("button", name="Start the camera").click()
        holds(page, "document.getElementById('state').textContent === 'connected'")
        page.click("#stop")
        until(lambda: not relay.connections.open, "the session did not end")
