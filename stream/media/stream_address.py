"""StreamAddress: streams on servers, for `--input` and `--output`: WHEP, WHIP, RTSP, RTMP, SRT.

An address may hold a password or a stream key, so only scheme, host and port are ever shown. It
makes this program connect to somewhere, so it counts only where the user wrote it: on the command
line, never in a file.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from stream.errors import ConfigError

WHEP, WHIP = "whep", "whip"
FORMATS = {"rtsp": "rtsp", "rtsps": "rtsp", "rtmp": "flv", "rtmps": "flv", "srt": "mpegts"}
"""Scheme → FFmpeg's name of what flows there."""
INPUTS = (f"{WHEP}+https", f"{WHEP}+http", "rtsp", "rtsps", "rtmp", "rtmps", "srt")
OUTPUTS = (f"{WHIP}+https", f"{WHIP}+http", "rtmp", "rtmps", "srt")


@dataclass(frozen=True)
class StreamAddress:
    """A stream on a server."""

    scheme: str
    """One of `INPUTS` or `OUTPUTS`."""
    url: str = field(repr=False)
    """For the library that opens it: without "whep+" and "whip+"."""
    name: str
    """For people: without path, password and key."""

    @property
    def is_webrtc(self) -> bool:
        """Whether WebRTC carries it, and not FFmpeg."""
        return "+" in self.scheme


def is_stream(name: str) -> bool:
    """Whether a text names a stream on a server, which may be one that is not supported."""
    scheme, found, _ = name.partition("://")
    return bool(found) and scheme.lower() in {*INPUTS, *OUTPUTS, "http", "https", "whep", "whip"}


def input_stream(name: str) -> StreamAddress | None:
    """What `--input` names, if it is a stream on a server; None where it means something else.

    Raises: ConfigError: it begins like one, and cannot be used.
    """
    return _stream(name, INPUTS, "--input", WHEP)


def output_stream(name: str) -> StreamAddress | None:
    """As `input_stream`, for `--output`."""
    return _stream(name, OUTPUTS, "--output", WHIP)


def _stream(name: str, schemes: tuple[str, ...], option: str, webrtc: str) -> StreamAddress | None:
    if not is_stream(name):
        return None
    try:
        parts = urlsplit(name)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{option}: the address is malformed ({error})") from error
    scheme = parts.scheme.lower()
    if scheme in ("http", "https", "whep", "whip"):
        raise ConfigError(f"{option} {scheme}://...: write {webrtc}+https://... for a stream")
    if scheme not in schemes:
        other = "--output" if option == "--input" else "--input"
        raise ConfigError(f"{option} cannot be {scheme}://...; it is for {other}")
    if not host or any(one.isspace() or not one.isprintable() for one in name):
        raise ConfigError(f"{option} {scheme}://...: give a host, such as {scheme}://example.org/")
    if scheme.endswith("+http") and not _is_loopback(host):
        raise ConfigError(
            f"{option} {scheme}://{host} is not encrypted; write {scheme}s://, or name this machine"
        )
    shown = f"[{host}]" if ":" in host else host
    place = f"{shown}:{port}" if port else shown
    url = name.partition("+")[2] if "+" in scheme else name
    return StreamAddress(scheme, url, f"{scheme}://{place}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
