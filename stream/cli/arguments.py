"""Command line: arguments and files of options → what a run is asked for (`stream.options`).

It is checked as far as it can be without the input.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal, NoReturn

from engines.runtime import RUNTIMES
from stream.camera_profile import ANY_CAMERA
from stream.cli import batch_options, provenance_options
from stream.cli.config_file import read_config
from stream.errors import ConfigError
from stream.media.sinks.encoder import CODECS, ENCODERS, Encoding, check_encoding
from stream.media.sinks.file_sink import FORMATS
from stream.media.sources.devices import Device, device_named
from stream.options import (
    DEMO,
    DEMO_OUTPUT,
    ENLARGED_UP_TO_PX,
    VIRTUAL_CAMERA,
    BatchOptions,
    LiveOptions,
    Options,
)
from stream.rtc import relay_options
from stream.rtc.relay_options import WEBRTC, RelayOptions

DESCRIPTION = "Make far-away faces sharp with the same person's earlier close-ups."
EPILOG = '"run_pipeline.py doctor" says what this machine has and what to install for more.'
DEFAULTS: dict[str, Any] = {
    "input": None,
    "output": None,
    "overwrite": False,
    "framing": None,
    "scale": None,
    "strength": 1.0,
    "headless": False,
    "stats": None,
    "metrics_port": None,
    "report": None,
    "runtime": "auto",
    "camera": ANY_CAMERA,
    "passes": None,
    "codec": None,
    "crf": None,
    "encoder": None,
    **provenance_options.DEFAULTS,
    **batch_options.DEFAULTS,
    **relay_options.DEFAULTS,
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for every other error."""
        raise ConfigError(f"{message} (--help shows all options)")


def parse(arguments: Sequence[str]) -> Options | BatchOptions | LiveOptions | RelayOptions:
    """Command line → options that make sense together; `--config` fills in what it leaves out.

    Raises: ConfigError: an option is missing, unknown, out of range or contradicts another.
    """
    parser, options = _parser()
    given = argparse.Namespace(**DEFAULTS)
    typed = vars(parser.parse_args(arguments))
    if "config" in typed:
        for path in typed["config"]:
            vars(given).update(read_config(path, options))
    vars(given).update(typed)
    if given.input is None:
        raise ConfigError("--input is missing; name a recording or a camera, or demo (see --help)")
    if not 0.0 <= given.strength <= 1.0:
        raise ConfigError(f"--strength {given.strength:g} is out of range; give 0 to 1")
    if given.scale is not None and not 1.0 <= given.scale <= 4.0:
        raise ConfigError(f"--scale {given.scale:g} is out of range; give 1 to 4")
    inputs: list[str] = given.input
    given.input = inputs[0]
    device = device_named(given.input)
    following = given.input in (DEMO, WEBRTC) or device is not None
    if len(inputs) > 1 and any(one in (DEMO, WEBRTC) or device_named(one) for one in inputs):
        raise ConfigError("several inputs must be recordings; give a camera or the demo alone")
    framing: Literal["auto", "fixed"] = given.framing or ("auto" if following else "fixed")
    if given.scale is not None and framing == "auto":
        raise ConfigError("--scale needs --framing fixed; auto framing keeps the picture's size")
    given.framing = framing
    if device is not None or given.input == WEBRTC:
        _refuse_encoding(given)
    if given.input == WEBRTC:
        return _relay(given)
    if names := relay_options.given_names(given):
        raise ConfigError(f"{names[0]} is for the relay, --input {WEBRTC}")
    if device is None and not following and batch_options.is_batch(inputs, given.output or []):
        batch_options.check(given)
        return BatchOptions(
            inputs=tuple(inputs),
            output=Path(given.output[0]),
            each=_recording(given),
            jobs=given.jobs or 1,
            cluster=given.cluster,
            cluster_cpus=given.cluster_cpus or 1.0,
            cluster_gpus=given.cluster_gpus or 0.0,
        )
    for name in ("jobs", "cluster"):
        if getattr(given, name) is not None:
            raise ConfigError(f"--{name} is for several recordings, or a folder of them")
    if following and (names := batch_options.given_names(given)):
        raise ConfigError(f"{names[0]} is for recordings")
    return _recording(given) if device is None else _call(given, device)


def _parser() -> tuple[argparse.ArgumentParser, dict[str, argparse.Action]]:
    """The command line, and by name the options that a file may have, too.

    What is not given is absent from the result, so that a default never hides the file's value.
    """
    parser = _Parser(
        prog="run_pipeline.py",
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    options: dict[str, argparse.Action] = {}

    def add(group: argparse._ArgumentGroup, name: str, **how: Any) -> None:
        options[name] = group.add_argument(f"--{name}", **how)

    switch: Any = {"action": argparse.BooleanOptionalAction, "default": argparse.SUPPRESS}
    what = parser.add_argument_group("what")
    add(what, "input", action="append", metavar="WHAT", help="a recording, or as often as you like "
        f'recordings, folders and patterns; "{DEMO}", a camera (webcam, webcam:1, /dev/video2, or '
        "lavfi:GRAPH for a picture made by FFmpeg), or "
        f'"{WEBRTC}", a relay for calls in a browser')  # fmt: skip
    add(what, "output", action="append", metavar="WHAT", help="the recording to write (.mp4, .mov, "
        f'.mkv), or a folder for several; with a camera also "{VIRTUAL_CAMERA}", and as often as '
        "you like")  # fmt: skip
    add(what, "overwrite", **switch, help="replace files that exist")
    picture = parser.add_argument_group("the picture")
    add(picture, "framing", choices=("auto", "fixed"), help="auto: a virtual camera follows "
        "the people (for cameras and demo); fixed: the whole picture (for recordings)")  # fmt: skip
    add(picture, "scale", type=float, metavar="N", help="with fixed framing: canvas 1 to 4 "
        f"times larger (2 for recordings up to {ENLARGED_UP_TO_PX} lines, else 1)")  # fmt: skip
    add(picture, "strength", type=float, metavar="S", help="of the enhancement, 0 to 1 (default 1)")
    recording = parser.add_argument_group("recordings and demo")
    add(recording, "passes", type=int, choices=(1, 2), help="2 (default): look through "
        "it for close-ups first, so that its start profits from its end; 1: in one go")  # fmt: skip
    add(recording, "codec", choices=CODECS, help="default auto: h264, for more than 8 bits hevc")
    add(recording, "crf", type=int, metavar="N", help="constant quality, less is better, 0 loses "
        "nothing (default: next to no visible loss, for h264 18)")  # fmt: skip
    add(recording, "encoder", choices=ENCODERS, help="nvenc, auto: on an NVIDIA card, or else in "
        "software (default software)")  # fmt: skip
    provenance_options.add_arguments(partial(add, recording))
    call = parser.add_argument_group("calls, with a camera")
    add(call, "headless", **switch, help="no preview window; needs an output")
    add(call, "stats", choices=("table", "json"), help="figures on stdout, a line a second")
    add(call, "metrics-port", type=int, metavar="N", help="figures for Prometheus, on this "
        "machine's loopback; 0 takes a free port")  # fmt: skip
    batch_options.add_arguments(partial(add, parser.add_argument_group("recordings")))
    relay_options.add_arguments(
        partial(add, parser.add_argument_group(f"the relay, --input {WEBRTC}"))
    )
    more = parser.add_argument_group("more")
    add(more, "report", type=Path, metavar="WHAT", help="a name.json: what was done, for programs; "
        "any other name: a folder with a page to look at, which SHOWS FACES: moments before and "
        "after, and the close-ups of everybody (recordings and demo)")  # fmt: skip
    add(more, "runtime", choices=("auto", *(name for name, _ in RUNTIMES)),
        help="what runs the network (default auto: the best that this machine has)")  # fmt: skip
    more.add_argument("--config", type=Path, action="append", metavar="FILE", help="a TOML file "
        "of these options, by the same names, or a camera's profile; of several the last wins, "
        "over all the command line")  # fmt: skip
    return parser, options


def _recording(given: argparse.Namespace) -> Options:
    demo = given.input == DEMO
    outputs = given.output or []
    if not outputs and not demo:
        raise ConfigError("--output is missing; name the recording to write")
    if len(outputs) > 1 or VIRTUAL_CAMERA in outputs:
        raise ConfigError("a recording has one output, a file; only a camera can have others")
    if given.headless:
        raise ConfigError("--headless is for cameras; a recording has no preview window")
    if given.stats is not None or given.metrics_port is not None:
        raise ConfigError("--stats and --metrics-port are for cameras; a recording has --report")
    if demo and given.passes == 2:
        raise ConfigError("--passes 2 is for recordings; in the demo the close-ups come first")
    output = Path(outputs[0]) if outputs else DEMO_OUTPUT
    encoding = Encoding(given.codec or "auto", given.crf, given.encoder or "software")
    kind = FORMATS.get(output.suffix.lower())
    if kind is not None and (wrong := check_encoding(encoding, kind)):
        raise ConfigError(wrong)
    provenance_options.check(given, output, kind)
    return Options(
        input=None if demo else Path(given.input),
        passes=1 if demo else given.passes or 2,
        output=output,
        encoding=encoding,
        badge=given.badge,
        c2pa_key=given.c2pa_key,
        c2pa_cert=given.c2pa_cert,
        # The demo may replace what an earlier demo left in its own folder.
        overwrite=given.overwrite or (demo and not outputs),
        framing=given.framing,
        scale=given.scale,
        strength=given.strength,
        report=given.report,
        runtime=given.runtime,
        camera=given.camera,
        progress=given.progress or "text",
        resume=bool(given.resume),
        segment=batch_options.segment_frames(given),
    )


def _refuse_encoding(given: argparse.Namespace) -> None:
    named = [one for one in ("codec", "crf", "encoder") if getattr(given, one) is not None]
    if named:
        raise ConfigError(
            f"--{named[0]} is for recordings; a call is written as it comes, in H.264"
        )
    provenance_options.refuse(given)


def _call(given: argparse.Namespace, device: Device) -> LiveOptions:
    outputs = given.output or []
    if given.passes is not None:
        raise ConfigError("--passes is for recordings; a call cannot be looked through first")
    if len({Path(one).absolute() for one in outputs}) < len(outputs):
        raise ConfigError("an --output is named twice; give each another name")
    if given.headless and not outputs:
        raise ConfigError("--headless without an --output shows and keeps nothing; name one")
    if given.metrics_port is not None and not 0 <= given.metrics_port <= 65_535:
        raise ConfigError(f"--metrics-port {given.metrics_port} is out of range; give 0 to 65535")
    return LiveOptions(
        device=device,
        files=tuple(Path(one) for one in outputs if one != VIRTUAL_CAMERA),
        virtual_camera=VIRTUAL_CAMERA in outputs,
        headless=given.headless,
        stats=given.stats,
        metrics_port=given.metrics_port,
        overwrite=given.overwrite,
        framing=given.framing,
        # A larger canvas costs time, which a call does not have.
        scale=given.scale or 1.0,
        strength=given.strength,
        report=given.report,
        runtime=given.runtime,
        camera=given.camera,
    )


def _relay(given: argparse.Namespace) -> RelayOptions:
    others = (
        "output",
        "report",
        "stats",
        "metrics_port",
        "scale",
        "passes",
        *batch_options.DEFAULTS,
    )
    named = [one for one in others if getattr(given, one) is not None]
    named += [one for one in ("headless", "overwrite") if getattr(given, one)]
    if named:
        option = named[0].replace("_", "-")
        raise ConfigError(
            f"--{option} is not for the relay; its page and /metrics show what it does"
        )
    return relay_options.read(given)
