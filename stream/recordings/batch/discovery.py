"""Discovery: which recordings an archive has, in a stable order, and what is left out and why.

Links are never followed: what they lead to is outside of the tree, or is found in it anyway.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.files import LONGEST_NAME
from stream.errors import InputError, OutputError
from stream.media.sinks.file_sink import FORMATS

ENDINGS = (
    *(".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg"),
    *(".flv", ".asf", ".wmv", ".ogv", ".ogg", ".3gp", ".3g2", ".h264", ".h265", ".hevc", ".ivf"),
    *(
        ".mxf",
        ".dv",
        ".rm",
        ".rmvb",
        ".wtv",
        ".y4m",
        ".vob",
        ".nut",
        ".gxf",
        ".dav",
        ".f4v",
        ".swf",
    ),
    *(".m2v", ".m1v", ".mod", ".tod", ".ogm", ".divx", ".mjpeg", ".mjpg", ".264", ".265", ".obu"),
)
"""What is taken for a recording in a folder. A file that is named itself may have any ending."""
ELSE = ".mkv"
"""Added to the name of a recording whose kind of file is not written: it holds nearly all."""


@dataclass(frozen=True)
class Found:
    """One recording."""

    path: Path
    place: Path
    """Of its output, relative to the output's folder."""


@dataclass(frozen=True)
class LeftOut:
    """A file or folder that is not worked on."""

    path: Path
    reason: str


@dataclass
class Finding:
    """Everything that the inputs name."""

    recordings: list[Found] = field(default_factory=list)
    skipped: list[LeftOut] = field(default_factory=list)
    """With good reason."""
    failed: list[LeftOut] = field(default_factory=list)
    """What should have been worked on and cannot be."""
    others: Counter[str] = field(default_factory=Counter)
    """Files that are no recordings, by their ending."""


def names_several(text: str) -> bool:
    """Whether an input is a folder or a pattern rather than one file."""
    # Unlike those of `Path`, these take a name that is too long for one that does not exist.
    return os.path.isdir(text) or (glob.has_magic(text) and not os.path.exists(text))


def find(inputs: Sequence[str], output: Path) -> Finding:
    """Every recording of files, folders (with all folders below) and patterns.

    The tree is mirrored: a folder's recordings keep their paths in it. Of several folders, each has
    its own name above them.

    Args:   inputs: in the order in which they are worked on; `*`, `?`, `[…]`, `**` as in a shell.
            output: the output's folder, whose files are never taken.
    Raises: InputError: an input names nothing. OutputError: the output is an input.
    """
    finding = Finding()
    own = output.resolve()
    seen: set[Path] = set()
    taken: dict[Path, Path] = {}
    for text in inputs:
        for found in _named(text, len(inputs) > 1, own, finding):
            real = found.path.resolve()
            if real in seen:
                finding.skipped.append(LeftOut(found.path, "named twice"))
                continue
            seen.add(real)
            if found.place in taken:
                reason = f"its output would be that of {shown(taken[found.place])}; rename one"
                finding.failed.append(LeftOut(found.path, reason))
                continue
            taken[found.place] = found.path
            finding.recordings.append(found)
    return finding


def shown(path: Path | str) -> str:
    """A name as one line of text, whatever it is made of."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(path)
    )


def _named(text: str, several: bool, own: Path, finding: Finding) -> Iterator[Found]:
    """What one input names."""
    path = Path(text)
    if os.path.isdir(path):
        if path.resolve() == own:
            raise OutputError(f"the output folder {shown(path)} is an input, too; give another one")
        above = Path(path.resolve().name) if several else Path()
        yield from _in_folder(path, path, above, own, finding)
    elif os.path.exists(path) or not glob.has_magic(text):
        if not os.path.isfile(path):
            problem = "is not a file" if os.path.exists(path) else "does not exist"
            raise InputError(f"{shown(path)} {problem}; give recordings, folders or patterns")
        yield from _file(path, Path(path.name), own, finding)
    else:
        yield from _matching(text, several, own, finding)


def _matching(pattern: str, several: bool, own: Path, finding: Finding) -> Iterator[Found]:
    parts = Path(pattern).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    root = Path(*parts[:fixed])
    above = Path(root.resolve().name) if several else Path()
    matches = sorted(Path(one) for one in glob.glob(pattern, recursive=True))
    if not matches:
        raise InputError(f"{shown(pattern)} matches nothing; is it spelt as the files are?")
    for path in matches:
        inside = path.relative_to(root)
        if any((root / part).is_symlink() for part in (inside, *inside.parents[:-1])):
            finding.skipped.append(LeftOut(path, "a link"))
        elif path.is_dir():
            # `**` gives every folder with its files; only a folder matched by itself is walked.
            if "**" not in pattern:
                yield from _in_folder(path, root, above, own, finding)
        else:
            yield from _entry(path, above / inside, own, finding)


def _in_folder(
    folder: Path, root: Path, above: Path, own: Path, finding: Finding
) -> Iterator[Found]:
    """Files of a folder by name, then those of its folders."""
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        if here.resolve() == own:
            finding.skipped.append(LeftOut(here, "the output folder"))
            continue
        try:
            paths = sorted(Path(entry.path) for entry in os.scandir(here))
        except OSError as error:
            reason = f"the folder cannot be read: {error.strerror}"
            finding.failed.append(LeftOut(here, reason))
            continue
        folders = []
        for path in paths:
            if path.is_symlink():
                finding.skipped.append(LeftOut(path, "a link"))
            elif path.is_dir() and not path.name.startswith("."):
                folders.append(path)
            elif path.is_file():
                yield from _entry(path, above / path.relative_to(root), own, finding)
        waiting += reversed(folders)


def _entry(path: Path, place: Path, own: Path, finding: Finding) -> Iterator[Found]:
    """A file that nobody named itself: it counts if it looks like a recording."""
    if path.name.startswith("."):
        # Among them what is half-written.
        finding.others["hidden"] += 1
    elif path.suffix.lower() not in ENDINGS:
        finding.others[path.suffix.lower() or "no ending"] += 1
    else:
        yield from _file(path, place, own, finding)


def _file(path: Path, place: Path, own: Path, finding: Finding) -> Iterator[Found]:
    if own in path.resolve().parents:
        finding.skipped.append(LeftOut(path, "in the output folder"))
    else:
        yield Found(path, output_place(place))


def output_place(place: Path) -> Path:
    """The name of an output: as the input's, which must not depend on what else there is."""
    if place.suffix.lower() in FORMATS:
        return place
    if len(os.fsencode(place.name + ELSE)) > LONGEST_NAME:
        # Another name, but always the same.
        digest = hashlib.sha256(os.fsencode(place.name)).hexdigest()[:12]
        return place.with_name(f"{place.name[:48]}-{digest}{ELSE}")
    return place.with_name(place.name + ELSE)
