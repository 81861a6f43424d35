"""What is to be seen on the relay's page, by the bar code in the pictures themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import barcode
from stream.frame import Image

NOTE = """([width, height, bars, bar]) => {
  const sheet = new OffscreenCanvas(bars * bar, bar);
  const pen = sheet.getContext("2d", { willReadFrequently: true });
  const row = (from, wide, high) => {
    if (!wide) return null;
    const part = [0, 0, bars * bar * wide / width, bar * high / height];
    pen.drawImage(from, ...part, 0, 0, bars * bar, bar);
    const { data } = pen.getImageData(0, bar / 2, bars * bar, 1);
    return Array.from(data.filter((_, place) => place % 4 === 1));
  };
  const camera = document.getElementById("camera");
  const cover = document.getElementById("cover");
  const video = document.getElementById("enhanced");
  window.seen = [];
  const look = () => {
    const shown = cover.hidden
      ? row(video, video.videoWidth, video.videoHeight)
      : row(cover, cover.width, cover.height);
    const taken = row(camera, camera.videoWidth, camera.videoHeight);
    if (shown && taken) window.seen.push([performance.now(), shown, taken]);
    requestAnimationFrame(look);
  };
  look();
}"""


@dataclass(frozen=True)
class Seen:
    """A picture that is newly there."""

    at_s: float
    age: int
    """By how many pictures the camera is further."""


def begin(page: Any, size: tuple[int, int]) -> None:
    """Note from now on what the page shows. Args: size: of the camera's picture."""
    bars = barcode.WIDTH_PX // barcode.BAR_PX
    page.evaluate(NOTE, [*size, bars, barcode.BAR_PX])


def newly_seen(page: Any, pictures: int) -> list[Seen]:
    """Pictures that were newly there since the last time. Args: pictures: of the camera's clip."""
    found, last = list[Seen](), None
    for at_ms, shown, taken in page.evaluate("window.seen.splice(0)"):
        number, newest = barcode.read(_image(shown)), barcode.read(_image(taken))
        if number is None or newest is None or number == last:
            continue
        last = number
        found.append(Seen(at_ms / 1000, (newest - number) % pictures))
    return found


def _image(row: list[int]) -> Image:
    return np.tile(np.asarray(row, np.uint8)[:, None], (barcode.BAR_PX, 1, 3))
