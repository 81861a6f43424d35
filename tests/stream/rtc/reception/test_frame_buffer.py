"""Frames from packets: at once, in order, and after a gap from the next key frame."""

from __future__ import annotations

import random

import pytest

pytest.importorskip("aiortc", reason="needs aiortc")

from aiortc.rtp import RtpPacket

from stream.rtc.reception.frame_buffer import ASK_AGAIN_S, ASK_S, HOLD_S, FrameBuffer, Unwrapper

VP8 = 96
FIRST = 65_530
"""Sequence numbers wrap in every test."""


def stream(pictures: int, packets: int = 3, keys: tuple[int, ...] = (0,)) -> list[RtpPacket]:
    """Pictures of so many packets each, as VP8 sends them."""
    made: list[RtpPacket] = []
    for index in range(pictures):
        for part in range(packets):
            packet = RtpPacket(
                payload_type=VP8,
                sequence_number=(FIRST + len(made)) % 65_536,
                timestamp=3000 * index,
                marker=int(part == packets - 1),
            )
            head = 0x10 if part == 0 else 0
            data = bytes([0 if index in keys else 1, index, part])
            packet.payload = bytes([head]) + data
            packet._data = data  # type: ignore[attr-defined]
            made.append(packet)
    return made


def pictures(buffer: FrameBuffer, now_s: float) -> list[int]:
    """Which pictures come out; each must be whole."""
    found = []
    for _, frame in buffer.take(now_s).frames:
        parts = [frame.data[place : place + 3] for place in range(0, len(frame.data), 3)]
        assert [part[2] for part in parts] == list(range(len(parts)))
        assert {part[1] for part in parts} == {frame.timestamp // 3000}
        found.append(frame.timestamp // 3000)
    return found


def test_each_picture_comes_out_with_its_last_packet() -> None:
    buffer, shown = FrameBuffer({VP8: "VP8"}), []
    for count, packet in enumerate(stream(4)):
        buffer.add(packet, 0.0)
        shown += pictures(buffer, 0.0)
        assert len(shown) == (count + 1) // 3


def test_packets_in_any_order_and_twice() -> None:
    buffer, shown, packets = FrameBuffer({VP8: "VP8"}), [], stream(20)
    buffer.add(packets[0], 0.0)
    mixed = packets[1:] + packets[5:9]
    random.Random(1).shuffle(mixed)
    for packet in mixed:
        buffer.add(packet, 0.0)
        shown += pictures(buffer, 0.0)
    assert shown == list(range(20))


def test_a_backlog_comes_out_at_once() -> None:
    buffer, packets = FrameBuffer({VP8: "VP8"}), stream(12)
    for packet in packets[:4] + packets[5:]:
        buffer.add(packet, 0.0)
    assert pictures(buffer, 0.1) == [0]
    buffer.add(packets[4], 0.2)
    assert pictures(buffer, 0.2) == list(range(1, 12))


def test_after_a_gap_it_goes_on_with_a_key_frame_and_asks_for_one() -> None:
    buffer, packets = FrameBuffer({VP8: "VP8"}), stream(12, keys=(0, 8))
    for packet in packets[:4] + packets[5:15]:
        buffer.add(packet, 1.0)
    assert pictures(buffer, 1.0) == [0]
    assert not buffer.take(1.0 + 0.9 * HOLD_S).ask
    late_s = 1.01 + HOLD_S
    taken = buffer.take(late_s)
    assert (taken.frames, taken.ask) == ([], True)
    assert not buffer.take(late_s + 0.9 * ASK_S).ask
    assert buffer.take(late_s + 1.1 * ASK_S).ask
    for packet in packets[15:26]:
        buffer.add(packet, late_s + 1.2 * ASK_S)
    # The first packets of a key frame have come: another request would only delay it.
    taken = buffer.take(late_s + 2.2 * ASK_S)
    assert (taken.frames, taken.ask) == ([], False)
    assert buffer.take(late_s + 1.2 * ASK_S + ASK_AGAIN_S).ask
    for packet in packets[26:]:
        buffer.add(packet, late_s + 2)
    assert pictures(buffer, late_s + 2) == [8, 9, 10, 11]


def test_a_large_picture_on_a_slow_line_is_not_given_up() -> None:
    buffer, packets = FrameBuffer({VP8: "VP8"}), stream(2, packets=40)
    for count, packet in enumerate(packets):
        buffer.add(packet, 0.1 * count)
        taken = buffer.take(0.1 * count)
        assert bool(taken.frames) == (count in (39, 79))
        assert not taken.ask or count == 0


def test_padding_between_pictures_holds_nothing_up() -> None:
    buffer, packets = FrameBuffer({VP8: "VP8"}), stream(4)
    for packet in packets[3:6]:
        packet.payload, packet._data, packet.timestamp = b"", b"", 0  # type: ignore[attr-defined]
    for packet in packets:
        buffer.add(packet, 0.0)
    assert pictures(buffer, 0.0) == [0, 2, 3]


def test_a_stream_that_begins_in_the_middle_asks_for_a_key_frame() -> None:
    buffer, packets = FrameBuffer({VP8: "VP8"}), stream(6, keys=(4,))
    asked = False
    for packet in packets[4:]:
        buffer.add(packet, 0.0)
        taken = buffer.take(0.0)
        asked |= taken.ask
        assert all(frame.timestamp >= 12_000 for _, frame in taken.frames)
    assert asked


def test_memory_is_bounded() -> None:
    buffer = FrameBuffer({VP8: "VP8"})
    for packet in stream(1, packets=255, keys=()) + stream(40, packets=255, keys=())[256:]:
        packet.marker = 0
        packet.timestamp = 0
        buffer.add(packet, 0.0)
    assert len(buffer._packets) <= 2048


def test_numbers_unwrap() -> None:
    unwrap = Unwrapper()
    assert [unwrap(one) for one in (65_534, 65_535, 1, 0, 65_533, 40_000)] == [
        *(65_534, 65_535, 65_537, 65_536, 65_533, 65_536 + 40_000 - 65_536),
    ]  # fmt: skip
