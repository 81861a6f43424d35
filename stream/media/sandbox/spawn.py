"""Spawn: starts a process that decodes a recording, and says how it ended.

On Linux it is a fork of a `template` that is started once; macOS's libraries do not bear a fork.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from stream.media.sandbox.confine import CPU_S
from stream.media.sandbox.template import LONGEST

START = "import sys; sys.path[:] = PATH; from MODULE import main; main()"
TEMPLATE = (
    "import sys; sys.path[:] = PATH; from stream.media.sandbox.template import serve; serve()"
)
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""The child computes nothing; threads that wait for nothing only cost addresses."""
FORKS: bool = sys.platform == "linux"


class Child(Protocol):
    """A process, as of `subprocess.Popen`."""

    pid: int
    returncode: int | Any

    def send_signal(self, sig: int) -> None:
        """Send it one, if it was not waited for."""

    def kill(self) -> None:
        """End it at once, if it was not waited for."""

    def wait(self) -> int:
        """How it ended; negative: of this signal."""


def spawn(module: str, passed: Sequence[int], arguments: Sequence[str]) -> Child:
    """Start `main()` of a module in a process of its own.

    Args:   passed: descriptors that it inherits, its first arguments.
    Raises: OSError: it cannot be started.
    """
    start = _with_path(START).replace("MODULE", module)
    if FORKS:
        return _templates.fork(start, passed, arguments)
    return _started(start, passed, arguments)


def death(child: Child) -> str:
    """What became of a child that fell silent, for a sentence about the recording; ends it."""
    child.kill()
    status = child.wait()
    died_of = signal.Signals(-status).name if status < 0 else f"status {status}"
    if died_of == "SIGXCPU":
        return f"takes more than {CPU_S} s of processor time to give a picture; is it damaged?"
    return f"brings the decoder down ({died_of}); it is damaged, or made for that"


def _with_path(start: str) -> str:
    return start.replace("PATH", json.dumps([one or os.getcwd() for one in sys.path]))


def _started(
    start: str, passed: Sequence[int], arguments: Sequence[str] = ()
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", start, *map(str, passed), *arguments],
        pass_fds=passed,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | QUIET,
        # Ctrl-C is for us.
        start_new_session=True,
    )


class _Template:
    """This end of the process that forks; it ends with this one."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with there:
            self._process = _started(_with_path(TEMPLATE), (there.fileno(),))

    def ask(self, request: dict[str, Any], passed: Sequence[int] = ()) -> dict[str, int]:
        """Raises: OSError: it has gone."""
        with self._asking:
            socket.send_fds(self._here, [json.dumps(request).encode()], passed)
            answer = self._here.recv(LONGEST)
        if not answer:
            raise ConnectionResetError("the template has gone")
        told: dict[str, int] = json.loads(answer)
        return told

    def close(self) -> None:
        """End it; children that it has forked go on."""
        self._here.close()
        self._process.kill()
        self._process.wait()

    def disown(self) -> None:
        """Leave it to the process that this one was forked from."""
        self._here.close()
        self._process.returncode = 0


class _ForkedChild:
    """A child of the template, as of `subprocess.Popen`."""

    def __init__(self, template: _Template, pid: int) -> None:
        self._template = template
        self.pid = pid
        self.returncode: int | None = None

    def send_signal(self, sig: int) -> None:
        # Until it is waited for, its number is no other process's.
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self) -> int:
        if self.returncode is None:
            try:
                self.returncode = self._template.ask({"wait": self.pid})["status"]
            except OSError:
                # Killed, as the system does where memory runs out; nobody knows how its child was.
                self.returncode = -signal.SIGKILL
        return self.returncode


class _Templates:
    """The template of this process, started when it is needed, and again when it was killed."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._template: _Template | None = None

    def fork(self, start: str, passed: Sequence[int], arguments: Sequence[str]) -> _ForkedChild:
        """Raises: OSError: no process is to be had."""
        request = {"start": start, "arguments": list(arguments)}
        folder = os.open(".", os.O_PATH | os.O_CLOEXEC)
        try:
            template = self._running()
            try:
                answer = template.ask(request, (folder, *passed))
            except ConnectionError:
                self._drop(template)
                template = self._running()
                answer = template.ask(request, (folder, *passed))
        finally:
            os.close(folder)
        if "errno" in answer:
            raise OSError(answer["errno"], os.strerror(answer["errno"]))
        return _ForkedChild(template, answer["pid"])

    def close(self) -> None:
        """End the template. The next `fork` starts another."""
        with self._starting:
            template, self._template = self._template, None
        if template is not None:
            template.close()

    def forget(self) -> None:
        """In a process that was forked from this one: the template is the other one's."""
        self._starting = threading.Lock()
        if self._template is not None:
            self._template.disown()
            self._template = None

    def _running(self) -> _Template:
        with self._starting:
            if self._template is None:
                self._template = _Template()
            return self._template

    def _drop(self, template: _Template) -> None:
        with self._starting:
            if self._template is template:
                self._template = None
                template.close()


_templates = _Templates()
if FORKS:
    atexit.register(_templates.close)
    os.register_at_fork(after_in_child=_templates.forget)
