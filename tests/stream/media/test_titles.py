"""Titles: the usual ones fit everywhere, and those of an old coding go."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from stream.media import titles


@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_usual_titles_need_nothing_special(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"usual.{kind}"
    told = {key: "+01.0000+002.0000/" if key == "location" else "words" for key in titles.USUAL}
    told |= {"creation_time": "2026-01-02T03:04:05.000000Z", "date": "2026"}
    assert titles.container_options(kind, told) == {}
    with av.open(str(path), "w") as container:
        container.metadata.update(told)
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        frame = av.VideoFrame(64, 48, "yuv420p")
        frame.pts = 0
        container.mux([*stream.encode(frame), *stream.encode(None)])
    with av.open(str(path)) as container:
        assert {key: container.metadata.get(key) for key in told} == told


def test_a_date_that_ffmpeg_joins_from_two_places_stands_once() -> None:
    when = "2026-01-02T03:04:05.000000Z"
    assert titles.of_recording({"creation_time": f"{when};{when}", "title": "a;a"}) == {
        "creation_time": when,
        "title": "a;a",
    }


def test_stale_statistics_do_not_survive() -> None:
    kept = titles.of_pictures(
        {"language": "deu", "BPS-eng": "7", "DURATION": "1", "_STATISTICS_TAGS": "BPS", "a": "b"}
    )
    assert kept == {"language": "deu", "a": "b"}
