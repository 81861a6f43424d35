"""Round trip: how much later a picture comes back because it was enhanced, and how many calls fit.

    python -m bench.round_trip trip                 pass-through and enhanced, in turns
    python -m bench.round_trip sessions             one call more until one has under 20 fps

A relay in this process; callers in processes of their own send the demo's scene (somebody close,
then far away) with a bar code in every picture. Round trips include the caller's own encoder and
decoder, in both kinds alike. Without other cores the callers take theirs from the relay's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import cv2
import numpy as np
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack

from bench.round_trip_client import AWAY, CLOSE, FAR
from engines.errors import EngineError, reported, run_program
from engines.option_types import number, whole
from stream.errors import CloseupError
from stream.media.demo.demo_scene import AWAY_S, DURATION_S, FAR_S, DemoScene, DemoTruth
from stream.rtc.peer import START_BITS, make_peer, with_start_bits
from stream.rtc.relay_options import Limits, RelayOptions
from stream.rtc.server import Relay, running
from stream.telemetry.metrics import ENHANCED, FACES, FAILED_OPEN, FRAMES

SIZES = ((640, 480), (1280, 720))
SETTLE_S = 12.0
"""Of a call: close, going away, and for the first figures to be right. Then measuring begins."""
BIN_S = 10.0
LEAST_FPS = 20.0
Trips = list[tuple[float, float]]


def render(size: tuple[int, int], path: Path) -> None:
    """The clip that callers send: uint8 (n, 3 H / 2, W), yuv420p."""
    scene = DemoScene()
    left = (1280.0 - 720.0 * size[0] / size[1]) / 2.0
    times_s = np.concatenate(
        [
            np.linspace(0.0, AWAY_S, CLOSE, endpoint=False),
            np.linspace(AWAY_S, FAR_S, AWAY, endpoint=False),
            np.linspace(FAR_S, min(FAR_S + 2.0, DURATION_S), FAR),
        ]
    )
    pictures = []
    for time_s in times_s:
        image = DemoTruth(scene, float(time_s)).render((left, 0.0, 1280.0 - left, 720.0), size)
        pictures.append(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420))
    np.save(path, np.asarray(pictures, np.uint8))


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    """A relay that does nothing at all, at the address that it yields."""
    peers: list[RTCPeerConnection] = []

    async def answer(request: web.Request) -> web.Response:
        peer = make_peer(RelayOptions())
        peers.append(peer)

        def back(track: MediaStreamTrack) -> None:
            peer.addTrack(track)

        peer.on("track", back)
        await peer.setRemoteDescription(RTCSessionDescription(await request.text(), "offer"))
        await peer.setLocalDescription(await peer.createAnswer())
        text = with_start_bits(peer.localDescription.sdp, START_BITS)
        return web.Response(status=201, text=text)

    app = web.Application()
    app.router.add_post("/call", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/call"
    finally:
        await asyncio.gather(*(peer.close() for peer in peers))
        await runner.cleanup()


async def call(url: str, clip: Path, seconds: float, cores: str | None) -> Trips:
    """One caller; what it measured.

    Args:   url: to publish to and watch. clip: its pictures. cores: list for taskset; None: all.
    Raises: RuntimeError: it failed.
    """
    command = [sys.executable, "-m", "bench.round_trip_client", url, str(clip), str(seconds)]
    if cores:
        command = ["taskset", "--cpu-list", cores, *command]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"a caller ended with status {process.returncode}")
    return [(float(at), float(trip)) for at, trip in json.loads(out)]


def settled(trips: Trips, after_s: float = SETTLE_S) -> Trips:
    """Those that were sent once the call had settled."""
    return [one for one in trips if one[0] >= after_s]


def percentiles(trips: Trips) -> tuple[float, float]:
    """p50 and p95 of the round trip, ms."""
    p50, p95 = np.percentile([trip for _, trip in trips] or [np.nan], [50, 95])
    return float(p50), float(p95)


def rate(trips: Trips) -> float:
    """Pictures a second that came back."""
    return (len(trips) - 1) / (trips[-1][0] - trips[0][0]) if len(trips) > 1 else 0.0


async def trip(relay: Relay, clips: dict[tuple[int, int], Path], given: argparse.Namespace) -> None:
    """Pass-through and enhanced in turns, so that load drift affects both.

    Args: clips: by (width, height). given: the command line.
    """
    async with echo() as plain:
        places = {"pass-through": plain, "enhanced": relay.url + "call"}
        for size in given.size or SIZES:
            found: dict[str, list[Trips]] = {kind: [] for kind in places}
            for _ in range(given.rounds):
                for kind, url in places.items():
                    seconds = given.seconds + SETTLE_S
                    trips = await call(url, clips[size], seconds, given.client_cores)
                    found[kind].append(settled(trips))
            merged = {kind: [one for part in parts for one in part]
                      for kind, parts in found.items()}  # fmt: skip
            name = f"{size[0]}x{size[1]}"
            for kind, trips in merged.items():
                p50, p95 = percentiles(trips)
                fps = min(rate(part) for part in found[kind])
                figures = f"p50 {p50:6.1f} ms  p95 {p95:6.1f} ms  {fps:4.1f} fps"
                print(f"{name} {kind:13} {figures}, {len(trips)} pictures")
            before, after = (percentiles(merged[kind]) for kind in places)
            added = [later - earlier for earlier, later in zip(before, after, strict=True)]
            print(f"{name} added         p50 {added[0]:6.1f} ms  p95 {added[1]:6.1f} ms")
            print_age(found["enhanced"][-1])
    print_work(relay)


def print_age(trips: Trips) -> None:
    """The last round's round trips over time: whether pictures grow old."""
    line = []
    bins = sorted({int(at // BIN_S) for at, _ in trips})
    for place in bins if len(bins) <= 12 else bins[:: len(bins) // 12]:
        part = [one for one in trips if int(one[0] // BIN_S) == place]
        line.append(f"{BIN_S * place:.0f} s: {percentiles(part)[0]:.0f}")
    print("  enhanced, p50 ms over time   " + "   ".join(line))


def print_work(relay: Relay) -> None:
    """What was enhanced at all: a relay that passes everything by is fast, too."""
    metrics = relay.connections.metrics
    names = (FRAMES, FACES, ENHANCED, FAILED_OPEN)
    print("all calls together: " + ", ".join(f"{metrics.counter(n)} {n}" for n in names))
    stages = metrics.summaries().items()
    print("ms a picture (p50/p95): " + ", ".join(
        f"{name} {one.p50_ms:.1f}/{one.p95_ms:.1f}" for name, one in stages))  # fmt: skip


async def connections(
    relay: Relay, clips: dict[tuple[int, int], Path], given: argparse.Namespace
) -> None:
    """One call more each time, until one of them has too few pictures.

    Args: clips: by (width, height). given: the command line.
    """
    url, clip = relay.url + "call", clips[SIZES[0]]
    for calls in range(1, given.most + 1):
        seconds = given.seconds + SETTLE_S
        cpu_s, began_s = time.process_time(), time.monotonic()
        all_trips = await asyncio.gather(
            *(call(url, clip, seconds, given.client_cores) for _ in range(calls))
        )
        cores = (time.process_time() - cpu_s) / (time.monotonic() - began_s)
        good = [settled(trips) for trips in all_trips]
        worst = min(rate(trips) for trips in good)
        p50, p95 = percentiles([one for trips in good for one in trips])
        print(f"{calls} calls of 640x480: the slowest {worst:4.1f} fps, round trip p50 {p50:.0f} "
              f"p95 {p95:.0f} ms, relay {100 * cores / calls:.0f} % of a core each")  # fmt: skip
        if worst < LEAST_FPS:
            break
    print_work(relay)


async def run(given: argparse.Namespace) -> None:
    """Render, start the relay, measure."""
    if given.server_cores:
        os.sched_setaffinity(0, given.server_cores)
    wanted = SIZES[:1] if given.what == "sessions" else given.size or SIZES
    with tempfile.TemporaryDirectory() as folder:
        clips = {size: Path(folder) / f"{size[0]}.npy" for size in wanted}
        for size, path in clips.items():
            render(size, path)
        options = RelayOptions(
            port=0, runtime=given.runtime, framing="fixed", limits=Limits(sessions=100)
        )
        async with running(options) as relay:
            runtime = (
                relay.shared_runtime.opened.runtime.name if relay.shared_runtime.opened else ""
            )
            cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "?"
            print(f"relay on {cores} cores, network run by {runtime}, framing fixed")
            await (trip if given.what == "trip" else connections)(relay, clips, given)


def size_of(text: str) -> tuple[int, int]:
    """ "640x480" → (640, 480)."""
    width, height = text.split("x")
    if (int(width), int(height)) not in SIZES:
        raise ValueError(text)
    return int(width), int(height)


def cores_of(text: str) -> set[int]:
    """ "0,1" → {0, 1}.

    Raises: argparse.ArgumentTypeError: this machine has none of them for us.
    """
    wanted = {whole()(core) for core in text.split(",")}
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
    if not wanted & ours:
        raise argparse.ArgumentTypeError(f"no core of {text} is ours")
    return wanted & ours


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.round_trip",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("what", choices=("trip", "sessions"))
    add(
        "--seconds",
        type=number(1.0, 3600.0),
        default=30.0,
        help="of each measurement, after settling (30)",
    )
    add(
        "--rounds", type=whole(1), default=2, help="of trip: pass-through and enhanced so often (2)"
    )
    add("--size", type=size_of, action="append", help="of trip: 640x480 or 1280x720 (both)")
    add("--most", type=whole(1), default=12, help="of sessions: no more calls than this (12)")
    add("--runtime", default="auto")
    add("--server-cores", type=cores_of, help="such as 0,1 (Linux)")
    add("--client-cores", help="such as 2-7 (Linux, taskset)")
    given = parser.parse_args(arguments)
    try:
        asyncio.run(run(given))
    except (CloseupError, EngineError) as error:
        return reported(error)
    return 0


if __name__ == "__main__":
    run_program(main)
