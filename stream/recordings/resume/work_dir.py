"""WorkDir: where a recording is worked on, so that it can go on after whatever interrupted it.

A hidden folder beside the output, open to nobody else. It holds finished segments of the output,
never an exemplar or anything else that was remembered, except for personal weights where the user
wants people to be learnt; it goes when the output is there. One that was left behind may be deleted
at any time: the work begins anew.

    .NAME.closeup/
        job.json        what the segments were made of and with
        000000.mp4 …    finished segments; each appears when it is whole and on the disk
        000000.json …   what was known after it, in numbers
                        (`stream.recordings.resume.stage_checkpoint`)
        learnt-….json   how many steps somebody is learnt in, and what that has brought
        learnt-….npz    what was learnt
        NAME            the output, while it is put together
        result.json     the output's size and time, before it moves to its place
"""

from __future__ import annotations

import json
import shutil
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

from engines.files import give_name, hidden_beside, write_whole
from stream.errors import OutputError
from stream.option_table import SEGMENT
from stream.recordings.resume.lock import TakenError, held

JOB, RESULT, LOCK = "job.json", "result.json", "lock"


def work_folder(output: Path) -> Path:
    """Beside the output."""
    return hidden_beside(output, "closeup")


def clear_work(output: Path) -> None:
    """Remove what was left of the work on an output; the output itself stays."""
    folder = work_folder(output)
    if folder.is_symlink():
        return
    with suppress(OSError):
        # Where this is broken off, nothing goes on from what is left, and the next run sees that
        # it may go.
        for path in sorted(
            folder.iterdir(), key=lambda path: (path.name != JOB, path.name == RESULT)
        ):
            path.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def was_published(output: Path) -> bool:
    """Whether the output is what the work beside it ended with, when it was interrupted."""
    try:
        made = json.loads((work_folder(output) / RESULT).read_text(encoding="ascii"))
        status = output.stat()
        return bool(made == [status.st_size, status.st_mtime_ns])
    except (OSError, ValueError):
        return False


class WorkDir:
    """The folder of one output, as long as it is worked on. A context manager.

    What was left by work on the same output with the same key is gone on with; anything else that
    is there is removed.

    Args: output: where the result will be.
          key: of everything that the result depends on.
          segment_frames: pictures in a segment.
    """

    def __init__(self, output: Path, key: str, segment_frames: int = SEGMENT.default) -> None:
        self.output = output
        self.folder = work_folder(output)
        self.segment_frames = segment_frames
        self.target = self.folder / output.name
        """The whole output, before it is moved to its place."""
        self._job = {"key": key, "segment_frames": segment_frames}
        self._held = ExitStack()

    def __enter__(self) -> Self:
        """Make the folder, or find what is left in it.

        Raises: OutputError: it cannot be made, or somebody else works there.
        """
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if self.folder.is_symlink():
                raise OutputError(f"{self.folder} is a link; remove it")
            self._held.enter_context(held(self.folder / LOCK))
            try:
                self._tidy()
            except BaseException:
                self._held.close()
                raise
        except TakenError:
            raise OutputError(f"another run works on {self.output}; wait for its end") from None
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be used: {error.strerror}") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._held.close()

    @property
    def segments(self) -> list[Path]:
        """The finished segments, from the first on without a gap; each with what is known of it,
        for somebody may have removed some of the files."""
        found: list[Path] = []
        while (path := self._segment(len(found))).is_file() and self._known(len(found)).is_file():
            found.append(path)
        return found

    @property
    def growing(self) -> Path:
        """Where a segment grows."""
        return self.folder / f"growing{self.output.suffix}"

    def checkpoint(self) -> dict[str, Any]:
        """What was known after the last finished segment; empty before the first."""
        number = len(self.segments) - 1
        if number < 0:
            return {}
        known: dict[str, Any] = json.loads(self._known(number).read_text(encoding="ascii"))
        return known

    def keep(self, number: int, known: dict[str, Any]) -> None:
        """What has grown is the whole segment of this number.

        Args:   known: after it; numbers and texts only.
        Raises: OSError.
        """
        # First: a segment counts when it is there.
        write_whole(self._known(number), json.dumps(known), durable=True)
        give_name(self.growing, self._segment(number), durable=True)

    def keep_learnt(self, name: str, known: dict[str, Any], weights: bytes | None = None) -> None:
        """Keep what is known of the learning of somebody, and the personal weights.

        Args:   name: of the files, without ending. known: what JSON can hold. weights: as
                `PersonalWeights` writes them; None: there are none yet.
        Raises: OutputError: it cannot be written.
        """
        try:
            if weights is not None:
                write_whole(self.folder / f"{name}.npz", weights)
            write_whole(self.folder / f"{name}.json", json.dumps(known))
        except OSError as error:
            raise OutputError(f"{self.folder} cannot be written: {error.strerror}") from error

    def learnt(self, name: str) -> dict[str, Any] | None:
        """What was kept of a learning; None: nothing."""
        path = self.folder / f"{name}.json"
        if not path.is_file():
            return None
        known: dict[str, Any] = json.loads(path.read_text(encoding="ascii"))
        return known

    def learnt_weights(self, name: str) -> bytes | None:
        """The personal weights that were kept; None: there are none."""
        path = self.folder / f"{name}.npz"
        return path.read_bytes() if path.is_file() else None

    def publish(self) -> None:
        """Move the whole output to its place.

        Raises: OutputError: it cannot be moved.
        """
        try:
            status = self.target.stat()
            made = [status.st_size, status.st_mtime_ns]
            write_whole(self.folder / RESULT, json.dumps(made))
            give_name(self.target, self.output, durable=True)
        except OSError as error:
            raise OutputError(f"{self.output} cannot be written: {error.strerror}") from error

    def _known(self, number: int) -> Path:
        return self.folder / f"{number:06}.json"

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:06}{self.output.suffix}"

    def _tidy(self) -> None:
        """Leave nothing but finished segments of this very job."""
        job = self.folder / JOB
        try:
            same = json.loads(job.read_text(encoding="ascii")) == self._job
        except (OSError, ValueError):
            same = False
        stays = {job, self.folder / LOCK}
        if same:
            for number, segment in enumerate(self.segments):
                stays |= {segment, self._known(number)}
            stays |= set(self.folder.glob("learnt-*"))
        for path in self.folder.iterdir():
            if path not in stays:
                path.unlink()
        if not same:
            write_whole(job, json.dumps(self._job))
