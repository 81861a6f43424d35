"""Detail stage by stage: where in the pipeline the fine detail of far faces is won and lost.

Every picture that a stage makes of a face is sampled on the output's grid and compared with the
truth there, before and after the stage; last the output as a recording keeps it, at the default
quality. Of faces whose patch is shown in full; one row more is of all far faces, also those that
are still fading in.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.measures.image_measures import psnr
from bench.measures.windows import Window, cut_out, in_frame, size_of, square_around
from bench.scenes.call import Call, TrueFace
from engines.back_projection import back_project
from engines.exemplar_transfer import finished
from engines.hime.detail import Detail, detail
from stream.frame import Face, Frame, Image, Patch, View
from stream.image.resample import resample
from stream.media.sinks.file_sink import FileSink
from stream.media.sources.file_source import FileSource
from stream.stages.compositing import compositor
from stream.stages.enhancement import face_network
from stream.stages.enhancement.temporal_filter import TemporalFilter

WINDOW = 1.5
"""What is compared, in widths of the face box: as `bench.measures.evaluator`."""
FULL = 0.999
STAGES = (
    "bicubic",
    "network",
    "detail raised",
    "temporal filter",
    "back-projection",
    "compositor",
    "encoder",
    "encoder, all faces",
)


@dataclass(frozen=True)
class Total:
    """Of one stage, over all faces."""

    detail: Detail = field(default_factory=lambda: Detail(0.0, 0.0, 0.0))
    psnr: float = 0.0
    """Sum, dB."""
    faces: int = 0

    def __add__(self, other: Total) -> Total:
        return Total(self.detail + other.detail, self.psnr + other.psnr, self.faces + other.faces)


Totals = dict[str, Total]


class StageWatch:
    """Watches the stages of one call; use it with `with`, and take `totals` afterwards."""

    def __init__(self, call: Call) -> None:
        self.totals: Totals = {}
        self._call = call
        self._made: dict[int, dict[str, Image]] = {}
        """By the identity of a patch's picture: what became it."""
        self._now: dict[str, Image] = {}
        self._shown: dict[int, list[tuple[Window, Image, bool]]] = {}
        """By frame: windows with their truth, and whether the patch is shown in full."""
        self._folder = tempfile.TemporaryDirectory()
        self._path = Path(self._folder.name) / "output.mp4"
        self._sink: FileSink | None = None

    def __enter__(self) -> StageWatch:
        return self

    def __exit__(self, *error: object) -> None:
        if self._sink is not None:
            self._sink.abort()
        self._folder.cleanup()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """What the enhancer and the compositor do meanwhile is watched."""
        steady = TemporalFilter.__call__

        def with_detail(picture: Image, *rest: Any) -> Image:
            self._now = {"network": picture}
            return finished(picture, *rest)

        def filtered(one: TemporalFilter, image: Image, *rest: Any) -> Image:
            made = steady(one, image, *rest)
            self._made[id(made)] = {"network": image, **self._now, "detail raised": image}
            self._now = {}
            return made

        def projected(patch: Image, *rest: Any) -> Image:
            made = back_project(patch, *rest)
            self._made.setdefault(id(patch), {})["back-projection"] = made
            return made

        swapped: list[tuple[Any, str, Callable[..., Image]]] = [
            (face_network, "finished", with_detail),
            (TemporalFilter, "__call__", filtered),
            (compositor, "back_project", projected),
        ]
        before = [(where, name, getattr(where, name)) for where, name, _ in swapped]
        for where, name, what in swapped:
            setattr(where, name, what)
        try:
            yield
        finally:
            for where, name, what in before:
                setattr(where, name, what)

    def see(self, frame: Frame) -> None:
        """A frame that went through the stages."""
        view, output = frame.view, frame.output
        assert view is not None
        assert output is not None
        if self._sink is None:
            self._sink = FileSink(self._path, view.size, self._call.rate, 1 / self._call.rate)
        self._sink.send(frame)
        for true in self._call.faces(frame.index):
            window = square_around(true, WINDOW, view)
            if true.width_px > self._call.case.far_most_px or window is None:
                continue
            truth = self._call.render(frame.index, in_frame(window, view), size_of(window))
            near = [face.patch for face in frame.faces if face.patch and _shows(face, true)]
            full = bool(near) and near[0].weight >= FULL
            self._shown.setdefault(frame.index, []).append((window, truth, full))
            if full:
                self._compare(frame, near[0], window, truth, view)
        self._made.clear()

    def finish(self) -> Totals:
        """After the last frame: the recording is read again. Raises: OutputError, InputError."""
        if self._sink is not None:
            self._sink.close()
            self._sink = None
            with FileSource(self._path) as source:
                for frame in source:
                    for window, truth, full in self._shown.get(frame.index, ()):
                        shown = cut_out(frame.image, window)
                        zoom = frame.image.shape[1] / self._call.size[0]
                        self._add("encoder, all faces", shown, truth, zoom)
                        if full:
                            self._add("encoder", shown, truth, zoom)
        return self.totals

    def _compare(
        self, frame: Frame, patch: Patch, window: Window, truth: Image, view: View
    ) -> None:
        assert frame.output is not None
        rect = in_frame(window, view)
        x0, y0, x1, y1 = ((rect[i] - patch.box[i % 2]) * patch.scale for i in range(4))
        made = self._made.get(id(patch.image), {}) | {"temporal filter": patch.image}
        for stage, picture in made.items():
            shown = resample(picture, (x0, y0, x1, y1), size_of(window))
            self._add(stage, shown, truth, view.zoom)
        self._add("compositor", cut_out(frame.output, window), truth, view.zoom)
        enlarged = resample(frame.image, rect, size_of(window))
        self._add("bicubic", enlarged, truth, view.zoom)

    def _add(self, stage: str, picture: Image, truth: Image, zoom: float) -> None:
        one = Total(detail(picture, truth, zoom), psnr(picture, truth), 1)
        self.totals[stage] = self.totals.get(stage, Total()) + one


def stage_table(totals: Totals) -> str:
    """A table in Markdown, a row for each stage in their order."""
    lines = [
        "| after | faces | PSNR dB | sharpness | right | coherence |",
        "|" + "---|" * 6,
    ]
    for stage in STAGES:
        if (total := totals.get(stage)) is not None:
            one = total.detail
            lines.append(
                f"| {stage} | {total.faces} | {total.psnr / total.faces:.2f} | "
                f"{one.sharpness:.3f} | {one.right:.3f} | {one.coherence:.3f} |"
            )
    return "\n".join(lines)


def summed(calls: list[Totals]) -> Totals:
    """The same stages of several calls."""
    whole: Totals = {}
    for call in calls:
        for stage, total in call.items():
            whole[stage] = whole.get(stage, Total()) + total
    return whole


def _shows(face: Face, true: TrueFace) -> bool:
    x, y = true.center
    return math.hypot(face.center[0] - x, face.center[1] - y) < 0.5 * true.width_px
