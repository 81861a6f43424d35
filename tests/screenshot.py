"""Screenshot: README's picture of the relay's page, with the demo's scene for a camera.

    python -m tests.screenshot docs/relay.png

Takes a minute or two; the figures in it are those of the machine that it is taken on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from stream.frame import Image
from stream.media.demo.demo_scene import AWAY_S, FAR_S, DemoScene, DemoTruth
from stream.rtc.relay_options import RelayOptions
from tests.browser import browser, write_clip
from tests.rtc_relays import Server

SIZE = (960, 540)
FPS = 8
CLOSE, AWAY, FAR = 6 * FPS, 2 * FPS, 3 * FPS
THERE_AND_BACK = 8
PATIENCE_S = 150.0
SHARP = """(closeups) => {
  const { enhanced, view } = window.closeup.figures;
  const kept = document.querySelectorAll("#closeups img").length;
  const steady = window.lastView && Math.abs(view[0] - window.lastView[0]) < 0.005;
  if (!steady) { window.lastView = view; window.steadySince = performance.now(); }
  return enhanced > 0 && view[2] - view[0] < 0.4 && kept >= closeups
    && performance.now() - window.steadySince > 2500;
}"""
"""A far face is enhanced, the view rests, and so many exemplars are shown."""


def make_clip(path: Path) -> None:
    """Close, rolling back, and far for so long that there is time to look."""
    scene = DemoScene()

    @cache
    def picture(time_s: float) -> Image:
        return DemoTruth(scene, time_s).render((0.0, 0.0, 1280.0, 720.0), SIZE)

    far = [float(t) for t in np.linspace(FAR_S, FAR_S + 3.0, FAR)]
    times_s = [float(t) for t in np.linspace(0.0, AWAY_S, CLOSE)]
    times_s += [float(t) for t in np.linspace(AWAY_S, FAR_S, AWAY)]
    times_s += THERE_AND_BACK * (far + far[::-1])
    write_clip(path, lambda index: picture(times_s[index]), len(times_s), FPS)


def take(page: Any, path: Path) -> None:
    """Wait for an enhanced far face."""
    began_s = time.monotonic()
    # A busy machine loses sight of the person, and with it her exemplars: then without.
    while not page.evaluate(SHARP, 2 if time.monotonic() - began_s < PATIENCE_S / 2 else 0):
        if time.monotonic() - began_s > PATIENCE_S:
            raise SystemExit("no far face was enhanced; is the machine busy?")
        time.sleep(0.05)
    png = np.frombuffer(page.screenshot(), np.uint8)
    image = cv2.imdecode(png, cv2.IMREAD_COLOR)
    assert image is not None
    cv2.imwrite(str(path), image, [cv2.IMWRITE_PNG_COMPRESSION, 9])


def main() -> None:
    """Make the clip, open the page, take the picture."""
    path = Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "camera.y4m"
        make_clip(clip)
        with Server(RelayOptions(port=0)) as relay, browser(clip) as one:
            page = one.new_page(viewport={"width": 1000, "height": 830})
            page.set_default_timeout(1000.0 * PATIENCE_S)
            page.goto(f"{relay.url}#size={SIZE[0]}x{SIZE[1]}")
            page.get_by_role("button", name="Start the camera").click()
            page.click("#compare")
            take(page, path)


if __name__ == "__main__":
    main()
