"""Damage that looks like a call, applied at the camera's native size.

A network trained on clean shrinking makes a damaged face worse: it sharpens the codec's blocks.
So crops are made from the truth the way a call makes them:

    truth (s b px) -> blur (defocus, motion) -> shrink (mixed kernels) -> sensor noise
                   -> some sharpened, as by cheap cameras
                   -> a real codec (H.264, VP8 or JPEG, with 4:2:0 chroma) -> crop (b px)

All numbers are drawn from the generator that is passed in: the same seed, the same damage.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction

import av
import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Rng = np.random.Generator

SHRINKERS = (cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)
GROUP = 8
"""Crops that share one encoded picture: opening an encoder costs more than encoding a crop."""


def blur(image: Image, scale: int, rng: Rng) -> Image:
    """Defocus or motion blur; strength in px of the small picture that will be made from it.

    Args: scale: how much smaller the picture will be made. rng: chooses kind and strength.
    """
    kind = rng.random()
    if kind < 0.3:
        return image
    if kind < 0.85:
        sigma = rng.uniform(0.1, 0.8) * scale
        return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
    length = max(3, round(rng.uniform(0.5, 2.0) * scale))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    centre = (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    ends = [tuple(round(v) for v in centre + sign * reach) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.uint8)


def shrink(image: Image, scale: int, rng: Rng) -> Image:
    """Shrink by `scale` as one of several cameras and scalers would.

    Args: image: RGB uint8 (s b, s b, 3). scale: s. rng: chooses the scaler.
    """
    side = image.shape[0] // scale
    kernel = SHRINKERS[rng.integers(len(SHRINKERS))]
    if kernel != cv2.INTER_AREA:
        # the other kernels of OpenCV do not widen when they shrink: without this they alias
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), 0.35 * scale), np.uint8)
    return np.asarray(cv2.resize(image, (side, side), interpolation=kernel), np.uint8)


def sensor_noise(image: Image, rng: Rng) -> Image:
    """Signal-dependent noise (Poisson-Gaussian), partly blurred as denoising cameras leave it."""
    if rng.random() < 0.15:
        return image
    x = image.astype(np.float32) / 255.0
    read = rng.uniform(0.0, 0.015)
    shot = rng.uniform(0.0, 0.02)
    noise = rng.standard_normal(x.shape, dtype=np.float32)
    if rng.random() < 0.3:
        noise = cv2.GaussianBlur(noise, (0, 0), 0.6) * 1.8
    # cameras filter chroma harder than luma
    luma = noise.mean(axis=2, keepdims=True) * np.sqrt(3.0)
    noise = 0.75 * luma + 0.5 * noise
    x = x + noise * np.sqrt(read**2 + shot**2 * x)
    return np.asarray(np.clip(x, 0, 1) * 255.0 + 0.5, np.uint8)


def sharpen(image: Image, rng: Rng) -> Image:
    """An unsharp mask as cheap cameras apply it: edges get halos, noise gets stronger."""
    amount = rng.uniform(0.3, 1.5)
    x = image.astype(np.float32)
    soft = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.6, 1.2))
    return np.asarray(np.clip(x + amount * (x - soft), 0, 255) + 0.5, np.uint8)


def jpeg(image: Image, quality: int) -> Image:
    """A JPEG round trip with 4:2:0 chroma, as MJPEG cameras do."""
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)
    return np.ascontiguousarray(decoded[:, :, ::-1])


def _options(codec: str, quantiser: int) -> dict[str, str]:
    if codec == "libx264":
        return {"preset": "veryfast", "tune": "zerolatency", "qp": str(quantiser)}
    return {
        "deadline": "realtime",
        # a positive number is a limit within which libvpx goes by the clock: no two runs are alike
        "cpu-used": "-4",
        "qmin": str(quantiser),
        "qmax": str(quantiser),
        "crf": str(quantiser),
        "b": "4M",
        "lag-in-frames": "0",
    }


def video_codec(frames: Sequence[Image], codec: str, quantiser: int) -> Image:
    """Encode frames and decode them again; the last one comes back.

    Args:    frames: RGB uint8 (H, W, 3), H and W even.
             codec: "libx264" or "libvpx". quantiser: 0..51 (H.264), 0..63 (VP8).
    Returns: RGB uint8 (H, W, 3).
    """
    height, width = frames[0].shape[:2]
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as out:
        stream = out.add_stream(codec, rate=Fraction(30), options=_options(codec, quantiser))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        # one thread: tiny pictures, and the training has the other cores
        stream.codec_context.thread_count = 1
        for image in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        out.mux(stream.encode())
    memory.seek(0)
    with av.open(memory, "r", format="matroska") as source:
        source.streams.video[0].codec_context.thread_count = 1
        decoded = [frame.to_ndarray(format="rgb24") for frame in source.decode(video=0)]
    return np.ascontiguousarray(decoded[-1])


def call_codec(crops: Sequence[Image], rng: Rng) -> list[Image]:
    """Send crops of one size through a real codec, as parts of one picture of a call.

    Every crop lies at a random place, so that blocks fall anywhere on the face, and moves a
    little between the frames before the last one, so that prediction leaves its damage too.
    """
    side = crops[0].shape[0]
    pitch = side + 32 + side % 2
    columns = min(4, len(crops))
    rows = -(-len(crops) // columns)
    places = [
        (
            (k // columns) * pitch + int(rng.integers(8, pitch - side - 7)),
            (k % columns) * pitch + int(rng.integers(8, pitch - side - 7)),
        )
        for k in range(len(crops))
    ]
    frames = []
    for last in (False, True):
        canvas = np.full((rows * pitch, columns * pitch, 3), 110, np.uint8)
        for image, (y, x) in zip(crops, places, strict=True):
            wide = cv2.copyMakeBorder(image, 8, 8, 8, 8, cv2.BORDER_REFLECT)
            dy, dx = (0, 0) if last else rng.integers(-2, 3, size=2)
            canvas[y - 8 : y + side + 8, x - 8 : x + side + 8] = np.roll(wide, (dy, dx), (0, 1))
        frames.append(canvas)
    kind = rng.random()
    if kind < 0.2:
        decoded = jpeg(frames[-1], int(rng.integers(35, 92)))
    elif kind < 0.75:
        decoded = video_codec(frames, "libx264", int(rng.integers(20, 37)))
    else:
        decoded = video_codec(frames, "libvpx", int(rng.integers(10, 50)))
    return [decoded[y : y + side, x : x + side] for y, x in places]


def call(truths: Sequence[Image], scale: int, rng: Rng, sharpened: float = 0.0) -> list[Image]:
    """Make call-like crops from truths.

    Args:    truths: RGB uint8 (s b, s b, 3), all of one size.
             sharpened: share of crops that a cheap camera has sharpened. None by default: every
             published score was measured so, and no number is drawn for it.
    Returns: RGB uint8 (b, b, 3) each.
    """
    crops = [sensor_noise(shrink(blur(t, scale, rng), scale, rng), rng) for t in truths]
    if sharpened:
        crops = [sharpen(c, rng) if rng.random() < sharpened else c for c in crops]
    out: list[Image] = []
    for start in range(0, len(crops), GROUP):
        out += call_codec(crops[start : start + GROUP], rng)
    return out


def close_up(exemplar: Image, rng: Rng) -> Image:
    """Mild damage of an exemplar: it came through the same call, only closer."""
    if rng.random() < 0.5:
        return exemplar
    return jpeg(sensor_noise(exemplar, rng), int(rng.integers(60, 96)))
