"""WorkDir: what is left by the same work is gone on with, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from stream.errors import OutputError
from stream.recordings.resume.work_dir import WorkDir, clear_work, was_published, work_folder


def grown(place: WorkDir, content: bytes = b"segment") -> WorkDir:
    place.growing.write_bytes(content)
    return place


def test_the_same_work_goes_on_and_other_work_begins_anew(tmp_path: Path) -> None:
    output = tmp_path / "a.mp4"
    with WorkDir(output, "key") as place:
        assert work_folder(output).stat().st_mode & 0o777 == 0o700
        for number in range(3):
            grown(place).keep(number, {"enhanced": number})
        grown(place)
        (place.folder / ".growing.mp4.part").write_bytes(b"torn")
    with WorkDir(output, "key") as place:
        assert [path.name for path in place.segments] == ["000000.mp4", "000001.mp4", "000002.mp4"]
        assert {path.name for path in place.folder.iterdir()} == {
            *("job.json", "lock", "000000.mp4", "000001.mp4", "000002.mp4"),
            *("000000.json", "000001.json", "000002.json"),
        }
        assert place.checkpoint() == {"enhanced": 2}
        place.segments[1].unlink()
    with WorkDir(output, "key") as place:
        assert [path.name for path in place.segments] == ["000000.mp4"]
        assert not (place.folder / "000002.mp4").exists()
        assert place.checkpoint() == {"enhanced": 0}
    for other in (WorkDir(output, "another"), WorkDir(output, "another", 100)):
        with other as place:
            assert place.segments == []
            assert place.checkpoint() == {}
            grown(place).keep(0, {})
    (work_folder(output) / "job.json").write_bytes(b'{"torn')
    with WorkDir(output, "another", 100) as place:
        assert place.segments == []


@pytest.mark.parametrize("gone", ["000000.json", "000001.json", "000000.mp4", "job.json"])
def test_a_folder_of_which_some_was_removed(tmp_path: Path, gone: str) -> None:
    output = tmp_path / "a.mp4"
    with WorkDir(output, "key") as place:
        for number in range(2):
            grown(place).keep(number, {"enhanced": number})
    (work_folder(output) / gone).unlink()
    with WorkDir(output, "key") as place:
        kept = 1 if gone == "000001.json" else 0
        assert [path.name for path in place.segments] == ["000000.mp4"][:kept]
        assert place.checkpoint() == ({"enhanced": 0} if kept else {})
        assert not (place.folder / "000001.mp4").exists()


@pytest.mark.parametrize("removed", range(8))
def test_a_removal_that_is_broken_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: int
) -> None:
    output = tmp_path / "a.mp4"
    with WorkDir(output, "key") as place:
        for number in range(3):
            grown(place).keep(number, {"enhanced": number})
        place.target.write_bytes(b"all of it")
        place.publish()
    unlink, to_go = Path.unlink, removed

    def counted(path: Path, missing_ok: bool = False) -> None:
        nonlocal to_go
        if to_go == 0:
            raise KeyboardInterrupt
        to_go -= 1
        unlink(path, missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", counted)
        with pytest.raises(KeyboardInterrupt):
            clear_work(output)
    assert was_published(output), "the next run knows that the rest may go"
    with WorkDir(output, "key") as place:
        assert place.segments == [] or removed == 0
        assert len(place.checkpoint()) == len(place.segments[:1])


def test_an_output_is_known_again_until_somebody_changes_it(tmp_path: Path) -> None:
    output = tmp_path / "a.mp4"
    assert not was_published(output)
    with WorkDir(output, "key") as place:
        place.target.write_bytes(b"all of it")
        place.publish()
    assert output.read_bytes() == b"all of it"
    assert was_published(output)
    output.write_bytes(b"something else")
    assert not was_published(output)
    output.write_bytes(b"all of it")
    os.utime(output, ns=(1, 1))
    assert not was_published(output)
    clear_work(output)
    assert list(tmp_path.iterdir()) == [output]


def test_a_place_that_is_taken_or_no_folder(tmp_path: Path) -> None:
    output = tmp_path / "a.mp4"
    with WorkDir(output, "key"), pytest.raises(OutputError, match="another run works on"):
        WorkDir(output, "key").__enter__()
    clear_work(output)
    (tmp_path / "elsewhere").mkdir()
    work_folder(output).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link"):
        WorkDir(output, "key").__enter__()
    assert not list((tmp_path / "elsewhere").iterdir())
    work_folder(output).unlink()
    work_folder(output).write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be used"):
        WorkDir(output, "key").__enter__()
