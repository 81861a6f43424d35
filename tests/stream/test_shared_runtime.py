"""One network for several recordings: opened once, and each run says what it took itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import stream.graph
from engines.runtime import OpenedRuntime, open_runtime
from stream.cli.arguments import parse
from stream.media.sandbox.sandboxed_source import open_source
from stream.options import Options
from stream.recordings.job import run_recording
from stream.shared_runtime import SharedRuntime
from tests.batches import write_call
from tests.pictures import need_models


def test_two_recordings_open_the_network_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need_models()
    opened: list[int] = []

    def counted(name: str, scale: int, *, weights: str, threads: int | None) -> OpenedRuntime:
        opened.append(scale)
        return open_runtime(name, scale, weights=weights, threads=threads)

    monkeypatch.setattr(stream.graph, "open_runtime", counted)
    call, empty = tmp_path / "call.mp4", tmp_path / "empty.mp4"
    write_call(call)
    write_call(empty, person=False)
    options = parse(["--input", str(call), "--output", "x.mp4", "--passes", "1"])
    assert isinstance(options, Options)
    taken = []
    with SharedRuntime("onnxruntime-cpu") as shared_runtime:
        for number, recording in enumerate((call, empty, call)):
            one = replace(options, input=recording, output=tmp_path / f"{number}.mp4")
            with open_source(recording) as source:
                report = run_recording(source, one, opener=shared_runtime.lend()).report
            taken.append((report["runtime"], report["faces_enhanced"] > 0))
    assert taken == [("onnxruntime-cpu", True), ("", False), ("onnxruntime-cpu", True)]
    assert len(opened) == len(set(opened)) > 0
    assert (tmp_path / "0.mp4").read_bytes() == (tmp_path / "2.mp4").read_bytes()
