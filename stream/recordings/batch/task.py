"""Task: one recording of an archive, from the file to its record in the manifest."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import one_line
from engines.runtime import EngineError
from stream.errors import CloseupError
from stream.media.sandbox.sandboxed_source import open_source
from stream.options import Options
from stream.recordings.batch.manifest import Record
from stream.recordings.job import run_recording
from stream.recordings.outcome import Outcome
from stream.recordings.resume.fingerprint import Stamp, model_of, settings_of, work_key
from stream.recordings.resume.work_dir import WorkDir
from stream.shared_runtime import SharedRuntime
from stream.telemetry.progress import MakeMeter
from stream.telemetry.report import Report


@dataclass(frozen=True, kw_only=True)
class Task:
    """What a process needs to know to work on one recording."""

    options: Options
    place: str
    """Of the output in the archive, as in the manifest."""
    settings: str
    model: str
    """SHA-256 of settings and networks."""

    @property
    def input(self) -> Path:
        """The recording."""
        assert self.options.input is not None
        return self.options.input

    def failed(self, error: str, source: Stamp | None = None) -> Record:
        """The record of a recording that was not enhanced."""
        return Record(
            input=str(self.input),
            output=self.place,
            result="failed",
            error=error,
            settings=self.settings,
            model=self.model,
            source=source,
        )


def work_dir_of(options: Options, weights: dict[str, str]) -> WorkDir:
    """Where a single recording is worked on, if it is to go on after an interruption.

    Args: weights: name → SHA-256 of each file of the network.
    """
    assert options.input is not None
    key = work_key(Stamp.of(options.input), settings_of(options), model_of(weights))
    return WorkDir(options.output, key, options.segment)


def perform(task: Task, meter: MakeMeter, shared_runtime: SharedRuntime) -> Record:
    """Enhance one recording. Whatever is wrong with it is in the record; only Ctrl-C is raised.

    Args: task: which recording, and how. meter: makes what is told how far it is. shared_runtime:
          runs the network.
    """
    source = None
    try:
        task.options.output.parent.mkdir(parents=True, exist_ok=True)
        source = Stamp.of(task.input)
        outcome = _enhance(task, source, meter, shared_runtime)
        made = Stamp.of(task.options.output)
    except (CloseupError, EngineError) as error:
        return task.failed(one_line(error), source)
    except OSError as error:
        return task.failed(f"{error.filename or task.input}: {error.strerror}", source)
    except Exception as error:
        # A defect of ours costs one recording, not the archive.
        return task.failed(_defect(error), source)
    return Record(
        input=str(task.input),
        output=task.place,
        result="done",
        settings=task.settings,
        model=task.model,
        source=source,
        made=made,
        notes=tuple(note.text for note in outcome.notes),
        figures=_figures(outcome.report),
    )


def _enhance(task: Task, stamp: Stamp, meter: MakeMeter, shared_runtime: SharedRuntime) -> Outcome:
    options = task.options
    key = work_key(stamp, task.settings, task.model)
    with (
        open_source(task.input, lazy=True) as source,
        WorkDir(options.output, key, options.segment) as place,
    ):
        return run_recording(source, options, meter, place, opener=shared_runtime.lend())


def _defect(error: Exception) -> str:
    """For a bug report: where it happened, and what."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    what = " ".join(f"{type(error).__name__}: {error}".split())
    where = f"{Path(place.filename).name}:{place.lineno}"
    return f"a defect of Closeup, not of the recording: {what} ({where})"


def _figures(report: Report) -> dict[str, Any]:
    return {name: value for name, value in report.items() if name not in ("input", "output")}
