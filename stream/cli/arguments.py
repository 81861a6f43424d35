"""Command line: arguments and files of options → what a run is asked for (`stream.options`).

It is checked as far as it can be without the input.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from engines.personal.learning_process import lacking
from stream.camera_profile import ANY_CAMERA
from stream.cli import batch_options as archive
from stream.cli import provenance_options
from stream.cli.config_file import CAMERA, read_config
from stream.cli.people_commands import COMMANDS
from stream.declared_option import DeclaredOption, OptionValues, Use
from stream.errors import ConfigError
from stream.media.sinks.encoder import Encoding, check_encoding
from stream.media.sinks.file_sink import FORMATS
from stream.media.sources.devices import Device, device_named
from stream.media.sources.spool import STDIN
from stream.media.stream_address import StreamAddress, input_stream, is_stream, output_stream
from stream.option_table import (
    BIT_RATE,
    CODEC,
    CRF,
    DEMO,
    ENCODER,
    HEADLESS,
    INPUT,
    INPUT_TOKEN,
    INPUT_TOKEN_VARIABLE,
    LEARN,
    LEARN_LIVE,
    NETWORK,
    OPTIONS,
    OUTPUT,
    OUTPUT_TOKEN,
    OUTPUT_TOKEN_VARIABLE,
    OVERWRITE,
    PASSES,
    PERSON,
    RESUME,
    VIRTUAL_CAMERA,
    WEBRTC,
    WEIGHTS,
)
from stream.options import DEMO_OUTPUT, BatchOptions, LiveOptions, Options
from stream.picture_options import FRAMING, SCALE, SPEED
from stream.quality_ladder import recorded_network
from stream.recordings.batch.discovery import shown
from stream.rtc.relay_options import RelayOptions, read_relay
from stream.version import __version__

DOCTOR = "doctor"
DESCRIPTION = "Make far-away faces sharp with the same person's earlier close-ups."
EPILOG = (
    '"%(prog)s doctor" says what this machine has and what to install for more; '
    '"learn NAME", "people" and "forget NAME" are for people who are kept for all calls.'
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, as for every other error."""
        raise ConfigError(f"{message} (--help shows all options)")


def parse(arguments: Sequence[str]) -> Options | BatchOptions | LiveOptions | RelayOptions:
    """Command line → options that make sense together; `--config` fills in what it leaves out.

    Raises: ConfigError: an option is missing, unknown, out of range or contradicts another.
    """
    if arguments and not arguments[0].startswith("-"):
        _refuse_command(arguments[0])
    typed = vars(make_parser().parse_args(arguments))
    read: dict[str, Any] = {CAMERA: ANY_CAMERA}
    for path in typed.pop("config", ()):
        found = read_config(path, OPTIONS)
        _refuse_streams(path, found)
        read.update(found)
    camera = read.pop(CAMERA)
    given = OptionValues({**read, **typed}, OPTIONS)
    inputs = given[INPUT]
    if not inputs:
        raise ConfigError("--input is missing; name a recording or a camera, or demo (see --help)")
    given.check()
    device = device_named(inputs[0]) or input_stream(inputs[0])
    alone = [one in (DEMO, WEBRTC, STDIN) or device_named(one) or is_stream(one) for one in inputs]
    if len(inputs) > 1 and any(alone):
        raise ConfigError("several inputs must be recordings; give a camera or the demo alone")
    use = _use(given, inputs, device)
    given.refuse_others(use)
    follows = FRAMING.default if use in ("demo", "call", "relay") else "fixed"
    framing = given[FRAMING] if given.has(FRAMING) else follows
    if given.has(SCALE) and framing == "auto":
        raise ConfigError("--scale needs --framing fixed; auto framing keeps the picture's size")
    common = {"framing": framing, CAMERA: camera}
    if device is not None:
        return _call(given, device, common)
    if use == "relay":
        _refuse_learning(given)
        return read_relay(given, **common)
    if use == "archive":
        output = archive.check(given)
        each = _recording(given, use, common)
        values = given.fields(BatchOptions) | {"output": output}
        return BatchOptions(inputs=tuple(inputs), each=each, **values)
    return _recording(given, use, common)


def _refuse_command(word: str) -> NoReturn:
    if word == DOCTOR:
        raise ConfigError("doctor takes no options")
    raise ConfigError(
        f"no command {shown(word)}; there are {', '.join((DOCTOR, *COMMANDS))}; a recording is "
        "named by --input, and the enhanced one by --output (--help)"
    )


def make_parser() -> argparse.ArgumentParser:
    """The command line of every declared option.

    What is not given is absent from the result, so that a default never hides the file's value.
    """
    parser = _Parser(
        prog=_program(),
        description=DESCRIPTION,
        epilog=EPILOG,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    groups: dict[str, argparse._ArgumentGroup] = {}
    for option in OPTIONS:
        if option.group not in groups:
            groups[option.group] = parser.add_argument_group(option.group)
        groups[option.group].add_argument(f"--{option.name}", **_argument(option))
    more = groups[OPTIONS[-1].group]
    more.add_argument("--config", type=Path, action="append", metavar="FILE", help="a TOML file "
        "of these options, by the same names, or a camera's profile; of several the last wins, "
        "over all the command line")  # fmt: skip
    more.add_argument("--version", action="version", version=f"closeup {__version__}")
    return parser


def _filled(kind: type) -> Callable[[str], Any]:
    """What makes a value of a text; an empty one would be the current folder."""

    def read(text: str) -> Any:
        if not text:
            raise argparse.ArgumentTypeError("it is empty")
        return kind(text)

    return read


def _argument(option: DeclaredOption[Any]) -> dict[str, Any]:
    """An option in argparse's terms."""
    if option.kind is bool:
        switch = argparse.BooleanOptionalAction
        return {"action": switch, "default": argparse.SUPPRESS, "help": option.help_text}
    how: dict[str, Any] = {"type": option.kind, "help": option.help_text}
    if option.kind in (str, Path) and option.default != "":
        how["type"] = _filled(option.kind)
    if option.choices:
        how["choices"] = option.choices
    else:
        how["metavar"] = option.metavar
    if option.many:
        how["action"] = "append"
    if option.bare is not None:
        how |= {"nargs": "?", "const": option.bare}
    return how


def _program() -> str:
    """What the user called: the console script, or the file in the source tree."""
    return "closeup" if Path(sys.argv[0]).stem == "closeup" else "run_pipeline.py"


def _refuse_streams(path: Path, found: Mapping[str, Any]) -> None:
    """Raises: ConfigError: a file names a server; who sends somebody a file must not choose it."""
    for option in (INPUT, OUTPUT):
        if any(is_stream(one) for one in found.get(option.key, ())):
            raise ConfigError(
                f"{path}: {option.name} names a server; that counts on the command line alone, "
                f"with --{option.name}"
            )


def _use(given: OptionValues, inputs: Sequence[str], device: Device | StreamAddress | None) -> Use:
    if device is not None:
        return "call"
    if inputs[0] == WEBRTC:
        return "relay"
    if inputs[0] == DEMO:
        return "demo"
    return "archive" if archive.is_archive(inputs, given[OUTPUT]) else "recording"


def _recording(given: OptionValues, use: Use, common: dict[str, Any]) -> Options:
    demo, outputs = use == "demo", given[OUTPUT]
    if not outputs and not demo:
        raise ConfigError("--output is missing; name the recording to write")
    if len(outputs) > 1 or VIRTUAL_CAMERA in outputs or any(map(is_stream, outputs)):
        raise ConfigError("a recording has one output, a file; only a camera can have others")
    if demo and given.has(PASSES) and given[PASSES] == 2:
        raise ConfigError("--passes 2 is for recordings; in the demo the close-ups come first")
    if given[LEARN] is not None and given.has(PASSES) and given[PASSES] == 1:
        raise ConfigError("--learn looks through the recording first; leave out --passes 1")
    if given[LEARN] is not None and (reason := lacking()) is not None:
        raise ConfigError(reason)
    if given[INPUT][0] == STDIN and given[RESUME]:
        raise ConfigError("--resume needs a file; what came through a pipe is gone afterwards")
    output = Path(outputs[0]) if outputs else DEMO_OUTPUT
    encoding = Encoding(given[CODEC], given[CRF], given[ENCODER])
    kind = FORMATS.get(output.suffix.lower())
    if kind is not None and (wrong := check_encoding(encoding, kind)):
        raise ConfigError(wrong)
    provenance_options.check(given, output, kind)
    _refuse_learning(given)
    values = given.fields(Options) | common
    values |= {
        "input": None if demo else Path(given[INPUT][0]),
        "output": output,
        "encoding": encoding,
        "network": recorded_network(given[NETWORK], given[SPEED], given[WEIGHTS]),
        "passes": 1 if demo else 2 if given[LEARN] is not None else given[PASSES],
        # The demo may replace what an earlier demo left in its own folder.
        "overwrite": given[OVERWRITE] or (demo and not outputs),
    }
    return Options(**values)


def _call(
    given: OptionValues, device: Device | StreamAddress, common: dict[str, Any]
) -> LiveOptions:
    outputs = given[OUTPUT]
    streams = {one: found for one in outputs if (found := output_stream(one)) is not None}
    provenance_options.refuse_page(given)
    if len({Path(one).absolute() for one in outputs}) < len(outputs):
        raise ConfigError("an --output is named twice; give each another name")
    if given[HEADLESS] and not outputs:
        raise ConfigError("--headless without an --output shows and keeps nothing; name one")
    _refuse_learning(given)
    values = given.fields(LiveOptions) | common
    # A larger canvas costs time, which a call does not have.
    values["scale"] = given[SCALE] or 1.0
    values["bit_rate"] = 1000 * given[BIT_RATE]
    values["input_token"] = _token(given[INPUT_TOKEN], INPUT_TOKEN_VARIABLE)
    values["output_token"] = _token(given[OUTPUT_TOKEN], OUTPUT_TOKEN_VARIABLE)
    files = [one for one in outputs if one != VIRTUAL_CAMERA and one not in streams]
    return LiveOptions(
        device=device,
        files=tuple(map(Path, files)),
        virtual_camera=VIRTUAL_CAMERA in outputs,
        streams=tuple(streams.values()),
        **values,
    )


def _refuse_learning(given: OptionValues) -> None:
    """Raises: ConfigError: what is learnt of people starts from the default weights; nobody can be
    learnt in a call here."""
    if given[LEARN_LIVE] and (reason := lacking()) is not None:
        raise ConfigError(reason)
    learning: tuple[DeclaredOption[Any], ...] = (LEARN, LEARN_LIVE, PERSON)
    for option in learning:
        if given[WEIGHTS] != WEIGHTS.default and given[option]:
            raise ConfigError(
                f"--{option.name} starts from the {WEIGHTS.default} weights; leave out "
                f"--weights {given[WEIGHTS]} or --{option.name}"
            )


def _token(given: str | None, variable: str) -> str | None:
    token = given or os.environ.get(variable) or None
    if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
        raise ConfigError(f"the token (${variable}) must be ASCII without spaces")
    return token
