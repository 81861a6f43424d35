"""Round trip client: one caller with a numbered picture, in a process of its own.

Sends a clip of yuv420p pictures that somebody rendered before, with a bar code in each, and notes
when each comes back. On stdout: JSON, [[sent s since the start, round trip ms], ...].
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from fractions import Fraction
from pathlib import Path

import aiohttp
import av
import numpy as np
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from bench import barcode
from stream.rtc.peer import make_peer, media_settings
from stream.rtc.relay_options import RelayOptions

FPS = 30
CLOCK = Fraction(1, 90_000)
BIT_RATE = 2_500_000
CLOSE_S, AWAY_S = 4.0, 2.0
"""So long somebody sits close and then takes to go away; far away until the end."""
CLOSE, AWAY, FAR = 12, 30, 30
"""Pictures of each in a clip; those of the far face go there and back."""


class NumberedClip(MediaStreamTrack):
    """The clip as a camera would send it. Args: pictures: uint8 (n, 3 H / 2, W), yuv420p."""

    kind = "video"

    def __init__(self, pictures: np.typing.NDArray[np.uint8]) -> None:
        super().__init__()
        self._pictures = pictures
        self.sent_s: list[float] = []
        self.began_s = time.monotonic()

    async def recv(self) -> av.VideoFrame:
        """The next picture, when it is due."""
        number = len(self.sent_s)
        await asyncio.sleep(max(0.0, self.began_s + number / FPS - time.monotonic()))
        planes = self._pictures[_place(number / FPS)].copy()
        barcode.draw(planes[..., None], number)
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = round(number / FPS / CLOCK), CLOCK
        self.sent_s.append(time.monotonic())
        return frame


def _place(time_s: float) -> int:
    """Which picture of the clip is shown."""
    if time_s < CLOSE_S:
        return min(int(time_s / CLOSE_S * CLOSE), CLOSE - 1)
    if time_s < CLOSE_S + AWAY_S:
        return CLOSE + min(int((time_s - CLOSE_S) / AWAY_S * AWAY), AWAY - 1)
    step = int((time_s - CLOSE_S - AWAY_S) * FPS / 2) % (2 * FAR - 2)
    return CLOSE + AWAY + (step if step < FAR else 2 * FAR - 2 - step)


async def run(url: str, clip: Path, seconds: float) -> list[tuple[float, float]]:
    """Call for some seconds; returns (sent s since the start, round trip ms) of what came back.

    Args: url: of the relay. clip: pictures, uint8 (n, H, W, 3).
    """
    peer, track = make_peer(RelayOptions()), NumberedClip(np.load(clip, mmap_mode="r"))
    peer.addTrack(track)
    await peer.setLocalDescription(await peer.createOffer())
    headers = {"Content-Type": "application/sdp"}
    async with aiohttp.ClientSession() as http:
        offer = peer.localDescription.sdp
        async with http.post(url, data=offer, headers=headers) as answer:
            answer.raise_for_status()
            text = await answer.text()
    await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
    back = peer.getReceivers()[0].track
    found: list[tuple[float, float]] = []
    last = -1
    try:
        async with asyncio.timeout(seconds):
            while True:
                frame = await back.recv()
                assert isinstance(frame, av.VideoFrame)
                now_s = time.monotonic()
                luma = frame.to_ndarray(format="gray")[: barcode.BAR_PX]
                number = barcode.read(np.asarray(luma, np.uint8))
                if number is not None and last < number < len(track.sent_s):
                    last = number
                    sent_s = track.sent_s[number]
                    found.append((sent_s - track.began_s, 1000.0 * (now_s - sent_s)))
    except (TimeoutError, MediaStreamError):
        pass
    await peer.close()
    return found


def main() -> None:
    """URL, clip, seconds."""
    with media_settings(BIT_RATE):
        print(json.dumps(asyncio.run(run(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))))


if __name__ == "__main__":
    main()
