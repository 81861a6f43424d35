"""Provenance: a file says that faces were enhanced exactly where some were."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from engines.weights.manifest import weights_used
from run_pipeline import main
from stream.media.sinks.provenance import Provenance, take_out
from tests.fake_stages import use_fake_stages
from tests.recording_files import VFR_PTS, times_of, write_recording

KINDS = (".mp4", ".mov", ".mkv")


def comment_of(path: Path) -> str | None:
    with av.open(str(path)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
    return tags.get("comment")


def with_comment(path: Path, comment: str) -> Path:
    """The recording, and a comment in it."""
    commented = path.with_name("commented" + path.suffix)
    with av.open(str(path)) as source, av.open(str(commented), "w") as target:
        target.metadata.update({"title": "A call", "comment": comment})
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return commented


@pytest.mark.parametrize("ending", KINDS)
def test_the_output_names_who_enhanced_it_and_with_what(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    use_fake_stages(monkeypatch)
    write_recording(tmp_path / "plain.mp4")
    call = with_comment(tmp_path / "plain.mp4", "Budget 2026")
    output = tmp_path / f"better{ending}"
    assert main(["--input", str(call), "--output", str(output)]) == 0
    said = comment_of(output)
    assert said is not None
    assert said.startswith("Budget 2026\nFaces enhanced by AI: Closeup ")
    for name, digest in weights_used().items():
        assert re.search(rf"{re.escape(name)} sha256:{digest}\b", said)
        assert len(digest) == 64


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("comment", [None, "Budget 2026"])
def test_nothing_is_said_where_no_face_was_enhanced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, comment: str | None
) -> None:
    use_fake_stages(monkeypatch)
    monkeypatch.setattr("tests.fake_stages.Patch", lambda *_: None)
    call = tmp_path / "call.mp4"
    write_recording(call)
    if comment:
        call = with_comment(call, comment)
    output = tmp_path / f"better{ending}"
    assert main(["--input", str(call), "--output", str(output)]) == 0
    said = comment_of(output)
    assert (said.strip() if said else None) == comment
    # All the rest is still in place.
    assert len(times_of(output)) == len(VFR_PTS)
    with av.open(str(output)) as container:
        tags = {key.lower(): value for key, value in container.metadata.items()}
        assert tags["title"] == "A call"


@pytest.mark.parametrize("ending", KINDS)
def test_taking_out_keeps_checksums_and_pictures(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"call{ending}"
    write_recording(path, sounds=0)
    statement = Provenance({"x.onnx": "0" * 64}).statement
    said = with_comment(path, statement)
    before = said.read_bytes()
    assert statement.encode() in before
    take_out(said, statement)
    after = said.read_bytes()
    assert len(after) == len(before)
    assert statement.encode() not in after
    assert comment_of(said) is None
    assert times_of(said) == times_of(path)
    take_out(said, statement)
    assert said.read_bytes() == after
    # FFmpeg compares the checksums of Matroska when it is told to mind errors.
    strict: Callable[..., object] = av.open
    with strict(str(said), options={"err_detect": "crccheck+explode"}):  # type: ignore[attr-defined]
        pass


@pytest.mark.parametrize("ending", KINDS)
def test_an_output_joined_of_segments_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    use_fake_stages(monkeypatch)
    call, said = tmp_path / "call.mp4", []
    write_recording(call)
    for more in ([], ["--resume", "--segment", "4"]):
        output = tmp_path / f"better{len(more)}{ending}"
        assert main(["--input", str(call), "--output", str(output), *more]) == 0
        said.append(comment_of(output))
    assert said[0] == said[1]
    assert said[0]
