"""Native pictures: what nobody touched stays bit for bit; the faces get into YUV of any kind."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from stream.frame import Face, Frame, Image, Patch, View
from stream.image.resample import resample
from stream.image.touched import touched
from stream.media.colour import Colour, ToYuv
from stream.media.planes import Layout, planes_of, show
from stream.media.sinks.encoder import CodecName, Encoding
from stream.media.sinks.file_sink import FileSink
from stream.media.sinks.native import Native, changes
from stream.media.sources.file_source import FileSource
from stream.media.video_format import Turn, VideoFormat
from stream.stages.compositing.compositor import Compositor
from tests.recording_files import write_recording

SIZE = (96, 64)
BOX = (40, 17, 64, 41)


def noise(seed: int = 0, size: tuple[int, int] = SIZE, soft: float = 1.0) -> Image:
    """A picture that is another one everywhere, of full contrast."""
    values = np.random.default_rng(seed).normal(0, 1, (size[1], size[0], 3))
    blurred = cv2.GaussianBlur(values, (0, 0), soft)
    return np.asarray(np.clip(128 + 50 * blurred / blurred.std(), 0, 255), np.uint8)


def with_face(frame: Frame, size: tuple[int, int], box: tuple[int, int, int, int] = BOX) -> Frame:
    """The frame with another picture over one face, drawn by the real compositor."""
    patch = Patch(noise(3, (96, 96)), box, 4)
    x0, y0, x1, y1 = box
    quarter = (x1 - x0) / 4
    around = np.array([x0 + quarter, y0 + quarter, x1 - quarter, y1 - quarter], np.float32)
    face = Face(1, around, np.zeros((6, 2), np.float32), 1.0, patch=patch)
    height, width = frame.image.shape[:2]
    view = View((0.0, 0.0, float(width), float(height)), size)
    return Compositor()(replace(frame, faces=(face,), view=view))


def through(
    source_path: Path, target: Path, scale: int = 1, codec: CodecName = "auto", face: bool = True
) -> list[Frame]:
    """The recording with a face in every frame, encoded without loss."""
    crf = None if codec == "ffv1" else 0
    with FileSource(source_path) as source:
        size = (source.width * scale, source.height * scale)
        sink = FileSink(
            target,
            size,
            source.rate,
            source.time_base,
            video_format=source.video_format,
            encoding=Encoding(codec, crf),
        )
        frames = []
        for frame in source:
            drawn = with_face(frame, size) if face else frame
            frames.append(drawn)
            sink.send(drawn)
        sink.close()
    return frames


def decoded(path: Path) -> list[tuple[av.VideoFrame, list[NDArray[np.int64]]]]:
    """Each picture of a recording, and its planes."""
    found = []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            layout = Layout.of(frame.format.name)
            assert layout is not None
            found.append((frame, [plane.astype(int) for plane in planes_of(frame, layout)]))
    return found


@pytest.mark.parametrize(
    ("pix_fmt", "codec"),
    [
        ("yuv420p", "h264"),
        ("yuv444p", "h264"),
        ("yuv422p10le", "h264"),
        ("yuv420p10le", "hevc"),
        ("yuv420p", "ffv1"),
    ],
)
@pytest.mark.parametrize("turn", [None, 90, 180])
def test_only_the_touched_region_changes(
    tmp_path: Path, pix_fmt: str, codec: CodecName, turn: int | None
) -> None:
    source, target = tmp_path / "call.mkv", tmp_path / "better.mkv"
    write_recording(source, pts=(0, 3600, 7200), size=SIZE, sounds=0, pix_fmt=pix_fmt, turn=turn)
    frames = through(source, target, codec=codec)
    before, after = decoded(source), decoded(target)
    assert len(before) == len(after) == 3
    for (old, old_planes), (new, new_planes), frame in zip(before, after, frames, strict=True):
        assert (new.format.name, new.width, new.height) == (pix_fmt, *SIZE)
        assert new.rotation == old.rotation
        mask = np.abs(frame.output.astype(int) - frame.image).max(axis=2) > 0  # type: ignore[union-attr]
        with FileSource(source) as one:
            mask = one.video_format.turn.undo(mask[..., None])[..., 0]
        assert 100 < mask.sum() < mask.size / 2
        for plane, (was, is_now) in enumerate(zip(old_planes, new_planes, strict=True)):
            step_y, step_x = SIZE[1] // was.shape[0], SIZE[0] // was.shape[1]
            near = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5), np.uint8))
            parts = near.reshape(was.shape[0], step_y, was.shape[1], step_x)
            near = parts.max(axis=(1, 3))
            assert np.array_equal(was[near == 0], is_now[near == 0]), plane
            assert np.abs(was - is_now).max() > 1
        # What was added is what the compositor drew.
        drawn = (frame.output.astype(float) - frame.image) @ (0.299, 0.587, 0.114)  # type: ignore[union-attr]
        with FileSource(source) as one:
            drawn = one.video_format.turn.undo(drawn[..., None])[..., 0] * 219 / 255
        unit = 4 if pix_fmt.endswith("10le") else 1
        added = (new_planes[0] - old_planes[0]) / unit
        assert np.abs(added - drawn).max() <= 1
        assert np.abs(drawn).max() > 10


def test_without_a_face_every_sample_survives(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(source, size=SIZE)
    through(source, target, face=False)
    for (_, was), (_, now) in zip(decoded(source), decoded(target), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(was, now, strict=True))


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_the_face_gets_its_colours(matrix: int, full_range: bool) -> None:
    colour = Colour(matrix, full_range=full_range)
    to_yuv = ToYuv(SIZE, colour)
    plain = noise()
    for tint in ((60, 0, 0), (0, 60, 0), (0, 0, 60), (40, 40, 40)):
        aim = plain.copy()
        aim[16:40, 32:72] = np.clip(plain[16:40, 32:72].astype(int) // 2 + 30 + tint, 0, 255)
        face = Face(
            1,
            np.zeros(4, np.float32),
            np.zeros((6, 2), np.float32),
            1.0,
            patch=Patch(plain, (32, 16, 72, 40), 4),
        )
        frame = Frame(
            plain, 0, 0, Fraction(1, 25), 0, faces=(face,), output=aim, native=to_yuv(plain)
        )
        video_format = VideoFormat(SIZE, "yuv420p", colour, (2, 2, 2, 0))
        made = planes_of(Native(video_format, SIZE, "yuv420p")(frame), Layout(8, 1, 1, 3))
        wanted = planes_of(to_yuv(aim), Layout(8, 1, 1, 3))
        for ours, theirs in zip(made, wanted, strict=True):
            y, x = slice(20 * len(ours) // 64, 36 * len(ours) // 64), slice(None)
            error = np.abs(ours.astype(int) - theirs)[y, x]
            assert np.median(error) <= 1
            assert error.mean() < 1.5


@pytest.mark.parametrize("size", [(192, 128), (144, 96), (288, 192)])
@pytest.mark.parametrize("name", ["yuv420p", "yuv420p10le", "yuv444p"])
def test_an_enlarged_picture_keeps_brightness_and_place(size: tuple[int, int], name: str) -> None:
    colour = Colour()
    image = noise(1, soft=4.0)
    native = ToYuv(SIZE, colour, name)(image)
    video_format = VideoFormat(SIZE, name, colour, (1, 1, 1, 1))
    view = View((0.0, 0.0, 96.0, 64.0), size)
    frame = Frame(image, 0, 0, Fraction(1, 25), 0, view=view, native=native)
    layout = Layout.of(name)
    assert layout is not None
    made = planes_of(Native(video_format, size, name)(frame), layout)
    wanted = planes_of(ToYuv(size, colour, name)(resample(image, view.rect, size)), layout)
    unit = 1 << (layout.depth - 8)
    for ours, theirs in zip(made, wanted, strict=True):
        difference = (ours.astype(float) - theirs) / unit
        # No drift in brightness; chroma half a pixel aside would err by far more.
        assert abs(difference.mean()) < 0.15
        assert np.abs(difference).mean() < 1.2


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p10le", "gray12le", "yuv420p16le"])
@pytest.mark.parametrize("size", [(48, 32), (36, 24)])
def test_enlarged_edges_stay_within_the_depth(name: str, size: tuple[int, int]) -> None:
    """A bicubic filter goes beyond what is beside an edge."""
    layout = Layout.of(name)
    assert layout is not None
    picture = av.VideoFrame(24, 16, name)
    for samples in planes_of(picture, layout):
        samples[...] = 0
        samples[:, samples.shape[1] // 2 :] = layout.most
    shown = show(picture, layout, (0.0, 0.0, 24.0, 16.0), size)
    for samples, made in zip(planes_of(picture, layout), planes_of(shown, layout), strict=True):
        exact = cv2.resize(samples, made.shape[::-1], interpolation=cv2.INTER_CUBIC)
        if made.shape == size[::-1]:  # chroma may lie elsewhere
            assert np.array_equal(made, np.minimum(exact, layout.most))
        assert made.max() == layout.most
        assert made.min() == 0


def test_a_following_view_shows_the_same_place(tmp_path: Path) -> None:
    colour = Colour()
    image = noise(2, soft=4.0)
    rect = (10.25, 8.0, 58.25, 40.0)
    frame = Frame(
        image, 0, 0, Fraction(1, 25), 0, view=View(rect, SIZE), native=ToYuv(SIZE, colour)(image)
    )
    video_format = VideoFormat(SIZE, "yuv420p", colour, (1, 1, 1, 1))
    made = planes_of(Native(video_format, SIZE, "yuv420p")(frame), Layout(8, 1, 1, 3))
    wanted = planes_of(ToYuv(SIZE, colour)(resample(image, rect, SIZE)), Layout(8, 1, 1, 3))
    for ours, theirs in zip(made, wanted, strict=True):
        assert np.abs(ours.astype(float) - theirs).mean() < 1.5


def test_a_face_on_an_enlarged_picture(tmp_path: Path) -> None:
    source, target = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(source, pts=(0, 3600), size=SIZE, sounds=0, turn=90)
    upright = (SIZE[1], SIZE[0])
    with FileSource(source) as one:
        size = (2 * one.width, 2 * one.height)
        assert (one.width, one.height) == upright
        sink = FileSink(
            target,
            size,
            one.rate,
            one.time_base,
            video_format=one.video_format,
            encoding=Encoding("h264", 0),
        )
        frames = [with_face(frame, size, (20, 30, 44, 54)) for frame in one]
        for frame in frames:
            sink.send(frame)
        sink.close()
    with FileSource(target) as two:
        assert (two.width, two.height) == size
        for shown, frame in zip(two, frames, strict=True):
            assert frame.output is not None
            # Fine colour is lost in 4:2:0; brightness is not.
            error = np.abs((shown.image.astype(float) - frame.output) @ (0.299, 0.587, 0.114))
            assert np.median(error) <= 1
            assert error[70:98, 50:78].mean() < 2
            assert np.ptp(frame.output[70:98, 50:78].astype(int)) > 100


def test_touched_parts_are_joined_and_lie_on_whole_chroma() -> None:
    image = noise()
    patch = Patch(image, (3, 3, 20, 20), 4)
    face = Face(1, np.zeros(4, np.float32), np.zeros((6, 2), np.float32), 1.0, patch=patch)
    faces = [
        replace(face, patch=replace(patch, box=box))
        for box in ((3, 3, 20, 20), (21, 5, 30, 30), (80, 50, 120, 90), (-50, -50, -20, -20))
    ]
    faces.append(replace(face, patch=replace(patch, box=(50, 0, 60, 9), weight=0.0)))
    frame = Frame(image, 0, 0, Fraction(1, 25), 0, faces=tuple(faces))
    whole = (0.0, 0.0, 96.0, 64.0)
    assert touched(frame, whole, SIZE) == [(0, 0, 32, 32), (78, 48, 96, 64)]
    assert list(changes(frame)) == []
    assert list(changes(replace(frame, output=image))) == []
    assert list(changes(replace(frame, output=image.copy()))) == []


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip_x", [False, True])
@pytest.mark.parametrize("flip_y", [False, True])
def test_turning_back(transpose: bool, flip_x: bool, flip_y: bool) -> None:
    turn = Turn(transpose, flip_x, flip_y)
    coded = noise()
    upright = turn.apply(coded)
    assert np.array_equal(turn.undo(upright), coded)
    size = (upright.shape[1], upright.shape[0])
    assert turn.turned(size) == SIZE
    x0, y0, x1, y1 = (int(n) for n in turn.undo_rect((6, 10, 20, 40), size))
    assert np.array_equal(turn.undo(upright[10:40, 6:20]), coded[y0:y1, x0:x1])


def test_formats_and_their_layouts() -> None:
    assert Layout.of("yuv420p") == Layout(8, 1, 1, 3)
    assert Layout.of("yuvj422p") == Layout(8, 1, 0, 3)
    assert Layout.of("yuv444p12le") == Layout(12, 0, 0, 3)
    assert Layout.of("gray10le") == Layout(10, 0, 0, 1)
    for name in ("nv12", "p010le", "gbrp", "rgb24", "pal8", "yuyv422", "yuva420p", "yuv410p"):
        assert Layout.of(name) is None
    for name in ("grayf32le", "yuv420p10be", "yuv444p10msble"):
        assert Layout.of(name) is None
