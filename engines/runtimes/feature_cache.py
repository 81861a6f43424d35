"""FeatureCache: what a runtime keeps beside features, for as long as the caller keeps the
features."""

from __future__ import annotations

import weakref
from typing import Generic, TypeVar

from engines.contract import Features

T = TypeVar("T")


class FeatureCache(Generic[T]):
    """Values by features: by identity, and gone with them."""

    def __init__(self) -> None:
        self._values: dict[int, T] = {}

    def put(self, features: Features, value: T) -> None:
        """Keep a value until the first array of `features` is freed."""
        number = id(features[0])
        if number not in self._values:
            # the number is free for another array from then on
            weakref.finalize(features[0], self._values.pop, number, None)
        self._values[number] = value

    def get(self, features: Features) -> T | None:
        """The value, or None where none was put for these very arrays."""
        return self._values.get(id(features[0]))

    def clear(self) -> None:
        """Drop all values."""
        self._values.clear()
