"""How children of the sandbox are started: forked from a template that ends with this program."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from stream.errors import InputError
from stream.media.sandbox import spawn
from stream.media.sandbox.sandboxed_source import SandboxedSource
from tests.recording_files import write_recording

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a template is Linux's way")


@pytest.fixture
def call(tmp_path: Path) -> Path:
    write_recording(tmp_path / "call.mp4", pts=(0, 3600), sounds=0)
    return tmp_path / "call.mp4"


def parent_of(source: SandboxedSource) -> int:
    assert source._child is not None
    status = Path(f"/proc/{source._child.pid}/status").read_text()
    return int(status.split("PPid:")[1].split()[0])


def ended(pid: int) -> bool:
    """Within ten seconds; also if nobody has waited for it."""
    deadline_s = time.monotonic() + 10.0
    while time.monotonic() < deadline_s:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.02)
    return False


def test_many_at_once_have_one_template_and_processes_of_their_own(call: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        sources = list(pool.map(SandboxedSource, [call] * 8))
    assert len({parent_of(source) for source in sources}) == 1
    children = [source._child for source in sources]
    assert len({child.pid for child in children if child is not None}) == 8
    for source in sources:
        assert len(list(source)) == 2
        source.close()
    for child in children:
        assert child is not None
        assert child.returncode is not None
        assert not Path(f"/proc/{child.pid}").exists()


def test_a_template_that_was_killed_costs_no_recording(call: Path) -> None:
    with SandboxedSource(call) as source:
        killed = parent_of(source)
        os.kill(killed, signal.SIGKILL)
        assert ended(killed)
        with SandboxedSource(call) as another:
            assert parent_of(another) not in (killed, os.getpid())
            assert len(list(another)) == 2
        assert len(list(source)) == 2, "its child goes on"


def test_a_child_that_dies_with_its_template_is_a_line(call: Path) -> None:
    write_recording(call, pts=range(0, 360_000, 3600), sounds=0)  # more than can wait
    with SandboxedSource(call) as source:
        assert source._child is not None
        os.kill(parent_of(source), signal.SIGKILL)
        source._child.kill()
        with pytest.raises(InputError, match="SIGKILL"):
            list(source)


def test_a_child_is_where_the_program_is_now(call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    SandboxedSource(call).close()
    monkeypatch.chdir(call.parent)
    with SandboxedSource(Path(call.name)) as source:
        assert len(list(source)) == 2


def test_a_child_cannot_ask_for_others(call: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the sockets it has only the one to the parent, and it leads a session of its own."""
    start = (
        "import os, stat, sys; from stream.media.sandbox import child\n"
        "def sockets():\n"
        "    for one in range(64):\n"
        "        try:\n"
        "            if stat.S_ISSOCK(os.fstat(one).st_mode): yield one\n"
        "        except OSError: pass\n"
        "def survey(*_):\n"
        "    assert list(sockets()) == [int(sys.argv[1])], list(sockets())\n"
        "    assert os.getsid(0) == os.getpid()\n"
        "    raise child.InputError('alone')\n"
        "child.survey = survey\n"
        "child.main()"
    )
    monkeypatch.setattr(spawn, "START", start)
    with pytest.raises(InputError, match=r"^alone$"):
        SandboxedSource(call)
    monkeypatch.undo()
    with SandboxedSource(call) as source:
        assert len(list(source)) == 2, "what one child has replaced is its own"


PROGRAM = """
import os, sys
from pathlib import Path
from stream.media.sandbox.sandboxed_source import SandboxedSource
def parent(source):
    return int(Path(f"/proc/{source._child.pid}/status").read_text().split("PPid:")[1].split()[0])
source = SandboxedSource(Path(sys.argv[1]))
template = parent(source)
print(template, source._child.pid, flush=True)
if (forked := os.fork()) == 0:
    with SandboxedSource(Path(sys.argv[1])) as other:
        os._exit(0 if parent(other) != template and len(list(other)) == 2 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1]), len(list(source)), flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("killed", [False, True])
def test_nothing_is_left_of_a_program_that_ends(call: Path, killed: bool) -> None:
    """And one that forks itself: both have templates of their own."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, str(call)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as program:  # fmt: skip
        assert program.stdout is not None
        started = [int(word) for word in program.stdout.readline().split()]
        assert program.stdout.readline() == "0 2\n"
        if killed:
            program.kill()
        _, told = program.communicate(timeout=60)
    assert told == ""
    assert program.returncode == (-signal.SIGKILL if killed else 0)
    assert all(ended(pid) for pid in started)
