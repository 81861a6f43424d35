"""The engine cache: what is kept, what is made again, and what is never an error."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import stat
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from engines.tensorrt import engine_cache as module
from engines.tensorrt.engine_cache import EngineCache, Entry, RefusedError

KEY = {"version": "11.4", "card": "Fake Card", "encode": "ab" * 32}
ENTRY = {"encode": b"first plan", "enhance": b"second plan", "answer": bytes(100)}


class Setup:
    """A cache, what it told, and how often entries were made."""

    def __init__(self, folder: Path) -> None:
        self.lines: list[str] = []
        self.made = 0
        self.cache = EngineCache(folder, self.lines.append)

    def make(self) -> Entry:
        self.made += 1
        return dict(ENTRY)

    def get(self, key: dict[str, str | int] | None = None) -> Entry:
        return self.cache.get(key or dict(KEY), self.make, lambda entry: entry)


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path / "a" / "engines")


def files(setup: Setup, suffix: str) -> list[Path]:
    return sorted(setup.cache.folder.glob(f"*{suffix}"))


def test_an_entry_is_made_once(setup: Setup) -> None:
    for _ in range(3):
        assert setup.get() == ENTRY
    assert Setup(setup.cache.folder).get() == ENTRY
    assert setup.made == 1
    assert not setup.lines
    assert stat.S_IMODE(setup.cache.folder.stat().st_mode) == 0o700
    assert not files(setup, ".part")


@pytest.mark.parametrize("field", [*KEY, "new"])
def test_another_key_is_another_entry(setup: Setup, field: str) -> None:
    """A changed ONNX file, driver or version: everything that the key names."""
    setup.get()
    setup.get({**KEY, field: "other"})
    setup.get()
    assert setup.made == 2
    assert not setup.lines


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:5])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)


def link(path: Path) -> None:
    other = path.with_suffix(".elsewhere")
    path.rename(other)
    path.symlink_to(other)


def claim(path: Path) -> None:
    """The sidecar of another key under this name."""
    card = json.loads(path.read_text())
    card["key"]["version"] = "10.13"
    path.write_text(json.dumps(card))


@pytest.mark.parametrize(
    ("suffix", "harm"),
    [
        (".encode", cut),
        (".enhance", flip),
        (".answer", Path.unlink),
        (".encode", link),
        (".json", cut),
        (".json", claim),
        (".json", link),
        (".json", lambda path: path.write_text("[]")),
        (".json", lambda path: path.write_text('{"schema": 1, "key": {}, "sha256": 5}')),
    ],
)
def test_whatever_was_damaged_is_made_again(setup: Setup, suffix: str, harm: Any) -> None:
    setup.get()
    harm(files(setup, suffix)[0])
    assert setup.get() == ENTRY
    assert setup.made == 2
    assert len(setup.lines) == 1
    assert setup.lines[0].endswith("it is made again")
    assert setup.get() == ENTRY
    assert setup.made == 2


def test_an_entry_that_fails_its_test_is_made_again(setup: Setup) -> None:
    setup.get()
    answers = iter([False, True])

    def take(entry: Entry) -> str:
        if not next(answers):
            raise RefusedError("its answer is off")
        return "engine"

    assert setup.cache.get(KEY, setup.make, take) == "engine"
    assert setup.made == 2
    assert "its answer is off" in setup.lines[0]

    def never(entry: Entry) -> str:
        raise RefusedError("wrong again")

    with pytest.raises(RefusedError, match="wrong again"):
        setup.cache.get(KEY, setup.make, never)
    assert not files(setup, ".json"), "what never passed is not kept"


def test_a_foreign_folder_is_not_used(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.get()
    own = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: own + 1)
    assert setup.get() == setup.get() == ENTRY
    assert setup.made == 3
    assert setup.lines == [
        f"engine cache: {setup.cache.folder} does not belong to this user; engines are not kept"
    ]


def test_a_folder_that_others_can_write_is_not_used(setup: Setup) -> None:
    setup.get()
    setup.cache.folder.chmod(0o777)
    setup.get()
    assert setup.made == 2
    assert "can be written by others" in setup.lines[0]
    setup.cache.folder.chmod(0o755)  # readable only: closed, and used again
    setup.get()
    assert setup.made == 2
    assert stat.S_IMODE(setup.cache.folder.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "engines", tmp_path / "file"):
        setup = Setup(folder)
        assert setup.get() == setup.get() == ENTRY
        assert setup.made == 2
        assert len(setup.lines) == 1
        assert "cannot be made" in setup.lines[0]


def _refuse_writing(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Every file that is opened for writing fails, as on a read-only disk."""
    real = os.open

    def opened(path: Any, flags: int, *rest: Any, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number), str(path))
        return real(path, flags, *rest, **more)

    monkeypatch.setattr(os, "open", opened)


def test_a_read_only_folder(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    setup.get()
    _refuse_writing(monkeypatch, errno.EROFS)
    assert setup.get() == ENTRY
    assert setup.made == 1, "what is there can be read"
    for _ in range(2):
        assert setup.get({"other": 1}) == ENTRY
    assert setup.made == 3
    assert [line.split(str(setup.cache.folder))[1] for line in setup.lines] == [
        " cannot be locked (Read-only file system)",
        " cannot be written (Read-only file system); engines are not kept",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_leaves_no_half_entry(setup: Setup) -> None:
    """For real: a process that may write 60 bytes a file, which one part needs more than."""
    context = multiprocessing.get_context("spawn")
    results = context.SimpleQueue()
    process = context.Process(target=_fill, args=(setup.cache.folder, results))
    process.start()
    process.join(30)
    made, lines = results.get()
    assert made == 2
    assert len(lines) == 1
    assert "cannot be written (File too large); engines are not kept" in lines[0]
    assert not files(setup, ".json")
    assert not files(setup, ".part")
    assert not files(setup, ".encode"), "parts of an entry that was not finished"


def _fill(folder: Path, results: Any) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (60, 60))
    setup = Setup(folder)
    assert setup.get() == setup.get() == ENTRY
    results.put((setup.made, setup.lines))


def _build(folder: Path, start: Any, results: Any) -> None:
    setup = Setup(folder)

    def make() -> Entry:
        time.sleep(0.3)  # long enough for the others to come by
        return setup.make()

    start.wait()
    entry = setup.cache.get(KEY, make, lambda found: found)
    results.put((entry == ENTRY, setup.made, setup.lines))


def test_of_several_processes_one_builds(setup: Setup) -> None:
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(3), context.SimpleQueue()
    arguments = (setup.cache.folder, start, results)
    processes = [context.Process(target=_build, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)
    told = [results.get() for _ in processes]
    assert all(right for right, _, _ in told)
    assert sum(made for _, made, _ in told) == 1
    assert not [line for _, _, lines in told for line in lines]


def test_a_builder_that_never_ends_is_not_waited_for(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_S", 0.1)
    assert setup.cache.load(KEY) is None  # makes the folder
    with setup.cache._lock(KEY, lambda: True) as waited:
        assert not waited
        assert Setup(setup.cache.folder).get() == ENTRY


def test_what_was_used_longest_ago_goes_first(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        setup.get({"number": number})
        os.utime(max(files(setup, ".json"), key=os.path.getmtime), (number, number))
    assert len(files(setup, ".json")) == 4
    setup.get({"number": 0})  # used: the newest now
    monkeypatch.setattr(module, "LIMIT_BYTES", 1000)
    setup.get({"number": 4})
    assert setup.made == 5
    left = {json.loads(path.read_text())["key"]["number"] for path in files(setup, ".json")}
    assert 1 not in left
    assert {0, 4} <= left
    assert {path.stem for path in files(setup, ".encode")} == {
        path.stem for path in files(setup, ".json")
    }
