"""Run: one call through the real stages, and once more without its exemplars."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

from bench.measures.evaluator import Evaluator, Notes
from bench.measures.likeness import Likeness
from bench.measures.stages import StageWatch
from bench.scenes.call import Call
from stream.frame import Frame
from stream.graph import Stages
from stream.protocols import Stage


def run(
    call: Call,
    likeness: Likeness | None,
    *,
    scale: float = 2.0,
    runtime: str = "auto",
    watch: StageWatch | None = None,
) -> Notes:
    """A recording of the call, the whole picture on a canvas `scale` times larger.

    What finds, follows and remembers people runs once; what comes after the bank runs twice, with
    what the bank picked and without.

    Args:   watch: sees every stage of what comes after the bank, with the exemplars.
    Raises: CloseupError, EngineError: as `Stages.build`.
    """
    stages = _build(call, scale, runtime)
    try:
        blind = _build(call, scale, runtime)
    except BaseException:
        stages.close()
        raise
    evaluator = Evaluator(call, likeness)
    after = [stage.name for stage in stages.all].index(stages.bank.name) + 1
    try:
        for frame in call:
            tracked = _through(frame, stages.all[:after])
            unknown = [replace(f, exemplars=(), exemplars_version=0) for f in tracked.faces]
            alone = _through(replace(tracked, faces=tuple(unknown)), blind.all[after:])
            with nullcontext() if watch is None else watch.watching():
                shown = _through(tracked, stages.all[after:])
            if watch is not None:
                watch.see(shown)
            evaluator.see(shown, alone)
    finally:
        blind.close()
        stages.close()
    return evaluator.notes()


def _build(call: Call, scale: float, runtime: str) -> Stages:
    return Stages.build(call.size, call.rate, framing="fixed", scale=scale, runtime=runtime)


def _through(frame: Frame, stages: list[Stage]) -> Frame:
    for stage in stages:
        frame = stage(frame)
    return frame
