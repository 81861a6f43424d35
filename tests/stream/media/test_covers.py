"""Covers: the single picture beside a recording is kept, also beside titles of its own."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.stream import Disposition

from tests.recording_files import write_recording
from tests.stream.media.test_stream_copy import PTS, jpeg, process


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_a_cover_and_unusual_titles(tmp_path: Path, kind: str) -> None:
    plain, source, target = (tmp_path / name for name in ("a.mp4", "b.mkv", f"c.{kind}"))
    write_recording(plain, pts=PTS, sounds=0)
    told = {"title": "A call", "composer": "Nobody", "com.apple.quicktime.make": "A phone"}
    with av.open(str(plain)) as old, av.open(str(source), "w") as new:
        new.metadata.update(told)
        copy = new.add_stream_from_template(old.streams.video[0], opaque=True)
        new.add_attachment("cover.jpg", "image/jpeg", jpeg())
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = copy
                new.mux(packet)
    left_out = process(source, target).left_out
    with av.open(str(target)) as container:
        found = {key.lower(): text for key, text in container.metadata.items()}
        covers = [
            one for one in container.streams.video if one.disposition & Disposition.attached_pic
        ]
    assert len(covers) == 1
    assert (found["title"], found["composer"]) == ("A call", "Nobody")
    if kind == "mkv":
        assert left_out == []
        assert found["com.apple.quicktime.make"] == "A phone"
    else:
        # FFmpeg writes one or the other into an mp4.
        assert left_out == ["title COM.APPLE.QUICKTIME.MAKE, beside a cover"]
