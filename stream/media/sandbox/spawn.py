"""Spawn: starts a process that decodes a recording, and says how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence

from stream.media.sandbox.confine import CPU_S

START = "import sys; sys.path[:] = PATH; from MODULE import main; main()"
QUIET = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
"""The child computes nothing; threads that wait for nothing only cost addresses."""


def spawn(module: str, passed: Sequence[int], arguments: Sequence[str]) -> subprocess.Popen[bytes]:
    """Start `main()` of a module in a process of its own.

    Args:   passed: descriptors that it inherits, its first arguments.
    Raises: OSError: it cannot be started.
    """
    path = json.dumps([one or os.getcwd() for one in sys.path])
    return subprocess.Popen(
        [
            *(sys.executable, "-c", START.replace("PATH", path).replace("MODULE", module)),
            *map(str, passed),
            *arguments,
        ],
        pass_fds=passed,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | QUIET,
        # Ctrl-C is for us.
        start_new_session=True,
    )


def death(child: subprocess.Popen[bytes]) -> str:
    """What became of a child that fell silent, for a sentence about the recording; ends it."""
    child.kill()
    status = child.wait()
    died_of = signal.Signals(-status).name if status < 0 else f"status {status}"
    if died_of == "SIGXCPU":
        return f"takes more than {CPU_S} s of processor time to give a picture; is it damaged?"
    return f"brings the decoder down ({died_of}); it is damaged, or made for that"
