"""The documentation: short enough, and everything that it names exists."""

from __future__ import annotations

import argparse
import ast
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from engines.runtime import RUNTIMES
from stream.cli.arguments import make_parser
from stream.telemetry.metrics import Snapshot
from stream.telemetry.stats import describe
from tests.places import DOCS, ROOT

PAGES = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "engines/**/*.md", "bench/*.md", "calibration/*.md")
    for path in ROOT.glob(pattern)
)
HISTORY = ("CHANGELOG.md", "EXPERIMENTS.md")
"""Logs, which may name what was there once."""
LIVING = [path for path in PAGES if path.name not in HISTORY]
OURS = ("stream", "engines", "bench", "calibration", "tests")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def anchors_of(path: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text_of(path), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def test_readme_takes_five_minutes() -> None:
    lines = text_of(ROOT / "README.md").splitlines()
    assert len(lines) <= 200
    assert not [number for number, line in enumerate(lines, 1) if len(line) > 120]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_resolve(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if re.match(r"[a-z]+:", target):
            continue
        place, _, anchor = target.partition("#")
        linked = (page.parent / place).resolve() if place else page
        assert linked.exists(), target
        assert linked.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors_of(linked), target


@pytest.mark.parametrize("page", LIVING, ids=name_of)
def test_modules_exist(page: Path) -> None:
    text = text_of(page)
    named = set(re.findall(r"python -m ([\w.]+\w)", text))
    named |= {
        word
        for word in re.findall(r"`([\w.]+)[^`]*`", text)
        if re.match(rf"(?:{'|'.join(OURS)})\.\w", word) and not word.endswith((".py", ".toml"))
    }
    missing = {module for module in named - {"pip", "pytest"} if not exists(module)}
    assert not missing


def exists(name: str) -> bool:
    """Whether it is a module, or something that a module defines."""
    try:
        if find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    module, _, attribute = name.rpartition(".")
    if not module:
        return False
    try:
        found = find_spec(module)
    except ModuleNotFoundError:
        return False
    if found is None or found.origin is None:
        return False
    return (
        re.search(rf"\b{attribute}\b", Path(found.origin).read_text(encoding="utf-8")) is not None
    )


@pytest.mark.parametrize("page", LIVING, ids=name_of)
def test_files_exist(page: Path) -> None:
    """But for those that a page calls new, and for placeholders in capitals."""
    folders = "|".join((*OURS, "docs", "examples"))
    named = re.findall(rf"(?<!new )`((?:{folders})/[^`\s]*)`", text_of(page))
    paths = {re.sub(r"[A-Z]{4,}", "*", path).rstrip("/") for path in named}
    assert not [path for path in paths if "*" not in path and not (ROOT / path).exists()]


@pytest.mark.parametrize("page", LIVING, ids=name_of)
def test_python_compiles(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", text_of(page), re.DOTALL):
        ast.parse(block)


def test_every_option_is_documented_and_exists() -> None:
    parser = make_parser()
    options = {
        option
        for action in parser._actions
        if not isinstance(action, argparse._HelpAction)
        for option in action.option_strings
    }
    documented = set(re.findall(r"--[a-z][a-z0-9-]*", text_of(DOCS / "options.md")))
    assert options - documented == set()
    assert documented - options == {"--help"}


SYSTEM = {"DISPLAY", "WAYLAND_DISPLAY", "PYTHONPATH"}
"""Variables that are not ours to explain."""


def test_every_environment_variable_is_documented_and_read() -> None:
    (table,) = re.findall(r"## Environment\n(.*)", text_of(DOCS / "options.md"), re.DOTALL)
    documented = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert documented == variables_read() - SYSTEM


def variables_read() -> set[str]:
    """What our source reads of the environment: by its name, or by a constant with our prefix."""
    found: set[str] = set()
    for folder in ("stream", "engines", "bench", "calibration"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            text = text_of(path)
            found |= set(re.findall(r"\"(CLOSEUP_[A-Z_]+)\"", text))
            found |= set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"(?!\] =)", text))
    return found


@pytest.mark.parametrize("page", LIVING, ids=name_of)
def test_options_named_anywhere_exist(page: Path) -> None:
    """In some parser of this repository."""
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", text_of(page)))
    assert named - declared() == set()


@cache
def declared() -> set[str]:
    """Every option that a parser in our source declares, with its negation."""
    found: set[str] = {"--help"}
    for folder in (*OURS, "examples"):
        for path in ROOT.glob(f"{folder}/**/*.py"):
            text = text_of(path)
            found |= set(re.findall(r"[\"'](--[a-z][a-z0-9-]*)", text))
    parser = make_parser()
    for action in parser._actions:
        found |= set(action.option_strings)
    return found


def test_every_runtime_has_a_row() -> None:
    page = text_of(DOCS / "runtimes.md")
    assert not [name for name, _ in RUNTIMES if f"| `{name}` |" not in page]


def test_every_figure_of_stats_is_explained() -> None:
    page = text_of(DOCS / "figures.md")
    keys = describe(Snapshot(), 1.0, 1.0, final=True).keys()
    assert not [key for key in keys if f"`{key}" not in page]
