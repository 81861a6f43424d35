"""A real browser: headless Chromium, whose camera shows a clip that the tests make."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from stream.frame import Image

SWITCHES = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-gpu",
)


def chromium() -> str:
    """Where Chromium is; skips the test, with the reason, where it or Playwright is missing."""
    pytest.importorskip("playwright", reason="needs Playwright: pip install playwright")
    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("needs Chromium: sudo apt-get install chromium")
    return path


def write_clip(path: Path, picture: Callable[[int], Image], frames: int, fps: int = 30) -> None:
    """A clip for the fake camera, raw video (.y4m); Chromium plays it again and again."""
    with av.open(str(path), "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("rawvideo", rate=fps)
        stream.pix_fmt = "yuv420p"
        for index in range(frames):
            image = picture(index)
            if index == 0:
                stream.height, stream.width = image.shape[:2]
            planes = np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420), np.uint8)
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@contextmanager
def browser(clip: Path) -> Iterator[Any]:
    """A browser whose camera shows a clip: Playwright's `Browser`."""
    path = chromium()
    from playwright.sync_api import sync_playwright

    switches = [*SWITCHES, f"--use-file-for-fake-video-capture={clip}"]
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=path, headless=True, args=switches)
        try:
            yield one
        finally:
            one.close()
