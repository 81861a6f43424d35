"""Frame cost: what a frame of a call takes besides the network."""

from __future__ import annotations

import time
from fractions import Fraction
from statistics import fmean

from stream.frame import Frame
from stream.graph import Stages
from stream.media.demo.demo_scene import FAR_S, DemoScene, DemoTruth
from stream.media.demo.demo_source import Sensor
from stream.quality_controller import FRAMES, OUTLIERS
from stream.quality_ladder import LADDER, QualityLevel

SIZE, RATE = (1280, 720), Fraction(30)
WARM_UP, FRAMES_TIMED = 15, 45
ONE_FACE = next(step for step in LADDER if step.max_faces == 1)
"""What calls give up before they make crops smaller: faces sought and followed less often."""


def rest_ms(quality: QualityLevel = ONE_FACE) -> float:
    """Time of all stages but the enhancer for a frame of 1280x720 with one far face, ms.

    A mean without the slowest fifth, as the quality controller of calls judges.

    Raises: CloseupError: the detector's models or the portrait cannot be had. EngineError.
    """
    scene, sensor = DemoScene(), Sensor()
    stages = Stages.build(SIZE, RATE, framing="auto", runtime="onnxruntime-cpu", eager=True)
    taken_ms = []
    try:
        for stage in stages.all:
            stage.apply(quality)
        for index in range(WARM_UP + FRAMES_TIMED):
            time_s = FAR_S + float(index / RATE)
            truth = DemoTruth(scene, time_s, 1)
            image = sensor.take(truth.render((0.0, 0.0, SIZE[0], SIZE[1]), SIZE))
            frame = Frame(image, index, index, 1 / RATE, time.monotonic_ns())
            taken_ms.append(_work(stages, frame))
    finally:
        stages.close()
    usual = sorted(taken_ms[WARM_UP:])[: FRAMES_TIMED * (FRAMES - OUTLIERS) // FRAMES]
    return fmean(usual)


def _work(stages: Stages, frame: Frame) -> float:
    """Let the stages work on a frame. Returns: ms, without the enhancer's."""
    spent = 0.0
    for stage in stages.all:
        start = time.perf_counter()
        frame = stage(frame)
        if stage.name != "enhancer":
            spent += time.perf_counter() - start
    return spent * 1e3
