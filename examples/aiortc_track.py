"""Enhance a WebRTC call: two aiortc peers in one program, with an enhanced track on the way back.

    pip install ".[webrtc]"
    python examples/aiortc_track.py call.mp4 --seconds 10

The caller sends the recording as if it were a camera. The answering side wraps the track that it
receives into an EnhancedVideoTrack and sends it back. In your program only `answer` matters; the
two descriptions travel over your own signalling.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError

from stream.rtc import EnhancedVideoTrack, SharedRuntime
from stream.rtc.status import Status

LOCAL = RTCConfiguration(iceServers=[])
"""Both ends are on this machine; aiortc would ask a public STUN server otherwise."""


class Answerer:
    """Answers one call and sends its video back, enhanced."""

    def __init__(self, runtime: SharedRuntime) -> None:
        self.connection = RTCPeerConnection(LOCAL)
        self.enhanced: EnhancedVideoTrack | None = None
        self._runtime = runtime
        self.connection.on("track", self._on_track)

    async def answer(self, offer: RTCSessionDescription) -> RTCSessionDescription:
        """Take the caller's offer and return the answer."""
        await self.connection.setRemoteDescription(offer)
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return self.connection.localDescription

    def _on_track(self, track: MediaStreamTrack) -> None:
        if track.kind == "video":
            # One model may serve many calls; each track keeps its own memory of faces.
            self.enhanced = EnhancedVideoTrack(track, shared_runtime=self._runtime, framing="fixed")
            self.connection.addTrack(self.enhanced)


async def call(recording: Path, seconds: float) -> int:
    """Run one call and return the number of frames that came back."""
    received = 0
    with SharedRuntime() as runtime:
        caller, answerer = RTCPeerConnection(LOCAL), Answerer(runtime)
        camera = MediaPlayer(str(recording), loop=True).video
        assert camera is not None, "the recording has no picture"
        try:
            caller.addTrack(camera)
            await caller.setLocalDescription(await caller.createOffer())
            await caller.setRemoteDescription(await answerer.answer(caller.localDescription))
            back = caller.getReceivers()[0].track
            deadline_s = time.monotonic() + seconds
            while time.monotonic() < deadline_s:
                try:
                    await asyncio.wait_for(back.recv(), deadline_s - time.monotonic())
                except (MediaStreamError, TimeoutError):
                    break
                received += 1
            if answerer.enhanced is not None:
                print(in_words(answerer.enhanced.status()))
        finally:
            await caller.close()
            await answerer.connection.close()
            if answerer.enhanced is not None:
                answerer.enhanced.stop()
                await answerer.enhanced.closed()
            camera.stop()
    return received


def in_words(status: Status) -> str:
    """What the enhanced track was doing last."""
    line = (
        f"{status.fps:.1f} fps, {status.delay_ms:.0f} ms later, "
        f"{status.enhanced} of {status.faces} faces enhanced"
    )
    return f"{line}: {status.why}" if status.why else line


def main() -> None:
    """Read the command line, run the call, report."""
    parser = argparse.ArgumentParser(description="A call through an EnhancedVideoTrack.")
    parser.add_argument("recording", type=Path)
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the call (10)")
    given = parser.parse_args()
    print(f"{asyncio.run(call(given.recording, given.seconds))} frames came back")


if __name__ == "__main__":
    main()
