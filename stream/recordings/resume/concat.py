"""Concat: the segments of a recording become one file, packet by packet."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import ArgumentError, InvalidDataError, PatchWelcomeError
from av.packet import Packet
from av.video.stream import VideoStream

from engines.files import part_path, replacing
from stream.media.decoding_times import last_packet
from stream.media.pyav import exact
from stream.media.sinks.file_sink import FORMATS, muxer_options, writing
from stream.media.sinks.provenance import Provenance
from stream.media.stream_copy import StreamCopy


class Concat:
    """Pictures that are encoded already, with what accompanies them.

    Every picture keeps its time. The times of decoding are made anew: those of a segment begin
    before its first picture, where the segment before may not have ended yet.

    Args: segments: recordings of one picture stream each, by the same encoder and settings; each
          begins with a key frame and refers to nothing outside of itself.
          provenance: what the file says when a face was `enhanced`.
    """

    def __init__(
        self,
        segments: Sequence[Path],
        provenance: Provenance | None = None,
        *,
        enhanced: bool = False,
    ) -> None:
        self._segments = segments
        self._provenance = provenance
        self._enhanced = enhanced
        self._times: list[int] = []
        """Of all pictures, rising."""
        self._delay = 0
        """A picture is decoded at the time of the one that is shown so many before it."""
        self.packets_left_out = 0
        """Damaged packets of the copied streams that could not be written."""

    def write(
        self, target: Path, rate: Fraction, last_s: Fraction, stream_copy: StreamCopy | None
    ) -> None:
        """Write the file; it appears when it is complete.

        Args:   rate: pictures a second on average. last_s: how long the last one is shown, seconds.
                copied streams: closed by the caller.
        Raises: OutputError: it cannot be written.
        """
        with writing(target):
            self._look_through()
            with replacing(target, part_path(target)) as part:
                with av.open(str(self._segments[0])) as first:
                    self._write(target, first.streams.video[0], rate, last_s, stream_copy)
                if self._provenance is not None:
                    self._provenance.finish(part, target, self._enhanced)

    def _look_through(self) -> None:
        for segment in self._segments:
            times = [packet.pts for packet in _packets(segment) if packet.pts is not None]
            rising = sorted(times)
            for number, time in enumerate(times):
                self._delay = max(self._delay, number + 1 - bisect_right(rising, time))
            self._times += rising

    def _write(
        self,
        target: Path,
        template: VideoStream,
        rate: Fraction,
        last_s: Fraction,
        stream_copy: StreamCopy | None,
    ) -> None:
        kind = FORMATS[target.suffix.lower()]
        base = exact(template.time_base) or Fraction(1, 90_000)
        options = {} if stream_copy is None else stream_copy.options(kind)
        with av.open(
            f"file:{part_path(target).absolute()}",
            mode="w",
            format=kind,
            options={**options, **muxer_options(kind, base)},
        ) as container:
            add_pictures = partial(_add_pictures, container, template, rate)
            if stream_copy is None:
                stream = add_pictures()
            else:
                stream = stream_copy.add_to(container, add_pictures)
            if self._provenance is not None:
                self._provenance.add_to(container.metadata)
            container.start_encoding()
            number = 0
            for segment in self._segments:
                for packet in _packets(segment):
                    if packet.pts is None:
                        continue
                    self._date(packet, packet.pts, number, round(last_s / base))
                    packet.stream = stream
                    time_s = float(packet.pts * base)
                    container.mux(packet)
                    number += 1
                    self._accompany(container, stream_copy, time_s)
            self._accompany(container, stream_copy, math.inf)

    def _decoded_at(self, number: int) -> int:
        """The time of decoding of a packet, as x264 makes it: the first ones are before zero."""
        if number >= self._delay:
            return self._times[number - self._delay]
        last = min(self._delay, len(self._times) - 1)
        return self._times[number] - (self._times[last] - self._times[0])

    def _date(self, packet: Packet[VideoStream], pts: int, number: int, last: int) -> None:
        """Say when to decode a packet, and until when it is shown. Args: last: of the last one."""
        times, end = self._times, self._times[-1] + max(1, last)
        after, dts = bisect_right(times, pts), self._decoded_at(number)
        packet.dts = dts
        shown = (times[after] if after < len(times) else end) - pts
        packet.duration = shown
        if number + 1 == len(times):
            first = (self._decoded_at(0), times[0])
            packet.dts, packet.duration = last_packet(dts, pts, shown, first, end)

    def _accompany(
        self, container: OutputContainer, stream_copy: StreamCopy | None, time_s: float
    ) -> None:
        if stream_copy is not None:
            for packet in stream_copy.packets_until(time_s):
                try:
                    container.mux(packet)
                except (ArgumentError, InvalidDataError, PatchWelcomeError):
                    # The packet is damaged: the writer looks into it and refuses it.
                    self.packets_left_out += 1


def _add_pictures(container: OutputContainer, template: VideoStream, rate: Fraction) -> VideoStream:
    stream = container.add_stream_from_template(template, opaque=True)
    context = stream.codec_context
    context.framerate = rate
    # Not every codec has it in its own data.
    if template.sample_aspect_ratio:
        context.sample_aspect_ratio = template.sample_aspect_ratio
    if template.codec_context.codec_tag == "hvc1" and container.format.name != "matroska":
        context.codec_tag = "hvc1"
    return stream


def _packets(segment: Path) -> Iterator[Packet[VideoStream]]:
    """In the order of decoding."""
    with av.open(str(segment)) as container:
        for packet in container.demux(container.streams.video[0]):
            if packet.size:
                yield packet
