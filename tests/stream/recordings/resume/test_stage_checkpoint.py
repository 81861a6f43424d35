"""StageCheckpoint: stages that only remembered for a while go on as if they had worked all the
time."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np

from engines.runtime import Features
from stream.frame import Exemplar, Face, Frame, Image, View
from stream.graph import Stages
from stream.recordings.resume.stage_checkpoint import StageCheckpoint
from stream.recordings.resume.work_dir import WorkDir
from stream.session import EnhancementSession
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.consistency_check import ConsistencyCheck
from stream.stages.enhancement.enhancer import Enhancer
from tests.fakes import BicubicRuntime
from tests.pictures import detection, frame_of, scene_with_face

SEGMENT, FRAMES = 8, 40
SIZE = (160, 120)


class Doubtful(BicubicRuntime):
    """Its patches are upside down for some time, and the first exemplars blur."""

    def __init__(self) -> None:
        super().__init__(4)
        self.calls = 0
        self.now = 0

    def enhance(self, crop: Image, features: Features | None) -> Image:
        self.calls += 1
        patch = super().enhance(crop, features)
        if features is not None:
            soft = cv2.blur(patch, (9, 9))
            pays = 0.0 if self.now < 13 else 1.4
            patch = np.asarray(cv2.addWeighted(patch, pays, soft, 1.0 - pays, 0.0), np.uint8)
        return np.ascontiguousarray(patch[::-1]) if 21 <= self.now < 25 else patch


def frames() -> list[Frame]:
    """A face that moves and shrinks; its exemplars change on the way."""
    made = []
    rng = np.random.default_rng(0)
    kept = [
        Exemplar(rng.integers(0, 255, (256, 256, 3)).astype(np.uint8), 256, (0, 0), 1.0, 0.0)
        for _ in range(3)
    ]
    for index in range(FRAMES):
        image = scene_with_face(24.0 - index / 8, SIZE, (80.0 + index / 3, 60.0))
        seen = detection(80.0 + index / 3, 60.0, 24.0 - index / 8)
        version = 1 + index // 13
        exemplars = tuple(kept[:version]) if index > 4 else ()
        face = Face(7, seen.box, seen.keypoints, 0.9, exemplars, version if exemplars else 0)
        view = View((0.0, 0.0, 160.0, 120.0), (320, 240))
        made.append(replace(frame_of(image, index, fps=10, faces=(face,)), view=view))
    return made


def run(place: WorkDir, runtime: Doubtful, upto: int) -> tuple[StageCheckpoint, list[Frame]]:
    """A session as a recording's job drives it, up to a frame."""
    enhancer = Enhancer(lambda scale: runtime, Fraction(10))
    stages = Stages([enhancer, ConsistencyCheck(), Compositor()])
    checkpoint = StageCheckpoint(stages.all, place)
    session = EnhancementSession(stages, finished=checkpoint.finished)
    made = []
    for frame in frames()[:upto]:
        runtime.now = frame.index
        done = session.process(frame)
        assert session.hand_on(done)
        checkpoint.see(done)
        made.append(done)
    return checkpoint, made


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    with WorkDir(tmp_path / "whole.mp4", "key", SEGMENT) as place:
        whole_runtime = Doubtful()
        whole, expected = run(place, whole_runtime, FRAMES)
    shown = [face.patch is not None for frame in expected for face in frame.faces]
    assert all(shown[:21])
    assert not any(shown[22:25])  # the check had something to say
    for segments in range(1, FRAMES // SEGMENT):
        with WorkDir(tmp_path / f"{segments}.mp4", "key", SEGMENT) as place:
            cut, _ = run(place, Doubtful(), segments * SEGMENT + 3)
            for number in range(segments):
                place.growing.write_bytes(b"segment")
                place.keep(number, cut.before((number + 1) * SEGMENT))
            known = json.dumps(place.checkpoint())
            assert len(known) < 1000  # numbers, no pictures
            runtime = Doubtful()
            resumed, got = run(place, runtime, FRAMES)
        assert resumed.first == segments * SEGMENT
        assert runtime.calls < whole_runtime.calls
        assert resumed.enhanced == whole.enhanced
        for one, other in zip(got, expected, strict=True):
            if one.index < resumed.first:
                assert one.output is None
                continue
            assert one.output is not None
            assert other.output is not None
            assert np.array_equal(one.output, other.output), (segments, one.index)
            for a, b in zip(one.faces, other.faces, strict=True):
                assert (a.patch is None) == (b.patch is None)
                assert a.patch is None or (a.patch.box, a.patch.weight) == (
                    b.patch and b.patch.box,
                    b.patch and b.patch.weight,
                )
