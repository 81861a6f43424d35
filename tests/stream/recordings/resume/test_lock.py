"""One output has one writer."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from stream.errors import OutputError
from stream.recordings.resume.lock import alone
from tests.places import ROOT

HOLD = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from stream.recordings.resume.lock import alone
with alone(Path(sys.argv[2])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no flock")
def test_a_second_run_is_refused_in_one_line_until_the_first_is_gone(tmp_path: Path) -> None:
    output = tmp_path / "better.mp4"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ROOT), str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OutputError, match=r"another run writes .*better"), alone(output):
            pass
        with alone(tmp_path / "another.mp4"):
            pass
        # Even one that is killed holds it no longer.
        other.kill()
        other.wait()
    with alone(output):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_within_is_that_error_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), alone(tmp_path / "better.mp4"):
        raise FileNotFoundError
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(handle: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    fcntl = pytest.importorskip("fcntl", reason="has no flock")
    monkeypatch.setattr(fcntl, "flock", refuse)
    done = False
    with alone(tmp_path / "better.mp4"):
        done = True
    assert done
