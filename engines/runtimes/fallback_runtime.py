"""FallbackRuntime: answers with one runtime while a better one gets ready, and after it has failed.

Building an engine takes up to minutes on first use. A call does not wait for it: the CPU answers,
the engines are built in the background, bucket by bucket, and each bucket changes over when its own
are there.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, Self

from engines.contract import Features, Image, Runtime, check_crop, check_exemplars
from engines.errors import EngineError
from engines.runtimes.feature_cache import FeatureCache

_log = logging.getLogger("closeup.engines")


class Preparable(Runtime, Protocol):
    """A runtime that is ready bucket by bucket."""

    def ready(self, bucket: int) -> bool:
        """Whether crops of this side are answered at once."""
        ...

    def prepare(
        self, buckets: Iterable[int], progress: Callable[[float], bool] | None = None
    ) -> None:
        """Make ready; in any one thread. Raises: EngineError."""
        ...


@dataclass
class _Known:
    """Where features come from, to make them again for the other runtime."""

    exemplars: list[Image]
    by: Runtime
    other: Features | None = None


class FallbackRuntime:
    """See `engines.contract.Runtime`. Owns both runtimes and closes them.

    Args: first: answers at once. better: prepared in the background for the buckets that are used.
          tell: gets one line when building begins and ends, or when `better` is given up.
    """

    def __init__(
        self, first: Runtime, better: Preparable, tell: Callable[[str], None] = _log.warning
    ) -> None:
        self.scale = first.scale
        self._first, self._better, self._tell = first, better, tell
        self.name = f"{first.name}, {better.name} when ready"
        """Who answers for the buckets that were asked for so far."""
        self._known: FeatureCache[_Known] = FeatureCache()
        self._asked: set[int] = set()
        self._done: set[int] = set()
        self._wanted: queue.SimpleQueue[int | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._closing = threading.Event()
        self._worker = threading.Thread(target=self._work, name="engine builder", daemon=True)
        self._worker.start()

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`."""
        check_exemplars(exemplars, self.scale)
        runtime = self._choose(exemplars[0].shape[0] // self.scale)
        try:
            features = runtime.encode(exemplars)
        except EngineError as error:
            runtime = self._after(runtime, error)
            features = runtime.encode(exemplars)
        self._known.put(features, _Known(list(exemplars), runtime))
        return features

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`."""
        if not self._given_up.is_set() and self._better.ready(bucket):
            return True
        return self._first.at_once(bucket, soon=soon)

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`."""
        runtime = self._choose(check_crop(crop))
        try:
            return runtime.enhance(crop, self._fit(runtime, features))
        except EngineError as error:
            runtime = self._after(runtime, error)
            return runtime.enhance(crop, self._fit(runtime, features))

    def wait(self, bucket: int, timeout_s: float | None = None) -> bool:
        """Ask for a bucket and wait for it. Returns: whether the better runtime answers there."""
        self._choose(bucket)
        end = threading.Event()
        step_s, waited_s = 0.02, 0.0
        while bucket not in self._done and not self._given_up.is_set():
            if timeout_s is not None and waited_s >= timeout_s:
                return False
            end.wait(step_s)
            waited_s += step_s
        return not self._given_up.is_set()

    def _choose(self, bucket: int) -> Runtime:
        if self._given_up.is_set():
            return self._first
        if bucket not in self._asked:
            self._asked.add(bucket)
            self._rename()
            self._wanted.put(bucket)
        return self._better if self._better.ready(bucket) else self._first

    def _fit(self, runtime: Runtime, features: Features | None) -> Features | None:
        """Features for this runtime: each reads its own alone."""
        if features is None:
            return None
        known = self._known.get(features)
        if known is None:
            raise ValueError("these features were made by another runtime")
        if known.by is runtime:
            return features
        if known.other is None:
            known.other = runtime.encode(known.exemplars)
        return known.other

    def _after(self, runtime: Runtime, error: EngineError) -> Runtime:
        """Who goes on after an error. Raises: the error, if nobody is left."""
        if runtime is self._first:
            raise error
        self._give_up(error)
        return self._first

    def _rename(self) -> None:
        first, better = self._first.name, self._better.name
        if self._given_up.is_set():
            self.name = first
        elif all(self._better.ready(bucket) for bucket in tuple(self._asked)):
            self.name = better
        else:
            self.name = f"{first}, {better} when ready"

    def _give_up(self, error: BaseException) -> None:
        if not self._given_up.is_set():
            self._given_up.set()
            self._rename()
            self._tell(f"{self._better.name}: {error}; {self._first.name} goes on")

    def _work(self) -> None:
        """The builder's thread: one bucket after the other, in the order of their use."""
        while (bucket := self._wanted.get()) is not None and not self._given_up.is_set():
            try:
                self._prepare(bucket)
            except Exception as error:
                # whatever it was, it must not be lost with this thread
                if not self._closing.is_set():
                    self._give_up(error)
                return

    def _prepare(self, bucket: int) -> None:
        said = False

        def progress(share: float) -> bool:
            nonlocal said
            if share > 0.0 and not said:
                said = True
                self._tell(
                    f"{self._better.name}: building the engines for crops of {bucket} px; "
                    f"{self._first.name} answers meanwhile"
                )
            return not self._closing.is_set()

        self._better.prepare([bucket], progress)
        if self._closing.is_set():
            return
        self._rename()
        if said:
            self._tell(f"{self._better.name}: ready for crops of {bucket} px")
        self._done.add(bucket)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._closing.set()
        self._wanted.put(None)
        self._worker.join()  # a builder stops at its next step
        self._known.clear()
        for runtime in (self._better, self._first):
            runtime.__exit__(*error)
