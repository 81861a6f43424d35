"""IceConnection: aioice's connection with what a relay needs beyond it.

aioice (0.13)                                   here
an end of candidates drops the component        a peer may find the relay by itself (RFC 8863)
one STUN server, 5 s for a dead one             1 s, and a dead one is not asked for a minute
one TURN server                                 any number, UDP, TCP and TLS
any port, no public address                     a range of ports, the address of a router
checks every address that a peer names          few, few times, and none that is private
one way for ever                                ICE restart
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from typing import Any

import aioice.ice
import aioice.utils
from aioice import Candidate, stun
from aioice.candidate import candidate_foundation, candidate_priority

from stream.rtc.ice.ice_options import IceOptions, TurnServer

SERVER_S = 1.0
"""A STUN server must answer within this time, a TURN server within three times as much."""
DEAD_S = 60.0
"""A server that did not answer is not asked again for so long."""
PAIRS = 12
"""Pairs of addresses that are checked because a peer named them."""
RETRANSMISSIONS = 4
"""Of a check at an address from which nothing valid has come."""
RESTART_S = 15.0
"""A restart must find a way within this time."""
LOOPBACK = "127.0.0.1"
RECEIVE_BYTES = 1 << 20
_dead: dict[str, float] = {}
"""STUN and TURN servers that did not answer, and until when (monotonic, s) they are left alone."""


def own_addresses() -> list[str]:
    """Of this machine, without the loopback ones."""
    return aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True)


class IceProtocol(aioice.ice.StunProtocol):
    """One socket; strangers are checked few times, and may be on this machine alone."""

    receiver: IceConnection

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        if self.receiver.may_come_from(addr[0]):
            super().datagram_received(data, addr)

    async def request(
        self,
        request: stun.Message,
        addr: tuple[str, int],
        integrity_key: bytes | None = None,
        retransmissions: int | None = None,
    ) -> tuple[stun.Message, tuple[str, int]]:
        """As aioice's, but with fewer retransmissions at a stranger's address.

        Args: as aioice's; retransmissions: how many are sent; None: as many as suit the address.
        """
        if retransmissions is None and integrity_key is not None:
            known = addr in self.receiver.authenticated
            retransmissions = None if known else RETRANSMISSIONS
        return await super().request(request, addr, integrity_key, retransmissions)


class IceConnection(aioice.Connection):
    """The way to one peer.

    Args: options: see `IceOptions`. loopback: the peer must be on this machine.
          local_username, local_password: as for aioice.
    """

    def __init__(
        self, options: IceOptions, *, loopback: bool, local_username: str, local_password: str
    ) -> None:
        super().__init__(
            ice_controlling=False, local_username=local_username, local_password=local_password
        )
        self._options, self._loopback = options, loopback
        self._own = {LOOPBACK, "::1", *own_addresses()} if loopback else set()
        self._named = 0
        self._former: aioice.ice.CandidatePair | None = None
        """Carries the media from a restart until there is a new pair."""
        self._restarting: asyncio.Task[None] | None = None
        self.authenticated: set[tuple[str, int]] = set()
        """Addresses from which checks with the right password have come."""

    def may_come_from(self, address: str) -> bool:
        """Whether packets from there are read."""
        return not self._loopback or address in self._own

    async def add_remote_candidate(self, remote_candidate: Candidate | None) -> None:
        """Take an address that the peer names.

        The end of candidates is not handed on: who names no usable address can still reach the
        relay, which then learns it (RFC 8863). Names (.local) are not resolved for the same reason.
        """
        if remote_candidate is not None and self._may_send_to(remote_candidate.host):
            await super().add_remote_candidate(remote_candidate)

    def _may_send_to(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        if self._loopback:
            return str(address) in self._own
        if address.is_multicast or address.is_unspecified or address.is_reserved:
            return False
        if self._options.refuses_private(self._loopback):
            return address.is_global
        return not address.is_loopback

    def _pair_remote_candidate(self, remote_candidate: Candidate) -> None:
        before = len(self._check_list)
        if self._named < PAIRS:
            super()._pair_remote_candidate(remote_candidate)
        self._named += len(self._check_list) - before

    def check_incoming(
        self, message: stun.Message, addr: tuple[str, int], protocol: aioice.ice.StunProtocol
    ) -> None:
        """As aioice's; called for checks with the right password only.

        Args: message: the STUN request. addr: where it came from. protocol: the socket that it came
              to.
        """
        self.authenticated.add(addr)
        super().check_incoming(message, addr, protocol)

    async def connect(self) -> None:
        """As aioice's, but an empty check list waits, too: for a check of the peer (RFC 8863)."""
        while not (self._remote_candidates or self._early_checks or self._closing):
            # aioice makes the list from these, and gives up where it is empty.
            await asyncio.sleep(0.02)
        await super().connect()

    async def restart(self, username: str, password: str) -> None:
        """Look for a way anew, with new credentials on both sides; media go on meanwhile.

        Args:   username, password: the peer's new ones.
        Raises: ConnectionError: there is no way yet, or none any more.
        """
        if self._closing or not (self._nominated or self._former):
            raise ConnectionError("nothing is connected that could be restarted")
        for task in (self._restarting, self._query_consent_task):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        for pair in self._check_list:
            if pair.task is not None:
                pair.task.cancel()
        self._former = self._nominated.get(1, self._former)
        self._nominated.clear()
        self._nominating.clear()
        self._check_list, self._check_list_done = [], False
        self._check_list_state = asyncio.Queue()
        self._remote_candidates, self._named = [], 0
        self._early_checks.clear()
        self._early_checks_done = False
        self.authenticated.clear()
        self._local_username = aioice.utils.random_string(4)
        self._local_password = aioice.utils.random_string(22)
        self.remote_username, self.remote_password = username, password
        self._restarting = asyncio.create_task(self._reconnect())

    async def _reconnect(self) -> None:
        try:
            async with asyncio.timeout(RESTART_S):
                await self.connect()
            self._former = None
        except (ConnectionError, TimeoutError):
            # In a task of its own, because closing ends this one.
            self._ending = asyncio.create_task(self.close())

    async def close(self) -> None:
        """As aioice's."""
        if self._restarting is not None and not self._restarting.done():
            self._restarting.cancel()
            await asyncio.gather(self._restarting, return_exceptions=True)
        self._former = None
        await super().close()

    async def sendto(self, data: bytes, component: int) -> None:
        """As aioice's; during a restart by the way from before."""
        if component not in self._nominated and self._former is not None:
            await self._former.protocol.send_data(data, self._former.remote_addr)
            return
        await super().sendto(data, component)

    async def recvfrom(self) -> tuple[bytes, int]:
        """As aioice's, also during a restart."""
        if not self._nominated and self._former is not None:
            result = await self._queue.get()
            if result is None:
                raise ConnectionError("Connection lost while receiving data")
            return result
        return await super().recvfrom()

    async def gather_candidates(self) -> None:
        """Bind the sockets and ask the servers."""
        if self._local_candidates_start:
            return
        self._local_candidates_start = True
        addresses = own_addresses()
        if self._loopback:
            # Firefox and libnice never use the loopback address. The machine's other addresses
            # lead over the loopback device, too, between programs on it.
            addresses = [LOOPBACK, *(one for one in addresses if not _link_local(one))]
        self._local_candidates = await self.get_component_candidates(1, addresses)
        self._local_candidates_end = True

    async def get_component_candidates(
        self, component: int, addresses: list[str], timeout: int = 5
    ) -> list[Candidate]:
        """Candidates of every kind: host, server-reflexive, relayed.

        Args: component: number of the ICE component. addresses: of this machine. timeout: not used.
        """
        bound = [one for one in [await self._bind(address) for address in addresses] if one]
        self._protocols += bound
        found = [one.local_candidate for one in bound]
        if self._options.public_address is not None:
            found += self._forwarded(bound, self._options.public_address)
        asked = [self._reflexive(one) for one in bound] if self._options.stun else []
        relays = [self._relayed(one) for one in self._options.turn]
        for candidate in await asyncio.gather(*asked, *relays):
            if candidate is not None:
                found.append(candidate)
        return found

    async def _bind(self, address: str) -> IceProtocol | None:
        first, last = self._options.udp_ports or (0, 0)
        loop = asyncio.get_running_loop()
        for port in range(first, last + 1):
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: IceProtocol(self), local_addr=(address, port)
                )
            except OSError:
                continue
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
            host, port = transport.get_extra_info("sockname")[:2]
            protocol.local_candidate = _candidate("host", host, port)
            return protocol
        return None

    def _forwarded(self, bound: list[IceProtocol], public: str) -> list[Candidate]:
        """The router's address with each port; a router forwards ports as they are."""
        version = ipaddress.ip_address(public).version
        hosts = [one.local_candidate for one in bound]
        return [
            _candidate("srflx", public, one.port, related=one)
            for one in hosts
            if ipaddress.ip_address(one.host).version == version and one.host != public
        ]

    async def _reflexive(self, protocol: IceProtocol) -> Candidate | None:
        """What a STUN server sees of a socket; None: it does not answer, or cannot be asked."""
        assert self._options.stun is not None
        host, _, port = self._options.stun.partition(":")
        server, local = (host, int(port or 3478)), protocol.local_candidate
        if ipaddress.ip_address(local.host).version != 4 or _left_alone(self._options.stun):
            return None
        try:
            async with asyncio.timeout(SERVER_S):
                found = await asyncio.get_running_loop().getaddrinfo(
                    *server, family=socket.AF_INET, type=socket.SOCK_DGRAM
                )
                request = stun.Message(
                    message_method=stun.Method.BINDING, message_class=stun.Class.REQUEST
                )
                answer, _ = await protocol.request(request, found[0][4][:2])  # type: ignore[arg-type]
        except (OSError, TimeoutError, stun.TransactionError):
            _dead[self._options.stun] = time.monotonic() + DEAD_S
            return None
        seen, port_seen = answer.attributes["XOR-MAPPED-ADDRESS"][:2]
        return _candidate("srflx", seen, port_seen, related=local)

    async def _relayed(self, server: TurnServer) -> Candidate | None:
        """An address at a TURN server; None: it does not answer or refuses."""
        if _left_alone(server.url):
            return None
        user, password = self._options.credentials()
        try:
            async with asyncio.timeout(3 * SERVER_S):
                candidate, protocol = await aioice.ice.relayed_candidate(
                    component=1,
                    hide_related_address=True,
                    protocol_factory=lambda: IceProtocol(self),
                    turn_server=(server.host, server.port),
                    turn_username=user,
                    turn_password=password,
                    turn_ssl=server.tls,
                    turn_transport=server.transport,
                )
        except (OSError, TimeoutError, stun.TransactionError):
            _dead[server.url] = time.monotonic() + DEAD_S
            return None
        self._protocols.append(protocol)
        return candidate


def _candidate(kind: str, host: str, port: int, related: Candidate | None = None) -> Candidate:
    base = related.host if related else host
    return Candidate(
        foundation=candidate_foundation(kind, "udp", base),
        component=1,
        transport="udp",
        priority=candidate_priority(1, kind),
        host=host,
        port=port,
        type=kind,
        related_address=related.host if related else None,
        related_port=related.port if related else None,
    )


def _link_local(address: str) -> bool:
    return ipaddress.ip_address(address).is_link_local


def _left_alone(server: str) -> bool:
    return _dead.get(server, 0.0) > time.monotonic()
