"""Attacks on a relay: each is a coroutine that takes its target and a time.

python -m tests.attacks NAME URL PID SECONDS CALLS → says "ready", begins with a line on stdin, says
how many requests it made. It gets only the processor time that nobody else wants, as if it ran on
another machine.
"""

from __future__ import annotations

import asyncio
import os
import re
import struct
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import aiohttp
import av
import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from stream.telemetry.process_memory import resident_bytes
from tests.rtc_callers import SIZE, child, far_face
from tests.rtc_calls import Clip, peer, until
from tests.rtc_relays import SDP, publisher, received

TAKEN_PICTURES = 10
"""Of a short call."""
SLOW = 1000
CLOCK = Fraction(1, 90_000)
Attack = Callable[["Target", float], Awaitable[None]]


@dataclass
class Target:
    """A relay that is attacked."""

    url: str
    pid: int
    http: aiohttp.ClientSession
    asked: int = 0
    """Requests and connections so far."""
    calls: int = 100

    def megabytes(self) -> float:
        """Of the relay's process, now."""
        return (resident_bytes(self.pid) or 0) / 1e6

    async def post(self, path: str, offer: str | bytes) -> int:
        """The status of an answer; each request comes from an address of its own, or so it says."""
        self.asked += 1
        sender = f"198.51.{self.asked // 250 % 250}.{self.asked % 250}"
        headers = {**SDP, "X-Forwarded-For": sender}
        async with self.http.post(self.url + path, data=offer, headers=headers) as answer:
            text = await answer.text()
            if answer.status == 201:
                self.answer = text
                self.place = answer.headers["Location"].lstrip("/")
            return answer.status

    async def begin(self, one: RTCPeerConnection, path: str) -> str:
        """Connect a peer; returns where its session is."""
        await one.setLocalDescription(await one.createOffer())
        status = await self.post(path, one.localDescription.sdp)
        assert status == 201, status
        place = self.place
        await one.setRemoteDescription(RTCSessionDescription(self.answer, "answer"))
        await until(lambda: one.connectionState == "connected", "no connection")
        return place

    async def end(self, place: str) -> None:
        """DELETE."""
        self.asked += 1
        headers = {"X-Forwarded-For": f"198.51.{self.asked // 250 % 250}.{self.asked % 250}"}
        async with self.http.delete(self.url + place, headers=headers) as answer:
            await answer.read()


class Packets(MediaStreamTrack):
    """The same key frame, encoded already, again and again. Args: data: of it. fps: so often."""

    kind = "video"

    def __init__(self, data: bytes, fps: float) -> None:
        super().__init__()
        self._data, self._fps, self._sent = data, fps, 0

    async def recv(self) -> Any:
        await asyncio.sleep(1 / self._fps)
        packet = av.Packet(self._data)
        packet.pts, packet.time_base = round(self._sent / self._fps / CLOCK), CLOCK
        self._sent += 1
        return packet


def key_frame(width: int, height: int) -> bytes:
    """VP8, gray, of this size; takes as long as encoding it does."""
    encoder: Any = av.CodecContext.create("libvpx", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.time_base = Fraction(1, 30)
    encoder.options = {"deadline": "realtime", "cpu-used": "16"}
    frame = av.VideoFrame(width, height, "yuv420p")
    for plane in frame.planes:
        plane.update(b"\x80" * plane.buffer_size)
    data = b"".join(bytes(one) for one in [*encoder.encode(frame), *encoder.encode(None)])
    assert struct.unpack("<HH", data[6:10]) == (width, height)
    return data


async def huge_pictures(target: Target, seconds: float) -> None:
    """8192x8192, two a second."""
    one = publisher(Packets(await asyncio.to_thread(key_frame, 8192, 8192), 2.0))
    place = await target.begin(one, "whip/huge")
    await asyncio.sleep(seconds)
    await target.end(place)
    await one.close()


async def slow_connections(target: Target, seconds: float) -> None:
    """1,000 that send a byte a second; who is closed comes again."""
    host, port = re.findall(r"//([\d.]+):(\d+)", target.url)[0]
    request = b"POST /whip HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"x" * 1000
    end_s = time.monotonic() + seconds

    async def one() -> None:
        while time.monotonic() < end_s:
            with suppress(OSError):
                _, writer = await asyncio.open_connection(host, int(port))
                target.asked += 1
                try:
                    for byte in request:
                        writer.write(bytes([byte]))
                        await writer.drain()
                        await asyncio.sleep(1)
                        if time.monotonic() > end_s:
                            break
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(SLOW)))


async def template() -> str:
    """An offer that nobody is behind."""
    one = publisher(Clip(SIZE))
    await one.setLocalDescription(await one.createOffer())
    text = one.localDescription.sdp
    await one.close()
    return text


async def stun_spray(target: Target, seconds: float) -> None:
    """Offers with 60 addresses each of somebody else."""
    lines = "".join(
        f"a=candidate:{n} 1 udp {2130706431 - n} 127.0.0.1 {40000 + n} typ host\r\n"
        for n in range(60)
    )
    text = re.sub(r"a=candidate:.*\r\n", "", await template())
    text = re.sub(r"(a=mid:\S+\r\n)", rf"\1{lines}", text)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        await target.post(f"whip/spray{target.asked}", text)
        await asyncio.sleep(0.2)


def odd(text: str) -> list[str | bytes]:
    """Offers that are none, or of what nobody takes."""
    media = text[text.index("m=") :]
    return [
        *("", "v=0", "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 1800),
        *(text[:300], 60_000 * "v"),
        b"v=0\r\n\xff\xfe" * 5000,
        70_000 * "x",
        re.sub(r"a=rtpmap:(\d+) \S+", r"a=rtpmap:\1 VP9/90000", text),
        re.sub(r"a=fingerprint.*\r\n", "", text),
        re.sub(r"a=fingerprint:sha-256 .*", "a=fingerprint:sha-256 00:11", text),
        re.sub(r"a=ice-(ufrag|pwd).*\r\n", "", text),
        re.sub(r"a=ice-ufrag:.*", "a=ice-ufrag:" + 9000 * "u", text),
        re.sub(r"a=mid:.*\r\n", "", text),
        re.sub(r"a=candidate:.*", "a=candidate:1 1 udp x y z", text),
        re.sub(r"m=video \d+", "m=video 999999999", text),
        re.sub(r"a=setup:\w+", "a=setup:nonsense", text),
        re.sub(r"a=sendonly", "a=recvonly", text),
        text + 20 * re.sub(r"a=mid:.*", "a=mid:more", media),
        text + "a=extmap:999 x\r\na=rid:x send\r\na=simulcast:send x;y\r\n",
        text.replace("\r\n", "\n"),
        re.sub(r"c=IN IP4 \S+", "c=IN IP6 ::1", text),
        re.sub(r"a=ssrc:\d+", "a=ssrc:99999999999999", text),
    ]  # fmt: skip


async def odd_offers(target: Target, seconds: float) -> None:
    """All of `odd`, again and again; a status of 500 would be a fault."""
    offers = odd(await template())
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        for offer in offers:
            status = await target.post(f"whip/odd{target.asked}", offer)
            assert status < 500 or status == 503, (status, offer[:200])
            if status == 201:
                await target.end(target.place)
            await asyncio.sleep(0.02)


async def crashed_publishers(target: Target, seconds: float) -> None:
    """Two publishers in processes of their own fill a relay that takes three connections, and are
    killed. Then somebody else wants a slot, and the next one of the same name this name.
    """
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        async with publishing(target, "a"), publishing(target, "b"):
            await asyncio.sleep(2)
        killed_s = time.monotonic()
        while await target.post("whip/c", await template()) != 201:
            await asyncio.sleep(0.1)
        slot_s = time.monotonic() - killed_s
        await target.end(target.place)
        while await target.post("whip/a", await template()) != 201:
            await asyncio.sleep(0.1)
        name_s = time.monotonic() - killed_s
        await target.end(target.place)
        print(f"  a slot after {slot_s:.1f} s, the name after {name_s:.1f} s", file=sys.stderr)


@asynccontextmanager
async def publishing(target: Target, name: str) -> AsyncIterator[None]:
    """A publisher in a process of its own, which is killed at the end."""
    async with child("publish", f"{target.url}whip/{name}") as (process, _):
        target.asked += 1
        assert process.stdout is not None
        assert await process.stdout.readline(), f"{name} cannot publish"
        yield


async def short_calls(target: Target, seconds: float) -> None:
    """One after another, as many as were asked for; ten pictures each."""
    held: list[float] = []
    for number in range(target.calls):
        one = peer()
        one.addTrack(far_face())
        place = await target.begin(one, "call")
        back = received(one, "video")
        for _ in range(TAKEN_PICTURES):
            await back.recv()
        await target.end(place)
        await one.close()
        held.append(target.megabytes())
        if number % 10 == 0 or number == target.calls - 1:
            print(f"  after {number + 1} calls {held[-1]:.1f} MB", file=sys.stderr)
    for name, part in (("all calls", held), ("the second half", held[len(held) // 2 :])):
        slope = np.polyfit(range(len(part)), part, 1)[0]
        print(f"  {slope:+.2f} MB a call over {name}", file=sys.stderr)


ATTACKS: dict[str, Attack] = {
    "8192x8192": huge_pictures,
    "slow connections": slow_connections,
    "STUN spray": stun_spray,
    "odd offers": odd_offers,
    "crashed publishers": crashed_publishers,
    "short calls": short_calls,
}


async def main(name: str, url: str, pid: int, seconds: float, calls: int) -> None:
    """The command line."""
    async with aiohttp.ClientSession() as http:
        target = Target(url, pid, http, calls=calls)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await ATTACKS[name](target, seconds)
        print(target.asked, flush=True)


if __name__ == "__main__":
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with suppress(ImportError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    given_name, given_url, *numbers = sys.argv[1:]
    asyncio.run(main(given_name, given_url, int(numbers[0]), float(numbers[1]), int(numbers[2])))
