"""What messages tell people to type brings what an extra has."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from engines import install
from engines.install import FOLDER, install_command

ROOT = Path(__file__).parents[2]
ASKED = [
    "av<20,>=18",
    'torch==2.13.0; extra == "learn"',
    "keyring>=25; extra == 'learn'",
    'tensorrt>=10; extra == "tensorrt"',
    'tensorrt_rtx>=1; extra == "tensorrt-rtx"',
]


@pytest.fixture(autouse=True)
def own_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in an environment that is activated."""
    found = str(Path(sys.executable).parent / "pip")
    monkeypatch.setattr("shutil.which", lambda name: found)


@pytest.mark.parametrize("found", [None, "/usr/bin/pip"])
def test_without_activating_the_environment_its_own_pip_is_named(
    found: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """`pip` alone would install into the system's Python, or is refused there."""
    monkeypatch.setattr("shutil.which", lambda name: found)
    python = tmp_path / "my calls" / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(tmp_path / "my calls")
    monkeypatch.setattr(install, "FOLDER", tmp_path / "my calls")
    (tmp_path / "my calls" / "pyproject.toml").touch()
    assert install_command("learn") == '.venv/bin/python -m pip install -e ".[learn]"'
    monkeypatch.chdir(tmp_path)
    assert install_command("learn", upgrade=True).startswith(
        "'my calls/.venv/bin/python' -m pip install -U -e "
    )


def test_from_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(FOLDER)
    assert install_command("learn") == 'pip install -e ".[learn]"'
    assert install_command("learn", upgrade=True) == 'pip install -U -e ".[learn]"'
    monkeypatch.chdir(tmp_path)
    assert install_command("learn") == f'pip install -e "{FOLDER}[learn]"'


def test_from_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(install, "FOLDER", tmp_path)
    monkeypatch.setattr(install, "requires", lambda name: ASKED)
    assert install_command("learn") == 'pip install "torch==2.13.0" "keyring>=25"'
    assert install_command("tensorrt") == 'pip install "tensorrt>=10"'


def test_no_message_names_a_package_that_no_registry_has() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = set(re.findall(r"^([a-z0-9-]+) = \[", text, re.MULTILINE))
    rooms = ("stream", "engines", "calibration", "bench", "examples")
    asked = set[str]()
    for path in [ROOT / "run_pipeline.py", *(p for r in rooms for p in (ROOT / r).rglob("*.py"))]:
        source = path.read_text(encoding="utf-8")
        assert "closeup[" not in source, path
        asked |= set(re.findall(r"install_command\(['\"]([a-z0-9-]+)", source))
    assert {"learn", "webrtc", "identity"} <= asked <= extras
