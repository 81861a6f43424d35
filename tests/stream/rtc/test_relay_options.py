"""The relay from the command line: what it may be asked, and that it ends as it should."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from run_pipeline import main
from stream.cli.arguments import parse
from stream.errors import ConfigError
from stream.option_table import TOKEN_VARIABLE
from stream.rtc.ice.ice_options import IceOptions
from stream.rtc.relay_options import RelayOptions, is_loopback
from tests.pictures import need_models
from tests.places import ROOT

RELAY = ["--input", "webrtc"]
TOKEN = "0123456789abcdef"


def options(*more: str) -> RelayOptions:
    given = parse([*RELAY, *more])
    assert isinstance(given, RelayOptions)
    return given


def test_defaults_are_for_this_machine_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    given = options()
    assert (given.host, given.port, given.token, given.framing) == ("127.0.0.1", 8080, None, "auto")
    assert given.loopback
    assert given.ice == IceOptions()
    assert (given.limits.sessions, given.limits.session_s) == (8, 4 * 3600)
    monkeypatch.setenv(TOKEN_VARIABLE, TOKEN)
    assert options("--host", "0.0.0.0").token == TOKEN
    assert not options("--host", "0.0.0.0").loopback


def test_every_option(tmp_path: Path) -> None:
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).touch()
    given = options(
        "--host", "::", "--port", "0", "--token", TOKEN, "--origin", "https://a.example/",
        "--origin", "http://b.example:81", "--cert", str(tmp_path / "cert.pem"),
        "--key", str(tmp_path / "key.pem"), "--max-sessions", "3", "--max-minutes", "1.5",
        "--bit-rate", "2500", "--stun", "stun.example:3478", "--framing", "fixed",
        "--strength", "0.5", "--runtime", "onnxruntime-cpu",
    )  # fmt: skip
    assert given.origins == ("https://a.example", "http://b.example:81")
    assert (given.limits.sessions, given.limits.session_s, given.bit_rate) == (3, 90.0, 2_500_000)
    assert (given.framing, given.strength, given.runtime) == ("fixed", 0.5, "onnxruntime-cpu")
    file = tmp_path / "relay.toml"
    file.write_text('input = "webrtc"\nport = 81\norigin = ["https://a.example"]\n')
    read = parse(["--config", str(file)])
    assert isinstance(read, RelayOptions)
    assert (read.port, read.origins) == (81, ("https://a.example",))


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--host", "0.0.0.0"], "openssl rand -hex 16"),
        (["--host", "192.168.1.2"], "others can reach --host 192.168.1.2"),
        (["--token", "short"], "16 or more"),
        (["--token", TOKEN, "--watch-token", "short"], "16 or more"),
        (["--watch-token", TOKEN], "--watch-token needs --token"),
        (["--token", "with spaces in it, many"], "without spaces"),
        (["--port", "70000"], "--port 70000 is out of range"),
        (["--cert", "a.pem"], "belong together"),
        (["--cert", "a.pem", "--key", "b.pem"], "a.pem is not there"),
        (["--origin", "example.org"], "scheme and host"),
        (["--origin", "*"], "scheme and host"),
        (["--max-sessions", "0"], "--max-sessions 0 is out of range"),
        (["--max-minutes", "nan"], "--max-minutes nan is out of range"),
        (["--bit-rate", "10"], "--bit-rate 10 is out of range"),
        (["--stun", "stun:x"], "a host and a port"),
        (["--turn", "turn.example"], "turn:HOST:PORT"),
        (["--turn", "turns:turn.example?transport=udp"], "TURN over DTLS is not supported"),
        (["--turn", "turn:turn.example"], "--turn needs --turn-user and --turn-password"),
        (["--turn-user", 'a"b'], "ASCII"),
        (["--udp-ports", "50000"], "the first and the last"),
        (["--udp-ports", "50009-50000"], "the first and the last"),
        (["--udp-ports", "0-70000"], "the first and the last"),
        (["--public-address", "relay.example"], "give an address"),
        (["--candidates", "none"], "--candidates"),
        (["--output", "a.mp4"], "--output is not for the relay"),
        (["--headless"], "--headless is not for the relay"),
        (["--metrics-port", "1"], "--metrics-port is not for the relay"),
        (["--strength", "2"], "--strength 2 is out of range"),
    ],
)
def test_what_cannot_be_met(monkeypatch: pytest.MonkeyPatch, more: list[str], message: str) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)
    with pytest.raises(ConfigError, match=message) as caught:
        parse([*RELAY, *more])
    assert "\n" not in str(caught.value)


def test_its_options_are_for_it_alone() -> None:
    with pytest.raises(ConfigError, match="--max-sessions is for the relay"):
        parse(["--input", "webcam", "--max-sessions", "3"])


def test_loopback() -> None:
    assert all(
        is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]")
    )
    assert not any(is_loopback(host) for host in ("", "0.0.0.0", "::", "example.org", "10.0.0.1"))


def test_a_port_that_is_taken_and_a_broken_certificate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("aiortc", reason="needs aiortc")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*RELAY, "--port", str(port), "--runtime", "onnxruntime-cpu"]) == 2
    for name in ("cert.pem", "key.pem"):
        (tmp_path / name).write_text("nothing")
    tls = ["--cert", str(tmp_path / "cert.pem"), "--key", str(tmp_path / "key.pem")]
    assert main([*RELAY, "--port", "0", *tls]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert f"cannot listen at 127.0.0.1:{port}" in lines[0]
    assert "cannot be used" in lines[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_until_it_is_told_to_end(number: signal.Signals) -> None:
    pytest.importorskip("aiortc", reason="needs aiortc")
    need_models()
    command = [sys.executable, "-W", "error::ResourceWarning", "run_pipeline.py", *RELAY]
    command += ["--port", "0", "--runtime", "onnxruntime-cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as relay:
        assert relay.stdout is not None
        said = relay.stdout.readline()
        assert said.startswith("the relay is at http://127.0.0.1:")
        url = said.split()[-1]
        with urllib.request.urlopen(f"{url}health", timeout=30) as answer:
            assert json.load(answer)["status"] == "ok"
        relay.send_signal(number)
        _, error = relay.communicate(timeout=60)
        assert (relay.returncode, error) == (0, "")
