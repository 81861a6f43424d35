"""SharedRuntime: one network for all calls or recordings of a program, in a thread of its own.

A runtime has one owner. Loading one for each call would cost memory and seconds, so they share it:
everything that it does is done by one thread, in the order in which it was asked for. A call has at
most one frame under way, so nobody waits for more than one frame of each of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Self, TypeVar

from engines.runtime import FULL, EngineError, Features, Image, OpenedRuntime, Runtime
from stream.graph import Opener
from stream.option_table import WEIGHTS

T = TypeVar("T")


class SharedRuntime(Opener):
    """Opens each scale once for all callers. From any thread; a context manager.

    Args: runtime: "auto" or a name of `engines.runtime.RUNTIMES`. weights: one of its `WEIGHTS`.
          network: see `stream.graph.Opener`.
    """

    def __init__(
        self, runtime: str = "auto", weights: str = WEIGHTS.default, network: str = FULL
    ) -> None:
        super().__init__(runtime, weights, network=network)
        self._owner = ThreadPoolExecutor(1, "closeup shared runtime")
        self._runtimes: dict[int, OpenedRuntime] = {}
        self._small: dict[int, Runtime | None] = {}
        self._closed = False

    def __call__(self, scale: int) -> OpenedRuntime:
        """The runtime for a scale, 4 or 8: one more way to the one that is open.

        Raises: EngineError: it cannot run here, or the shared runtime was closed.
        """
        opened = self.ask(lambda: self._open(scale))
        return replace(opened, runtime=_Shared(self, opened.runtime))

    def small(self, scale: int) -> Runtime | None:
        """See `Opener.small`: one more way to the one that is open."""
        runtime = self.ask(lambda: self._open_small(scale))
        return None if runtime is None else _Shared(self, runtime)

    def lend(self) -> Opener:
        """For one recording: its own record of what it took."""
        return _Lent(self)

    def ask(self, work: Callable[[], T]) -> T:
        """Have something done in the shared runtime's thread, and wait. Raises: EngineError:
        closed."""
        try:
            return self._owner.submit(work).result()
        except RuntimeError as error:
            if self._closed:
                raise EngineError("the shared runtime was closed") from error
            raise

    def close(self) -> None:
        """Free everything. Calls that go on show the camera's picture. May be called again."""
        if not self._closed:
            self._closed = True
            self._owner.submit(self._free)
            self._owner.shutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _open(self, scale: int) -> OpenedRuntime:
        if scale not in self._runtimes:
            opened = super().__call__(scale)
            opened.runtime.__enter__()
            self._runtimes[scale] = opened
        return self._runtimes[scale]

    def _open_small(self, scale: int) -> Runtime | None:
        if scale not in self._small:
            opened = super().small(scale)
            self._small[scale] = None if opened is None else opened.__enter__()
        return self._small[scale]

    def _free(self) -> None:
        for small in self._small.values():
            if small is not None:
                small.__exit__(None, None, None)
        self._small.clear()
        while self._runtimes:
            self._runtimes.popitem()[1].runtime.__exit__(None, None, None)


class _Lent(Opener):
    def __init__(self, shared_runtime: SharedRuntime) -> None:
        super().__init__(
            shared_runtime.name, shared_runtime.weights, network=shared_runtime.network
        )
        self._shared_runtime = shared_runtime

    def __call__(self, scale: int) -> OpenedRuntime:
        """See `SharedRuntime`."""
        self.opened = self._shared_runtime(scale)
        return self.opened

    def small(self, scale: int) -> Runtime | None:
        """See `SharedRuntime`."""
        return self._shared_runtime.small(scale)


class _Shared:
    """See `engines.runtime.Runtime`. Leaving it closes nothing: others may use it still."""

    def __init__(self, shared_runtime: SharedRuntime, runtime: Runtime) -> None:
        self.name, self.scale = runtime.name, runtime.scale
        self._shared_runtime, self._runtime = shared_runtime, runtime

    def encode(self, exemplars: list[Image]) -> Features:
        """See `Runtime.encode`."""
        return self._shared_runtime.ask(lambda: self._runtime.encode(exemplars))

    def at_once(self, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`."""
        return self._runtime.at_once(bucket, soon=soon)

    def enhance(self, crop: Image, features: Features | None) -> Image:
        """See `Runtime.enhance`."""
        return self._shared_runtime.ask(lambda: self._runtime.enhance(crop, features))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        return None
