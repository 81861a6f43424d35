"""Who may import whom, how files are named and how long they are: checked on the source."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.places import ROOT

ROOMS = ("stream", "engines", "calibration", "bench")
ALONE = {
    # package: the modules that may import it
    "torch": (
        *("engines.hime.", "engines.papers.", "engines.personal."),
        "engines.runtimes.torch_cuda",
    ),
    "onnx": (
        *("engines.hime.", "engines.onnx_variants.", "engines.personal.personal_weights"),
        "calibration.quantisation.layers",
    ),
    "cuda": ("engines.tensorrt.card",),
    "tensorrt": ("engines.tensorrt.build", "engines.tensorrt.engine"),
    "onnxruntime": (
        "engines.hime.export",
        "engines.runtimes.onnxruntime_cpu",
        "calibration.quantisation.layers",
    ),
    "openvino": ("engines.runtimes.openvino_graph",),
    "matplotlib": ("engines.diagram", "stream.media.demo.demo_scene"),
    "mediapipe": ("stream.stages.tracking.mediapipe_networks",),
    "prometheus_client": ("stream.telemetry.prometheus",),
    "ray": ("stream.recordings.batch.ray_cluster",),
    "keyring": ("stream.known_people.encryption",),
    "cryptography": ("stream.known_people.encryption",),
    "c2pa": ("stream.media.sinks.c2pa_signing",),
    "pyvirtualcam": ("stream.media.sinks.virtual_camera",),
    "aiortc": ("stream.rtc.", "bench.round_trip"),
    "aiohttp": ("stream.rtc.", "bench.round_trip"),
    "asyncio": ("stream.rtc.", "bench.round_trip"),
}
FOLDERS = (*("image", "telemetry", "media", "stages", "recordings", "known_people", "rtc", "cli"),)
"""Of stream/, from what everybody may use to what uses everything."""
MAY_USE = {
    "image": (),
    "telemetry": (),
    "media": ("image",),
    "stages": ("image",),
    "recordings": ("image", "telemetry", "media", "stages"),
    "known_people": ("image", "telemetry", "media", "stages", "recordings"),
    "rtc": ("image", "telemetry", "media", "stages"),
    "cli": ("image", "telemetry", "media", "stages", "recordings", "known_people", "rtc"),
}
# Names that only their author understands: the field has its own words for all of these.
PRIVATE_WORDS = {
    *("operator", "audience", "glide", "placing", "steady", "trial", "cut", "guard", "look"),
    *("companion", "form", "forms", "words", "album", "views", "appearance", "gallery", "honesty"),
    *("workplace", "meanwhile", "ahead", "held", "fan", "trust", "figures", "judge", "actors"),
    *("roles", "closeup", "closeups", "governor", "budget", "rehearsal", "interruptions", "roads"),
}
MOST_LINES = 350


def sources(*folders: str) -> Iterator[Path]:
    """Every source file in folders of the working copy."""
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def imports_of(source: str) -> set[str]:
    """The modules that a source file imports: at its head, inside functions, for types alone, and
    by name, as "module:class" in a table.
    """
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute"
            imported |= {f"{node.module}", *(f"{node.module}.{a.name}" for a in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found = re.fullmatch(rf"((?:{'|'.join(ROOMS)})(?:\.\w+)+):\w+", node.value)
            imported |= {found[1]} if found else set()
    return imported


def modules() -> dict[str, set[str]]:
    """Every module of ours, and the names of the modules it imports."""
    found = {}
    for path in (ROOT / "run_pipeline.py", *sources(*ROOMS)):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        found[name] = imports_of(path.read_text())
    return found


def is_in(module: str, package: str) -> bool:
    return module == package or module.startswith(package + ".")


def test_rooms_import_only_what_they_may() -> None:
    may_use = {
        "stream": (
            *(
                "stream",
                "engines.runtime",
                "engines.alignment",
                *("engines.exemplar_transfer", "engines.back_projection"),
                *("engines.errors", "engines.files", "engines.install", "engines.machine"),
                "engines.allocator",
                "engines.weights",
            ),
            *("engines.personal", "engines.small_network"),
        ),
        "engines": ("engines",),
        "calibration": ("calibration", "stream", "engines"),
        "bench": ("bench", "stream", "engines"),
        "run_pipeline": ("stream", "engines"),
    }
    for name, imported in modules().items():
        for ours in imported:
            if ours.split(".")[0] in (*ROOMS, "run_pipeline"):
                allowed = may_use[name.split(".")[0]]
                assert any(is_in(ours, one) for one in allowed), f"{name} imports {ours}"


def test_folders_of_stream_import_only_what_is_below_them() -> None:
    for name, imported in modules().items():
        for folder in FOLDERS:
            users = [one for one in FOLDERS if one == folder or folder in MAY_USE[one]]
            if any(is_in(ours, f"stream.{folder}") for ours in imported):
                inside = name.split(".")[1] if name.startswith("stream.") else ""
                assert inside not in FOLDERS or inside in users, f"{name} imports {folder}"


def test_nothing_imports_the_command_line() -> None:
    for name, imported in modules().items():
        if name.startswith(("stream", "engines")) and not is_in(name, "stream.cli"):
            assert not any(is_in(ours, "stream.cli") for ours in imported), name


def test_heavy_packages_stay_in_their_rooms() -> None:
    for name, imported in modules().items():
        for package, homes in ALONE.items():
            if any(is_in(ours, package) for ours in imported):
                assert name.startswith(homes), f"{name} imports {package}"


def test_stages_do_not_know_each_other() -> None:
    for name, imported in modules().items():
        if is_in(name, "stream.stages"):
            own = ".".join(name.split(".")[:3])
            others = {ours for ours in imported if is_in(ours, "stream.stages")}
            assert all(is_in(ours, own) for ours in others), name


def test_no_import_cycles() -> None:
    graph = modules()
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in graph[name] & graph.keys():
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_imports_are_found_wherever_they_are() -> None:
    source = """
import stream.link
from engines import runtime
if TYPE_CHECKING:
    from stream.frame import Frame
def late() -> None:
    import stream.graph
NAMES = (("cpu", "engines.runtimes.cpu:CpuRuntime"), ("web", "see https://stream.example:80"))
"""
    expected = {"stream.link", "engines", "engines.runtime", "stream.frame", "stream.frame.Frame"}
    assert imports_of(source) == expected | {"stream.graph", "engines.runtimes.cpu"}


def test_files_stay_small() -> None:
    lines = {path: len(path.read_text().splitlines()) for path in sources(*ROOMS, "tests")}
    assert not {path.name: n for path, n in lines.items() if n > MOST_LINES}


def test_files_have_names_of_the_field() -> None:
    for path in sources(*ROOMS, "tests"):
        name = path.stem.removeprefix("test_")
        assert name not in PRIVATE_WORDS, path.relative_to(ROOT)
        assert path.parent.name not in PRIVATE_WORDS, path.relative_to(ROOT)


def public_functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Of a module, and of its public classes."""
    for node in ast.iter_child_nodes(tree):
        name = getattr(node, "name", "_")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not name.startswith("_"):
            yield node
        elif isinstance(node, ast.ClassDef) and not name.startswith("_"):
            yield from public_functions(node)


def test_functions_with_three_parameters_say_what_they_are() -> None:
    for path in (ROOT / "run_pipeline.py", *sources(*ROOMS, "examples")):
        for function in public_functions(ast.parse(path.read_text())):
            given = function.args
            names = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
            if len(set(names) - {"self", "cls"}) >= 3:
                place = f"{path.relative_to(ROOT)}: {function.name}"
                assert "Args:" in (ast.get_docstring(function) or ""), place


def test_no_file_name_stands_twice() -> None:
    for room in (*ROOMS, "tests"):
        names = Counter(p.name for p in sources(room) if not p.name.startswith("__"))
        assert not [name for name, times in names.items() if times > 1], room


def test_tests_mirror_the_tree() -> None:
    """A test lies in tests/ where what it tests lies in the working copy."""
    for path in sources(*(f"tests/{room}" for room in ROOMS)):
        assert (ROOT / path.parent.relative_to(ROOT / "tests")).is_dir(), path.relative_to(ROOT)
