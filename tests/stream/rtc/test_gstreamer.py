"""GStreamer's webrtcbin at the relay, both ways, with libnice and an RSA certificate of its own."""

from __future__ import annotations

import asyncio
import shutil
import subprocess

import pytest

from tests.fakes import OneFace, OpenedRuntimes
from tests.places import ROOT
from tests.rtc_calls import Clip, Watcher, run, until
from tests.rtc_relays import publisher, received, relay, viewer

PYTHON = "/usr/bin/python3"
PACKAGES = (
    "gir1.2-gst-plugins-bad-1.0 gstreamer1.0-nice gstreamer1.0-plugins-bad "
    "gstreamer1.0-plugins-good python3-gst-1.0"
)


@pytest.fixture(autouse=True)
def stages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for the detector and the network's runtime; skip without GStreamer."""
    check = "import gi; gi.require_version('GstWebRTC', '1.0'); gi.require_version('GstSdp', '1.0')"
    found = shutil.which(PYTHON) and subprocess.run([PYTHON, "-c", check], capture_output=True)
    if not found or found.returncode:
        pytest.skip(f"needs GStreamer: sudo apt-get install {PACKAGES}")
    monkeypatch.setattr("stream.graph.FaceDetector", OneFace)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())


async def start(way: str, url: str, seconds: float) -> asyncio.subprocess.Process:
    """The client, in a process of Debian's Python."""
    program = str(ROOT / "tests" / "gstreamer_client.py")
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        PYTHON, program, way, url, str(seconds), stdout=pipe, stderr=pipe
    )


def test_gstreamer_publishes_with_the_default_options() -> None:
    async def program() -> None:
        async with relay() as client:
            sending = await start("publish", f"{client.relay.url}whip/room", 15.0)
            await until(lambda: any(one.connected for one in client.relay.connections.open))
            peer = viewer("video")
            await client.begin(peer, "/whep/room")
            watcher = Watcher(received(peer, "video"))
            await until(lambda: len(watcher.frames) > 10, "no pictures came")
            sending.terminate()
            await sending.communicate()
            await peer.close()

    run(program())


def test_gstreamer_watches_with_the_default_options() -> None:
    async def program() -> None:
        async with relay() as client:
            sender = publisher(Clip((320, 240)))
            await client.begin(sender, "/whip/room")
            watching = await start("watch", f"{client.relay.url}whep/room", 6.0)
            out, error = await watching.communicate()
            assert watching.returncode == 0, error.decode()
            frames, state = out.decode().split()
            assert state == "connected"
            assert int(frames) > 10
            await sender.close()

    run(program())
