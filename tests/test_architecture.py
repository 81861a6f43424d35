"""Who may import whom, checked on the source: the house of README, kept standing."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent
ROOMS = ("stream", "engines", "calibration", "bench")
STAGES = ("tracker", "bank", "framing", "enhancer", "guard", "compositor")
ALONE = {
    # package: the modules that may import it
    "torch": ("engines.hime.", "engines.torch_cuda"),
    "onnx": ("engines.hime.", "engines.forms", "calibration.layers"),
    "cuda": ("engines.card",),
    "tensorrt": ("engines.build", "engines.engine"),
    "onnxruntime": ("engines.hime.export", "engines.onnxruntime_cpu", "calibration.layers"),
    "openvino": ("engines.openvino_graph",),
    "mediapipe": ("stream.stages.detector",),
    "prometheus_client": ("stream.prometheus",),
    "ray": ("stream.recordings.cluster",),
    "c2pa": ("stream.media.c2pa_signing",),
    "pyvirtualcam": ("stream.media.virtual_camera",),
    "aiortc": ("stream.rtc.",),
    "aiohttp": ("stream.rtc.",),
    "asyncio": ("stream.rtc.",),
}


def modules() -> dict[str, set[str]]:
    """Every module of ours, and the names of the modules it imports."""
    found = {}
    paths = [ROOT / "run_pipeline.py"]
    for room in ROOMS:
        paths += ROOT.glob(f"{room}/**/*.py")
    for path in paths:
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported |= {node.module, *(f"{node.module}.{a.name}" for a in node.names)}
        found[name] = imported
    return found


def test_rooms_import_only_what_they_may() -> None:
    for name, imported in modules().items():
        ours = {m for m in imported if m.split(".")[0] in ROOMS}
        if name.startswith("stream"):
            outside = {m for m in ours if not m.startswith("stream")}
            assert all(m.startswith("engines.runtime") or m == "engines" for m in outside), name
        elif name.startswith("engines"):
            assert all(m.startswith("engines") for m in ours), name
        elif name.startswith("calibration"):
            assert not any(m.startswith("bench") for m in ours), name
        elif name.startswith("bench"):
            assert not any(m.startswith("calibration") for m in ours), name
        else:
            assert name == "run_pipeline"


def test_heavy_packages_stay_in_their_rooms() -> None:
    for name, imported in modules().items():
        for package, homes in ALONE.items():
            if any(m == package or m.startswith(package + ".") for m in imported):
                assert name.startswith(homes), f"{name} imports {package}"


def test_stages_do_not_know_each_other() -> None:
    for name, imported in modules().items():
        if name.removeprefix("stream.stages.") in STAGES:
            others = {f"stream.stages.{stage}" for stage in STAGES} - {name}
            assert not imported & others, name


def test_no_import_cycles() -> None:
    graph = modules()
    # the one back edge: runtimes are opened by name, late, from the module of their protocol
    graph["engines.runtime"] = set()
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in graph[name] & graph.keys():
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_files_stay_small() -> None:
    paths = [p for folder in (*ROOMS, "tests") for p in ROOT.glob(f"{folder}/**/*.py")]
    long = {p.name: n for p in paths if (n := len(p.read_text().splitlines())) > 350}
    assert not long
