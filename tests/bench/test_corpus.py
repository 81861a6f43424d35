"""Corpus: what is the same counts as such, and what is not is found."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from bench import corpus, corpus_files
from bench.corpus import (
    DEFECT,
    DOCUMENTED,
    OK,
    REFUSED,
    UNREADABLE,
    UNSAID,
    Result,
    table,
    try_file,
)
from stream.errors import InputError
from tests.recording_files import write_recording


def test_a_recording_as_in_the_input(tmp_path: Path) -> None:
    path = tmp_path / "nut-ffv1-yuv420p.nut"
    corpus_files.write(path, "nut", "ffv1", "yuv420p")
    assert corpus_files.reads_back(path)
    result = try_file(path, tmp_path / "out.mkv")
    assert (result.outcome, result.differences, result.worst_psnr_db) == (OK, [], None)
    assert not (tmp_path / "out.mkv").exists()


def test_what_is_no_recording(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_bytes(b"Dear diary,\n" * 100)
    assert try_file(tmp_path / "text.mp4", tmp_path / "out.mkv").outcome == UNREADABLE


@pytest.mark.parametrize(
    ("size", "outcome"), [((2, 2), OK), ((3, 5), OK), ((15, 15), OK), ((40, 1), DOCUMENTED)]
)
def test_tiny_pictures_pass(tmp_path: Path, size: tuple[int, int], outcome: str) -> None:
    path = tmp_path / "tiny.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "bgr24"
        for number in range(3):
            image = np.full((size[1], size[0], 3), 80 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for ending in ("mp4", "mkv"):
        assert try_file(path, tmp_path / f"out.{ending}").outcome == outcome
    for still in ("a.png", "a.webp"):
        Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(tmp_path / still)
        assert try_file(tmp_path / still, tmp_path / "out.mkv").outcome == DOCUMENTED


def test_refusals_and_defects_are_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "call.mp4"
    write_recording(path, pts=(0, 3600), sounds=0)
    for error, outcome in ((InputError(f"{path} is odd"), REFUSED), (KeyError("odd"), DEFECT)):

        def fail(*_: object, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(corpus, "run_recording", fail)
        result = try_file(path, tmp_path / "out.mkv")
        assert result.outcome == outcome
        assert "odd" in result.reason
        assert str(path) not in table([result])


def test_pictures_that_differ_are_found(tmp_path: Path) -> None:
    one, other, less = (tmp_path / f"{name}.mkv" for name in "abc")
    write_recording(one, pts=range(0, 18_000, 3600), sounds=0)
    write_recording(less, pts=range(0, 14_400, 3600), sounds=0)
    with av.open(str(other), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height = 64, 48
        for number in range(5):
            frame = av.VideoFrame(64, 48, "yuv420p")
            for plane in frame.planes:
                plane.update(bytes([128]) * plane.buffer_size)
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    result = Result("a.mkv", OK)
    assert list(corpus._compared(one, one, result)) == []
    (grey,) = corpus._compared(one, other, result)
    assert grey.startswith("a picture has ")
    assert list(corpus._compared(one, less, result)) == [
        "less decoded pictures than the input, from number 5 on"
    ]


def test_the_table_names_what_is_to_be_mended() -> None:
    results = [
        Result("a.avi", OK),
        Result("b.avi", UNSAID, differences=["1 pictures instead of 2"]),
        Result("c.avi", UNSAID, differences=["1 pictures instead of 2"]),
    ]
    assert table(results).splitlines() == [
        f"    2  {UNSAID}",
        f"    1  {OK}",
        f"    2  {UNSAID}: 1 pictures instead of 2 (b.avi)",
    ]


def test_combinations_take_turns() -> None:
    first = [container for container, _, _ in list(corpus_files.combinations())[:40]]
    assert len(set(first)) == 40


def test_a_corpus_of_nothing_is_no_success(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments in ([str(tmp_path / "none")], [str(tmp_path)]):
        assert corpus.main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1
    for part in ("3/2", "0/2", "half"):
        with pytest.raises(SystemExit) as ended:
            corpus.main([str(tmp_path), "--slice", part])
        assert ended.value.code == 2
        assert "--slice" in capsys.readouterr().err
