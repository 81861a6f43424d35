"""People and a recording to quantise with."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

pytest.importorskip("onnx", reason="the calibration extra is not installed")


from engines.hime.people import Person
from engines.runtime import Image
from tests.pictures import hopper, scene_with_face


def photos(seed: int, count: int = 4) -> tuple[Image, ...]:
    """The portrait's head at several places and turns."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(count):
        x, y = (int(middle + rng.integers(-12, 13)) for middle in (264, 237))
        turn = cv2.getRotationMatrix2D((x, y), float(rng.normal(0, 5)), 1.0)
        turned = cv2.warpAffine(hopper(), turn, (512, 600))
        found.append(np.ascontiguousarray(turned[y - 128 : y + 128, x - 128 : x + 128], np.uint8))
    return tuple(found)


def three_people() -> list[Person]:
    """Each is the same portrait, elsewhere."""
    return [Person(f"p{seed}", photos(seed)) for seed in range(3)]


def recorded(path: Path) -> None:
    """Close for a second, then far: the product itself asks for the far face to be enhanced."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=10, options={"crf": "12", "preset": "ultrafast"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for index in range(24):
            image = scene_with_face(130.0 if index < 12 else 24.0, (640, 360))
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
