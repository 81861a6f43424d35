"""Values, not text: nothing in the program is decided by reading what is meant for people, and
stages are asked by their protocol alone. Checked on the source."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.places import ROOT

PROSE = re.compile(r"[A-Za-z] [A-Za-z]")
READING = {
    *("startswith", "endswith", "removeprefix", "removesuffix", "partition", "rpartition"),
    *("find", "rfind", "index", "rindex", "split", "rsplit"),
}
"""Methods of str that look for a text."""
CAPTURING = {"redirect_stdout", "redirect_stderr", "StringIO"}
# Messages of others, which have no other form; what follows from them is a better message alone.
FOREIGN = {
    "engines/runtimes/cpu.py": "NOT_TELLING",
    "stream/stages/tracking/mediapipe_networks.py": "shared object",
}
POKED = {"patient", "waits", "idle", "budget", "quality", "restore_in_place"}
"""Once flags that others set on stages."""


Nodes = tuple[ast.AST, ...]


def nodes_of(source: str) -> Nodes:
    return tuple(ast.walk(ast.parse(source)))


@cache
def program() -> dict[str, Nodes]:
    """All nodes of every file that runs in the program, by its path."""
    paths = [ROOT / "run_pipeline.py", *(ROOT / "stream").rglob("*.py")]
    paths += (ROOT / "engines").rglob("*.py")
    return {path.relative_to(ROOT).as_posix(): nodes_of(path.read_text()) for path in paths}


def constants() -> set[str]:
    """Prose that has a name, A_NAME of a module, by name."""
    found: set[str] = set()
    for nodes in program().values():
        for node in nodes:
            if isinstance(node, ast.Assign) and is_prose(node.value, set()):
                found |= {one.id for one in node.targets if isinstance(one, ast.Name)}
    return {name for name in found if name.isupper()}


def is_prose(node: ast.expr, named: set[str]) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and PROSE.search(node.value) is not None
    if isinstance(node, ast.JoinedStr | ast.Tuple):
        parts = node.values if isinstance(node, ast.JoinedStr) else node.elts
        return any(is_prose(part, named) for part in parts)
    return isinstance(node, ast.Name) and node.id in named


def messages_read(nodes: Nodes, named: set[str]) -> list[str]:
    """Places where a program looks for prose in a text."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            looked_for = node.args if node.func.attr in READING else []
        elif isinstance(node, ast.Compare):
            looks = any(isinstance(one, ast.In | ast.NotIn) for one in node.ops)
            looked_for = [node.left] if looks else []
        else:
            continue
        if any(is_prose(one, named) for one in looked_for):
            found.append(ast.unparse(node))
    return found


def names_used(nodes: Nodes) -> set[str]:
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return names | {node.attr for node in nodes if isinstance(node, ast.Attribute)}


def stage_classes() -> set[str]:
    found = {"Stage"}
    for nodes in program().values():
        for node in nodes:
            if isinstance(node, ast.ClassDef):
                bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
                found |= {node.name} if bases & {"Stage"} else set()
    return found


def liberties(nodes: Nodes, stages: set[str]) -> list[str]:
    """Places where stages are told apart by class, or changed past their protocol."""
    found = []
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            asked = {one.id for arg in node.args[1:] for one in ast.walk(arg)
                     if isinstance(one, ast.Name)}  # fmt: skip
            if node.func.id in ("isinstance", "hasattr") and asked & stages:
                found.append(ast.unparse(node))
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr in POKED:
                    own = isinstance(target.value, ast.Name) and target.value.id == "self"
                    found += [] if own else [ast.unparse(node)]
    return found


def test_no_message_is_read_to_decide_anything() -> None:
    named = constants()
    for path, nodes in program().items():
        read = messages_read(nodes, named)
        assert all(path in FOREIGN and FOREIGN[path] in place for place in read), (path, read)


def test_nothing_is_captured_that_was_printed_for_people() -> None:
    for path, nodes in program().items():
        captured = names_used(nodes) & CAPTURING
        # The command line sends what people read to stderr, where programs read stdout.
        assert captured <= ({"redirect_stdout"} if path == "run_pipeline.py" else set()), path


def test_stages_are_asked_by_their_protocol_alone() -> None:
    stages = stage_classes()
    assert {"Tracker", "Bank", "Framing", "Enhancer", "ConsistencyCheck", "Compositor"} <= stages
    for path, nodes in program().items():
        assert not liberties(nodes, stages), path


def test_private_state_is_saved_as_typed_values() -> None:
    for path, nodes in program().items():
        # vars() of what argparse has made is its documented use.
        if not path.startswith(("stream/cli/", "engines/hime/")):
            assert not names_used(nodes) & {"vars", "__dict__"}, path


def test_an_enhanced_face_is_defined_once() -> None:
    files: list[Path] = [*(ROOT / "stream").rglob("*.py"), *(ROOT / "bench").rglob("*.py")]
    shown = re.compile(r"patch\.weight\s*>\s*0(\.0+)?(?![.\d])")
    defined = [path.name for path in files if shown.search(path.read_text())]
    assert defined == ["frame.py"]


@pytest.mark.parametrize(
    "source",
    [
        'healthy = line.endswith("works again")',
        'skipped = [line for line in lines if " passed over: " in line]',
        'name, reason = line.split(" passed over: ", 1)',
        "profile = line.startswith(PROFILE)",
        'if message.startswith(("it failed", "no")): pass',
    ],
)
def test_reading_is_found(source: str) -> None:
    assert messages_read(nodes_of(source), {"PROFILE"})


@pytest.mark.parametrize(
    "source",
    ["enhancer.patient = False", "isinstance(stage, Tracker | Enhancer)", "stage.idle = resting"],
)
def test_liberties_are_found(source: str) -> None:
    assert liberties(nodes_of(source), {"Tracker", "Enhancer"})
