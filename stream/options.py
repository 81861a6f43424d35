"""Options: what a run was asked for, as values that make sense together."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engines.runtime import FULL
from stream.camera_profile import ANY_CAMERA, CameraProfile
from stream.errors import ConfigError
from stream.media.sinks.encoder import Encoding
from stream.media.sources.devices import Device
from stream.media.stream_address import StreamAddress
from stream.option_table import (
    BADGE,
    BIT_RATE,
    CLUSTER_CPUS,
    CLUSTER_GPUS,
    HEADLESS,
    JOBS,
    LEARN,
    LEARN_LIVE,
    MEASURE,
    NETWORK,
    PROGRESS,
    RESUME,
    RUNTIME,
    SEGMENT,
    WEIGHTS,
)
from stream.picture_options import DETAIL, ENLARGED_UP_TO_PX, SPEED, Speed

DEMO_OUTPUT = Path("out/demo.mp4")
MAX_SIDE_PX = 4096
"""Of the output: what H.264 players take, and what fits into memory."""


@dataclass(frozen=True, kw_only=True)
class Common:
    """What every run needs to know."""

    overwrite: bool
    framing: Literal["auto", "fixed"]
    scale: float | None
    """None: as `chosen_scale` says."""
    strength: float
    detail: float = DETAIL.default
    """0: what is surest is shown, 1: about as sharp as the truth."""
    report: Path | None
    weights: str = WEIGHTS.default
    """What the network was trained on: "research" or "open"."""
    network: str = NETWORK.default
    """"full" or "small"; "auto": the full one, in a call for as long as the machine keeps up."""
    measure: bool = MEASURE.default
    """Find out what runs the network fastest here, where nobody has."""
    runtime: str = RUNTIME.default
    """What runs the network: "auto" or a name of `engines.runtime.RUNTIMES`."""
    camera: CameraProfile = ANY_CAMERA
    """What the camera gives: [camera] of a file of options."""


@dataclass(frozen=True, kw_only=True)
class Options(Common):
    """A recording, or the demo."""

    input: Path | None
    """None: the demo."""
    output: Path
    passes: int = 1
    """2: look through the recording for exemplars of everybody first."""
    learn: float | None = LEARN.default
    """Minutes for which each person who is far away is learnt, between the two passes."""
    encoding: Encoding = field(default_factory=Encoding)
    network: str = FULL
    """"full" or "small", as `stream.quality_ladder.recorded_network` chose it."""
    speed: Speed = SPEED.default
    """Whether the network runs in every picture: a key of `stream.quality_ladder.RECORDED`."""
    badge: bool = BADGE.default
    """A mark in the picture while a face is enhanced."""
    c2pa_key: Path | None = None
    c2pa_cert: Path | None = None
    """Both or none: who signs the output."""
    network_files: tuple[tuple[str, str], ...] = ()
    """Name and SHA-256 of the network's files, for the output to tell."""
    progress: Literal["text", "json"] = PROGRESS.default
    """json: lines on stdout, for programs."""
    resume: bool = RESUME.default
    """Go on where an earlier run was interrupted."""
    segment: int = SEGMENT.default
    """Pictures in a segment of work that can be interrupted."""


@dataclass(frozen=True, kw_only=True)
class BatchOptions:
    """Many recordings into a folder."""

    inputs: tuple[str, ...]
    """Files, folders, patterns."""
    output: Path
    """The folder."""
    each: Options
    """For every recording, whose own input and output take the place of these."""
    jobs: int = JOBS.default
    """Recordings at the same time, each in a process of its own."""
    cluster: str | None = None
    """Address of a Ray cluster; None: this machine, without Ray."""
    cluster_cpus: float = CLUSTER_CPUS.default
    cluster_gpus: float = CLUSTER_GPUS.default
    """For each recording."""


@dataclass(frozen=True, kw_only=True)
class LiveOptions(Common):
    """A call."""

    device: Device | StreamAddress
    files: tuple[Path, ...]
    """Recordings to write."""
    virtual_camera: bool
    streams: tuple[StreamAddress, ...] = ()
    """Servers that the picture is sent to."""
    input_token: str | None = field(default=None, repr=False)
    output_token: str | None = field(default=None, repr=False)
    bit_rate: int = 1000 * BIT_RATE.default
    """The most that the picture takes on its way to a server, bits a second."""
    headless: bool = HEADLESS.default
    """No preview window."""
    person: str | None = None
    """Somebody who is kept for all calls."""
    learn_live: bool = LEARN_LIVE.default
    """Learn the people of the call while it goes on."""
    stats: Literal["json", "table"] | None = None
    """Figures on stdout, a line a second."""
    metrics_port: int | None = None
    """Of the Prometheus endpoint; 0 takes a free one."""


def chosen_scale(size: tuple[int, int], options: Common) -> float:
    """How much larger the canvas is than the picture of `size`, (width, height) px.

    Raises: ConfigError: the canvas would be too large.
    """
    scale = options.scale
    if scale is None:
        small = min(size) <= ENLARGED_UP_TO_PX and 2 * max(size) <= MAX_SIDE_PX
        scale = 2.0 if small and options.framing == "fixed" else 1.0
    width, height = round(size[0] * scale), round(size[1] * scale)
    if max(width, height) > MAX_SIDE_PX:
        most = int(100 * MAX_SIDE_PX / max(size)) / 100
        way_out = f"use --scale {most:g} or less" if most >= 1.0 else "make a smaller copy first"
        raise ConfigError(
            f"the output would be {width}x{height}, its sides may have {MAX_SIDE_PX}; {way_out}"
        )
    return scale
