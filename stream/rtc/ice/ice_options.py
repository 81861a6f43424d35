"""IceOptions: the way of the media: STUN, TURN, ports, addresses. Needs no aiortc."""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import os
import re
import time
from dataclasses import dataclass, field
from typing import Literal

from stream.declared_option import OptionValues
from stream.errors import ConfigError
from stream.option_table import (
    CANDIDATES,
    PUBLIC_ADDRESS,
    STUN,
    TURN,
    TURN_PASSWORD,
    TURN_SECRET,
    TURN_SECRET_VARIABLE,
    TURN_USER,
    UDP_PORTS,
)

Candidates = Literal["auto", "all", "public"]
CREDENTIAL_S = 24 * 3600
"""Time-limited credentials are good for the longest session that there may be."""
_TURN = re.compile(r"(turns?):([A-Za-z0-9.\-]+)(?::(\d{1,5}))?(?:\?transport=(udp|tcp))?")


@dataclass(frozen=True, kw_only=True)
class TurnServer:
    """One way to a TURN server (RFC 7065)."""

    host: str
    port: int
    transport: Literal["udp", "tcp"]
    tls: bool

    @property
    def url(self) -> str:
        """As browsers and Link headers write it."""
        scheme = "turns" if self.tls else "turn"
        return f"{scheme}:{self.host}:{self.port}?transport={self.transport}"


@dataclass(frozen=True, kw_only=True)
class IceOptions:
    """What the command line asked about the way of the media."""

    stun: str | None = None
    """HOST or HOST:PORT."""
    turn: tuple[TurnServer, ...] = ()
    turn_user: str | None = None
    turn_password: str | None = field(default=None, repr=False)
    turn_secret: str | None = field(default=None, repr=False)
    """Shared with the server: each peer gets credentials of its own, for a limited time."""
    udp_ports: tuple[int, int] | None = None
    """First and last port for media; None: any free one."""
    public_address: str | None = None
    """Where a router forwards those ports from."""
    candidates: Candidates = CANDIDATES.default

    def credentials(self) -> tuple[str, str]:
        """User and password for TURN.

        Source: draft-uberti-behave-turn-rest: the user is the time (s) when it ends, the password
                base64(HMAC-SHA1(secret, user)).
        """
        if self.turn_secret is None:
            return self.turn_user or "", self.turn_password or ""
        user = f"{int(time.time()) + CREDENTIAL_S}:{self.turn_user or 'closeup'}"
        digest = hmac.new(self.turn_secret.encode(), user.encode(), hashlib.sha1).digest()
        return user, base64.b64encode(digest).decode()

    def links(self, *, trusted: bool) -> list[str]:
        """Values of Link headers (RFC 9725, 4.6).

        Args: trusted: whether who asks has shown the token; credentials are for nobody else.
        """
        links = [f'<stun:{self.stun}>; rel="ice-server"'] if self.stun else []
        if trusted and self.turn:
            user, password = self.credentials()
            links += [
                f'<{one.url}>; rel="ice-server"; username="{user}"; credential="{password}"; '
                'credential-type="password"'
                for one in self.turn
            ]
        return links

    def refuses_private(self, loopback: bool) -> bool:
        """Whether the relay sends nothing to private addresses only because a peer names them."""
        return self.candidates == "public" or (self.candidates == "auto" and not loopback)


def read_ice(given: OptionValues) -> IceOptions:
    """Command line → where media may flow.

    Raises: ConfigError: one is malformed, or they contradict each other.
    """
    stun = given[STUN]
    if stun is not None and not re.fullmatch(r"[A-Za-z0-9.\-]+(:\d{1,5})?", stun):
        raise ConfigError(f"--stun {stun}: give a host and a port, such as example.org:3478")
    secret = given[TURN_SECRET] or os.environ.get(TURN_SECRET_VARIABLE) or None
    turn = tuple(_turn_server(url) for url in given[TURN])
    user, password = given[TURN_USER], given[TURN_PASSWORD]
    for text in (user, password, secret):
        # They go into a header between quotation marks.
        if text is not None and not re.fullmatch(r"[!#-\[\]-~]+", text):
            raise ConfigError(
                "TURN's user, password and secret are ASCII without spaces, \" and \\"
            )
    if turn and secret is None and (user is None or password is None):
        raise ConfigError(
            f"--turn needs --turn-user and --turn-password, or ${TURN_SECRET_VARIABLE}, the secret "
            "that the relay shares with the server"
        )
    return IceOptions(
        stun=stun,
        turn=turn,
        turn_user=user,
        turn_password=password,
        turn_secret=secret if turn else None,
        udp_ports=_ports(given[UDP_PORTS]),
        public_address=_address(given[PUBLIC_ADDRESS]),
        candidates=given[CANDIDATES],
    )


def _turn_server(url: str) -> TurnServer:
    found = _TURN.fullmatch(url)
    if found is None or not 0 < int(found[3] or 3478) < 65_536:
        raise ConfigError(
            f"--turn {url}: give it as turn:HOST:PORT?transport=udp, turn:HOST:PORT?transport=tcp "
            "or turns:HOST:PORT"
        )
    tls = found[1] == "turns"
    if tls and found[4] == "udp":
        raise ConfigError(f"--turn {url}: TURN over DTLS is not supported; turns: goes over TCP")
    return TurnServer(
        host=found[2],
        port=int(found[3] or (5349 if tls else 3478)),
        transport="tcp" if tls or found[4] == "tcp" else "udp",
        tls=tls,
    )


def _ports(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})-(\d{1,5})", text)
    if found is None or not 0 < int(found[1]) <= int(found[2]) < 65_536:
        raise ConfigError(f"--udp-ports {text}: give the first and the last, such as 50000-50099")
    return int(found[1]), int(found[2])


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise ConfigError(
            f"--public-address {text}: give an address, such as 203.0.113.7"
        ) from error
