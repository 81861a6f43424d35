"""Who may import whom, checked on the source: the rules of docs/architecture.md."""

from __future__ import annotations

import ast

from tests.places import ROOT

ROOMS = ("stream", "engines", "calibration", "bench")
ALONE = {
    # package: the modules that may import it
    "torch": ("engines.hime.", "engines.runtimes.torch_cuda"),
    "onnx": ("engines.hime.", "engines.onnx_variants.", "calibration.quantisation.layers"),
    "cuda": ("engines.tensorrt.card",),
    "tensorrt": ("engines.tensorrt.build", "engines.tensorrt.engine"),
    "onnxruntime": (
        "engines.hime.export",
        "engines.runtimes.onnxruntime_cpu",
        "calibration.quantisation.layers",
    ),
    "openvino": ("engines.runtimes.openvino_graph",),
    "mediapipe": ("stream.stages.tracking.face_detector",),
    "prometheus_client": ("stream.telemetry.prometheus",),
    "ray": ("stream.recordings.batch.ray_cluster",),
    "c2pa": ("stream.media.sinks.c2pa_signing",),
    "pyvirtualcam": ("stream.media.sinks.virtual_camera",),
    "aiortc": ("stream.rtc.", "bench.round_trip"),
    "aiohttp": ("stream.rtc.", "bench.round_trip"),
    "asyncio": ("stream.rtc.", "bench.round_trip"),
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
        if name.startswith("stream.stages."):
            own = ".".join(name.split(".")[:3])
            others = {m for m in imported if m.startswith("stream.stages.")}
            assert all(m == own or m.startswith(own + ".") for m in others), name


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
