"""Streams on servers: which addresses are taken, and that nothing secret of them is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.media.sources.file_source import FileSource
from stream.media.stream_address import INPUTS, OUTPUTS, input_stream, is_stream, output_stream
from stream.options import LiveOptions


def test_what_is_a_stream() -> None:
    for scheme in (*INPUTS, *OUTPUTS):
        assert is_stream(f"{scheme}://127.0.0.1/a")
        assert is_stream(f"{scheme.upper()}://127.0.0.1/a")
    for name in ("call.mp4", "webcam:1", "lavfi:testsrc2", "C:/call.mp4", "rtsp:", "calls/*.mkv"):
        assert not is_stream(name)
        assert input_stream(name) is None


def test_password_path_and_key_are_not_shown() -> None:
    found = input_stream("rtsp://anna:secret@camera.example:8554/private?key=1")
    assert found is not None
    assert found.name == "rtsp://camera.example:8554"
    assert "secret" not in repr(found)
    assert "private" not in repr(found)
    assert found.url == "rtsp://anna:secret@camera.example:8554/private?key=1"
    sent = output_stream("whip+https://[2001:db8::1]:8443/key")
    assert sent is not None
    assert (sent.url, sent.name) == (
        "https://[2001:db8::1]:8443/key",
        "whip+https://[2001:db8::1]:8443",
    )


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("whep+http://example.org/live", "is not encrypted"),
        ("https://example.org/live", "write whep+https://"),
        ("whep://example.org/live", "write whep+https://"),
        ("whip+https://example.org/live", "it is for --output"),
        ("rtsp://", "give a host"),
        ("rtsp://example.org/a b", "give a host"),
        ("rtsp://example.org:99999/", "malformed"),
        ("rtsp://[::1", "malformed"),
    ],
)
def test_addresses_that_are_refused(name: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        input_stream(name)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_camera_server_is_no_output() -> None:
    with pytest.raises(ConfigError, match="it is for --input"):
        output_stream("rtsp://127.0.0.1/a")
    with pytest.raises(ConfigError, match="a recording has one output, a file"):
        parse(["--input", "call.mp4", "--output", "rtmp://127.0.0.1/live/key"])
    with pytest.raises(ConfigError, match="several inputs must be recordings"):
        parse(["--input", "call.mp4", "--input", "rtsp://127.0.0.1/a"])


def test_unencrypted_webrtc_is_for_this_machine_alone() -> None:
    for host in ("127.0.0.1:8080", "localhost", "[::1]:8080"):
        found = input_stream(f"whep+http://{host}/whep")
        assert found is not None
        assert found.is_webrtc


@pytest.mark.parametrize("line", ['input = "rtsp://a.example/1"', 'output = "rtmp://a.example/1"'])
def test_a_file_of_options_names_no_server(line: str, tmp_path: Path) -> None:
    file = tmp_path / "options.toml"
    file.write_text(line)
    with pytest.raises(ConfigError, match="counts on the command line alone"):
        parse(["--config", str(file), "--input", "webcam", "--output", "virtualcam"])


def test_a_playlist_names_no_server(tmp_path: Path) -> None:
    from stream.errors import InputError

    for name, text in (
        ("call.m3u8", "#EXTM3U\n#EXTINF:1,\nrtsp://127.0.0.1:9/a\n"),
        ("call.mp4", "ffconcat version 1.0\nfile rtsp://127.0.0.1:9/a\n"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(InputError) as caught, FileSource(path):
            pass
        assert "refused" not in str(caught.value), "nothing was connected to"


def test_tokens_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOSEUP_INPUT_TOKEN", "in-secret")
    monkeypatch.setenv("CLOSEUP_OUTPUT_TOKEN", "out-secret")
    given = ["--input", "whep+https://a.example/1", "--output", "whip+https://a.example/2"]
    options = parse(given)
    assert isinstance(options, LiveOptions)
    assert (options.input_token, options.output_token) == ("in-secret", "out-secret")
    assert "secret" not in repr(options)
    monkeypatch.setenv("CLOSEUP_INPUT_TOKEN", "two words")
    with pytest.raises(ConfigError, match="CLOSEUP_INPUT_TOKEN"):
        parse(given)
