"""Peer: connections as the relay wants them: where media may flow, and how many bits it gets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aioice.ice
import aiortc.codecs.h264
import aiortc.codecs.vpx
import aiortc.rtcrtpsender
from aiortc import (
    RTCConfiguration,
    RTCDtlsTransport,
    RTCPeerConnection,
    RTCRtpTransceiver,
    RTCSessionDescription,
)
from aiortc.rtcdtlstransport import RTCCertificate
from aiortc.sdp import SessionDescription
from OpenSSL import SSL

from stream.rtc.ice.ice_connection import IceConnection
from stream.rtc.ice.ice_options import IceOptions
from stream.rtc.reception.playout_delay import URI as PLAYOUT_DELAY
from stream.rtc.reception.sending_rate import LEAST
from stream.rtc.reception.sound_receiver import SoundReceiver
from stream.rtc.reception.steady_reports import SteadyReports
from stream.rtc.reception.video_receiver import VideoReceiver
from stream.rtc.reception.video_sender import VideoSender
from stream.rtc.relay_options import RelayOptions

START_BITS = 1_500_000
"""A browser begins with 300 kbit/s, and a 720p call with 640x360 therefore, unless it is told."""
CONSENT_FAILURES = 9
"""Of a peer of the relay; aiortc gives up after 6."""
SENT_PACKETS = 1024
"""So many are kept to be sent again; aiortc keeps 128, of 4 Mbit/s a third of a second."""
CIPHERS = ":".join(
    f"ECDHE-{key}-{cipher}"
    for key in ("ECDSA", "RSA")
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
)
"""aiortc's list, and the same for peers with an RSA certificate, such as GStreamer's own."""


class Certificate(RTCCertificate):
    """The relay's certificate; it also talks to peers whose own is RSA."""

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        context = super()._create_ssl_context(srtp_profiles)
        context.set_cipher_list(CIPHERS.encode())
        return context


class RelayPeer(RTCPeerConnection):
    """aiortc's connection with the relay's own way of the media; a test watches its innards."""

    def __init__(self, ice: IceOptions, *, loopback: bool) -> None:
        super().__init__(RTCConfiguration(iceServers=[]))
        self._ice_options, self._loopback = ice, loopback
        certificates = self._RTCPeerConnection__certificates  # type: ignore[has-type]
        self._RTCPeerConnection__certificates = [Certificate(o._key, o._cert) for o in certificates]

    async def setRemoteDescription(self, description: RTCSessionDescription) -> None:  # noqa: N802
        """As aiortc's, which does not know all extensions that this one takes of an offer."""
        await super().setRemoteDescription(description)
        if description.type != "offer":
            return
        read: SessionDescription = self._RTCPeerConnection__remoteDescription()  # type: ignore[attr-defined]
        offered = {one.rtp.muxId: one.rtp.headerExtensions for one in read.media}
        for transceiver in self.getTransceivers():
            if transceiver.kind == "video":
                found = offered.get(transceiver.mid or "", [])
                known = [one for one in found if one.uri == PLAYOUT_DELAY and 0 < one.id < 15]
                transceiver._headerExtensions += known[:1]

    def _RTCPeerConnection__createDtlsTransport(self) -> RTCDtlsTransport:  # noqa: N802
        dtls = super()._RTCPeerConnection__createDtlsTransport()  # type: ignore[misc]
        ice, gatherer = dtls.transport, dtls.transport.iceGatherer
        connection = IceConnection(
            self._ice_options,
            loopback=self._loopback,
            local_username=gatherer._connection.local_username,
            local_password=gatherer._connection.local_password,
        )
        gatherer._connection = ice._connection = connection
        ice._recv, ice._send = connection.recv, connection.send
        return dtls  # type: ignore[no-any-return]

    def _RTCPeerConnection__createTransceiver(  # noqa: N802
        self, direction: str, kind: str, sender_track: Any = None
    ) -> RTCRtpTransceiver:
        create = super()._RTCPeerConnection__createTransceiver  # type: ignore[misc]
        transceiver: RTCRtpTransceiver = create(direction, kind, sender_track)
        send = VideoSender if kind == "video" else SteadyReports
        sender = send(sender_track or kind, transceiver.sender.transport)
        sender._stream_id = transceiver.sender._stream_id
        transceiver._RTCRtpTransceiver__sender = sender  # type: ignore[attr-defined]
        make = VideoReceiver if kind == "video" else SoundReceiver
        receiver = make(transceiver.receiver.transport)
        if isinstance(sender, VideoSender):
            # `tests.network_faults` puts aiortc's own receiver there, which has none.
            sender.way_here = getattr(receiver, "estimate", None)
        receiver._set_rtcp_ssrc(transceiver.sender._ssrc)
        transceiver._RTCRtpTransceiver__receiver = receiver  # type: ignore[attr-defined]
        return transceiver


def make_peer(options: RelayOptions) -> RTCPeerConnection:
    """A connection that finds its way as the options say."""
    return RelayPeer(options.ice, loopback=options.loopback)


@contextmanager
def media_settings(bit_rate: int, consent_failures: int = CONSENT_FAILURES) -> Iterator[None]:
    """Settings that aiortc has for the whole program only; they end with the block.

    Args: bit_rate: the most bits a second that a picture gets; an encoder begins with less.
          consent_failures: checks of a silent peer, about 5 s apart, until it is given up.
    """
    encoders: tuple[Any, ...] = (aiortc.codecs.vpx, aiortc.codecs.h264)
    before = [(one.DEFAULT_BITRATE, one.MIN_BITRATE, one.MAX_BITRATE) for one in encoders]
    for one in encoders:
        one.MIN_BITRATE = min(LEAST, bit_rate)
        one.DEFAULT_BITRATE = min(START_BITS, bit_rate)
        one.MAX_BITRATE = bit_rate
    ice: Any = aioice.ice
    failures, ice.CONSENT_FAILURES = ice.CONSENT_FAILURES, consent_failures
    sender: Any = aiortc.rtcrtpsender
    history, sender.RTP_HISTORY_SIZE = sender.RTP_HISTORY_SIZE, SENT_PACKETS
    try:
        yield
    finally:
        sender.RTP_HISTORY_SIZE = history
        ice.CONSENT_FAILURES = failures
        for one, bits in zip(encoders, before, strict=True):
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
