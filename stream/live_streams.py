"""LiveStreams: opens the servers that a call takes its picture from, and sends it to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from engines.install import install_command
from stream.errors import ConfigError
from stream.graph import Stages
from stream.media.live_sound import LiveSound
from stream.media.sinks.stream_sink import StreamSink
from stream.media.sources.camera_source import CameraSource
from stream.media.sources.live_reader import LiveReader
from stream.media.sources.network_reader import NetworkReader
from stream.media.stream_address import StreamAddress
from stream.options import LiveOptions
from stream.protocols import Sink


def reader_of(options: LiveOptions, sound: LiveSound | None) -> Callable[[], LiveReader] | None:
    """What opens a stream on a server; None for a camera."""
    address = options.device
    if not isinstance(address, StreamAddress):
        return None
    if not address.is_webrtc:
        return partial(NetworkReader, address, sound)
    with _webrtc():
        from stream.rtc.clients.whep_reader import WhepReader
    return partial(WhepReader, address, options.input_token, sound)


@contextmanager
def _webrtc() -> Iterator[None]:
    """Say what to install where importing fails."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"WHEP and WHIP need aiortc and aiohttp ({error}); {install_command('webrtc')}"
        ) from error


def stream_sink(
    address: StreamAddress,
    camera: CameraSource,
    stages: Stages,
    options: LiveOptions,
    sound: LiveSound | None,
    say: Callable[[str], None],
) -> Sink:
    """A server that is there.

    Args:   address: of the server. camera: says the rate, and whether there is sound. stages: say
            the size of the output. options: say the token and the bit rate.
            sound: where the sink gets its sound. say: gets lines while the call goes on.
    Raises: OutputError: it cannot be reached, or refuses. ConfigError: a package is missing.
    """
    has_sound = sound is not None and camera.has_sound
    sink: Any
    if address.is_webrtc:
        with _webrtc():
            from stream.rtc.clients.whip_sink import WhipSink
        sink = WhipSink(
            address, options.output_token, bit_rate=options.bit_rate, sound=has_sound, say=say
        )
    else:
        sink = StreamSink(
            address,
            stages.output_size,
            camera.rate,
            bit_rate=options.bit_rate,
            sound=has_sound,
            say=say,
        )
    if sound is not None and has_sound:
        sound.listen(sink.hear)
    opened: Sink = sink
    return opened
