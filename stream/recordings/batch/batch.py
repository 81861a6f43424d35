"""Batch: many recordings into a folder; only what is missing or has changed is worked on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from stream.errors import OutputError
from stream.options import BatchOptions
from stream.recordings.batch.batch_progress import BatchProgress
from stream.recordings.batch.discovery import Finding, find, shown
from stream.recordings.batch.manifest import Manifest, Record
from stream.recordings.batch.pool import perform_all
from stream.recordings.batch.ray_cluster import Cluster, perform_on
from stream.recordings.batch.task import Task
from stream.recordings.resume.fingerprint import model_of, settings_of
from stream.recordings.resume.lock import TakenError, held
from stream.recordings.resume.work_dir import clear_work, was_published
from stream.telemetry.progress import Moment

LOCK = ".closeup.lock"


@dataclass
class Plan:
    """What is to be done."""

    tasks: list[Task] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    """Outputs that are there already, and what they were made of is as it was."""
    refused: list[Record] = field(default_factory=list)
    """What would replace something that is not ours."""


def run_batch(options: BatchOptions, weights: dict[str, str], events: TextIO) -> int:
    """Enhance every recording that the inputs name; failures are said, and the others go on.

    Args:    weights: name → SHA-256 of each file of the network.
             events: where the lines of `--progress json` go.
    Returns: how many recordings failed.
    Raises:  InputError: an input names nothing. OutputError: the folder cannot be written.
    """
    _check_folder(options.output)
    finding = find(options.inputs, options.output)
    _make_folder(options.output)
    with _alone(options.output):
        manifest = Manifest(options.output)
        plan = make_plan(finding, options, weights, manifest)
        for record in plan.refused:
            manifest.add(record)
        _tell(finding, plan)
        progress = BatchProgress(plan.tasks, options.each.progress, events)
        try:
            for number, said in _performed(plan.tasks, options):
                if isinstance(said, Record):
                    _settle(plan.tasks[number], said, manifest)
                    progress.finish(number, said)
                else:
                    progress.update(number, said)
        finally:
            progress.clear()
    failed = progress.failed + len(finding.failed) + len(plan.refused)
    done, unchanged = progress.finished - progress.failed, len(plan.unchanged)
    print(f"done {done}, unchanged {unchanged}, failed {failed}, skipped {len(finding.skipped)}")
    return failed


def _performed(
    tasks: Sequence[Task], options: BatchOptions
) -> Iterator[tuple[int, Moment | Record]]:
    if options.cluster is None or not tasks:
        return perform_all(tasks, options.jobs)
    cluster = Cluster(options.cluster, options.cluster_cpus, options.cluster_gpus)
    return perform_on(cluster, tasks)


def _settle(task: Task, record: Record, manifest: Manifest) -> None:
    manifest.add(record)
    if record.result == "done":
        clear_work(task.options.output)
    else:
        _tell_failure(task.input, record.error or "")


def make_plan(
    finding: Finding, options: BatchOptions, weights: dict[str, str], manifest: Manifest
) -> Plan:
    """Compare what there is with what the manifest says.

    An output may be replaced without `--overwrite` where it is ours: the manifest has it, and
    nobody has changed it since.

    Args: finding: the recordings that there are. options: of the archive. weights: SHA-256 of each
          file of the network, by name. manifest: what was done before.
    """
    plan = Plan()
    settings, model = settings_of(options.each), model_of(weights)
    for found in finding.recordings:
        target = options.output / found.place
        each = replace(options.each, input=found.path, output=target, overwrite=True)
        task = Task(options=each, place=found.place.as_posix(), settings=settings, model=model)
        record = manifest.done(task.place)
        ours = record is not None and record.made is not None and record.made.fits(target)
        if options.each.overwrite or not target.exists():
            plan.tasks.append(task)
        elif not ours and was_published(target):
            # Killed between the output and its line in the manifest.
            plan.tasks.append(task)
        elif record is None or record.made is None:
            reason = f"{shown(target)} is not of this archive; add --overwrite to replace it"
            plan.refused.append(task.failed(reason))
        elif not ours:
            reason = f"{shown(target)} was changed by others; add --overwrite to replace it"
            plan.refused.append(task.failed(reason))
        elif (record.settings, record.model) != (settings, model) or not (
            record.source is not None and record.source.fits(found.path)
        ):
            plan.tasks.append(task)
        else:
            plan.unchanged.append(task.place)
            if was_published(target):
                # Killed after its line in the manifest.
                clear_work(target)
    return plan


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{shown(folder)} is a file; an archive needs a folder")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {shown(folder)} cannot be made: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise OutputError(f"the folder {shown(folder)} is closed for writing; choose another one")


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Nobody else works on the same folder meanwhile; a process that is killed lets go of it."""
    try:
        with held(folder / LOCK):
            yield
    except TakenError:
        raise OutputError(
            f"another run works on the folder {shown(folder)}; wait for its end"
        ) from None


def _tell(finding: Finding, plan: Plan) -> None:
    """What is not worked on, and why."""
    for left in finding.skipped:
        print(f"skipped: {shown(left.path)}: {left.reason}", file=sys.stderr)
    if finding.others:
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(finding.others.items()))
        total = finding.others.total()
        what = "other file" if total == 1 else "other files"
        print(f"skipped: {total} {what} ({shown(kinds)})", file=sys.stderr)
    if not finding.recordings and not finding.failed:
        print("note: the inputs hold no recordings", file=sys.stderr)
    if plan.unchanged:
        count = len(plan.unchanged)
        print(f"unchanged: {count} of {len(finding.recordings)} recordings", file=sys.stderr)
    for left in finding.failed:
        _tell_failure(left.path, left.reason)
    for record in plan.refused:
        _tell_failure(record.input, record.error or "")


def _tell_failure(path: Path | str, reason: str) -> None:
    print(f"error: {shown(path)}: {shown(reason)}", file=sys.stderr)
