"""Lazy names: a package whose names are imported when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(
    package: Mapping[str, object], homes: Mapping[str, str]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """The functions `__getattr__` and `__dir__` of a package.

    Args: package: its `globals()`.
          homes: the public names that it takes from elsewhere, and the module that defines each.
    """

    def get(name: str) -> object:
        if name in homes:
            return getattr(import_module(homes[name]), name)
        raise AttributeError(f"module {package['__name__']!r} has no attribute {name!r}")

    return get, lambda: sorted({*package, *homes})
