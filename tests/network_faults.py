"""A call from Chromium over a faulty network: what it is before, during and after each fault.

python -m tests.network_faults [--seconds 12] [NAME ...] → the table of docs/relay.md: each cell
with aiortc's own receiver → with the relay's, measured one after the other
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from bench import barcode
from engines.errors import run_program
from engines.option_types import number, one_of
from stream.frame import Image
from stream.rtc.relay_options import RelayOptions
from stream.rtc.track_worker import Picture, TrackWorker
from tests.browser import browser, write_clip
from tests.fakes import OneFace, OpenedRuntimes
from tests.faulty_network import Faults, FaultyNetwork
from tests.pictures import scene_with_face
from tests.rtc_relays import Server

Part = TypeVar("Part")
"""Of a call: what is watched of it."""
FAULTS = {
    "10 % loss": Faults(loss=0.1),
    "5 % loss": Faults(loss=0.05),
    "50 ± 30 ms": Faults(delay_ms=50, jitter_ms=30),
    "150 ± 50 ms": Faults(delay_ms=150, jitter_ms=50),
    "300 kbit/s": Faults(bits_per_s=300_000),
    "no network": Faults(cut=True),
}
LONG_MS = 60_000
SIZE = (640, 480)
FPS = 15
CLIP = 4 * FPS
"""Pictures of what the camera shows; then it begins again."""
SETTLE_S, BEFORE_S, STEP_S = 8.0, 4.0, 5.0
STATS = """() => closeup.pc.getStats().then((found) => {
  let up = 0, down = 0, frames = 0;
  for (const one of found.values()) {
    if (one.kind === "video" && one.type === "outbound-rtp") up = one.bytesSent;
    if (one.kind === "video" && one.type === "inbound-rtp") {
      down = one.bytesReceived; frames = one.framesDecoded;
    }
  }
  return [up, down, frames];
})"""


@dataclass(frozen=True)
class Sample:
    """One moment of a call."""

    time_s: float
    up: int
    down: int
    """Bytes so far."""
    frames: int
    """Decoded by the browser so far."""


@dataclass
class Arrivals:
    """Pictures that reached the relay."""

    pictures: list[tuple[float, float]]
    """When each came, and when it was taken by the sender's clock, which begins anew with a call.
    """

    def between(self, first_s: float, last_s: float) -> list[tuple[float, float]]:
        """When each of a time came, and its age above the least of its call."""
        found, call = list[tuple[float, float]](), list[tuple[float, float]]()
        for came, taken in [*self.pictures, (0.0, float("-inf"))]:
            if call and taken < call[-1][1]:
                least = min(came - taken for came, taken in call)
                found += [(came, came - taken - least) for came, taken in call]
                call = []
            call.append((came, taken))
        return [one for one in found if first_s <= one[0] <= last_s]


@contextmanager
def noted_arrivals() -> Iterator[Arrivals]:
    """Pictures that the relay gets in the block."""
    found, put = Arrivals([]), TrackWorker.put

    def note(self: TrackWorker, picture: Picture) -> None:
        frame = picture.frame
        assert frame.pts is not None
        assert frame.time_base is not None
        taken_s = float(frame.pts * frame.time_base)
        found.pictures.append((picture.arrived_ns / 1e9, taken_s))
        put(self, picture)

    TrackWorker.put = note  # type: ignore[method-assign]
    try:
        yield found
    finally:
        TrackWorker.put = put  # type: ignore[method-assign]


def route_through(page: Any, network: FaultyNetwork, *, around: bool) -> None:
    """Let a page reach the relay through the network alone; without one there is no HTTP either.

    Args: around: an ICE restart finds the relay's own addresses, and HTTP always comes through.
    """

    def take(route: Any) -> None:
        request = route.request
        if network.faults.cut and not around:
            route.abort()
        elif ("/call/" in request.url and request.method == "POST") or (
            request.method == "PATCH" and not around
        ):
            answer = route.fetch(post_data=network.offer(request.post_data))
            # A restart may be refused.
            text = network.answer(answer.text()) if answer.ok else answer.text()
            route.fulfill(response=answer, body=text)
        else:
            route.continue_()

    page.route("**/*", take)


def moving(number: int) -> Image:
    """A scene that moves, so that it takes bits."""
    image = np.roll(scene_with_face(120.0, SIZE), 6 * number, axis=1).copy()
    barcode.draw(image, number)
    return image


def noisy(number: int) -> Image:
    """A scene that takes bits and in which somebody keeps still, close enough to be kept."""
    return scene_with_face(170.0, SIZE, noise=6.0, seed=number)


@contextmanager
def call(
    network: FaultyNetwork,
    folder: Path,
    wait_ms: int = 30_000,
    *,
    around: bool = False,
    picture: Callable[[int], Image] = moving,
) -> Iterator[Any]:
    """Chromium's page in a call with a relay over the network.

    Args: wait_ms: for the connection; 0 does not wait. around: as of `route_through`.
          picture: what the camera shows.
    """
    clip = folder / "clip.y4m"
    write_clip(clip, picture, CLIP, FPS)
    options = RelayOptions(port=0, framing="fixed")
    with Server(options) as relay, browser(clip) as chromium:
        page = chromium.new_page()
        page.goto(f"{relay.url}#size={SIZE[0]}x{SIZE[1]}&framing=fixed")
        route_through(page, network, around=around)
        page.click("form button")
        if wait_ms:
            page.wait_for_selector("#state.live", timeout=wait_ms)
        yield page


def sample(page: Any) -> Sample:
    """Now."""
    up, down, frames = page.evaluate(STATS)
    return Sample(time.monotonic(), up, down, frames)


def shows_more(page: Any, frames: int) -> None:
    """Wait until the browser has decoded some more pictures."""
    first = sample(page).frames
    for _ in range(LONG_MS // 250):
        if sample(page).frames > first + frames or sample(page).frames < first:
            return
        page.wait_for_timeout(250)
    raise AssertionError("no picture came")


def watch(page: Any, seconds: float) -> list[Sample]:
    """Samples of so many seconds, four a second."""
    samples = [sample(page)]
    while samples[-1].time_s < samples[0].time_s + seconds:
        page.wait_for_timeout(250)
        samples.append(sample(page))
    return samples


def kbits(samples: list[Sample]) -> tuple[float, float, float]:
    """kbit/s up and down, frames a second back."""
    first, last = samples[0], samples[-1]
    seconds = last.time_s - first.time_s
    up, down = (8e-3 * (last.up - first.up), 8e-3 * (last.down - first.down))
    return up / seconds, down / seconds, (last.frames - first.frames) / seconds


def cells(part: list[Sample], arrivals: Arrivals) -> list[str]:
    """Of a part of a call: frames a second up / back, longest gap, greatest age, kbit/s up."""
    up, _, fps = kbits(part)
    first, last = part[0].time_s, part[-1].time_s
    found = arrivals.between(first, last)
    came = [first, *(one for one, _ in found), last]
    frozen = max(after - before for before, after in pairwise(came))
    rate = (len(came) - 2) / (last - first)
    age = f"{max(one for _, one in found):.2f}" if found else "none"
    return [f"{rate:.1f}", f"{fps:.1f}", f"{frozen:.1f}", age, f"{up:.0f}"]


def around_faults(
    watched: Callable[[float], Part], network: FaultyNetwork, faults: Faults, seconds: float
) -> dict[str, Part]:
    """What is watched of a call before, during and after faults of the network.

    Args: watched: the next so many seconds of it. seconds: how long the faults last.
    """
    parts = {"before": watched(BEFORE_S)}
    network.faults = faults
    parts["during"] = watched(seconds)
    network.faults = Faults()
    parts["0 to 5 s after"] = watched(STEP_S)
    parts["5 to 10 s after"] = watched(STEP_S)
    return parts


def measure(faults: Faults, seconds: float) -> dict[str, list[str]]:
    """The parts of a call with these faults → their cells."""
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultyNetwork() as network,
        noted_arrivals() as arrivals,
        call(network, Path(folder)) as page,
    ):
        watch(page, SETTLE_S)
        parts = around_faults(partial(watch, page), network, faults, seconds)
    return {when: cells(part, arrivals) for when, part in parts.items()}


@contextmanager
def plain_receiver() -> Iterator[None]:
    """Relays with aiortc's own receiver in the block."""
    import stream.rtc.peer

    peer: Any = stream.rtc.peer
    before = peer.VideoReceiver
    peer.VideoReceiver = lambda transport: RTCRtpReceiver("video", transport)
    try:
        yield
    finally:
        peer.VideoReceiver = before


def rows(name: str, seconds: float) -> list[str]:
    """Of one fault: aiortc's receiver → the relay's."""
    with plain_receiver():
        plain = measure(FAULTS[name], seconds)
    own = measure(FAULTS[name], seconds)
    lines = []
    for when, before in plain.items():
        pairs = [f"{old} → {new}" for old, new in zip(before, own[when], strict=True)]
        lines.append(f"| {name}, {when} | " + " | ".join(pairs) + " |")
    return lines


def main() -> None:
    """Print the table."""
    import stream.graph

    parser = argparse.ArgumentParser(prog="python -m tests.network_faults", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    faults = ", ".join(FAULTS).replace("%", "%%")  # argparse would format them
    parser.add_argument("names", nargs="*", type=one_of(FAULTS), help=faults)
    parser.add_argument("--seconds", type=number(1.0), default=12.0, help="of each fault (12)")
    given = parser.parse_args()
    stages: Any = stream.graph
    stages.FaceDetector, stages.open_runtime = OneFace, OpenedRuntimes()
    print("| fault | frames/s up | back | longest gap s | greatest age s | kbit/s up |")
    print("|---|---|---|---|---|---|")
    for name in given.names or FAULTS:
        print("\n".join(rows(name, given.seconds)), flush=True)


if __name__ == "__main__":
    run_program(main)
