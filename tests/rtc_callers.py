"""Callers in processes of their own: a call, a publisher, or a viewer, until it is killed.

python -m tests.rtc_callers call|publish|pattern|watch URL, with $CLOSEUP_TOKEN where it is wanted.
"pattern" publishes a picture with nobody in it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
from aiortc import RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from bench import barcode
from stream.option_table import TOKEN_VARIABLE
from stream.rtc.peer import make_peer
from stream.rtc.relay_options import RelayOptions
from tests.pictures import scene_with_face
from tests.places import ROOT
from tests.rtc_calls import Clip, until
from tests.rtc_relays import SDP, received

SIZE, FPS, FACE_PX = (320, 240), 15, 36.0
PUBLISHERS = ("publish", "pattern")


def far_face() -> Clip:
    """A camera that shows somebody far away, who is enhanced."""
    clip, image = Clip(SIZE, FPS), scene_with_face(FACE_PX, SIZE)
    clip.scene = lambda size: image
    return clip


async def caller(url: str, kind: str) -> None:
    """One of these, until this process is killed; says when each picture came, and its number."""
    one, clip = make_peer(RelayOptions()), far_face()
    if kind == "call":
        one.addTrack(clip)
    elif kind in PUBLISHERS:
        one.addTransceiver(clip if kind == "publish" else Clip(SIZE, FPS), direction="sendonly")
    else:
        one.addTransceiver("video", direction="recvonly")
    await one.setLocalDescription(await one.createOffer())
    headers = dict(SDP)
    if token := os.environ.get(TOKEN_VARIABLE):
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, data=one.localDescription.sdp, headers=headers) as answer,
    ):
        answer.raise_for_status()
        text = await answer.text()
    await one.setRemoteDescription(RTCSessionDescription(text, "answer"))
    await until(lambda: one.connectionState == "connected", "no connection")
    print("connected", flush=True)
    with suppress(MediaStreamError):
        while kind not in PUBLISHERS:
            frame = await received(one, "video").recv()
            number = barcode.read(frame.to_ndarray(format="rgb24"))
            print(time.monotonic(), -1 if number is None else number, flush=True)
    await asyncio.sleep(3600)


@asynccontextmanager
async def child(
    kind: str, url: str, inside: tuple[str, ...] = ()
) -> AsyncIterator[tuple[asyncio.subprocess.Process, Any]]:
    """A `caller` in a process of its own, which is killed at the end.

    Args: inside: a command that runs what follows it, in a namespace.
    """
    command = (*inside, sys.executable, "-m", "tests.rtc_callers", kind, url)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield process, process.stdout
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


if __name__ == "__main__":
    asyncio.run(caller(sys.argv[2], sys.argv[1]))
