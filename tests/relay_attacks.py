"""Attacks on a relay in a process of its own: its memory, and an honest call beside each.

python -m tests.relay_attacks [--seconds 10] [--calls 100] [--runtime auto] [NAME ...]
→ the table of docs/relay.md
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import aiohttp

from tests.attacks import ATTACKS, Target
from tests.places import ROOT
from tests.rtc_callers import child

START_S, SETTLE_S = 180.0, 15.0
"""Until the honest call has a picture; until memory stays as it is, since the models are loaded."""
STEADY_MB = 2.0
AFTER_S = 5.0
TOLD = 3000
"""Characters of what the relay said last, where something went wrong."""


@asynccontextmanager
async def attacked(runtime: str) -> AsyncIterator[Target]:
    """A relay in a process of its own, with an honest call."""
    command = [sys.executable, "run_pipeline.py", "--input", "webrtc", "--port", "0"]
    command += ["--framing", "fixed", "--runtime", runtime, "--no-measure"]
    command += ["--trusted-proxies", "127.0.0.1", "--log", "info"]
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
        tail = asyncio.create_task(process.stdout.read())
        async with aiohttp.ClientSession() as http:
            target = Target(found[1], process.pid, http)
            async with child("call", target.url + "call") as (_, lines):
                reading = asyncio.create_task(_note(lines, target.arrivals_s))
                yield target
                reading.cancel()
        process.terminate()
        said = (await tail).decode()
        lines = [one for one in said.splitlines() if "WARNING" in one or "ERROR" in one]
        if lines or "Traceback" in said or " call ends" in said:
            print(said[-TOLD:], file=sys.stderr)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _note(lines: asyncio.StreamReader, arrivals_s: list[float]) -> None:
    await lines.readline()
    while line := await lines.readline():
        arrivals_s.append(float(line))


async def measure(name: str, given: argparse.Namespace) -> str:
    """The row of one attack: MB before, at most, after; frames a second of the honest call."""
    async with attacked(given.runtime) as target:
        target.calls = given.calls
        async with asyncio.timeout(START_S):
            while not target.arrivals_s:
                await asyncio.sleep(0.1)
        held = [target.megabytes()]
        while len(held) < SETTLE_S or max(held) - min(held) > STEADY_MB:
            await asyncio.sleep(1)
            held = [*held, target.megabytes()][-round(SETTLE_S) :]
        before, began_s = target.megabytes(), time.monotonic()
        most = before

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, target.megabytes())
                await asyncio.sleep(0.1)

        watching = asyncio.create_task(watch())
        await ATTACKS[name](target, given.seconds)
        ended_s = time.monotonic()
        await asyncio.sleep(AFTER_S)
        watching.cancel()
        times = target.arrivals_s
        rates = [
            sum(first <= one < last for one in times) / (last - first)
            for first, last in (
                (began_s - 10, began_s),
                (began_s, ended_s),
                (ended_s, ended_s + AFTER_S),
            )
        ]
        fps = " | ".join(f"{one:.1f}" for one in rates)
        return f"| {name} | {before:.0f} | {most:.0f} | {target.megabytes():.0f} | {fps} |"


async def table(given: argparse.Namespace) -> None:
    """Print all rows."""
    print("| attack | MB before | most | 5 s after | frames/s before | during | after |")
    print("|---|---|---|---|---|---|---|")
    for name in given.names or ATTACKS:
        print(await measure(name, given), flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.relay_attacks", description=__doc__)
    add = parser.add_argument
    add("names", nargs="*", help=", ".join(ATTACKS))
    add("--seconds", type=float, default=10.0, help="of each attack (10)")
    add("--calls", type=int, default=100, help="one after another, of `short calls` (100)")
    add("--runtime", default="auto")
    asyncio.run(table(parser.parse_args()))


if __name__ == "__main__":
    main()
