"""Template: a process that has imported what decoding needs, and forks itself for each recording.

Importing takes longer than decoding a short recording, and a recording is opened several times. The
template opens none: it reads nothing but what this program sends, and starts no thread.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from typing import Any

LONGEST = 1 << 20
MOST_PASSED = 8
DECODERS = ("stream.media.sandbox.child", "stream.media.sandbox.sound_child")


def serve() -> None:
    """`-c serve() SOCKET`: fork and wait as the program at its other end asks, until it has gone.

    Messages are JSON. {"start": Python's source, "arguments"} with descriptors, the first of them
    of the current folder: answered with {"pid"}, or {"errno"} where no process is to be had.
    {"wait": pid}: answered with {"status"}, as of `subprocess.Popen`.
    """
    for name in DECODERS:
        importlib.import_module(name)
    # Pages that the collector would write to stay shared.
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as program:
        while True:
            request, passed, _, _ = socket.recv_fds(program, LONGEST, MOST_PASSED)
            if not request:
                return
            asked = json.loads(request)
            answer = _forked(program, asked, passed) if "start" in asked else _ended(asked["wait"])
            program.sendall(json.dumps(answer).encode())


def _ended(pid: int) -> dict[str, int]:
    return {"status": os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}


def _forked(
    program: socket.socket, asked: dict[str, Any], passed: Sequence[int]
) -> dict[str, int | None]:
    try:
        pid = os.fork()
    except OSError as error:
        return {"errno": error.errno}
    if pid == 0:
        _be_a_child(program, asked, passed)
    for descriptor in passed:
        os.close(descriptor)
    return {"pid": pid}


def _be_a_child(program: socket.socket, asked: dict[str, Any], passed: Sequence[int]) -> None:
    """Does not return: what was asked for, as a process that was started for it alone."""
    status = 1
    try:
        # A recording that takes the child over finds no way to ask for others.
        program.close()
        os.setsid()
        folder, *descriptors = passed
        os.fchdir(folder)
        os.close(folder)
        sys.argv = ["-c", *map(str, descriptors), *asked["arguments"]]
        exec(asked["start"], {"__name__": "__main__"})
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)
