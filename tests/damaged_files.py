"""Damage: what can be wrong with a recording, done to a good one."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

import numpy as np

Random = np.random.Generator
Damage = Callable[[Random, bytes], bytes]
HUGE = 16_384
"""Width and height that a header lies about."""


def truncated(random: Random, data: bytes) -> bytes:
    """It ends somewhere."""
    return data[: int(random.integers(1, len(data)))]


def flipped(random: Random, data: bytes) -> bytes:
    """A few bits are wrong, anywhere."""
    damaged = bytearray(data)
    for place in random.integers(0, len(data), int(random.integers(1, 60))):
        damaged[place] ^= 1 << int(random.integers(8))
    return bytes(damaged)


def flipped_in_head(random: Random, data: bytes) -> bytes:
    """Bytes are wrong where recordings describe themselves, at one of the ends."""
    damaged, reach = bytearray(data), min(len(data), 3000)
    start = 0 if random.random() < 0.5 else len(data) - reach
    for place in random.integers(start, start + reach, int(random.integers(1, 25))):
        damaged[place] = int(random.choice([0, 1, 0x7F, 0x80, 0xFF, int(random.integers(256))]))
    return bytes(damaged)


def holed(random: Random, data: bytes) -> bytes:
    """A stretch is zeros, as after a lost download."""
    start, size = int(random.integers(len(data))), int(random.integers(1, len(data) // 2))
    hole = bytes(len(data[start : start + size]))
    return data[:start] + hole + data[start + len(hole) :]


def shuffled(random: Random, data: bytes) -> bytes:
    """Blocks have changed places."""
    size = int(random.integers(16, 2048))
    blocks = [data[start : start + size] for start in range(0, len(data), size)]
    first, second = (int(one) for one in random.integers(0, len(blocks), 2))
    blocks[first], blocks[second] = blocks[second], blocks[first]
    return b"".join(blocks)


def repeated(random: Random, data: bytes) -> bytes:
    """A part is there many times."""
    start = int(random.integers(len(data)))
    part = data[start : start + int(random.integers(1, 5000))]
    return data[:start] + part * int(random.integers(2, 40)) + data[start:]


ANYWHERE: tuple[Damage, ...] = (truncated, flipped, flipped_in_head, holed, shuffled, repeated)
"""For recordings of any kind."""


def boxes(data: bytes, name: bytes) -> Iterator[int]:
    """Where the contents of the boxes of an mp4 with a name begin."""
    place = data.find(name)
    while place >= 0:
        yield place + 4
        place = data.find(name, place + 4)


def patched(data: bytes, name: bytes, offset: int, value: bytes) -> bytes:
    """The mp4 with something else at an offset in the content of each box with a name."""
    damaged = bytearray(data)
    for start in boxes(data, name):
        damaged[start + offset : start + offset + len(value)] = value
    assert bytes(damaged) != data, f"no {name!r} to damage"
    return bytes(damaged)


def sized(data: bytes, side: int) -> bytes:
    """An mp4 of H.264 whose headers tell another size than its pictures have."""
    told = patched(data, b"tkhd", 76, struct.pack(">II", side << 16, side << 16))
    return patched(told, b"avc1\x00\x00\x00\x00\x00\x00", 24, struct.pack(">HH", side, side))


def clocked(data: bytes, ticks: int) -> bytes:
    """An mp4 whose streams have so many ticks a second."""
    return patched(data, b"mdhd", 12, struct.pack(">I", ticks))


def nested(data: bytes, depth: int) -> bytes:
    """An mp4 whose titles lie in boxes in boxes."""
    shells = b"".join(struct.pack(">I4s", 8 * (depth - one), b"udta") for one in range(depth))
    return _moov_with(data, lambda moov: moov + shells)


def crowded(data: bytes, streams: int) -> bytes:
    """An mp4 with so many tracks more, all alike."""

    def more(moov: bytes) -> bytes:
        track = moov.index(b"trak") - 4
        length = struct.unpack(">I", moov[track : track + 4])[0]
        return moov + moov[track : track + length] * streams

    return _moov_with(data, more)


def _moov_with(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """An mp4 with another content of its box "moov"."""
    start = data.index(b"moov") - 4
    size = struct.unpack(">I", data[start : start + 4])[0]
    moov = change(data[start + 8 : start + size])
    return data[:start] + struct.pack(">I4s", 8 + len(moov), b"moov") + moov + data[start + size :]


def huge_pictures(avi: bytes, side: int) -> bytes:
    """An avi of JPEG pictures that tell another size than they have."""
    damaged, place = bytearray(avi), avi.find(b"\xff\xc0\x00\x11\x08")
    while place >= 0:
        damaged[place + 5 : place + 9] = struct.pack(">HH", side, side)
        place = avi.find(b"\xff\xc0\x00\x11\x08", place + 1)
    assert bytes(damaged) != avi, "no picture to damage"
    return bytes(damaged)


def special(mp4: bytes, avi: bytes, units: int) -> dict[str, tuple[str, bytes]]:
    """Files that somebody made to do harm: for what each is, its ending and content.

    Args: mp4: of H.264. avi: of JPEG. units: of a stream that never has a picture.
    """
    empty_units = b"\x00\x00\x01\x09\x10" * units
    listed = "".join(f"file '/etc/passwd'\nduration {n}\n" for n in range(5))
    master = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nfile:///etc/passwd\n"
    return {
        "ffconcat in disguise": (".mp4", f"ffconcat version 1.0\n{listed}".encode()),
        "playlist in disguise": (".mkv", master.encode()),
        "an SDP in disguise": (".mov", b"v=0\nm=video 5004 RTP/AVP 96\nc=IN IP4 127.0.0.1\n"),
        "16k in the header": (".mp4", sized(mp4, HUGE)),
        "16k in the pictures": (".avi", huge_pictures(avi, HUGE)),
        "4k in small pictures": (".avi", huge_pictures(avi, 4096)),
        "no size": (".mp4", sized(mp4, 0)),
        "units without a picture": (".h264", empty_units),
        "a clock of 4 GHz": (".mp4", clocked(mp4, 0xFFFFFFFF)),
        "a clock that stands": (".mp4", clocked(mp4, 0)),
        "pictures an hour apart": (".mp4", patched(mp4, b"stts", 12, struct.pack(">I", 1 << 30))),
        "pictures back in time": (".mp4", patched(mp4, b"stts", 12, struct.pack(">I", 1 << 31))),
        "boxes in boxes": (".mp4", nested(mp4, 100_000)),
        "hundreds of streams": (".mp4", crowded(mp4, 300)),
        "another file's pictures": (".mp4", patched(mp4, b"url ", 3, b"\x00")),
        "a table of 4 billion": (".mp4", patched(mp4, b"stsz", 8, b"\xff" * 4)),
        "an index that points beyond": (".mp4", patched(mp4, b"stco", 8, b"\xff" * 4)),
    }
