"""StageCheckpoint: what the stages knew when a segment ended, without a single picture.

After an interruption the stages see the finished part again, but without network, drawing and
encoding (`Stage.replay`). Where faces were, which exemplars they had, where the view was: all that
comes out the same. What does not are verdicts on the network's own results, so these are kept: a
few numbers for each face (`Stage.save`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from stream.frame import Frame
from stream.protocols import Stage
from stream.recordings.resume.work_dir import WorkDir


class StageCheckpoint:
    """What a session needs that may go on after an interruption; called by the session's thread.

    Args: stages: newly made. place: with what an earlier run has finished.
    """

    def __init__(self, stages: Sequence[Stage], place: WorkDir) -> None:
        self._stages = stages
        self._segment_frames = place.segment_frames
        self.first = len(place.segments) * place.segment_frames
        """Index of the first picture that is missing."""
        kept = place.checkpoint()
        self.enhanced: int = kept.get("enhanced", 0)
        """Faces enhanced so far, once in every frame."""
        self._verdicts: dict[str, Any] = kept.get("verdicts", {})
        self._at: dict[int, dict[str, Any]] = {}
        self._replaying = self.first > 0

    def finished(self, frame: Frame) -> bool:
        """Whether a frame is to be replayed, rather than worked on. Asked before the stages see it:
        with the first one that is missing they are given what was kept."""
        if self._replaying and frame.index >= self.first:
            self._replaying = False
            for stage in self._stages:
                numbers: dict[str, dict[str, Any]] = self._verdicts.get(stage.name, {})
                stage.restore(
                    {int(track): stage.face_state(**one) for track, one in numbers.items()}
                )
        return self._replaying

    def see(self, frame: Frame) -> None:
        """A frame went through all the stages."""
        if frame.index < self.first:
            return
        self.enhanced += frame.enhanced
        if (frame.index + 1) % self._segment_frames == 0:
            verdicts = {
                stage.name: {track: asdict(one) for track, one in saved.items()}
                for stage in self._stages
                if (saved := stage.save())
            }
            self._at[frame.index + 1] = {"enhanced": self.enhanced, "verdicts": verdicts}

    def before(self, index: int) -> dict[str, Any]:
        """What was known before the picture of this index; given once. From any thread."""
        return self._at.pop(index, {})
