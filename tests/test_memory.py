"""Memory: stages that only remembered for a while go on as if they had worked all the time."""

from __future__ import annotations

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np

from stream.frame import Exemplar, Face, Frame, Image, View
from stream.parts import Stage
from stream.recordings.memory import Memory
from stream.recordings.workplace import Workplace
from stream.stages.compositor import Compositor
from stream.stages.enhancer import Enhancer
from stream.stages.guard import Guard
from tests.fakes import BicubicRuntime
from tests.helpers import detection, frame_of, scene_with_face

SEGMENT, FRAMES = 8, 40
SIZE = (160, 120)


class Doubtful(BicubicRuntime):
    """Its patches are nonsense for some time, and close-ups do not always pay."""

    def __init__(self, scale: int) -> None:
        super().__init__(scale)
        self.calls = 0

    def enhance(self, crop: Image, features: object) -> Image:
        self.calls += 1
        patch = super().enhance(crop, None)
        level = int(crop[0, 0, 0])  # the frame's number, see `frames`
        if 10 <= level < 17:
            return np.ascontiguousarray(patch[::-1])
        return patch


def frames() -> list[Frame]:
    """A face that moves and shrinks; its close-ups change on the way."""
    made = []
    rng = np.random.default_rng(0)
    kept = [
        Exemplar(rng.integers(0, 255, (256, 256, 3)).astype(np.uint8), 256, (0, 0), 1.0, 0.0)
        for _ in range(3)
    ]
    for index in range(FRAMES):
        image = scene_with_face(24.0 - index / 8, SIZE, (80.0 + index / 3, 60.0))
        image[:] = np.where(image < 1, 1, image)
        image[:8, :] = image[:, :48] = index
        seen = detection(80.0 + index / 3, 60.0, 24.0 - index / 8)
        version = 1 + index // 15
        exemplars = tuple(kept[:version]) if index > 4 else ()
        face = Face(7, seen.box, seen.keypoints, 0.9, exemplars, version if exemplars else 0)
        view = View((0.0, 0.0, 160.0, 120.0), (320, 240))
        made.append(replace(frame_of(image, index, fps=10, faces=(face,)), view=view))
    return made


def stages() -> tuple[list[Stage], Doubtful]:
    runtime = Doubtful(4)
    enhancer = Enhancer(lambda scale: runtime, Fraction(10))
    return [enhancer, Guard(), Compositor()], runtime


def run(memory: Memory, upto: int) -> list[Frame]:
    made = []
    for frame in frames()[:upto]:
        for stage in memory.stages:
            frame = stage(frame)
        memory.see(frame)
        made.append(frame)
    return made


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path: Path) -> None:
    with Workplace(tmp_path / "whole.mp4", "key", SEGMENT) as place:
        whole_stages, whole_runtime = stages()
        whole = Memory(whole_stages, place)
        expected = run(whole, FRAMES)
    weights = {
        round(face.patch.weight, 3) if face.patch else 0 for f in expected for face in f.faces
    }
    assert len(weights) > 4  # the guard had something to say
    for segments in range(1, FRAMES // SEGMENT):
        with Workplace(tmp_path / f"{segments}.mp4", "key", SEGMENT) as place:
            cut = Memory(stages()[0], place)
            run(cut, segments * SEGMENT + 3)
            for number in range(segments):
                place.growing.write_bytes(b"segment")
                place.keep(number, cut.before((number + 1) * SEGMENT))
            known = json.dumps(place.memory())
            assert len(known) < 1000  # numbers, no pictures
            resumed_stages, runtime = stages()
            resumed = Memory(resumed_stages, place)
            got = run(resumed, FRAMES)
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
