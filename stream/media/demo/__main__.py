"""Write the demo's call as it is before Closeup, to try the program on a recording.

python -m stream.media.demo CALL.mp4 [--seconds 10] [--overwrite]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from engines.errors import reported, run_program
from stream.errors import CloseupError, ConfigError
from stream.media.demo.demo_scene import DURATION_S
from stream.media.demo.demo_source import DemoSource
from stream.media.encoded_sound import EncodedSound
from stream.media.sinks.file_sink import FileSink


def write_call(path: Path, seconds: float = DURATION_S, *, overwrite: bool = False) -> None:
    """Write the call with its sound: 1280x720, H.264, 25 pictures a second.

    Args:   seconds: 0 to 10, from the beginning. overwrite: whether an existing file may be
            replaced.
    Raises: CloseupError: it cannot be written, or the portrait is not there.
            ValueError: it is not within 0..10 s.
    """
    source = DemoSource(seconds)
    sound = EncodedSound(source.sound, source.sound_rate)
    size = (source.width, source.height)
    sink = FileSink(
        path, size, source.rate, source.time_base, stream_copy=sound, overwrite=overwrite
    )
    try:
        for frame in source:
            sink.send(frame)
        sink.close()
    except BaseException:
        sink.abort()
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit status."""
    parser = argparse.ArgumentParser("python -m stream.media.demo", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("path", type=Path, help="the recording to write, such as call.mp4")
    parser.add_argument(
        "--seconds", type=float, default=DURATION_S, help="how long; up to 10 (default %(default)g)"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    given = parser.parse_args(arguments)
    try:
        if not 0.0 < given.seconds <= DURATION_S:
            raise ConfigError(f"--seconds {given.seconds:g}: the call lasts up to {DURATION_S:g} s")
        write_call(given.path, given.seconds, overwrite=given.overwrite)
    except CloseupError as error:
        return reported(error)
    print(f"{given.path} written")
    return 0


if __name__ == "__main__":
    run_program(main)
