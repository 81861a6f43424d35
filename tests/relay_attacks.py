"""Attacks on a relay in a process of its own: its memory, and an honest call beside each.

python -m tests.relay_attacks [--seconds 10] [--calls 100] [--runtime auto] [NAME ...]
→ the table of docs/relay.md
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from engines.errors import run_program
from engines.option_types import number, one_of, whole
from engines.runtime import RUNTIMES
from stream.telemetry.process_memory import resident_bytes
from tests.attacks import ATTACKS
from tests.places import ROOT
from tests.rtc_callers import child

FEW_FILES = "slow connections, 256 files"
ROWS = {**{name: name for name in ATTACKS}, FEW_FILES: "slow connections"}
"""Name of the row → the attack."""
START_S, SETTLE_S = 180.0, 15.0
"""Until the honest call has a picture; until memory stays as it is, since the models are loaded."""
STEADY_MB = 2.0
BEFORE_S = 10.0
HEALTH_S = 10.0
"""`/health` must answer within this time."""
TOLD = 3000
"""Characters of what the relay said last, where something went wrong."""


@dataclass
class Attacked:
    """A relay that runs, and what was noted of it."""

    url: str
    pid: int
    arrivals_s: list[float] = field(default_factory=list)
    """Of pictures of the honest call."""
    most_mb: float = 0.0
    health_s: float = 0.0
    """What `/health` took at most."""
    said: list[bytes] = field(default_factory=list)
    """Lines of its log."""

    def megabytes(self) -> float:
        """Of the relay's process, now."""
        return (resident_bytes(self.pid) or 0) / 1e6

    def processor_s(self) -> float:
        """Of the relay's process so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rate(self, first_s: float, last_s: float) -> float:
        """Pictures a second of the honest call."""
        return sum(first_s <= one < last_s for one in self.arrivals_s) / (last_s - first_s)

    def logged(self) -> int:
        """Bytes of the log so far."""
        return sum(len(line) for line in self.said)


@asynccontextmanager
async def attacked(row: str, runtime: str) -> AsyncIterator[Attacked]:
    """A relay in a process of its own, with an honest call."""
    command = [sys.executable, "run_pipeline.py", "--input", "webrtc", "--port", "0"]
    command += ["--framing", "fixed", "--runtime", runtime, "--no-measure"]
    command += ["--trusted-proxies", "127.0.0.1", "--log", "info"]
    if row == "crashed publishers":
        command += ["--max-sessions", "3"]
    if row == FEW_FILES:
        command = ["sh", "-c", 'ulimit -n 256; exec "$@"', "relay", *command]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, cwd=ROOT
    )
    assert process.stdout is not None
    try:
        found = None
        while found is None:
            line = (await process.stdout.readline()).decode()
            assert line, "the relay did not start"
            found = re.search(r"the relay is at (\S+)", line)
        relay = Attacked(found[1], process.pid)
        listening = asyncio.create_task(_listen(process.stdout, relay.said))
        async with child("call", relay.url + "call") as (_, lines):
            reading = asyncio.create_task(_note(lines, relay.arrivals_s))
            yield relay
            reading.cancel()
        said = b"".join(relay.said).decode()
        if any(bad in said for bad in ("WARNING", "ERROR", "Traceback", " call ends")):
            print(said[-TOLD:], file=sys.stderr)
        for _ in range(2):  # the second time it waits for no call
            process.terminate()
            await asyncio.sleep(0.3)
        await listening
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _listen(out: asyncio.StreamReader, said: list[bytes]) -> None:
    while data := await out.read(1 << 16):
        said.append(data)


async def _note(lines: asyncio.StreamReader, arrivals_s: list[float]) -> None:
    await lines.readline()
    while line := await lines.readline():
        arrivals_s.append(float(line.split()[0]))


async def _watch(relay: Attacked) -> None:
    """Note memory, and how long `/health` takes over a connection of its own."""
    seen_s = 0.0
    while True:
        relay.most_mb = max(relay.most_mb, relay.megabytes())
        await asyncio.sleep(0.1)
        if time.monotonic() - seen_s < 0.5:
            continue
        seen_s = time.monotonic()
        timeout = aiohttp.ClientTimeout(total=HEALTH_S)
        with suppress(aiohttp.ClientError, TimeoutError):
            headers = {"X-Forwarded-For": "203.0.113.1"}
            async with aiohttp.request(
                "GET", f"{relay.url}health", timeout=timeout, headers=headers
            ) as answer:
                await answer.read()
                relay.health_s = max(relay.health_s, time.monotonic() - seen_s)
                continue
        relay.health_s = float("inf")


@asynccontextmanager
async def attacker(
    row: str, relay: Attacked, given: argparse.Namespace
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that attacks when it gets a line, and says at its end how much it asked."""
    numbers = [str(relay.pid), str(given.seconds), str(given.calls)]
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.attacks", ROWS[row], relay.url, *numbers),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
    )  # fmt: skip
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def measure(row: str, given: argparse.Namespace) -> str:
    """The row of one attack: requests, MB, frames a second of the honest call, processor time."""
    async with attacked(row, given.runtime) as relay, attacker(row, relay, given) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert await process.stdout.readline() == b"ready\n"
        async with asyncio.timeout(START_S):
            while not relay.arrivals_s:
                await asyncio.sleep(0.1)
        held = [relay.megabytes()]
        while len(held) < SETTLE_S or max(held) - min(held) > STEADY_MB:
            await asyncio.sleep(1)
            held = [*held, relay.megabytes()][-round(SETTLE_S) :]
        busy_s = relay.processor_s()
        watching = asyncio.create_task(_watch(relay))
        await asyncio.sleep(BEFORE_S)
        before, began_s, logged = relay.megabytes(), time.monotonic(), relay.logged()
        busy = [(relay.processor_s() - busy_s) / BEFORE_S]
        relay.most_mb = relay.health_s = 0.0
        busy_s = relay.processor_s()
        process.stdin.write(b"go\n")
        asked = (await process.stdout.readline()).decode().strip() or "failed"
        ended_s = time.monotonic()
        busy.append((relay.processor_s() - busy_s) / (ended_s - began_s))
        await asyncio.sleep(given.after)
        watching.cancel()
        cells = [row, asked, *(f"{one:.0f}" for one in (before, relay.most_mb, relay.megabytes()))]
        cells += [f"{relay.rate(began_s - BEFORE_S, began_s):.1f}",
                  f"{relay.rate(began_s, ended_s):.1f}",
                  f"{relay.rate(ended_s, ended_s + given.after):.1f}"]  # fmt: skip
        cells += [" → ".join(f"{100 * one:.0f}" for one in busy), f"{relay.health_s:.2f}"]
        cells.append(f"{(relay.logged() - logged) / 1e3:.1f}")
        return "| " + " | ".join(cells) + " |"


async def table(given: argparse.Namespace) -> None:
    """Print all rows."""
    columns = ["attack", "requests", "MB before", "most", f"{given.after:.0f} s after"]
    columns += ["frames/s before", "during", "after", "% of a core, before → during"]
    columns += ["`/health` s", "log KB"]
    print("| " + " | ".join(columns) + " |\n" + len(columns) * "|---" + "|")
    for row in given.names or ROWS:
        print(await measure(row, given), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.relay_attacks", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("names", nargs="*", type=one_of(ROWS), help=", ".join(ROWS))
    add("--seconds", type=number(1.0), default=10.0, help="of each attack (10)")
    add(
        "--after",
        type=number(1.0),
        default=5.0,
        help="of watching after the attack, s (5)",
    )
    add("--calls", type=whole(1), default=100, help="one after another, of `short calls` (100)")
    add("--runtime", choices=("auto", *(name for name, _ in RUNTIMES)), default="auto")
    asyncio.run(table(parser.parse_args()))


if __name__ == "__main__":
    run_program(main)
