"""Options of the relay: who may use it, how much, and for how long. Needs no aiortc."""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.errors import ConfigError
from stream.stages.framing.framing import Mode

WEBRTC = "webrtc"
TOKEN_VARIABLE = "CLOSEUP_TOKEN"
LEAST_TOKEN = 16
ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one relay lets happen."""

    sessions: int = 8
    """Calls, publishers and viewers at the same time."""
    session_s: float = 4 * 3600.0
    connect_s: float = 15.0
    """An answered offer must become a connection within this time."""
    idle_s: float = 30.0
    """A connection that brings no picture, or takes none, for so long is ended."""
    body_bytes: int = 64 * 1024
    """Of any request; a browser's offer has 10 KB."""
    body_s: float = 10.0
    """A request must be there completely within this time."""
    candidates: int = 64
    """Addresses that one peer may name."""
    requests_a_second: float = 10.0
    """From one address, on average."""
    burst: int = 40
    """Requests that may come at once, before the average counts."""
    drain_s: float = 10.0
    """After SIGTERM, calls may go on for so long."""


@dataclass(frozen=True, kw_only=True)
class RelayOptions:
    """What the command line asked of the relay."""

    host: str = "127.0.0.1"
    port: int = 8080
    token: str | None = field(default=None, repr=False)
    origins: tuple[str, ...] = ()
    """Pages of other hosts that may use it; its own page always may."""
    cert: Path | None = None
    key: Path | None = None
    framing: Mode = "auto"
    strength: float = 1.0
    runtime: str = "auto"
    camera: CameraProfile = ANY_CAMERA
    bit_rate: int = 4_000_000
    """The most that a picture may take on its way back, bits a second."""
    stun: str | None = None
    limits: Limits = Limits()

    @property
    def loopback(self) -> bool:
        """Whether nobody outside this machine can reach it."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def add_arguments(add: Callable[..., None]) -> None:
    """The relay's own options. Args: add: takes a name without dashes, then as `argparse`."""
    add("host", metavar="ADDRESS", help="where to listen (127.0.0.1); others need --token")
    add("port", type=int, metavar="N", help="8080 by default; 0 takes a free one")
    add("token", metavar="SECRET", help=f"what clients must send, {LEAST_TOKEN} characters or "
        f"more; better as ${TOKEN_VARIABLE}, where no list of processes shows it")  # fmt: skip
    add("origin", action="append", metavar="URL", help="another web page that may use the relay, "
        "such as https://example.org; as often as you like")  # fmt: skip
    add("cert", type=Path, metavar="FILE", help="TLS certificate chain, PEM")
    add("key", type=Path, metavar="FILE", help="its private key, PEM")
    add("max-sessions", type=int, metavar="N", help="connections at the same time (8)")
    add("max-minutes", type=float, metavar="N", help="length of a connection (240)")
    add("bit-rate", type=int, metavar="KBIT", help="most kbit/s of a picture sent back (4000)")
    add("stun", metavar="HOST:PORT", help="STUN server, for peers behind routers (none)")


DEFAULTS: dict[str, Any] = dict.fromkeys(
    ("host", "port", "token", "origin", "cert", "key", "max_sessions", "max_minutes", "bit_rate",
     "stun")
)  # fmt: skip
"""By argparse's names; None is what was not given."""


def read(given: argparse.Namespace) -> RelayOptions:
    """Command line → options that make sense together.

    Raises: ConfigError: one is out of range, or they contradict each other.
    """
    host = given.host or "127.0.0.1"
    token = given.token or os.environ.get(TOKEN_VARIABLE) or None
    if token is not None and (len(token) < LEAST_TOKEN or not token.isprintable() or " " in token):
        raise ConfigError(f"the token needs {LEAST_TOKEN} or more characters, without spaces")
    if not is_loopback(host) and token is None:
        raise ConfigError(
            f"others can reach --host {host}: set ${TOKEN_VARIABLE} (or --token) to a secret, "
            "such as what this prints: openssl rand -hex 16"
        )
    if (given.cert is None) != (given.key is None):
        raise ConfigError("--cert and --key belong together; give both")
    for path in (given.cert, given.key):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path} is not there; --cert and --key name PEM files")
    origins = tuple(one.rstrip("/") for one in given.origin or ())
    for origin in origins:
        if not ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"--origin {origin}: give scheme and host, such as https://example.org"
            )
    port = 8080 if given.port is None else given.port
    if not 0 <= port <= 65535:
        raise ConfigError(f"--port {port} is out of range; give 0 to 65535")
    sessions = 8 if given.max_sessions is None else given.max_sessions
    if not 1 <= sessions <= 1000:
        raise ConfigError(f"--max-sessions {sessions} is out of range; give 1 to 1000")
    minutes = 240.0 if given.max_minutes is None else given.max_minutes
    if not 0.0 < minutes <= 24 * 60:
        raise ConfigError(f"--max-minutes {minutes:g} is out of range; give up to 1440")
    kbit = 4000 if given.bit_rate is None else given.bit_rate
    if not 300 <= kbit <= 50_000:
        raise ConfigError(f"--bit-rate {kbit} is out of range; give 300 to 50000")
    if given.stun is not None and not re.fullmatch(r"[A-Za-z0-9.\-]+(:\d{1,5})?", given.stun):
        raise ConfigError(f"--stun {given.stun}: give a host and a port, such as example.org:3478")
    return RelayOptions(
        host=host,
        port=port,
        token=token,
        origins=origins,
        cert=given.cert,
        key=given.key,
        framing=given.framing,
        strength=given.strength,
        runtime=given.runtime,
        camera=given.camera,
        bit_rate=1000 * kbit,
        stun=given.stun,
        limits=Limits(sessions=sessions, session_s=60.0 * minutes),
    )


def given_names(given: argparse.Namespace) -> list[str]:
    """Which of the relay's options were given, for those that do not start one."""
    return [f"--{one.replace('_', '-')}" for one in DEFAULTS if getattr(given, one) is not None]
