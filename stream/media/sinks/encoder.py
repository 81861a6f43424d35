"""Encoder: which codec writes a recording, how well, and whether on the graphics card."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal

from av.codec import Codec
from av.codec.context import CodecContext
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext
from av.video.format import VideoFormat as PixelFormat

from stream.errors import OutputError
from stream.image.resample import Size
from stream.media.chroma import UNSPECIFIED, is_halved
from stream.media.planes import Layout
from stream.media.sinks.scheduling import usual_scheduling
from stream.media.transparency import is_transparent, opaque
from stream.media.video_format import Light, VideoFormat

CodecName = Literal["auto", "h264", "hevc", "av1", "vp9", "ffv1"]
EncoderName = Literal["auto", "software", "nvenc"]
CODECS: tuple[CodecName, ...] = ("auto", "h264", "hevc", "av1", "vp9", "ffv1")
ENCODERS: tuple[EncoderName, ...] = ("auto", "software", "nvenc")
PLANAR = {"nv12": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le"}
"""Formats of hardware → the same samples, a plane for each of Y, Cb and Cr."""
TRANSPARENT = ("ffv1",)
"""Codecs that are given transparency: FFmpeg does not decode that of VP9, and that of HEVC is known
to few players."""
X264_PRESET = "veryfast"
"""Measured on two cores at 2560x1440, crf 18: superfast 25 fps, veryfast 20 fps with files less
than half as large, faster 10 fps without a further gain."""

X264_PACKING = {"checkerboard_lr": 0, "left_right": 3, "top_bottom": 4, "block_lr": 5}
"""Two views in a picture, in Matroska's words → in x264's (ITU-T H.264, D.2.26)."""
LEAST_HEVC_PX = 64
"""x265 4.2 writes beyond its memory for some pictures that are less wide."""
REPEATABLE_THREADS = 4
"""Of a repeatable encoder: x264 writes other bytes with another number of them."""
TREELESS_CRF = 2
"""A repeatable x264 does without its macroblock tree, which reads memory that nobody wrote: in
pictures of a width that is no multiple of 128, each value of MALLOC_PERTURB_ made another file.
Without it the same CRF means better and larger pictures. With so much more the PSNR is the same
(46.6 dB on a call of 854x480), and files are 5 % larger."""


@dataclass(frozen=True)
class Kind:
    """A codec."""

    software: str
    """FFmpeg's name of its encoder."""
    containers: tuple[str, ...]
    """FFmpeg's names of those that hold it."""
    crf: int = 0
    """Constant quality where none is asked for: next to no visible loss."""
    worst_crf: int = 0
    """0: it has no choice of quality, for it loses nothing."""
    nvenc: str | None = None
    options: dict[str, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "h264": Kind("libx264", ("mp4", "mov", "matroska"), 18, 51, "h264_nvenc",
                 {"preset": X264_PRESET}),
    "hevc": Kind("libx265", ("mp4", "mov", "matroska"), 20, 51, "hevc_nvenc",
                 {"preset": "veryfast"}),
    "av1": Kind("libsvtav1", ("mp4", "matroska"), 22, 63, "av1_nvenc", {"preset": "9"}),
    "vp9": Kind("libvpx-vp9", ("mp4", "matroska"), 20, 63, None,
                {"deadline": "good", "cpu-used": "5", "row-mt": "1", "b": "0"}),
    "ffv1": Kind("ffv1", ("matroska",), options={"level": "3", "slicecrc": "1"}),
}  # fmt: skip
"""By the names of the command line."""


@dataclass(frozen=True)
class Encoding:
    """What was asked for."""

    codec: CodecName = "auto"
    """auto: H.264; HEVC for more than 8 bits, which hardly anything plays as H.264."""
    crf: int | None = None
    """Constant quality, 0 loses nothing (NVENC: its constant quality); None: `Kind.crf`."""
    encoder: EncoderName = "software"
    """nvenc and auto: on the graphics card, or else in software."""
    repeatable: bool = False
    """The same pictures become the same bytes, whenever they are encoded on this machine."""


@dataclass(frozen=True)
class Encoder:
    """How pictures of one format are encoded."""

    name: str
    """FFmpeg's."""
    codec: str
    """As in `KINDS`."""
    planar: str
    """The pixel format to prepare pictures in: planar YUV, or grey."""
    format: str
    """The pixel format to encode from: the same samples, perhaps in other planes."""
    options: dict[str, str]
    threads: int = 0
    """0: as many as suit the machine."""
    notes: tuple[str, ...] = ()
    """What did not go as asked for."""

    @property
    def tag(self) -> str | None:
        """The codec's tag in mp4 and mov, where FFmpeg's choice is not played everywhere."""
        return "hvc1" if self.codec == "hevc" else None

    def told(self, video_format: VideoFormat, container: str) -> Encoder:
        """It says where the colour samples lie, if they stay where they are, and how two views are
        packed, where neither is what everybody assumes.

        Args: container: of `Kind.containers`; Matroska says the packing by itself.
        """
        options, notes = dict(self.options), self.notes
        if video_format.chroma != UNSPECIFIED and is_halved(self.planar):
            options["chroma_sample_location"] = video_format.chroma
        packing = X264_PACKING.get(video_format.stereo or "")
        if video_format.stereo is not None and container != "matroska":
            if packing is None or self.name != "libx264":
                notes = (*notes, f"left out, {self.name} does not write it: the stereo mapping")
            else:
                before = [options["x264-params"]] if "x264-params" in options else []
                options["x264-params"] = ":".join([*before, f"frame-packing={packing}"])
        return replace(self, options=options, notes=notes)


def check_encoding(encoding: Encoding, container: str) -> str | None:
    """What is wrong with a choice, one line; None when nothing is.

    Args: container: FFmpeg's name.
    """
    codec, crf = encoding.codec, encoding.crf
    if codec != "auto":
        kind = KINDS[codec]
        if container not in kind.containers:
            fitting = {"mp4": ".mp4", "mov": ".mov", "matroska": ".mkv"}
            endings = " or ".join(fitting[one] for one in kind.containers)
            return f"{codec} does not fit into this kind of file; end the output in {endings}"
        if encoding.encoder == "nvenc" and kind.nvenc is None:
            return f"graphics cards do not encode {codec}; use --encoder software"
        if crf is not None and not kind.worst_crf:
            return f"{codec} loses nothing and has no quality to choose; leave --crf out"
    worst = 51 if codec == "auto" else KINDS[codec].worst_crf
    if crf is not None and not 0 <= crf <= worst:
        return f"--crf {crf} is out of range; give 0 (loses nothing) to {worst}"
    return None


def choose_encoder(
    encoding: Encoding,
    format_name: str,
    size: Size,
    light: Light | None = None,
) -> Encoder:
    """The encoder for pictures of a format; one on the graphics card is tried.

    Args:   format_name: the pixel format that should survive, FFmpeg's name. size: (width, height).
            light: HDR metadata.
    Raises: OutputError: this build of FFmpeg lacks the encoder, or the pictures are too narrow.
    """
    deep = Layout.like(PixelFormat(format_name)).depth > 8
    narrow = size[0] < LEAST_HEVC_PX
    codec = encoding.codec
    if codec == "auto":
        codec = "hevc" if deep and not narrow else "h264"
    if codec == "hevc" and narrow:
        raise OutputError(f"pictures {size[0]} px wide are too narrow for hevc; use --codec h264")
    kind = KINDS[codec]
    crf = kind.crf if encoding.crf is None else encoding.crf
    notes = []
    if encoding.encoder != "software" and kind.nvenc is not None:
        try:
            options = _nvenc_options(crf)
            encoder = _encoder(codec, kind.nvenc, options, format_name)
            _try(encoder, (size[0] // 2 * 2, size[1] // 2 * 2))
        except (FFmpegError, ValueError, OutputError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            notes.append(f"{kind.nvenc} cannot be used here ({reason}); {kind.software} encodes")
        else:
            if light is not None:
                notes.append(f"{kind.nvenc} does not write the HDR metadata")
            notes += _coarser(encoder, format_name)
            return _with_notes(encoder, notes)
    options = _software_options(codec, kind, crf, light)
    if encoding.repeatable and codec == "h264" and crf > 0:
        options |= {"mbtree": "0", "crf": str(min(crf + TREELESS_CRF, kind.worst_crf))}
    if light is not None and light.mastering and codec in ("vp9", "ffv1"):
        notes.append(f"{codec} does not hold the HDR metadata")
    encoder = _encoder(codec, kind.software, options, format_name)
    notes += _coarser(encoder, format_name)
    if encoding.repeatable:
        encoder = replace(encoder, threads=REPEATABLE_THREADS)
    return _with_notes(encoder, notes)


def _coarser(encoder: Encoder, wanted: str) -> list[str]:
    """What of the pixels the encoder has no place for, a line each."""
    before, after = PixelFormat(wanted), PixelFormat(encoder.planar)
    lines = []
    if is_transparent(wanted) and not is_transparent(encoder.planar):
        lines.append(f"transparency is left out: {encoder.name} is given none")
    old, new = Layout.like(before), Layout.like(after)
    coarser = old.planes == 3 and (new.sub_x > old.sub_x or new.sub_y > old.sub_y)
    if new.depth < old.depth or coarser:
        lines.append(f"{encoder.name} has no {wanted}: the pixels are {encoder.planar}")
    return lines


def _with_notes(encoder: Encoder, notes: Sequence[str]) -> Encoder:
    return replace(encoder, notes=tuple(notes))


def _encoder(codec: str, name: str, options: dict[str, str], format_name: str) -> Encoder:
    try:
        formats = [one.name for one in Codec(name, "w").video_formats or ()]
        if codec not in TRANSPARENT:
            formats = [one for one in formats if not is_transparent(one)]
    except (FFmpegError, ValueError) as error:
        raise OutputError(
            f"this build of PyAV has no encoder {name}; choose another --codec"
        ) from error
    stored = _nearest(format_name, formats)
    return Encoder(name, codec, PLANAR.get(stored, stored), stored, options)


def _nearest(wanted: str, formats: Sequence[str]) -> str:
    """The format that loses least: itself, else the smallest that holds as much, else the best.

    Returns: planar YUV or grey, or what is the same in other planes; with transparency only where
             `wanted` has some.
    """
    planar = {name: Layout.of(opaque(PLANAR.get(name, name))) for name in formats}
    if planar.get(wanted) is not None:
        return wanted
    choices: dict[str, Layout] = {}
    for name, layout in planar.items():
        # yuvj420p and its kin say what the tag of the range says as well.
        if layout is not None and layout.planes == 3 and not name.startswith("yuvj"):
            choices[name] = layout
    choices = {
        name: layout
        for name, layout in choices.items()
        if is_transparent(name) == is_transparent(wanted)
    } or choices
    model = Layout.like(PixelFormat(wanted))

    def loss(name: str) -> tuple[int, int, int, int]:
        layout = choices[name]
        # 4:2:2 has as many samples as 4:4:0, but other ones.
        fewer = max(0, layout.sub_x - model.sub_x) + max(0, layout.sub_y - model.sub_y)
        more = model.sub_x + model.sub_y - layout.sub_x - layout.sub_y
        return (
            max(0, model.depth - layout.depth),
            fewer,
            layout.depth - model.depth,
            more,
        )

    return min(choices, key=loss)


def _software_options(codec: str, kind: Kind, crf: int, light: Light | None) -> dict[str, str]:
    options = dict(kind.options)
    more = []
    if codec == "ffv1":
        return options
    if codec == "h264":
        options |= {"qp": "0"} if crf == 0 else {"crf": str(crf)}
        more = _x26x_light(light, "mastering-display", "cll")
    elif codec == "hevc":
        more = ["log-level=error", *(["lossless=1"] if crf == 0 else [])]
        options["crf"] = str(crf)
        more += _x26x_light(light, "master-display", "max-cll")
    elif codec == "av1":
        # SVT-AV1 greets on stderr otherwise.
        os.environ.setdefault("SVT_LOG", "1")
        options["crf"] = str(crf)
        more = [*(["lossless=1"] if crf == 0 else []), *_svt_light(light)]
    elif codec == "vp9":
        options |= {"lossless": "1"} if crf == 0 else {"crf": str(crf)}
    if more:
        library = {"h264": "x264", "hevc": "x265", "av1": "svtav1"}[codec]
        options[f"{library}-params"] = ":".join(more)
    return options


def _nvenc_options(crf: int) -> dict[str, str]:
    if crf == 0:
        return {"preset": "p5", "tune": "lossless"}
    return {"preset": "p5", "tune": "hq", "rc": "vbr", "cq": str(crf), "b": "0"}


def _x26x_light(light: Light | None, mastering: str, levels: str) -> list[str]:
    """In the words of x264 and x265."""
    more = []
    if light is not None and light.mastering is not None:
        rx, ry, gx, gy, bx, by, wx, wy, least, most = light.mastering
        more.append(
            f"{mastering}=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"
        )
    if light is not None and light.levels is not None:
        more.append(f"{levels}={light.levels[0]},{light.levels[1]}")
    return more


def _svt_light(light: Light | None) -> list[str]:
    """In the words of SVT-AV1."""
    more = []
    if light is not None and light.mastering is not None:
        *steps, least, most = light.mastering
        rx, ry, gx, gy, bx, by, wx, wy = (f"{step / 50_000:.5f}" for step in steps)
        more.append(
            f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})"
            f"L({most / 10_000:.4f},{least / 10_000:.4f})"
        )
    if light is not None and light.levels is not None:
        more.append(f"content-light={light.levels[0]},{light.levels[1]}")
    return more


def holds(encoder: Encoder, size: Size) -> bool:
    """Whether the encoder takes pictures of this size, px, which may have odd sides."""
    if all(side % 2 == 0 for side in size):
        return True
    try:
        _try(encoder, size)
    except (FFmpegError, ValueError):
        return False
    return True


def _try(encoder: Encoder, size: Size) -> None:
    """Open the encoder as the recording will. Raises: FFmpegError, ValueError: it cannot be."""
    context = CodecContext.create(encoder.name, "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height = size
    context.pix_fmt = encoder.format
    context.framerate, context.time_base = Fraction(25), Fraction(1, 25)
    context.options = dict(encoder.options)
    with usual_scheduling():
        context.open()
