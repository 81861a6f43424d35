"""Finder: what an archive has, in a stable order, and what is left out and why."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.errors import InputError, OutputError
from stream.recordings.batch.discovery import Finding, find, shown


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """calls/ with folders, links, other files, and what is half-written."""
    monkeypatch.chdir(tmp_path)
    for name in (
        *("calls/b.mp4", "calls/a.MOV", "calls/a.mp4", "calls/2024/c.webm", "calls/2024/z/d.mkv"),
        *("calls/10/e.mp4", "calls/notes.txt", "calls/.b.mp4.part", "calls/.old/x.mp4"),
        *("calls/.hidden.mp4", "elsewhere/secret.mp4"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def places(finding: Finding) -> list[str]:
    return [found.place.as_posix() for found in finding.recordings]


def reasons(finding: Finding) -> dict[str, str]:
    return {left.path.as_posix(): left.reason for left in finding.skipped}


def test_a_folder_is_mirrored_in_a_stable_order(tree: Path) -> None:
    finding = find(["calls"], Path("out"))
    assert places(finding) == [
        *("a.MOV", "a.mp4", "b.mp4", "10/e.mp4", "2024/c.webm.mkv", "2024/z/d.mkv")
    ]
    assert finding.others == {".txt": 1, "hidden": 2}
    assert not finding.failed
    assert places(find(["calls"], Path("out"))) == places(finding)


def test_links_are_never_followed(tree: Path) -> None:
    os.symlink("../elsewhere", "calls/away")
    os.symlink("../elsewhere/secret.mp4", "calls/secret.mp4")
    os.symlink("../calls", "calls/2024/round")
    finding = find(["calls"], Path("out"))
    assert len(finding.recordings) == 6
    links = {"calls/away": "a link", "calls/secret.mp4": "a link", "calls/2024/round": "a link"}
    assert reasons(finding) == links
    for pattern in ("calls/**", "calls/*", "calls/*/*.mp4", "calls/away/*.mp4"):
        found = [str(one.path) for one in find([pattern], Path("out")).recordings]
        outside = [one for one in found if "secret" in one or "round" in one]
        # A link that is spelt out was asked for.
        assert outside == (["calls/away/secret.mp4"] if "away" in pattern else []), pattern


def test_patterns_keep_the_path_below_what_they_spell_out(tree: Path) -> None:
    assert places(find(["calls/*/*.mp4"], Path("out"))) == ["10/e.mp4"]
    assert places(find(["calls/**/*.mp4"], Path("out"))) == ["10/e.mp4", "a.mp4", "b.mp4"]
    assert places(find(["calls/2*"], Path("out"))) == ["2024/c.webm.mkv", "2024/z/d.mkv"]


def test_several_inputs_have_their_own_folders_and_nothing_is_taken_twice(tree: Path) -> None:
    finding = find(["calls/10", "calls/2024", "calls/b.mp4", "calls/*.mp4"], Path("out"))
    assert places(finding) == [
        *("10/e.mp4", "2024/c.webm.mkv", "2024/z/d.mkv", "b.mp4", "calls/a.mp4")
    ]
    assert reasons(finding) == {"calls/b.mp4": "named twice"}


def test_a_name_that_two_would_have_fails_for_the_second_alone(tree: Path) -> None:
    Path("calls/c.webm").write_bytes(b"another")
    finding = find(["calls/c.webm", "calls/2024/c.webm", "calls/a.mp4"], Path("out"))
    assert places(finding) == ["c.webm.mkv", "a.mp4"]
    assert [left.path.as_posix() for left in finding.failed] == ["calls/2024/c.webm"]
    assert "calls/c.webm" in finding.failed[0].reason


def test_its_own_output_is_never_an_input(tree: Path) -> None:
    finding = find(["calls"], Path("calls/2024"))
    assert places(finding) == ["a.MOV", "a.mp4", "b.mp4", "10/e.mp4"]
    assert reasons(finding) == {"calls/2024": "the output folder"}
    named = find(["calls/a.mp4", "calls/2024/c.webm"], Path("calls/2024"))
    assert places(named) == ["a.mp4"]
    with pytest.raises(OutputError, match="is an input, too"):
        find(["calls"], Path("calls/"))


@pytest.mark.parametrize(
    ("name", "message"),
    [("calls/x.mp4", "does not exist"), ("calls/*.avi", "matches nothing"), ("/dev/null", "no")],
)
def test_an_input_that_names_nothing(tree: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find([name], Path("out"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root can read every folder")
def test_a_folder_that_cannot_be_read_is_a_failure(tree: Path) -> None:
    Path("calls/10").chmod(0)
    finding = find(["calls"], Path("out"))
    Path("calls/10").chmod(0o700)
    assert [left.path.as_posix() for left in finding.failed] == ["calls/10"]
    assert len(finding.recordings) == 5


def test_names_are_one_line_whatever_they_are_made_of() -> None:
    assert shown(Path(os.fsdecode(b"a\nb\xff\x1b[1m.mp4"))) == r"a\nb\udcff\x1b[1m.mp4"
    assert shown("Besuch bei Käthe.mp4") == "Besuch bei Käthe.mp4"
