"""Install: the command that brings what an extra has, from where Closeup came."""

from __future__ import annotations

import shlex
import shutil
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

FOLDER = Path(__file__).parents[1]
"""Of a checkout: `pyproject.toml` lies in it. Else the environment's packages."""


def install_command(extra: str, *, upgrade: bool = False) -> str:
    """What to type in a shell. No registry has Closeup itself: from a checkout it is installed from
    there, from a wheel the packages are named that the extra asks for.

    Args: extra: one of [project.optional-dependencies] in pyproject.toml. upgrade: of what is
          installed, too.
    """
    pip = f"{_pip()} install -U" if upgrade else f"{_pip()} install"
    if (FOLDER / "pyproject.toml").is_file():
        place = "." if Path.cwd() == FOLDER else str(FOLDER)
        return f'{pip} -e "{place}[{extra}]"'
    return " ".join([pip, *(f'"{package}"' for package in _packages(extra))])


def _pip() -> str:
    """The pip of this environment; where the shell's is another one's, as when `.venv/bin/closeup`
    is called, by the path of Python."""
    python, found = Path(sys.executable), shutil.which("pip")
    if found is not None and Path(found).parent == python.parent:
        return "pip"
    here = Path.cwd()
    within = python.relative_to(here) if python.is_relative_to(here) else python
    return f"{shlex.quote(str(within))} -m pip"


def _packages(extra: str) -> list[str]:
    try:
        asked = requires("closeup") or []
    except PackageNotFoundError:  # copied by hand
        return [f".[{extra}]"]
    parts = [line.partition(";") for line in asked]
    return [name.strip() for name, _, marker in parts if f'"{extra}"' in marker.replace("'", '"')]
