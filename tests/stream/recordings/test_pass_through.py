"""What a recording without a face says of its pictures is in the copy, or there is a note."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.arguments import parse
from stream.media.sandbox.sandboxed_source import open_source
from stream.options import Options
from stream.recordings.pass_through import PASSED_THROUGH, pass_through
from stream.recordings.picture_properties import PictureProperties
from stream.recordings.verify import check_recording
from tests.recording_files import write_recording
from tests.sample_entries import add_to_sample_entry, dolby_vision, spherical, stereo

DESCRIBED = {
    "360": (spherical(),),
    "360 turned": (spherical(yaw=90),),
    "stereo": (stereo(2),),
    "360 stereo": (stereo(1), spherical()),
    "dolby vision 5": (dolby_vision(5, 0),),
    "dolby vision 8.4": (dolby_vision(8, 4),),
}


def copied(source: Path, target: Path) -> tuple[list[str], list[str]]:
    """Returns: the notes, and what the check says."""
    options = parse(["--input", str(source), "--output", str(target)])
    assert isinstance(options, Options)
    with open_source(source) as opened:
        told = pass_through(opened, options, overwrite=False)
        properties = PictureProperties.of(opened)
    assert told is not None
    assert told[0] == PASSED_THROUGH
    check = check_recording(source, target, properties=properties)
    return [note.text for note in told[1:]], check["differences"]


def described(path: Path, what: str) -> PictureProperties:
    write_recording(path, sounds=0)
    add_to_sample_entry(path, *DESCRIBED[what])
    found = PictureProperties.read(path)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("what", "ending"),
    [
        *((what, "mkv") for what in DESCRIBED),
        *((what, "mp4") for what in DESCRIBED),
        ("360", "mov"),
    ],
)
def test_what_the_container_says_of_the_pictures_is_copied(
    tmp_path: Path, what: str, ending: str
) -> None:
    source, target = tmp_path / "a.m4v", tmp_path / f"b.{ending}"
    before = described(source, what).format
    assert (before.mapping is not None) == ("360" in what)
    assert (before.stereo is not None) == ("stereo" in what)
    assert ("the Dolby Vision configuration" in before.unkept) == ("dolby" in what)
    assert copied(source, target) == ([], [])
    after = PictureProperties.read(target)
    assert after is not None
    assert (after.format.mapping, after.format.stereo) == (before.mapping, before.stereo)
    assert after.format.unkept == before.unkept


TURNED = "360° video is mapped another way"
TURNED_NOTE = ([f"not all could be copied: {TURNED}"], [TURNED])
FLAT = "the stereo mapping is missing"
PLAIN = "the Dolby Vision configuration is missing"


@pytest.mark.parametrize(
    ("what", "lost"),
    [
        ("360 turned", TURNED),
        *((what, FLAT) for what in ("stereo", "360 stereo")),
        *((f"dolby vision {profile}", PLAIN) for profile in ("5", "8.4")),
    ],
)
def test_what_ffmpeg_does_not_write_is_noted(tmp_path: Path, what: str, lost: str) -> None:
    """Into .mov it writes Apple's boxes alone, without angles and how views are packed."""
    source = tmp_path / "a.m4v"
    described(source, what)
    notes, differences = copied(source, tmp_path / "b.mov")
    assert differences == [lost]
    assert notes == [f"not all could be copied: {lost}"]


@pytest.mark.parametrize("what", ["stereo", "360 stereo", "360 turned"])
def test_what_apples_boxes_hide_is_read(tmp_path: Path, what: str) -> None:
    """An .mp4 that FFmpeg has written has both kinds of boxes, and FFmpeg reads Apple's."""
    first, both, again = tmp_path / "a.m4v", tmp_path / "b.mp4", tmp_path / "c.mkv"
    before = described(first, what).format
    copied(first, both)
    assert b"vexu" in both.read_bytes()
    read = PictureProperties.read(both)
    assert read is not None
    assert (read.format.mapping, read.format.stereo) == (before.mapping, before.stereo)
    after = copied(both, again)
    assert after == (TURNED_NOTE if what == "360 turned" else ([], []))


def test_an_unmarked_recording_has_none(tmp_path: Path) -> None:
    source = tmp_path / "a.mp4"
    write_recording(source, sounds=0)
    assert copied(source, tmp_path / "b.mov") == ([], [])
