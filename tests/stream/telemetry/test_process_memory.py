"""What is free goes back to the system, in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from engines import allocator
from stream.telemetry import process_memory
from stream.telemetry.process_memory import resident_bytes

PROGRAM = """
import gc, threading
import numpy as np
from engines.allocator import use_few_arenas
from stream.telemetry.process_memory import give_back, keep_for_good, resident_bytes

use_few_arenas()
keep_for_good()
gc.disable()

class Call:
    def __init__(self):
        self.itself = self  # a circle
        self.pictures = [np.ones(100_000, np.uint8) for _ in range(1000)]

def call():
    ended.append(Call())

ended = []
threads = [threading.Thread(target=call) for _ in range(2)]
for one in threads:
    one.start()
for one in threads:
    one.join()
kept = [np.ones(1000, np.uint8) for _ in range(1000)]  # behind them in the heap
full = resident_bytes()
ended.clear()
give_back()
print(full - resident_bytes())
"""


@pytest.mark.skipif(allocator._glibc() is None, reason="needs glibc")
def test_what_has_ended_goes_back_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 150_000_000


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: object) -> None:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", missing)
    allocator.use_few_arenas()
    process_memory.give_back()
    assert resident_bytes() is None or (resident_bytes() or 0) > 0
