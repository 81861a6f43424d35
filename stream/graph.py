"""Graph: the one place where the stages are put together, for recordings, calls and programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

from engines.machine import cores
from engines.personal.close_ups import MOST_CLOSE_UPS
from engines.runtime import (
    FULL,
    SCALES,
    SMALL,
    OpenedRuntime,
    Runtime,
    measured_largest,
    open_runtime,
    open_small,
)
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.events import (
    EventLog,
    ExemplarAdmitted,
    FaceLimitReached,
    PersonRecognised,
    RuntimeChosen,
)
from stream.frame import View
from stream.image.resample import Size
from stream.option_table import RUNTIME, WEIGHTS
from stream.picture_options import DETAIL, SPEED, STRENGTH, Speed
from stream.protocols import Stage
from stream.quality_ladder import EVERYBODY, RECORDED, first_level, recorded_network
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.consistency_check import ConsistencyCheck
from stream.stages.enhancement.crop_selector import X8_ZOOM
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.enhancement.runtime_set import PersonalRuntimes
from stream.stages.exemplars.bank import Bank
from stream.stages.exemplars.exemplar_set import CAPACITY
from stream.stages.exemplars.known_face import KnownFace
from stream.stages.framing.framing import Framing, Mode
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.tracker import Tracker

FEW_CORES = 2
"""With so many, the network of a call has one thread: it works beside the frames. Two wait for each
other by spinning: OpenVINO takes 47 ms of processor time for a crop of 80 px, 28 with one."""


class Opener:
    """Opens runtimes, and remembers which was taken and why others were not.

    Args: name: "auto" or a name of `engines.runtime.RUNTIMES`. weights: one of its `WEIGHTS`.
          threads: of a runtime on the CPU; None: as measured, or its own choice.
          network: which may be asked for, see `stream.option_table.NETWORK`.
    """

    def __init__(
        self,
        name: str = "auto",
        weights: str = WEIGHTS.default,
        threads: int | None = None,
        network: str = FULL,
    ) -> None:
        self.name, self.weights, self._threads = name, weights, threads
        self.network = network
        self.opened: OpenedRuntime | None = None
        """The last one; None before the first."""

    def __call__(self, scale: int) -> OpenedRuntime:
        """The runtime for a scale, 4 or 8. Raises: EngineError."""
        self.opened = open_runtime(self.name, scale, weights=self.weights, threads=self._threads)
        return self.opened

    def small(self, scale: int) -> Runtime | None:
        """The small network in the runtime that was opened last; None: there is none, or it is not
        to be used. Raises: EngineError."""
        if self.network == FULL or self.opened is None:
            return None
        return open_small(self.opened, scale, self.weights, self._threads)


@dataclass(frozen=True)
class Stages:
    """The stages of a run, in order, and what a session needs to know of them."""

    all: list[Stage]
    bank: Bank = field(default_factory=Bank)
    compositor: Compositor = field(default_factory=Compositor)
    opener: Opener = field(default_factory=Opener)
    whole: View | None = None
    """The whole picture in the geometry of the output: what is shown when nothing else is known;
    None for the picture as it is."""
    to_load: tuple[Callable[[], object], ...] = ()
    """Models, that a call loads before its first frame."""
    try_out: Callable[[], float] | None = None
    """Runs the network on a crop of `FIRST_PX`; returns how long that takes, seconds."""
    events: EventLog = field(default_factory=EventLog)
    """Of these stages, and of the session that runs them."""
    enhancer: Enhancer | None = None
    """None: nothing runs the network."""

    @property
    def output_size(self) -> Size:
        """(width, height) of every output, px."""
        assert self.whole is not None, "these stages do not choose it"
        return self.whole.size

    def first_quality(self) -> tuple[int, float | None]:
        """The step of `stream.quality_ladder.LADDER` that a call begins with, and what the network
        takes for a crop, seconds, where that is to choose a better one: nobody has measured it.

        Raises: EngineError: the network cannot be opened.
        """
        taken_s = None if self.try_out is None else self.try_out()
        opened = self.opener.opened
        measured_px = None if opened is None else measured_largest(opened.runtime.name)
        return first_level(measured_px), taken_s if measured_px is None else None

    @classmethod
    def build(
        cls,
        size: Size,
        rate: Fraction,
        *,
        framing: Mode,
        scale: float = 1.0,
        strength: float = STRENGTH.default,
        detail: float = DETAIL.default,
        runtime: str | Opener = RUNTIME.default,
        weights: str = WEIGHTS.default,
        network: str = FULL,
        speed: Speed = SPEED.default,
        camera: CameraProfile = ANY_CAMERA,
        eager: bool = False,
        live: bool = False,
        tracker: Stage | None = None,
        personal: PersonalRuntimes | None = None,
        known: KnownFace | None = None,
        to_load_too: Sequence[Callable[[], object]] = (),
        odd: bool = False,
    ) -> Stages:
        """Make all the stages.

        Args:   size: (width, height) of the pictures, px. rate: nominal frames a second.
                framing: "auto" or "fixed". scale: output over picture size, for "fixed".
                strength: of the enhancement, 0..1. detail: 0 what is surest, 1 about as sharp as
                the truth.
                runtime: "auto" or a name of `engines.runtime.RUNTIMES`, or what opens it; opened
                when first needed, or here if `eager`.
                weights, network: see `Opener`, where `runtime` is a name.
                speed: of `stream.quality_ladder.RECORDED`, for what is not live.
                live: for a call: what takes long is left to `to_load`, no frame waits for the
                network to be compiled, and as many faces are followed and enhanced as a call has
                time for. Else all, up to `stream.quality_ladder.MOST_RECORDED`.
                camera: what it gives, where that was measured.
                odd: whether a picture whose size stays may keep an odd side.
                tracker: finds the faces; `Stages.tracker` makes it when left out.
                personal: runtimes of people whose weights were learnt; the stages' to close.
                known: somebody who is known before a call; the stages' to close. The weights of
                that person are in `personal`, as those of `KNOWN`.
                to_load_too: what else a call loads before its first frame.
        Raises: ConfigError: the picture is too small, scale or strength is out of range.
                ModelError: the detector's models cannot be had.
                EngineError: the runtime cannot be opened (`eager`).
        """
        frame = Framing(framing, size, scale, rate, odd=odd)
        threads = 1 if live and cores() <= FEW_CORES else None
        if not live:
            network = recorded_network(network, speed, weights)
        opener = (
            runtime if isinstance(runtime, Opener) else Opener(runtime, weights, threads, network)
        )
        events = EventLog()

        def open_scale(scale: int) -> Runtime:
            opened = opener(scale)
            events.add(RuntimeChosen(scale, opened.name, opened.passed_over, opened.profile))
            if personal is not None and live:
                personal.like = opened.name
            return opened.runtime

        enhancer = Enhancer(
            open_scale,
            rate,
            detail=detail,
            waits=not live,
            beside=live,
            personal=personal,
            open_small=opener.small,
            always_small=opener.network == SMALL,
        )
        bank = Bank(
            camera,
            on_admitted=lambda track_id: events.add(ExemplarAdmitted(track_id)),
            capacity=CAPACITY if personal is None else MOST_CLOSE_UPS,
            known=known,
        )
        if known is not None:
            known.on_change = recognised_event(events, personal)
        compositor = Compositor(strength, camera)
        to_load: list[Callable[[], object]] = []
        try:
            if eager:
                enhancer.warm_up()
            # Last: it may fetch its models.
            if tracker is None and live:
                detector = FaceDetector(later=True)
                tracker = Tracker(detector, on_limit=limit_event(events))
                to_load.append(detector.load)
            tracker = tracker or cls.tracker(events)
        except BaseException:
            enhancer.close()
            raise
        if live:
            scales = SCALES if frame.whole.zoom > X8_ZOOM else SCALES[:1]
            to_load += [partial(enhancer.warm_up, scale) for scale in scales]
            to_load += to_load_too
        stages: list[Stage] = [tracker, bank, frame, enhancer, ConsistencyCheck(), compositor]
        if not live:
            for stage in stages:
                stage.apply(RECORDED[speed])
        return cls(
            stages,
            bank,
            compositor,
            opener,
            frame.whole,
            tuple(to_load),
            enhancer.try_out,
            events,
            enhancer,
        )

    @staticmethod
    def tracker(events: EventLog) -> Stage:
        """The stage that finds every face, alone. Raises: ModelError: its models cannot be had."""
        return Tracker(FaceDetector(), EVERYBODY, limit_event(events))

    def reframed(self, size: Size, rate: Fraction, framing: Mode, scale: float = 1.0) -> Stages:
        """The same stages with all that they remember, for another size or another framing.

        Between two frames, in the thread that runs them; the old ones must not be used again.

        Args:   size, rate, framing, scale: as of `build`.
        Raises: ConfigError: as `build`.
        """
        frame = Framing(framing, size, scale, rate)
        stages = [frame if stage.name == frame.name else stage for stage in self.all]
        return replace(self, all=stages, whole=frame.whole)

    def close(self) -> None:
        """Close every stage, for those who run them without a session."""
        for stage in self.all:
            stage.close()


def limit_event(events: EventLog) -> Callable[[int], None]:
    """What a tracker calls when there are more faces than it follows."""
    return lambda limit: events.add(FaceLimitReached(limit))


def recognised_event(
    events: EventLog, personal: PersonalRuntimes | None
) -> Callable[[int | None], None]:
    """What a `KnownFace` calls when another face, or none, is the person's."""

    def on_change(track_id: int | None) -> None:
        if personal is not None:
            personal.known_is(track_id)
        if track_id is not None:
            events.add(PersonRecognised(track_id))

    return on_change
