"""Peer: connections as the relay wants them: where media may flow, and how many bits it gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aioice.ice
import aiortc.codecs.h264
import aiortc.codecs.vpx
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection

START_BITS = 1_500_000
"""A browser begins with 300 kbit/s, and a 720p call with 640x360 therefore, unless it is told."""
LEAST_BITS = 250_000
LOOPBACK = "127.0.0.1"


def make_peer(stun: str | None) -> RTCPeerConnection:
    """A connection; without a STUN server it asks nobody on the internet for its address."""
    servers = [RTCIceServer(f"stun:{stun}")] if stun else []
    return RTCPeerConnection(RTCConfiguration(iceServers=servers))


@contextmanager
def media_settings(bit_rate: int, *, loopback: bool) -> Iterator[None]:
    """Settings that aiortc has for the whole program only; they end with the block.

    Args: bit_rate: the most bits a second that a picture gets; an encoder begins with less.
          loopback: media comes and goes through this machine's own address alone.
    """
    codecs: tuple[Any, ...] = (aiortc.codecs.vpx, aiortc.codecs.h264)
    before = [(one.DEFAULT_BITRATE, one.MIN_BITRATE, one.MAX_BITRATE) for one in codecs]
    addresses = aioice.ice.get_host_addresses
    for one in codecs:
        one.MIN_BITRATE = min(LEAST_BITS, bit_rate)
        one.DEFAULT_BITRATE = min(START_BITS, bit_rate)
        one.MAX_BITRATE = bit_rate
    if loopback:
        aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: [LOOPBACK]
    try:
        yield
    finally:
        aioice.ice.get_host_addresses = addresses
        for one, bits in zip(codecs, before, strict=True):
            one.DEFAULT_BITRATE, one.MIN_BITRATE, one.MAX_BITRATE = bits


def with_start_bits(sdp: str, bits: int) -> str:
    """An answer that tells the other side (Chromium and its relatives) how fast to begin.

    Each VP8 and H264 payload of it gets "x-google-start-bitrate", in kbit/s.
    """
    wish = f"x-google-start-bitrate={bits // 1000}"
    lines: list[str] = []
    for line in sdp.splitlines():
        lines.append(line)
        codec = re.fullmatch(r"a=rtpmap:(\d+) (VP8|H264)/90000", line)
        if codec and f"\na=fmtp:{codec[1]} " not in sdp:
            lines.append(f"a=fmtp:{codec[1]} {wish}")
    numbers = re.findall(r"a=rtpmap:(\d+) (?:VP8|H264)/90000", sdp)
    heads = tuple(f"a=fmtp:{number} " for number in numbers)
    for place, line in enumerate(lines):
        if heads and line.startswith(heads) and wish not in line:
            lines[place] = f"{line};{wish}"
    return "\r\n".join(lines) + "\r\n"
