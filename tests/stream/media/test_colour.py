"""Colours keep their values and their places on the way into a recording and back."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest
from av.codec.context import CodecContext
from av.video.reformatter import VideoReformatter

from stream.frame import Image
from stream.media.colour import ACCURATE, Colour, ToYuv, to_rgb

SIZE = (64, 32)


def red_bump(center: float) -> Image:
    """A soft vertical stripe of red on grey."""
    x = np.arange(SIZE[0])
    image = np.full((SIZE[1], SIZE[0], 3), 100, np.uint8)
    image[..., 0] += np.rint(100 * np.exp(-(((x - center) / 5.0) ** 2))).astype(np.uint8)
    return image


def place(image: Image) -> float:
    """Where the red lies, px."""
    red = image[SIZE[1] // 2, :, 0].astype(float)
    red -= red.min()
    return float((red * np.arange(SIZE[0])).sum() / red.sum())


def through_h264(image: Image, colour: Colour) -> Image:
    encoder = CodecContext.create("libx264", "w")
    decoder = CodecContext.create("h264", "r")
    encoder.width, encoder.height, encoder.pix_fmt = *SIZE, "yuv420p"
    encoder.framerate, encoder.time_base = Fraction(25), Fraction(1, 25)
    encoder.options = {"crf": "4", "tune": "zerolatency"}
    frame = ToYuv(SIZE, colour)(image)
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    packets = [*encoder.encode(frame), *encoder.encode(None)]
    decoded = [f for p in [*packets, None] for f in decoder.decode(p)]
    return to_rgb(VideoReformatter(), decoded[0], colour, SIZE)


@pytest.mark.parametrize("center", [30.0, 31.5, 33.0])
def test_colour_stays_in_its_place_pass_after_pass(center: float) -> None:
    image = red_bump(center)
    start = place(image)
    for _ in range(3):
        image = through_h264(image, Colour())
        assert place(image) == pytest.approx(start, abs=0.15)


@pytest.mark.parametrize("matrix", [1, 5, 6, 7, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_values_survive_every_matrix_and_range(matrix: int, full_range: bool) -> None:
    colour = Colour(matrix=matrix, full_range=full_range)
    for value in ((200, 60, 40), (30, 180, 90), (250, 250, 250), (5, 5, 5)):
        image = np.full((SIZE[1], SIZE[0], 3), value, np.uint8)
        frame = ToYuv(SIZE, colour)(image)
        assert (frame.colorspace, frame.color_range) == (matrix, colour.range_tag)
        back = to_rgb(VideoReformatter(), frame, colour, SIZE)
        assert np.abs(back.astype(int) - value).max() <= 2


@pytest.mark.parametrize("name", ["yuv420p", "nv12", "yuvj420p", "yuv420p10le", "yuva420p"])
@pytest.mark.parametrize("shown", [(67, 35), (96, 50)])
def test_planes_give_the_samples_that_ffmpeg_packs(name: str, shown: tuple[int, int]) -> None:
    size = (67, 35)
    noise = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    frame = av.VideoFrame.from_ndarray(noise, format="rgb24").reformat(
        format=name, dst_colorspace=1, dst_color_range=1
    )
    packed = VideoReformatter().reformat(
        frame,
        *shown,
        format="rgb24",
        interpolation=ACCURATE,
        src_colorspace=1,
        src_color_range=1,
        dst_color_range=2,
    )
    image = to_rgb(VideoReformatter(), frame, Colour(), shown)
    assert image.shape == (shown[1], shown[0], 3)
    assert np.array_equal(image, packed.to_ndarray())
