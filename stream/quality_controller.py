"""QualityController: latency is bounded, quality degrades first.

It compares the time that the worker takes for a frame with the time between two frames. Too much
of it for ten frames: one step down the ladder of `stream.quality_ladder`. Room for seconds: one
step up; and if that turns out too much, it waits twice as long before it tries again.

A call on a machine whose speed nobody measured begins low. What the network takes was tried out
before its first frame, what all else takes is seen in the first `LOOKED_AT` frames; after them it
goes up at once as far as there is room. With the first far face it looks again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from statistics import median

from engines.runtime import BUCKETS
from stream.frame import Frame
from stream.quality_ladder import FIRST_PX, FULL, LADDER, LARGEST_PX, QualityLevel, first_level
from stream.telemetry.metrics import Metrics

LEVEL = "quality level"
"""Gauge: 0 is full quality, each step of the ladder one more."""
DOWN, UP = "quality steps down", "quality steps up"
"""Counters."""
TOO_MUCH = 0.85
"""Of the time between frames; the rest is for what does not happen in every frame."""
ROOM = 0.6
"""Below this there is room for more: the dearest steps make a frame half as dear again."""
FRAMES = 10
"""So many make a judgement, after each step anew; half as many where they are very slow ones."""
VERY_SLOW = 3.0
DEAR_PART, DEAR = 4, 0.7
"""Where the network does not run in every frame, latency is that of the frames in which it does: of
the slowest quarter of the frames, `DEAR` of the mean counts as the load where that is more. So they
may take 1.2 of the time between frames."""
BESIDE_MOST = 1.0
"""Of the time there is for it, where the network works beside the frames: none waits for it."""
FULL_OVER_SMALL = 2.0
"""What is done beside the frames for a face takes so many times as long with the full network as
with the small one: aligning and finishing detail stay (80 px, two cores: 42 and 25 ms)."""
BESIDE_FRAMES, BESIDE_MUCH = 3 * FRAMES, 1.5
"""What the network takes there is judged by its turns in so many frames, unless it is more than the
second: exemplars are aligned in some turns only, and in `FRAMES` it has three turns, or one."""
BESIDE_ROOM = 0.75
"""There a larger crop costs the frames themselves next to nothing, so this is room enough."""
OUTLIERS = 2
"""So many of them, the slowest, do not count: a model that is loaded, another program's burst."""
LOOKED_AT = 2 * FRAMES
"""In the first of them faces are sought everywhere."""
BESIDE = 2.0
"""While nobody is far, a crop is taken for so many times as dear as the network alone: it is also
cut, filtered, checked and drawn (0.7 of the network's time, measured)."""
UP_AFTER_S, UP_AFTER_MOST_S = 4.0, 64.0
REGRET_S = 8.0
"""A step up that is taken back within this time was one too many."""


class QualityController:
    """Chooses the quality level of a live pipeline. Called in the worker alone.

    Args: apply: gives a quality level to the stages. interval_s: nominal time between frames.
          metrics: gets `LEVEL`, `DOWN` and `UP`. clock: seconds, never going back.
    """

    def __init__(
        self,
        apply: Callable[[QualityLevel], None],
        interval_s: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._apply = apply
        self._nominal_s = interval_s
        self._metrics = metrics
        self._clock = clock
        self._worked_s: deque[float] = deque(maxlen=FRAMES)
        self._beside_s: deque[float] = deque(maxlen=BESIDE_FRAMES)
        self._intervals_s: deque[float] = deque(maxlen=FRAMES)
        self._before: Frame | None = None
        self._room_since_s: float | None = None
        self._patches = 0
        self._up_at_s = -REGRET_S
        self._patience_s = UP_AFTER_S
        self._level = 0
        self.load = 1.0
        """Time that the last frames took over the time between frames; 1 while nobody knows."""
        self._has_small = self._has_beside = False
        self._first_left = 0
        self._crop_s: float | None = None
        metrics.set(LEVEL, 0)

    def start(
        self,
        level: int,
        crop_s: float | None = None,
        *,
        small: bool = False,
        beside: bool = False,
    ) -> None:
        """Begin at this step of the ladder; that is no step down.

        Args: crop_s: what the network takes for a crop of `FIRST_PX`, where the level is not that
              of a measurement: the first frames choose it. small, beside: whether there is a
              small network, and a thread for the network, for the levels that have them.
        """
        self._has_small, self._has_beside = small, beside
        self._go_to(level)
        self._first_left, self._crop_s = LOOKED_AT if crop_s else 0, crop_s

    @property
    def level(self) -> int:
        """The step of the ladder, 0 for full quality."""
        return self._level

    @property
    def quality(self) -> QualityLevel:
        """What the stages may spend now."""
        return LADDER[self._level]

    def __call__(self, frame: Frame, worked_s: float, beside_s: float = 0.0) -> None:
        """Take note of a frame.

        Args: worked_s: what all stages together took for it. beside_s: what the network took beside
              it, for a frame; 0 where it works within the frames.
        """
        self._worked_s.append(worked_s)
        self._beside_s.append(beside_s)
        if len(self._worked_s) == FRAMES:
            self.load = self._load()
        self._note_interval(frame)
        patches = sum(face.patch is not None for face in frame.faces)
        if patches > self._patches:
            self._room_since_s = None  # there was, while there was less to do
            self._first_left = LOOKED_AT if self._crop_s else 0
        self._patches = patches
        if self._first_left > 0:
            self._first_left -= 1
            if not self._first_left and self._crop_s:
                self._choose(frame, self._crop_s)
                return
        if len(self._worked_s) < FRAMES // 2:
            return
        load, beside = self._load(), self._beside()
        if len(self._worked_s) < FRAMES and load < VERY_SLOW:
            return
        now_s = self._clock()
        room = BESIDE_ROOM if beside else ROOM
        known = len(self._beside_s) == BESIDE_FRAMES or beside > BESIDE_MUCH
        if load > TOO_MUCH or (beside > BESIDE_MOST and known):
            self._room_since_s = None
            self._step(self._cheaper(frame, network=load <= TOO_MUCH), now_s)
        elif load > room:
            self._room_since_s = None
        elif self._room_since_s is None:
            self._room_since_s = now_s
        elif now_s - self._room_since_s >= self._patience_s:
            level = self._dearer(frame, load)
            if not beside or self._fits(level, frame):
                self._step(level, now_s)

    def _note_interval(self, frame: Frame) -> None:
        """Cameras slow down in the dark: then there is more time than their nominal rate says."""
        before, self._before = self._before, frame
        if before is not None and frame.index > before.index:
            span_s = (frame.captured_ns - before.captured_ns) / 1e9
            self._intervals_s.append(span_s / (frame.index - before.index))

    def _load(self) -> float:
        """Time needed over time there is. A mean, since some work falls on some frames only."""
        usual = sorted(self._worked_s)[: len(self._worked_s) - OUTLIERS]
        load_s = sum(usual) / len(usual)
        if self.quality.enhance_every > 1 and not self._beside():
            dear = usual[-max(1, len(usual) // DEAR_PART) :]
            load_s = max(load_s, DEAR * sum(dear) / len(dear))
        return load_s / self._between_s()

    def _beside(self) -> float:
        """Time that the network needed beside the last frames over the time there was."""
        return median(self._beside_s) / self._between_s() if self._beside_s else 0.0

    def _fits(self, level: int, frame: Frame) -> bool:
        """Whether there is time for the network at another level, as it works beside the frames."""
        new, beside = LADDER[level], self._beside() * self.quality.enhance_every
        before = after = 0
        for face in frame.faces:
            if face.patch is not None:
                side = face.patch.box[2] - face.patch.box[0]
                wanted = next((b for b in BUCKETS[4] if b >= face.headshot_side_px), LARGEST_PX)
                before += side**2
                after += max(side, min(wanted, new.largest_px)) ** 2
        beside *= after / max(before, 1)
        if self._has_small and self.quality.small and not new.small:
            beside *= FULL_OVER_SMALL
        if not new.beside:
            return self._load() + beside <= TOO_MUCH
        return self._load() <= TOO_MUCH and beside <= BESIDE_MOST * new.enhance_every

    def _between_s(self) -> float:
        if not self._intervals_s:
            return self._nominal_s
        return max(self._nominal_s, sorted(self._intervals_s)[len(self._intervals_s) // 2])

    def _choose(self, frame: Frame, crop_s: float) -> None:
        """Go up to the largest crop for which there is time beside what the first frames took."""
        if self._beside():
            self._crop_s = None  # this is the last word
            fit = [n for n in range(self._level) if LADDER[n].beside]
            self._go_to(next((n for n in fit if self._fits(n, frame)), self._level))
            return
        sides = [face.patch.box[2] - face.patch.box[0] for face in frame.faces if face.patch]
        shown = sum(side * side for side in sides)
        room_s = (TOO_MUCH - self._load()) * self._between_s()
        per_pixel_s = crop_s / FIRST_PX**2 * (1.0 if sides else BESIDE)
        if sides:
            self._crop_s = None  # this is the last word
        fitting = [b for b in BUCKETS[4] if (b * b - shown) * per_pixel_s <= room_s]
        level = first_level(max(fitting, default=0))
        if level < self._level:
            self._go_to(level)

    def _step(self, level: int, now_s: float) -> None:
        if level == self._level:
            return
        if level > self._level:
            self._metrics.count(DOWN)
            if now_s - self._up_at_s < REGRET_S:
                self._patience_s = min(2.0 * self._patience_s, UP_AFTER_MOST_S)
        else:
            self._metrics.count(UP)
            if now_s - self._up_at_s >= 2.0 * self._patience_s:
                self._patience_s = UP_AFTER_S  # the last one was long ago, and was right
            self._up_at_s = now_s
        self._go_to(level)

    def _go_to(self, level: int) -> None:
        self._level = level
        self._metrics.set(LEVEL, level)
        self._apply(self.quality)
        # What was measured before belongs to another quality level.
        self._worked_s.clear()
        self._beside_s.clear()
        self._room_since_s = None

    def _cheaper(self, frame: Frame, *, network: bool) -> int:
        """The next step down that makes this frame cheaper; where none does, the present one.

        Args: network: what the network needs beside the frames, not the frame itself.
        """
        apart = bool(self._beside()) and not network  # how often it runs is nothing to the frames
        sides = [face.patch.box[2] - face.patch.box[0] for face in frame.faces if face.patch]
        for level in range(self._level + 1, len(LADDER)):
            old, new = LADDER[self._level], LADDER[level]
            if (
                (new.search_every > old.search_every and not network)
                or (new.follow_every > old.follow_every and frame.faces and not network)
                or (new.align_every_s > old.align_every_s and sides and not apart)
                or len(sides) > new.max_faces
                or max(sides, default=0) > new.largest_px
                or sum(side * side for side in sides) > new.pixels
                or (new.enhance_every > old.enhance_every and sides and not apart)
                or (new.beside > old.beside and sides and self._has_beside)
                or (new.small > old.small and sides and self._has_small and not apart)
            ):
                return level
        return self._level

    def _dearer(self, frame: Frame, load: float) -> int:
        """The next step up that changes something; else as far as it goes at no cost; the present
        one while nobody shows what it would cost."""
        sides = [face.patch.box[2] - face.patch.box[0] for face in frame.faces if face.patch]
        # Too wide for the quality level, they have no patch.
        far = [f.headshot_side_px for f in frame.faces if f.headshot_side_px <= FULL.widest_px]
        waiting = max(far, default=0.0) > self.quality.widest_px
        free = self._level
        for level in range(self._level - 1, -1, -1):
            old, new = LADDER[self._level], LADDER[level]
            if not sides and not waiting and new.follow_every == old.follow_every > 1:
                return self._level
            wider = waiting and new.widest_px > old.widest_px
            # The next to come may take the largest crop; that must not stop the picture.
            if sides and not wider and load * (new.largest_px / max(sides)) ** 2 > VERY_SLOW:
                return free
            if (
                wider
                or new.search_every < old.search_every
                or new.follow_every < old.follow_every
                or (new.max_faces > old.max_faces and len(frame.faces) > old.max_faces)
                or (new.largest_px > old.largest_px and max(sides, default=0) >= old.largest_px)
                or new.enhance_every < old.enhance_every
                or (new.small < old.small and self._has_small)
                or (new.beside < old.beside and self._has_beside)
            ):
                return level
            if sides:
                free = level
        return free
