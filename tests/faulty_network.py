"""FaultyNetwork: a router between a client and the relay that loses, delays and limits packets.

It forwards UDP between both and rewrites the offer and the answer, so that no other way is left.
It needs no rights, unlike network namespaces, and treats both directions alike.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

QUEUE_S = 2.0
"""A packet that would wait longer at the slow link is lost."""
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Faults:
    """Of one direction; both have the same."""

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    """Uniform, plus and minus; packets overtake each other."""
    bits_per_s: float | None = None
    cut: bool = False


class Faulty(Protocol):
    """A network that has faults now."""

    faults: Faults


class Direction:
    """One way: when each packet arrives. Lives in one event loop.

    Args: network: whose faults it has. seed: of its dice.
    """

    def __init__(self, network: Faulty, seed: int) -> None:
        self._network, self._dice, self._free_s = network, random.Random(seed), 0.0
        self._queue: deque[tuple[asyncio.TimerHandle, Callable[[], object]]] = deque()
        """What waits at the slow link, the oldest first."""

    def carry(self, data: bytes, send: Callable[[bytes], object]) -> None:
        """Send a packet when it is through, unless it is lost."""
        faults, loop = self._network.faults, asyncio.get_running_loop()
        if faults.cut or self._dice.random() < faults.loss:
            return
        late_ms = faults.delay_ms + self._dice.uniform(-faults.jitter_ms, faults.jitter_ms)

        def leave() -> None:
            if late_ms > 0.0:
                loop.call_later(late_ms / 1000, send, data)
            else:
                send(data)

        if not faults.bits_per_s:
            self._drain()
            leave()
            return
        now_s = loop.time()
        arrives_s = max(now_s, self._free_s) + 8 * (len(data) + 28) / faults.bits_per_s
        if arrives_s - now_s <= QUEUE_S:
            self._free_s = arrives_s
            self._queue.append((loop.call_at(arrives_s, self._leave), leave))

    def _leave(self) -> None:
        _, leave = self._queue.popleft()
        leave()

    def _drain(self) -> None:
        """A link that has become fast sends what waits before anything newer."""
        self._free_s = 0.0
        for timer, leave in self._queue:
            timer.cancel()
            leave()
        self._queue.clear()


class _Port(asyncio.DatagramProtocol):
    """A socket that hands what comes to a function."""

    def __init__(self, take: Any) -> None:
        self._take = take

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        self._take(data, addr)


class FaultyNetwork:
    """A thread that forwards; `faults` may be changed at any time."""

    def __init__(self, address: str = "127.0.0.1") -> None:
        self.faults = Faults()
        self._address = address
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="faulty network")
        self._transports: list[Any] = []

    def __enter__(self) -> FaultyNetwork:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(PATIENCE_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()

    async def _close(self) -> None:
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0.1)  # until the sockets are closed

    def offer(self, sdp: str) -> str:
        """An offer that leaves the relay no address to send to."""
        return re.sub(r"a=candidate:.*\r\n", "", sdp)

    def answer(self, sdp: str) -> str:
        """An answer whose only address is this network's."""
        found = re.search(rf"a=candidate:\S+ 1 udp \d+ {re.escape(self._address)} (\d+) .*", sdp)
        assert found, f"the relay does not offer {self._address}"
        opening = asyncio.run_coroutine_threadsafe(self._open(int(found[1])), self._loop)
        port = opening.result(PATIENCE_S)
        line = f"a=candidate:1 1 udp 2130706431 {self._address} {port} typ host"
        bare = re.sub(r"a=candidate:.*\r\n", "", sdp)
        return re.sub(r"(a=mid:\S+\r\n)", rf"\1{line}\r\n", bare)

    async def _open(self, target: int) -> int:
        """A port whose packets reach the target; each client gets a socket of its own there."""
        back: dict[tuple[Any, ...], Any] = {}
        up, down = Direction(self, 1), Direction(self, 2)

        def take(data: bytes, client: tuple[Any, ...]) -> None:
            if client in back:
                up.carry(data, back[client].sendto)
            else:
                self._loop.create_task(connect(data, client))

        async def connect(data: bytes, client: tuple[Any, ...]) -> None:
            def answer(answered: bytes, _: Any) -> None:
                down.carry(answered, lambda late: front.sendto(late, client))

            transport, _ = await self._loop.create_datagram_endpoint(
                lambda: _Port(answer), remote_addr=(self._address, target)
            )
            self._transports.append(transport)
            back.setdefault(client, transport)
            up.carry(data, transport.sendto)

        front, _ = await self._loop.create_datagram_endpoint(
            lambda: _Port(take), local_addr=(self._address, 0)
        )
        self._transports.append(front)
        return int(front.get_extra_info("sockname")[1])
