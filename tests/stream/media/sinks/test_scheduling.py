"""Scheduling: encoding AV1 as root leaves everybody in the usual class."""

from __future__ import annotations

import os
import sys
import threading
from fractions import Fraction
from pathlib import Path

import pytest

from stream.frame import Frame
from stream.media.sinks.encoder import Encoding
from stream.media.sinks.file_sink import FileSink
from tests.recording_files import picture
from tests.stream.media.sinks.test_encoder import lacking

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux has the classes")


def test_av1_gives_way_where_the_program_does(tmp_path: Path) -> None:
    if lacking("av1"):
        pytest.skip("this build of PyAV has no libsvtav1")
    found = []

    def work() -> None:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        clock = Fraction(1, 25)
        sink = FileSink(tmp_path / "a.mp4", (64, 48), 1 / clock, clock, encoding=Encoding("av1"))
        sink.send(Frame(picture(), 0, 0, clock, 0))
        found.append(os.sched_getscheduler(0))
        sink.close()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [os.SCHED_BATCH]


def test_av1_starves_nobody(tmp_path: Path) -> None:
    if lacking("av1"):
        pytest.skip("this build of PyAV has no libsvtav1")
    clock = Fraction(1, 25)
    sink = FileSink(tmp_path / "a.mp4", (64, 48), 1 / clock, clock, encoding=Encoding("av1"))
    for index in range(2):
        sink.send(Frame(picture(step=index), index, index, clock, 0))
        threads = [int(name) for name in os.listdir("/proc/self/task")]
        assert {os.sched_getscheduler(thread) for thread in threads} == {os.SCHED_OTHER}
    sink.close()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
