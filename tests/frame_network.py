"""FrameNetwork: two network namespaces, and a forwarder of frames with faults between them.

Everything goes this way: HTTP, ICE, media, ARP. It takes the right to make namespaces (root).
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from tests.faulty_network import PATIENCE_S, Direction, Faults

CLIENT, SERVER = "10.77.19.1", "10.77.19.2"
"""Addresses in the namespaces."""
ALL_FRAMES = 0x0003
OUTGOING = 4
"""Of a frame that this machine sends (packet(7))."""
FRAME_BYTES = 1 << 16
WITHOUT_OFFLOADS = """
import array, fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
    for command in (0x17, 0x19, 0x1F, 0x24, 0x2C):  # checksums, scatter, TSO, GSO, GRO
        value = array.array("B", struct.pack("II", command, 0))
        fcntl.ioctl(one, 0x8946, struct.pack("16sP16x", b"media", value.buffer_info()[0]))
"""
"""A network card would complete what a veth pair hands on: checksums, and packets that are cut."""


class FrameNetwork:
    """Namespaces as long as the block lasts; `faults` may be changed at any time.

    Skips the test, with the reason, where namespaces cannot be made.
    """

    def __init__(self) -> None:
        self.faults = Faults()
        self._undo = ExitStack()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="frame network")
        mark = f"c{os.getpid() % 1_000_000}"
        self.client, self.server = f"{mark}client", f"{mark}server"
        """Names of the namespaces."""

    def inside(self, namespace: str, *command: str) -> tuple[str, ...]:
        """A command line that runs in a namespace."""
        return ("ip", "netns", "exec", namespace, *command)

    def __enter__(self) -> FrameNetwork:
        if shutil.which("ip") is None:
            pytest.skip("needs ip: sudo apt-get install iproute2")
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()
        self._loop.close()

    def _make(self) -> None:
        ends = []
        for namespace, address in ((self.client, CLIENT), (self.server, SERVER)):
            made = subprocess.run(["ip", "netns", "add", namespace], capture_output=True)
            if made.returncode:
                pytest.skip("needs the right to make network namespaces")
            # The pair goes with the namespace that one of its ends is in.
            self._undo.callback(_ip, "netns", "delete", namespace)
            outer = f"{namespace}0"
            _ip("link", "add", outer, "type", "veth", "peer", "name", "media", "netns", namespace)
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", "media")
            _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", namespace, "link", "set", "media", "up")
            _ip("link", "set", outer, "up")
            code = (sys.executable, "-c", WITHOUT_OFFLOADS)
            subprocess.run(self.inside(namespace, *code), check=True)
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL_FRAMES))
            self._undo.callback(end.close)
            end.bind((outer, 0))
            end.setblocking(False)
            ends.append(end)
        self._thread.start()
        self._undo.callback(self._stop)
        self._loop.call_soon_threadsafe(self._join, ends[0], ends[1])

    def _stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)

    def _join(self, client: Any, server: Any) -> None:
        for seed, (one, other) in enumerate(((client, server), (server, client))):
            self._loop.add_reader(one, self._forward, one, other, Direction(self, seed))

    def _forward(self, one: Any, other: Any, direction: Direction) -> None:
        try:
            data, (_, _, kind, *_) = one.recvfrom(FRAME_BYTES)
        except BlockingIOError:
            return
        if kind != OUTGOING:
            direction.carry(data, lambda late: _send(other, late))


def _send(end: Any, data: bytes) -> None:
    with suppress(OSError):  # what finds no room is lost, as in any network
        end.send(data)


def _ip(*given: str) -> None:
    subprocess.run(["ip", *given], check=True, capture_output=True)
