"""Closeup between two streams of a server, all in processes of their own, through an outage.

The network between both is two namespaces and a forwarder of frames; the server is the relay.
"""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from stream.option_table import INPUT_TOKEN_VARIABLE, OUTPUT_TOKEN_VARIABLE, TOKEN_VARIABLE
from tests.faulty_network import Faults
from tests.frame_network import SERVER, FrameNetwork
from tests.places import ROOT
from tests.rtc_callers import FPS, child
from tests.rtc_calls import until
from tests.stream.rtc.test_whip_ffmpeg import write_certificate

TOKEN = "a-secret-of-the-house"
OUTAGE_S = 30.0
PROGRAM = (sys.executable, "run_pipeline.py")
COMMON = ("--framing", "fixed", "--no-measure", "--runtime", "onnxruntime-cpu")
Pictures = list[tuple[float, int]]
"""When each came, and its number."""


@asynccontextmanager
async def program(*command: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, list[str]]]:
    """A process, and the lines that it says; killed at the end."""
    said: list[str] = []
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT
    )
    reading = asyncio.create_task(note(process.stdout, said.append))
    try:
        yield process, said
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading


async def note(lines: Any, take: Any) -> None:
    """Hand on each line."""
    while line := await lines.readline():
        take(line.decode().strip())


def told(said: list[str], pattern: str) -> str | None:
    """What the first line that fits says."""
    found = (re.search(pattern, line) for line in said)
    return next((one[1] for one in found if one), None)


def between(pictures: Pictures, first_s: float, last_s: float) -> tuple[float, float, float]:
    """Of a time: pictures a second, longest gap (s), greatest age above the least of all (s)."""
    least_s = min(came_s - number / FPS for came_s, number in pictures)
    found = [one for one in pictures if first_s <= one[0] <= last_s]
    times = [first_s, *(came_s for came_s, _ in found), last_s]
    age_s = max((came_s - number / FPS - least_s for came_s, number in found), default=-1.0)
    return len(found) / (last_s - first_s), max(b - a for a, b in pairwise(times)), age_s


async def outage(network: FrameNetwork, folder: Path) -> None:
    """A camera at the server → the call, over the network → a viewer at the server."""
    at_server = network.inside(network.server)
    relay = (*at_server, *PROGRAM, "--input", "webrtc", "--host", SERVER, "--port", "0", *COMMON)
    relay += ("--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem"), "--log", "info")
    async with program(*relay) as (_, relay_said):
        await until(lambda: told(relay_said, r"the relay is at (\S+)"), "no relay")
        url = str(told(relay_said, r"the relay is at (\S+)"))
        call = network.inside(network.client, *PROGRAM, "--headless", "--scale", "1", *COMMON)
        call += ("--input", f"whep+{url}whep/cam", "--output", f"whip+{url}whip/out")
        async with child("pattern", f"{url}whip/cam", at_server) as (_, publisher_says):
            assert await publisher_says.readline()
            async with program(*call) as (process, said):
                await until(lambda: " ".join(relay_said).count("publish begins") > 1, "no output")
                await survives(network, url, said)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0, said


async def survives(network: FrameNetwork, url: str, said: list[str]) -> None:
    """Cut the network, and see how it was before and is after it."""
    pictures: Pictures = []

    def take(line: str) -> None:
        came_s, number = line.split()
        if int(number) >= 0:
            pictures.append((float(came_s), int(number)))

    async with child("watch", f"{url}whep/out", network.inside(network.server)) as (_, lines):
        assert await lines.readline(), "it cannot be watched"
        reading = asyncio.create_task(note(lines, take))
        await until(lambda: len(pictures) > 5 * FPS, "no pictures")
        await asyncio.sleep(5.0)
        cut_s = time.monotonic()
        network.faults = Faults(cut=True)
        await asyncio.sleep(OUTAGE_S)
        network.faults = Faults()
        back_s = time.monotonic()
        await asyncio.sleep(11.0)
        reading.cancel()
    before, first, then = (between(pictures, *span) for span in (
        (cut_s - 5, cut_s), (back_s, back_s + 5), (back_s + 5, back_s + 10)))  # fmt: skip
    for when, part in (("before", before), ("0 to 5 s after", first), ("5 to 10 s after", then)):
        print(f"{when}: {part[0]:.1f} frames/s, gap {part[1]:.1f} s, age {part[2]:.2f} s")
    for pattern in (r"(the stream is lost)", r"(the stream is back)",
                    r"(whip\+\S+ is lost)", r"(whip\+\S+ is back)"):  # fmt: skip
        assert told(said, pattern), (pattern, said)
    # Half and a second: a machine that runs tests has other work, too.
    assert then[0] > before[0] / 2
    assert then[2] < before[2] + 1.0


def test_a_call_between_servers_survives_30_s_without_network(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    write_certificate(tmp_path, "ecdsa", SERVER)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
    for name in (TOKEN_VARIABLE, INPUT_TOKEN_VARIABLE, OUTPUT_TOKEN_VARIABLE):
        monkeypatch.setenv(name, TOKEN)
    with FrameNetwork() as network:
        asyncio.run(asyncio.wait_for(outage(network, tmp_path), 300.0))
