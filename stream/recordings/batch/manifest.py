"""Manifest: what was done with each recording of an archive, one JSON object a line.

It only grows: the last line of an output counts. A line is written in one piece and is on the disk
before the next recording begins. A run that is killed may leave a torn line, which is ignored.
"""

from __future__ import annotations

import errno
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from stream.errors import OutputError
from stream.recordings.resume.fingerprint import Stamp

NAME = "manifest.jsonl"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One recording, worked on once."""

    input: str
    output: str
    """Relative to the output's folder, with "/"."""
    result: Literal["done", "failed"]
    settings: str
    model: str
    """SHA-256 of settings and networks, see `fingerprint`."""
    source: Stamp | None = None
    """The input; None where it could not be read."""
    made: Stamp | None = None
    """The output; None where there is none."""
    error: str | None = None
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Any] = field(default_factory=dict)
    """As in the report of a recording."""

    def line(self) -> str:
        """As it stands in the manifest, without the line break."""
        return json.dumps(
            {
                "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "input": self.input,
                "output": self.output,
                "result": self.result,
                "error": self.error,
                **_stamped("input", self.source),
                **_stamped("output", self.made),
                "settings_sha256": self.settings,
                "model_sha256": self.model,
                "notes": list(self.notes),
                "figures": dict(self.figures),
            }
        )

    @classmethod
    def parsed(cls, line: str) -> Record | None:
        """The record of a line; None where it is torn or is something else."""
        try:
            given = json.loads(line)
            return cls(
                input=str(given["input"]),
                output=str(given["output"]),
                result="done" if given["result"] == "done" else "failed",
                settings=str(given["settings_sha256"]),
                model=str(given["model_sha256"]),
                source=_stamp("input", given),
                made=_stamp("output", given),
                error=given["error"],
                notes=tuple(given["notes"]),
                figures=dict(given["figures"]),
            )
        except (ValueError, KeyError, TypeError):
            return None


class Manifest:
    """The manifest in an output's folder. One process writes it."""

    def __init__(self, folder: Path) -> None:
        """Read what there is.

        Raises: OutputError: it cannot be read.
        """
        self.path = folder / NAME
        self._done: dict[str, Record] = {}
        try:
            text = self.path.read_bytes().decode("utf-8", "replace")
        except FileNotFoundError:
            text = ""
        except OSError as error:
            raise OutputError(f"{self.path} cannot be read: {error.strerror}") from error
        for line in text.splitlines():
            record = Record.parsed(line)
            if record is not None and record.result == "done":
                self._done[record.output] = record
        self._torn = bool(text) and not text.endswith("\n")

    def done(self, output: str) -> Record | None:
        """The last time that this output was written."""
        return self._done.get(output)

    def add(self, record: Record) -> None:
        """Append a record; it is on the disk when this returns.

        Raises: OutputError: it cannot be written.
        """
        line = ("\n" if self._torn else "") + record.line() + "\n"
        try:
            with self.path.open("ab", buffering=0) as file:
                if file.write(line.encode()) < len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
        except OSError as error:
            self._torn = True
            raise OutputError(f"{self.path} cannot be written: {error.strerror}") from error
        self._torn = False
        if record.result == "done":
            self._done[record.output] = record


def _stamped(name: str, stamp: Stamp | None) -> dict[str, Any]:
    return {
        f"{name}_bytes": stamp.size if stamp else None,
        f"{name}_mtime_ns": stamp.mtime_ns if stamp else None,
        f"{name}_sha256": stamp.sha256 if stamp else None,
    }


def _stamp(name: str, given: dict[str, Any]) -> Stamp | None:
    if given[f"{name}_sha256"] is None:
        return None
    return Stamp(
        int(given[f"{name}_bytes"]),
        int(given[f"{name}_mtime_ns"]),
        str(given[f"{name}_sha256"]),
    )
