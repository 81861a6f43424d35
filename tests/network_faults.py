"""A call from Chromium over a faulty network: what it is before, during and after each fault.

python -m tests.network_faults [SECONDS] [plain] [NAME ...] → the table of docs/relay.md;
plain: with aiortc's own receiver
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from aiortc.rtcrtpreceiver import RTCRtpReceiver

from bench import barcode
from stream.rtc.relay_options import RelayOptions
from stream.rtc.track_worker import Picture, TrackWorker
from tests.browser import browser, write_clip
from tests.fakes import OneFace, OpenedRuntimes
from tests.faulty_network import Faults, FaultyNetwork
from tests.pictures import scene_with_face
from tests.rtc_relays import Server

FAULTS = {
    "10 % loss": Faults(loss=0.1),
    "5 % loss": Faults(loss=0.05),
    "50 ± 30 ms": Faults(delay_ms=50, jitter_ms=30),
    "150 ± 50 ms": Faults(delay_ms=150, jitter_ms=50),
    "300 kbit/s": Faults(bits_per_s=300_000),
    "no network": Faults(cut=True),
}
PLAIN = "plain"
SIZE = (640, 480)
FPS = 15
BEFORE_S, AFTER_S = 12.0, 12.0
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
    """Pictures that reached the relay: when, and how much later than the fastest of all."""

    times_s: list[float]
    moments_s: list[float]
    """Of capture, by the sender's clock."""

    def ages_s(self) -> list[float]:
        """Of each picture, above the least."""
        late = [came - taken for came, taken in zip(self.times_s, self.moments_s, strict=True)]
        return [one - min(late) for one in late]


@contextmanager
def noted_arrivals() -> Iterator[Arrivals]:
    """Pictures that the relay gets in the block."""
    found, put = Arrivals([], []), TrackWorker.put

    def note(self: TrackWorker, picture: Picture) -> None:
        frame = picture.frame
        assert frame.pts is not None
        assert frame.time_base is not None
        found.times_s.append(picture.arrived_ns / 1e9)
        found.moments_s.append(float(frame.pts * frame.time_base))
        put(self, picture)

    TrackWorker.put = note  # type: ignore[method-assign]
    try:
        yield found
    finally:
        TrackWorker.put = put  # type: ignore[method-assign]


@contextmanager
def call(network: FaultyNetwork, folder: Path, wait_ms: int = 30_000) -> Iterator[Any]:
    """Chromium's page in a call with a relay over the network.

    Args: wait_ms: for the connection; 0 does not wait.
    """

    def picture(number: int) -> Any:
        # Moving, so that it takes bits.
        image = np.roll(scene_with_face(120.0, SIZE), 6 * number, axis=1).copy()
        barcode.draw(image, number)
        return image

    clip = folder / "clip.y4m"
    write_clip(clip, picture, 4 * FPS, FPS)

    def through(route: Any) -> None:
        answer = route.fetch(post_data=network.offer(route.request.post_data))
        route.fulfill(response=answer, body=network.answer(answer.text()))

    options = RelayOptions(port=0, framing="fixed")
    with Server(options) as relay, browser(clip) as chromium:
        page = chromium.new_page()
        page.route(
            "**/call/*", lambda r: through(r) if r.request.method == "POST" else r.continue_()
        )
        page.goto(f"{relay.url}#size={SIZE[0]}x{SIZE[1]}&framing=fixed")
        page.click("form button")
        if wait_ms:
            page.wait_for_selector("#state.live", timeout=wait_ms)
        yield page


def sample(page: Any) -> Sample:
    """Now."""
    up, down, frames = page.evaluate(STATS)
    return Sample(time.monotonic(), up, down, frames)


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


def row(name: str, part: list[Sample], arrivals: Arrivals) -> str:
    """Of the table: frames a second, longest gap, greatest age, kbit/s."""
    up, down, fps = kbits(part)
    first, last = part[0].time_s, part[-1].time_s
    ages = [age for came, age in zip(arrivals.times_s, arrivals.ages_s(), strict=True)
            if first <= came <= last]  # fmt: skip
    came = [first, *(one for one in arrivals.times_s if first <= one <= last), last]
    frozen = max(after - before for before, after in pairwise(came))
    rate = (len(came) - 2) / (last - first)
    age = max(ages, default=float("nan"))
    return f"| {name} | {rate:.1f} / {fps:.1f} | {frozen:.1f} | {age:.2f} | {up:.0f} / {down:.0f} |"


def measure(name: str, seconds: float) -> list[str]:
    """Rows of one fault."""
    faults = FAULTS[name]
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultyNetwork() as network,
        noted_arrivals() as arrivals,
        call(network, Path(folder)) as page,
    ):
        watch(page, BEFORE_S - 4)
        before = watch(page, 4)
        network.faults = faults
        during = watch(page, seconds)
        network.faults = Faults()
        after = watch(page, AFTER_S)
    step = len(after) * 5 // 12
    parts = {"before": before, "during": during, "0 to 5 s after": after[:step],
             "5 to 12 s after": after[step:]}  # fmt: skip
    return [row(f"{name}, {when}", part, arrivals) for when, part in parts.items()]


def main() -> None:
    """Print the table."""
    import stream.graph
    import stream.rtc.peer

    stages: Any = stream.graph
    stages.FaceDetector, stages.open_runtime = OneFace, OpenedRuntimes()
    names = sys.argv[2:] or list(FAULTS)
    if PLAIN in names:
        names.remove(PLAIN)
        peer: Any = stream.rtc.peer
        peer.VideoReceiver = lambda transport: RTCRtpReceiver("video", transport)
    print("| fault | frames/s up / back | longest gap s | greatest age s | kbit/s up / down |")
    print("|---|---|---|---|---|")
    for name in names or FAULTS:
        seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 12.0
        print("\n".join(measure(name, seconds)), flush=True)


if __name__ == "__main__":
    main()
