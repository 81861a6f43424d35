"""StageCheckpoint: what the stages knew when a segment ended, without a single picture.

After an interruption the stages see the finished part again, but without network, drawing and
encoding. Where faces were, which exemplars they had, where the view was: all that comes out the
same. What does not are verdicts on the network's own results, so these are kept: a few numbers for
each face (`Enhancer.verdicts`, `ConsistencyCheck.verdicts`).
"""

from __future__ import annotations

from typing import Any

from stream.frame import Frame
from stream.protocols import Stage
from stream.recordings.resume.work_dir import WorkDir
from stream.stages.compositing.compositor import Compositor
from stream.stages.enhancement.consistency_check import ConsistencyCheck
from stream.stages.enhancement.enhancer import Enhancer


class StageCheckpoint:
    """The stages of a run that may go on after an interruption.

    Args: stages: newly made. place: with what an earlier run has finished.
    """

    def __init__(self, stages: list[Stage], place: WorkDir) -> None:
        self._segment_frames = place.segment_frames
        self.first = len(place.segments) * place.segment_frames
        """Index of the first picture that is missing."""
        kept = place.checkpoint()
        self.enhanced: int = kept.get("enhanced", 0)
        """Faces enhanced so far, once in every frame."""
        self._judging = [
            stage for stage in stages if isinstance(stage, Enhancer | ConsistencyCheck)
        ]
        self._verdicts: dict[str, Any] = kept.get("verdicts", {})
        self._at: dict[int, dict[str, Any]] = {}
        self.stages: list[Stage] = [
            _Waiting(stage, self) if isinstance(stage, Enhancer | Compositor) else stage
            for stage in stages
        ]
        """The same, which up to the first missing picture only remember."""
        self._rest(self.first > 0)

    def see(self, frame: Frame) -> None:
        """A frame went through all the stages. Called by the thread that runs them."""
        if frame.index >= self.first:
            shown = [face.patch for face in frame.faces if face.patch and face.patch.weight > 0.0]
            self.enhanced += len(shown)
        if (frame.index + 1) % self._segment_frames == 0 and frame.index >= self.first:
            verdicts = {stage.name: stage.verdicts for stage in self._judging}
            self._at[frame.index + 1] = {"enhanced": self.enhanced, "verdicts": verdicts}

    def before(self, index: int) -> dict[str, Any]:
        """What was known before the picture of this index; given once. For any thread."""
        return self._at.pop(index, {})

    def meet(self, frame: Frame) -> bool:
        """Whether a frame is to be worked on, rather than only remembered."""
        if self._resting and frame.index >= self.first:
            self._rest(False)
            for stage in self._judging:
                numbers = self._verdicts.get(stage.name, {})
                stage.recall({int(track): one for track, one in numbers.items()})
        return not self._resting

    def begins_segment(self, frame: Frame) -> bool:
        """Whether a frame is the first of a segment."""
        return frame.index % self._segment_frames == 0

    def _rest(self, resting: bool) -> None:
        self._resting = resting
        for stage in self._judging:
            if isinstance(stage, Enhancer):
                stage.idle = resting


class _Waiting:
    """Enhancer and compositor, which have nothing to draw for some time."""

    def __init__(self, stage: Enhancer | Compositor, checkpoint: StageCheckpoint) -> None:
        self.name = stage.name
        self._stage, self._checkpoint = stage, checkpoint

    def __call__(self, frame: Frame) -> Frame:
        worked_on = self._checkpoint.meet(frame)
        if isinstance(self._stage, Enhancer) and self._checkpoint.begins_segment(frame):
            # Patches are pictures, which nothing keeps: the first ones of a segment stand alone.
            self._stage.forget_patches()
        # The enhancer follows the faces all the time.
        return self._stage(frame) if worked_on or isinstance(self._stage, Enhancer) else frame

    def close(self) -> None:
        self._stage.close()
