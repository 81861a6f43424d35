"""ICE restart (RFC 8445, 9; RFC 9725, 4.3.3): a call goes on by another way.

aioice (0.13) and aiortc (1.16) know none. The media go on by the old way until there is a new one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate, RTCPeerConnection
from aiortc.sdp import candidate_from_sdp, candidate_to_sdp

from stream.rtc.ice.ice_connection import IceConnection

_UFRAG, _PWD = r"[A-Za-z0-9+/]{4,256}", r"[A-Za-z0-9+/]{22,256}"
"""RFC 8839, 5.4. A longer one would make each check that is sent to an address larger."""


@dataclass(frozen=True)
class IceFragment:
    """What a fragment of SDP (RFC 8840) says."""

    username: str | None
    password: str | None
    candidates: tuple[tuple[str | None, RTCIceCandidate], ...]
    """Each with the identification (mid) of its medium."""
    ended: bool
    """Whether no more will come."""


def parse_fragment(text: str) -> IceFragment:
    """Read a fragment. Raises: ValueError: a line of it is malformed."""
    username = password = mid = None
    candidates: list[tuple[str | None, RTCIceCandidate]] = []
    ended = False
    for line in text.splitlines():
        name, _, value = line.strip().partition(":")
        if name == "a=mid":
            mid = value
        elif name == "a=ice-ufrag":
            username = _checked(_UFRAG, value)
        elif name == "a=ice-pwd":
            password = _checked(_PWD, value)
        elif name == "a=end-of-candidates":
            ended = True
        elif name == "a=candidate":
            try:
                candidates.append((mid, candidate_from_sdp(value)))
            except (AssertionError, ValueError, IndexError) as error:
                raise ValueError("a candidate cannot be understood") from error
    return IceFragment(username, password, tuple(candidates), ended)


def _checked(pattern: str, value: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ValueError("ice-ufrag or ice-pwd is malformed")
    return value


def are_credentials(username: str | None, password: str | None) -> bool:
    """Whether an offer's ice-ufrag and ice-pwd are such."""
    return bool(re.fullmatch(_UFRAG, username or "") and re.fullmatch(_PWD, password or ""))


async def restart(peer: RTCPeerConnection, username: str, password: str) -> IceConnection:
    """Restart ICE; candidates of the peer may be added after it.

    Args:   peer: one of `stream.rtc.peer`. username, password: the new ones of the other side.
    Raises: ConnectionError: there is nothing to restart, or several ways (media not bundled).
    """
    found = {one.receiver.transport.transport for one in peer.getTransceivers()}
    if peer.sctp is not None:
        found.add(peer.sctp.transport.transport)
    if len(found) != 1:
        raise ConnectionError("media that are not bundled cannot be restarted")
    (transport,) = found
    ice = transport._connection
    assert isinstance(ice, IceConnection)
    await ice.restart(username, password)
    transport.iceGatherer._remote_candidates_end = False
    return ice


def answer_fragment(ice: IceConnection, mid: str) -> str:
    """What the peer must know of this side after `IceConnection.restart`.

    Args: ice: the connection. mid: of the first medium, that of the bundle.
    """
    lines = ["m=audio 9 UDP/TLS/RTP/SAVPF 0", f"a=mid:{mid}", f"a=ice-ufrag:{ice.local_username}",
             f"a=ice-pwd:{ice.local_password}"]  # fmt: skip
    for one in ice.local_candidates:
        candidate = RTCIceCandidate(
            component=one.component, foundation=one.foundation, ip=one.host, port=one.port,
            priority=one.priority, protocol=one.transport, type=one.type,
            relatedAddress=one.related_address, relatedPort=one.related_port,
        )  # fmt: skip
        lines.append(f"a=candidate:{candidate_to_sdp(candidate)}")
    return "\r\n".join([*lines, "a=end-of-candidates", ""])
