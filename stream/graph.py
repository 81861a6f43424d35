"""Graph: the one place where the stages are put together, for recordings, calls and programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

from engines.runtime import PROFILE, SCALES, Runtime, measured_largest, open_runtime
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.frame import View
from stream.image.resample import Size
from stream.protocols import Stage
from stream.quality_controller import QualityController
from stream.quality_ladder import QualityLevel, first_level
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.consistency_check import ConsistencyCheck
from stream.stages.enhancement.crop_selector import X8_ZOOM
from stream.stages.enhancement.enhancer import Enhancer
from stream.stages.exemplars.bank import Bank
from stream.stages.framing.framing import Framing, Mode
from stream.stages.tracking.face_detector import FaceDetector
from stream.stages.tracking.tracker import Tracker


@dataclass
class Opener:
    """Opens runtimes, and remembers which was taken and why others were not."""

    name: str
    taken: Runtime | None = None
    passed_over: list[str] = field(default_factory=list)
    profile: str = ""
    """What "auto" said of the speed profile: which is in use, or why none is."""

    def __call__(self, scale: int) -> Runtime:
        """The runtime for a scale, 4 or 8. Raises: EngineError."""
        lines: list[str] = []
        self.taken = open_runtime(self.name, scale, report=lines.append)
        self.passed_over = [line for line in lines if " passed over: " in line]
        self.profile = next((line for line in lines if line.startswith(PROFILE)), "")
        return self.taken


@dataclass(frozen=True)
class Stages:
    """The stages of a run, in order, and what others need to know of them."""

    all: list[Stage]
    bank: Bank
    compositor: Compositor
    opener: Opener
    whole: View
    """The whole picture in the geometry of the output: what is shown when nothing else is known."""
    to_load: tuple[Callable[[], object], ...] = ()
    """Models, for `steps`."""

    @property
    def output_size(self) -> Size:
        """(width, height) of every output, px."""
        return self.whole.size

    @property
    def first_level(self) -> int:
        """The step of `stream.quality_ladder.LADDER` that a call begins with, when its runtime is
        open."""
        return first_level(self._measured_px)

    @property
    def _measured_px(self) -> int | None:
        taken = self.opener.taken
        return None if taken is None else measured_largest(taken.name)

    @classmethod
    def build(
        cls,
        size: Size,
        rate: Fraction,
        *,
        framing: Mode,
        scale: float = 1.0,
        strength: float = 1.0,
        runtime: str | Opener = "auto",
        camera: CameraProfile = ANY_CAMERA,
        eager: bool = False,
        live: bool = False,
        tracker: Stage | None = None,
    ) -> Stages:
        """Make all the stages.

        Args:   size: (width, height) of the pictures, px. rate: nominal frames a second.
                framing: "auto" or "fixed". scale: output over picture size, for "fixed".
                strength: of the enhancement, 0..1.
                runtime: "auto" or a name of `engines.runtime.RUNTIMES`, or what opens it; opened
                when first needed, or here if `eager`.
                live: for a call: what takes long is left to `steps`, and no frame waits for the
                network to be compiled.
                camera: what it gives, where that was measured.
                tracker: finds the faces; `Stages.tracker()` when left out.
        Raises: ConfigError: the picture is too small, scale or strength is out of range.
                ModelError: the detector's models cannot be had.
                EngineError: the runtime cannot be opened (`eager`).
        """
        frame = Framing(framing, size, scale, rate)
        opener = runtime if isinstance(runtime, Opener) else Opener(runtime)
        enhancer = Enhancer(opener, rate, restore_in_place=framing == "fixed")
        enhancer.patient = not live
        bank, compositor = Bank(camera), Compositor(strength, camera)
        to_load: list[Callable[[], object]] = []
        try:
            if eager:
                enhancer.warm_up()
            # Last: it may fetch its models.
            if tracker is None and live:
                detector = FaceDetector(later=True)
                tracker = Tracker(detector)
                to_load.append(detector.load)
            tracker = tracker or cls.tracker()
        except BaseException:
            enhancer.close()
            raise
        if live:
            scales = SCALES if frame.whole.zoom > X8_ZOOM else SCALES[:1]
            to_load += [partial(enhancer.warm_up, scale) for scale in scales]
        stages: list[Stage] = [tracker, bank, frame, enhancer, ConsistencyCheck(), compositor]
        return cls(stages, bank, compositor, opener, frame.whole, tuple(to_load))

    @staticmethod
    def tracker() -> Stage:
        """The stage that finds faces, alone. Raises: ModelError: its models cannot be had."""
        return Tracker(FaceDetector())

    def reframed(self, size: Size, rate: Fraction, framing: Mode, scale: float = 1.0) -> Stages:
        """The same stages with all that they remember, for another size or another framing.

        Between two frames, in the thread that runs them; the old ones must not be used again.

        Raises: ConfigError: as `build`.
        """
        frame = Framing(framing, size, scale, rate)
        stages: list[Stage] = []
        for stage in self.all:
            if isinstance(stage, Enhancer):
                stage.restore_in_place = framing == "fixed"
            stages.append(frame if stage.name == frame.name else stage)
        return replace(self, all=stages, whole=frame.whole)

    def apply(self, quality: QualityLevel) -> None:
        """Let the stages spend no more than this from the next frame on."""
        for stage in self.all:
            if isinstance(stage, Tracker | Enhancer):
                stage.quality = quality

    def steps(self, quality_controller: QualityController) -> tuple[Callable[[], object], ...]:
        """What is to be done, made `live`, before the first frame; in the thread that runs the
        stages. The last step begins the quality controller. Raising: ModelError, EngineError."""
        return (*self.to_load, partial(self._begin, quality_controller))

    def _begin(self, quality_controller: QualityController) -> None:
        tried_s = [stage.try_out() for stage in self.all if isinstance(stage, Enhancer)]
        measured = self._measured_px is not None
        quality_controller.start(self.first_level, None if measured else max(tried_s, default=None))

    def close(self) -> None:
        """Close every stage, for those who run them without a `Pipeline`."""
        for stage in self.all:
            stage.close()
