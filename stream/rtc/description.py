"""Description: what an offer lacks, and what became of a connection, in words."""

from __future__ import annotations

from aiortc import RTCPeerConnection, RTCStatsReport
from aiortc.codecs import CODECS, is_rtx
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.sdp import SessionDescription

TAKEN = {
    "video": "VP8 and H264 (constrained baseline, packetization-mode=1)",
    "audio": "Opus, G722, PCMU and PCMA",
}


def codec_trouble(offer: SessionDescription) -> str:
    """Why no codec of an offer's track can be taken; empty when each has one."""
    for media in offer.media:
        if media.kind not in TAKEN:
            continue
        common = find_common_codecs(CODECS[media.kind], media.rtp.codecs)
        if not any(not is_rtx(codec) for codec in common):
            profiles = [codec.parameters.get("profile-level-id") for codec in media.rtp.codecs]
            names = [f"{codec.name} {profile}" if profile else codec.name
                     for codec, profile in zip(media.rtp.codecs, profiles, strict=True)
                     if not is_rtx(codec)]  # fmt: skip
            offered = ", ".join(dict.fromkeys(names)) or "none"
            return f"{media.kind} codecs that can be taken: {TAKEN[media.kind]}; offered: {offered}"
    return ""


def summary(report: RTCStatsReport, peer: RTCPeerConnection, seconds: float) -> str:
    """Codec, kbit/s, loss and round trip of a connection that lasted so long.

    Args: report: of the peer's `getStats`. seconds: that the connection lasted.
    """
    bytes_in = bytes_out = received = lost = 0
    trips: list[float] = []
    seen = set()
    for one in report.values():
        if one.type == "transport" and one.id not in seen:
            seen.add(one.id)
            bytes_in, bytes_out = bytes_in + one.bytesReceived, bytes_out + one.bytesSent
        elif one.type == "inbound-rtp":
            received, lost = received + one.packetsReceived, lost + max(0, one.packetsLost)
        elif one.type == "remote-inbound-rtp" and one.roundTripTime is not None:
            trips.append(1000 * one.roundTripTime)
    codecs = [transceiver._codecs[0].name for transceiver in peer.getTransceivers()
              if transceiver.kind == "video" and transceiver._codecs]  # fmt: skip
    percent = 100 * lost / (received + lost) if received else 0.0
    rates = [f"{8e-3 * one / max(seconds, 1e-3):.0f}" for one in (bytes_in, bytes_out)]
    trip = f"{max(trips):.0f} ms" if trips else "unknown"
    return (
        f"{codecs[0] if codecs else 'no codec'}, {rates[0]} kbit/s in, {rates[1]} kbit/s out, "
        f"{percent:.1f} % lost, round trip {trip}"
    )
