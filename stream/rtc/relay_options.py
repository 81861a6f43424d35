"""Options of the relay: who may use it, how much, and for how long. Needs no aiortc."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.declared_option import OptionValues
from stream.errors import ConfigError
from stream.option_table import (
    BIT_RATE,
    CERT,
    HOST,
    KEY,
    LEARN_LIVE,
    LEAST_TOKEN,
    LOG,
    MAX_MINUTES,
    MAX_SESSIONS,
    MEASURE,
    NETWORK,
    ORIGIN,
    PATH_PREFIX,
    PORT,
    RUNTIME,
    TOKEN,
    TOKEN_VARIABLE,
    TRUSTED_PROXIES,
    WATCH_TOKEN,
    WATCH_TOKEN_VARIABLE,
    WEIGHTS,
)
from stream.picture_options import DETAIL, FRAMING, STRENGTH
from stream.rtc.ice.ice_options import IceOptions, read_ice
from stream.stages.framing.framing import Mode

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_URL = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one relay lets happen."""

    sessions: int = MAX_SESSIONS.default
    """Calls, publishers and viewers at the same time."""
    session_s: float = 60.0 * MAX_MINUTES.default
    connect_s: float = 15.0
    """An answered offer must become a connection within this time."""
    idle_s: float = 45.0
    """A connection that brings no picture, or takes none, for so long is ended."""
    stale_s: float = 2.0
    """A publisher that is silent for so long loses its name to one who asks for it."""
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

    host: str = HOST.default
    port: int = PORT.default
    token: str | None = field(default=None, repr=False)
    watch_token: str | None = field(default=None, repr=False)
    """Opens what viewers need, and nothing else."""
    origins: tuple[str, ...] = ()
    """Pages of other hosts that may use it; its own page always may."""
    cert: Path | None = None
    key: Path | None = None
    framing: Mode = FRAMING.default
    strength: float = STRENGTH.default
    detail: float = DETAIL.default
    runtime: str = RUNTIME.default
    weights: str = WEIGHTS.default
    network: str = NETWORK.default
    """Full, small, or the full one for as long as the machine keeps up with it."""
    learn_live: bool = LEARN_LIVE.default
    """Learn the people of the calls, one at a time, with the processor time that is to spare."""
    measure: bool = MEASURE.default
    """Find out beside the calls what runs the network fastest here, where nobody has."""
    camera: CameraProfile = ANY_CAMERA
    bit_rate: int = 1000 * BIT_RATE.default
    """The most that a picture may take on its way back, bits a second."""
    trusted_proxies: tuple[Network, ...] = ()
    path_prefix: str = PATH_PREFIX.default
    log: str = LOG.default
    ice: IceOptions = field(default_factory=IceOptions)
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


def read_relay(
    given: OptionValues, *, framing: Mode, camera: CameraProfile = ANY_CAMERA
) -> RelayOptions:
    """Command line → options that make sense together.

    Args:   given: the values of all options. framing: of the pictures, chosen already. camera: what
            it gives, where that was measured.
    Raises: ConfigError: one is malformed, or they contradict each other.
    """
    host = given[HOST]
    token = _secret(given[TOKEN] or os.environ.get(TOKEN_VARIABLE))
    watch_token = _secret(given[WATCH_TOKEN] or os.environ.get(WATCH_TOKEN_VARIABLE))
    if watch_token is not None and token is None:
        raise ConfigError("--watch-token needs --token, for those who publish")
    if not is_loopback(host) and token is None:
        raise ConfigError(
            f"others can reach --host {host}: set ${TOKEN_VARIABLE} (or --token) to a secret, "
            "such as what this prints: openssl rand -hex 16"
        )
    if given.has(CERT) != given.has(KEY):
        raise ConfigError("--cert and --key belong together; give both")
    for path in (given[CERT], given[KEY]):
        if path is not None and not path.is_file():
            raise ConfigError(f"{path} is not there; --cert and --key name PEM files")
    origins = tuple(one.rstrip("/") for one in given[ORIGIN])
    for origin in origins:
        if not _URL.fullmatch(origin):
            raise ConfigError(
                f"--origin {origin}: give scheme and host, such as https://example.org"
            )
    prefix = given[PATH_PREFIX].rstrip("/")
    if prefix and not re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", prefix):
        raise ConfigError(f"--path-prefix {prefix}: give a path, such as /closeup")
    limits = Limits(sessions=given[MAX_SESSIONS], session_s=60.0 * given[MAX_MINUTES])
    values = given.fields(RelayOptions) | {"token": token, "bit_rate": 1000 * given[BIT_RATE]}
    values |= {"framing": framing, "camera": camera, "path_prefix": prefix}
    values["watch_token"] = watch_token
    values["trusted_proxies"] = tuple(_network(one) for one in given[TRUSTED_PROXIES])
    return RelayOptions(origins=origins, limits=limits, ice=read_ice(given), **values)


def _secret(token: str | None) -> str | None:
    if not token:
        return None
    if len(token) < LEAST_TOKEN or not token.isprintable() or " " in token:
        raise ConfigError(f"the token needs {LEAST_TOKEN} or more characters, without spaces")
    return token


def _network(text: str) -> Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"--trusted-proxies {text}: give an address or a network, such as 10.0.0.0/8"
        ) from error
