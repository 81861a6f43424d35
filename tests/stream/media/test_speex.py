"""Speex, as Flash wrote it into .flv: copied where it fits, converted elsewhere, all of it heard.

No build of FFmpeg encodes Speex here, so packets are written bit by bit (The Speex Codec Manual,
chapter 9): narrowband frames of submode 1, noise of a given gain, or of submode 0, silence.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from stream.frame import Floats
from stream.recordings.verify import check_recording
from tests.recording_files import picture
from tests.stream.media.test_stream_copy import process

RATE_HZ, PACKET_MS, PACKETS, SILENT = 16_000, 20, 50, 25
SPEEX_16_KHZ = b"\xb2"
"""Of the sound in an .flv."""


def packet(loud: bool, random: np.random.Generator) -> bytes:
    """20 ms. Args: loud: noise; else silence."""
    bits = "00000"
    if loud:
        spectrum = "".join(map(str, random.integers(0, 2, 18)))
        bits = f"00001{spectrum}{40:07b}0000{24:05b}0000"  # pitch and its gain, gain, spare
    bits += "01111"  # no further frame
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


@pytest.fixture
def call(tmp_path: Path) -> Path:
    """A second: half of it silent, then noise. PyAV writes the pictures, and no Speex."""
    path = tmp_path / "call.flv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flv", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(picture(step=number), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    data, random = path.read_bytes(), np.random.default_rng(0)
    head, at, tags = bytearray(data[:13]), 13, list[tuple[int, bytes]]()
    head[4] |= 4  # it has sound
    while at < len(data):
        size = int.from_bytes(data[at + 1 : at + 4], "big")
        tags.append((int.from_bytes(data[at + 4 : at + 7], "big"), data[at : at + 11 + size]))
        at += 15 + size
    for number in range(PACKETS):
        body = SPEEX_16_KHZ + packet(number >= SILENT, random)
        time_ms = PACKET_MS * number
        sizes = len(body).to_bytes(3, "big") + time_ms.to_bytes(3, "big")
        tags.append((time_ms, b"\x08" + sizes + bytes(4) + body))
    tags.sort(key=lambda tag: tag[0])
    path.write_bytes(bytes(head) + b"".join(tag + len(tag).to_bytes(4, "big") for _, tag in tags))
    return path


def heard(path: Path) -> tuple[str, Floats]:
    """Codec, and the samples, -1..1."""
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert stream.rate == RATE_HZ
        resampler = av.AudioResampler("flt", "mono", RATE_HZ)
        parts = [
            part.to_ndarray()[0]
            for frame in container.decode(stream)
            for part in resampler.resample(frame)
        ]
        return str(stream.name), np.concatenate(parts).astype(np.float32)


@pytest.mark.parametrize(("ending", "codec"), [("mkv", "flac"), ("mp4", "aac"), ("mov", "speex")])
def test_all_of_it_is_heard_whatever_it_is_written_into(
    call: Path, ending: str, codec: str
) -> None:
    target = call.with_name(f"better.{ending}")
    made = process(call, target)
    assert made.converted == ([] if codec == "speex" else [f"sound speex to {codec}"])
    assert not made.left_out
    found = check_recording(call, target)
    assert found["same"], found
    before, (name, after) = heard(call)[1], heard(target)
    assert name == codec
    assert len(before) == RATE_HZ * PACKETS * PACKET_MS // 1000
    assert len(before) <= len(after) < len(before) + 1024, "the last packet, too"
    level = [float(np.std(part)) for part in np.split(after[: len(before)], 10)]
    assert max(level[:4]) < 0.005
    assert min(level[6:]) > 0.01
    if codec != "aac":
        assert np.abs(after[: len(before)] - before).max() < 0.001
