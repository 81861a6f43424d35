"""What somebody sees and hears in Chromium before, during and after a slow network.

python -m tests.shown_pictures [--runs 3] [--seconds 12] [NAME ...] → a table; every run is a call
without what relay and page do against such a queue, and one with it
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from engines.errors import run_program
from engines.option_types import number, one_of, whole
from tests.fakes import OneFace, OpenedRuntimes
from tests.faulty_network import Faults, FaultyNetwork
from tests.network_faults import FAULTS, around_faults, call

NOTE = """(covered = true) => {
  window.shown = [];
  const video = document.getElementById("enhanced");
  let last = null;
  const note = (now, frame) => {
    video.requestVideoFrameCallback(note);
    const shown = covered ? closeup.freshness.shown : frame.rtpTimestamp;
    if (shown === last) return; // the page goes on showing another one
    last = shown;
    window.shown.push([performance.now(), last]);
  };
  video.requestVideoFrameCallback(note);
}"""
STATS = """() => closeup.pc.getStats().then((found) => {
  const told = { now: performance.now(), shown: window.shown.splice(0) };
  for (const one of found.values()) {
    if (one.type === "inbound-rtp") {
      told[one.kind] = [one.jitterBufferDelay, one.jitterBufferEmittedCount, one.bytesReceived,
        one.estimatedPlayoutTimestamp ?? 0];
    }
  }
  return told;
})"""
SETTLE_S = 5.0
EVERY_MS = 250
CLOCK_HZ, WRAPS = 90_000, 1 << 32


@dataclass(frozen=True)
class Part:
    """Of a call: when each picture was shown (s), its RTP timestamp, and figures of the browser."""

    first_s: float
    last_s: float
    shown: list[tuple[float, int]]
    told: list[dict[str, Any]]

    def held_ms(self, kind: str) -> float:
        """How long the browser held what arrived, on average."""
        first, last = self.told[0][kind], self.told[-1][kind]
        return float(1000.0 * (last[0] - first[0]) / max(1, last[1] - first[1]))

    def kbits(self) -> float:
        """kbit/s of the picture on its way back."""
        first, last = self.told[0], self.told[-1]
        return float(8.0 * (last["video"][2] - first["video"][2]) / (last["now"] - first["now"]))

    def sound_late_ms(self) -> float:
        """How much older the sound is than the picture, at the end."""
        last = self.told[-1]
        return float(last["video"][3] - last["audio"][3])

    def gap_s(self) -> float:
        """Longest time without a new picture."""
        times = [self.first_s, *(came for came, _ in self.shown), self.last_s]
        return max(after - before for before, after in pairwise(times))


def watch(page: Any, seconds: float) -> Part:
    """The next seconds."""
    told = [page.evaluate(STATS)]
    while told[-1]["now"] < told[0]["now"] + 1000 * seconds:
        page.wait_for_timeout(EVERY_MS)
        told.append(page.evaluate(STATS))
    shown = [(at / 1000, stamp) for one in told[1:] for at, stamp in one["shown"]]
    return Part(told[0]["now"] / 1000, told[-1]["now"] / 1000, shown, told)


def ages_of(parts: dict[str, Part]) -> dict[str, list[float]]:
    """Age of each picture that was shown, above the fastest one of the call, s."""
    ages: dict[str, list[float]] = {name: [] for name in parts}
    first = next(stamp for part in parts.values() for _, stamp in part.shown)
    for name, part in parts.items():
        for at_s, stamp in part.shown:
            step = (stamp - first + WRAPS // 2) % WRAPS - WRAPS // 2
            ages[name].append(at_s - step / CLOCK_HZ)
    least = min(age for found in ages.values() for age in found)
    return {name: [age - least for age in found] for name, found in ages.items()}


def cells(parts: dict[str, Part]) -> dict[str, list[str]]:
    """Of each part: pictures/s, longest gap, greatest age above the call's fastest picture,
    how long pictures and sound were held, how late the sound is, kbit/s."""
    ages = ages_of(parts)
    return {
        name: [
            f"{len(part.shown) / (part.last_s - part.first_s):.1f}",
            f"{part.gap_s():.1f}",
            f"{max(ages[name], default=0.0):.2f}",
            f"{part.held_ms('video') / 1000:.2f}",
            f"{part.held_ms('audio') / 1000:.2f}",
            f"{part.sound_late_ms() / 1000:.2f}",
            f"{part.kbits():.0f}",
        ]
        for name, part in parts.items()
    }


def measure(faults: Faults, seconds: float, *, covered: bool = True) -> dict[str, list[str]]:
    """The parts of a call with these faults → their cells.

    Args: seconds: how long the faults last. covered: what the page does not show counts as not
          shown; else as if it showed all that the browser does.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        FaultyNetwork() as network,
        call(network, Path(folder)) as page,
    ):
        page.evaluate(NOTE, covered)
        watch(page, SETTLE_S)
        parts = around_faults(partial(watch, page), network, faults, seconds)
    return cells(parts)


@contextmanager
def as_it_was() -> Iterator[None]:
    """Relays, in the block, that let browsers hold pictures, skip no sound, see a queue only when
    it is there, and heed no queue of the other way."""
    from stream.rtc.reception.bandwidth import BandwidthEstimate
    from stream.rtc.reception.sending_rate import SendingRate
    from stream.rtc.sound import DelayedSound

    parts: list[tuple[Any, str, Any]] = [
        (SendingRate, "was_long", lambda self, now_s: False),
        (DelayedSound, "skip", lambda self, ms: None),
        (BandwidthEstimate, "_slowed", lambda self: None),
        (SendingRate, "share", lambda self, used, *_, **__: used),
    ]
    kept = [getattr(owner, name) for owner, name, _ in parts]
    try:
        for owner, name, before in parts:
            setattr(owner, name, before)
        yield
    finally:
        for (owner, name, _), now in zip(parts, kept, strict=True):
            setattr(owner, name, now)


def main() -> None:
    """Print the table."""
    import stream.graph

    parser = argparse.ArgumentParser(prog="python -m tests.shown_pictures", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    faults = ", ".join(FAULTS).replace("%", "%%")  # argparse would format them
    parser.add_argument("names", nargs="*", type=one_of(FAULTS), help=f"{faults} (300 kbit/s)")
    parser.add_argument("--seconds", type=number(1.0), default=12.0, help="of each fault (12)")
    parser.add_argument("--runs", type=whole(1), default=3, help="of each (3)")
    given = parser.parse_args()
    stages: Any = stream.graph
    stages.FaceDetector, stages.open_runtime = OneFace, OpenedRuntimes()
    columns = ["fault", "pictures/s", "longest gap s", "greatest age s", "picture held s",
               "sound held s", "sound late s", "kbit/s back"]  # fmt: skip
    print("| " + " | ".join(columns) + " |\n" + len(columns) * "|---" + "|")
    for name in given.names or ["300 kbit/s"]:
        for run in range(given.runs):
            with as_it_was():
                before = measure(FAULTS[name], given.seconds, covered=False)
            now = measure(FAULTS[name], given.seconds)
            for when, old in before.items():
                pairs = " | ".join(f"{a} → {b}" for a, b in zip(old, now[when], strict=True))
                print(f"| {name}, {when}, {run + 1} | {pairs} |", flush=True)


if __name__ == "__main__":
    run_program(main)
