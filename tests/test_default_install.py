"""The default install has no PyTorch: everything of a call and a recording starts without it."""

from __future__ import annotations

import subprocess
import sys

from tests.places import ROOT

PROGRAM = """
import importlib, pkgutil, sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "onnx", "onnxscript"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
import run_pipeline, stream
names = [one.name for one in pkgutil.walk_packages(stream.__path__, "stream.")]
for name in names:
    importlib.import_module(name)
print(len(names))
"""


def test_every_module_of_stream_is_imported_without_the_extras_of_learning() -> None:
    """`engines.personal` has modules with and without PyTorch; a constant in the wrong one is
    enough."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
