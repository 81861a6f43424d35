"""RuntimeSet: what runs the network for a face: personal weights where somebody was learnt, else
the shipped ones."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack

from engines.personal.personal_runtime import open_personal
from engines.personal.personal_weights import PersonalWeights
from engines.runtime import Runtime

KNOWN = -1
"""In the place of a track_id: somebody who is known before the call, until a face is theirs."""
POLL_S = 0.05
MOST_ASKED = 64
"""Of so many faces and scales the size of crop is remembered."""


class PersonalRuntimes:
    """Runtimes with the weights of single people. They are put in from any thread, between two
    frames, and used by one.

    Args: opens: personal weights in a runtime; by default in the one that runs the shipped ones,
          where it can.
    """

    def __init__(self, opens: Callable[[PersonalWeights], Runtime] | None = None) -> None:
        self._opens = opens or (lambda weights: open_personal(weights, self.like))
        self.like = ""
        """Name of the runtime that runs the shipped weights, as in `engines.runtime.RUNTIMES`;
        empty before it is open."""
        self._lock = threading.Lock()
        self._runtimes: dict[tuple[int, int], Runtime] = {}
        self._replaced: list[Runtime] = []
        self._known: int | None = None
        self._closed = False
        self._asked: dict[tuple[int, int], int] = {}

    def __bool__(self) -> bool:
        return bool(self._runtimes)

    def put(
        self,
        track_id: int,
        weights: PersonalWeights,
        *,
        ready_within_s: float | None = None,
        wanted: Callable[[], bool] = lambda: True,
    ) -> bool:
        """Use these for a person from the next frame on; takes the time of opening, here.

        Args:    ready_within_s: wait so long until crops of the size that was asked for last are
                 answered without a stop, as a call wants it; None: they may take their time.
                 wanted: whether it is still that person; asked until they are used.
        Returns: whether they are used.
        Raises:  EngineError: they cannot be opened; what there was stays.
        """
        runtime = self._opens(weights)
        runtime.__enter__()
        key = track_id, weights.scale
        if ready_within_s is not None:
            end_s = time.monotonic() + ready_within_s
            while (bucket := self._asked.get(key)) is not None and time.monotonic() < end_s:
                if self._closed or not wanted() or runtime.at_once(bucket, soon=True):
                    break
                time.sleep(POLL_S)
        # Not while locked: who is asked may be telling this object something.
        used = wanted()
        with self._lock:
            used = used and not self._closed
            if used:
                if key in self._runtimes:
                    self._replaced.append(self._runtimes[key])
                self._runtimes[key] = runtime
        if not used:  # nobody else would free it
            runtime.__exit__(None, None, None)
        elif not wanted():
            self.remove(track_id)
            used = False
        return used

    def ask(self, track_id: int, scale: int, bucket: int) -> None:
        """Note which size of crop a person has now.

        Args: scale: 4 or 8. bucket: side of the crop, px.
        """
        if len(self._asked) >= MOST_ASKED and (track_id, scale) not in self._asked:
            del self._asked[next(iter(self._asked))]
        self._asked[track_id, scale] = bucket

    def get(self, track_id: int, scale: int, *, used: bool = True) -> Runtime | None:
        """The runtime for a person; None: nothing was learnt.

        Args: used: this is the thread that runs the network: none of those that were replaced is
              running now, and they are freed.
        """
        with self._lock:
            replaced: list[Runtime] = []
            if used:
                replaced, self._replaced = self._replaced, replaced
            found = self._runtimes.get((track_id, scale))
            if found is None and track_id == self._known:
                found = self._runtimes.get((KNOWN, scale))
        for runtime in replaced:
            runtime.__exit__(None, None, None)
        return found

    def known_is(self, track_id: int | None) -> None:
        """Use what was put in for `KNOWN` for this person from the next frame on, unless there is
        something newer, and for nobody else; None: for nobody. From any thread."""
        with self._lock:
            self._known = track_id

    def make_ready(self, scale: int, bucket: int) -> None:
        """Have the runtime of `KNOWN` made ready in the background for crops of this side, px, so
        that the face does not wait for it when it is known."""
        runtime = self._runtimes.get((KNOWN, scale))
        if runtime is not None:
            runtime.at_once(bucket, soon=True)

    def remove(self, track_id: int) -> None:
        """Use the shipped weights for a person again; from any thread."""
        with self._lock:
            for key in [key for key in self._runtimes if key[0] == track_id]:
                self._replaced.append(self._runtimes.pop(key))

    def close(self) -> None:
        """Free all of them, and whatever is put in later; from the thread that uses them."""
        with self._lock:
            self._closed = True
            runtimes = [*self._replaced, *self._runtimes.values()]
            self._replaced, self._runtimes = [], {}
        for runtime in runtimes:
            runtime.__exit__(None, None, None)


class RuntimeSet:
    """The runtimes of an enhancer.

    Args: open_shipped: opens the runtime of a scale; called once for each, when first needed.
          personal: of people whose weights were learnt.
          open_small: opens the small network of a scale; None: there is none.
          waits: until the size that is to be used is ready for a crop, as recordings do, whose
          pictures must not depend on how long that takes.
    """

    def __init__(
        self,
        open_shipped: Callable[[int], Runtime],
        personal: PersonalRuntimes | None = None,
        open_small: Callable[[int], Runtime | None] = lambda scale: None,
        *,
        waits: bool = False,
    ) -> None:
        self._open_shipped = open_shipped
        self._personal = personal
        self._open_small = open_small
        self._waits = waits
        self._shipped: dict[int, Runtime] = {}
        self._small: dict[int, Runtime] = {}
        self.small_first = False
        """Whether the small network is taken where there is one; from any thread."""
        self._opened = ExitStack()

    def __contains__(self, scale: int) -> bool:
        return scale in self._shipped

    def shipped(self, scale: int) -> Runtime:
        """With the shipped weights, full; the small one is opened with it.

        Raises: EngineError: it cannot be opened.
        """
        if scale not in self._shipped:
            self._shipped[scale] = self._opened.enter_context(self._open_shipped(scale))
            if (small := self._open_small(scale)) is not None:
                self._small[scale] = self._opened.enter_context(small)
        return self._shipped[scale]

    @property
    def has_small(self) -> bool:
        """Whether a small network is open."""
        return bool(self._small)

    def chosen(self, scale: int, bucket: int) -> Runtime:
        """With the shipped weights, in the size that is to be used now: while it is made ready for
        crops of this side, the other one, if that is ready.

        Args:   scale: 4 or 8. bucket: side of the crop, px.
        Raises: EngineError: as `shipped`.
        """
        full, small = self.shipped(scale), self._small.get(scale)
        if small is None:
            return full
        first, second = (small, full) if self.small_first else (full, small)
        if self._waits:
            return first
        ready = first.at_once(bucket, soon=True) or not second.at_once(bucket)
        return first if ready else second

    def of(self, track_id: int, scale: int, bucket: int, *, used: bool = True) -> Runtime:
        """With the weights of a person, if there are some, else as `chosen`.

        Args:   used: see `PersonalRuntimes.get`.
        Raises: EngineError: as `shipped`.
        """
        personal = self._personal
        own = None if personal is None else personal.get(track_id, scale, used=used)
        return self.chosen(scale, bucket) if own is None else own

    def at_once(self, track_id: int, scale: int, bucket: int, *, soon: bool = False) -> bool:
        """See `Runtime.at_once`: of all that a face may be enhanced by, with its exemplars and
        without.

        Args: scale: 4 or 8. bucket: side of the crop, px. soon: whether to make it ready in the
              background if it is not.
        """
        if self._personal is not None:
            self._personal.make_ready(scale, bucket)
            self._personal.ask(track_id, scale, bucket)
        asked = {self.chosen(scale, bucket), self.of(track_id, scale, bucket, used=False)}
        # a list: every one of them is to hear of it
        return all([one.at_once(bucket, soon=soon) for one in asked])  # noqa: C419

    def close(self) -> None:
        """Close all of them."""
        self._shipped.clear()
        self._small.clear()
        if self._personal is not None:
            self._personal.close()
        self._opened.close()
