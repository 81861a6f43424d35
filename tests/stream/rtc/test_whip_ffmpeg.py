"""WHIP from another house: FFmpeg's muxer publishes to the relay."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import sys
import time
from fractions import Fraction
from pathlib import Path

import av
import pytest

from bench import barcode
from tests import rtc_calls
from tests.fakes import OneFace, OpenedRuntimes
from tests.pictures import backdrop
from tests.places import ROOT
from tests.rtc_calls import Watcher, until
from tests.rtc_relays import received, relay, viewer

TOKEN = "a-secret-of-the-house"
SIZE = (320, 240)


def need_whip() -> None:
    """Skip where PyAV's FFmpeg cannot publish."""
    try:
        av.format.ContainerFormat("whip", "w")
    except ValueError:
        pytest.skip("needs FFmpeg 8 with its WHIP muxer")


def write_certificate(folder: Path, kind: str, address: str = "127.0.0.1") -> dict[str, str]:
    """Of "rsa", or "ecdsa" as browsers have it; for a server at an address.

    FFmpeg with GnuTLS makes one of P-224 itself, which the OpenSSL of Python's packages does not
    know.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa":
        key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), False
        )
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    return {"cert_file": str(folder / "cert.pem"), "key_file": str(folder / "key.pem")}


def publish(url: str, options: dict[str, str], seconds: float) -> None:
    """Send numbered pictures, as `ffmpeg -re ... -f whip URL` does."""
    with av.open(url, "w", format="whip", options=options) as container:
        stream = container.add_stream("libx264", rate=30)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 30)
        stream.codec_context.options = {
            "preset": "ultrafast", "tune": "zerolatency", "profile": "baseline", "g": "15"
        }  # fmt: skip
        started_s = time.monotonic()
        for number in range(round(30 * seconds)):
            image = backdrop(SIZE).copy()
            barcode.draw(image, number)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 30)
            container.mux(stream.encode(frame))
            time.sleep(max(0.0, started_s + number / 30 - time.monotonic()))


async def start_publishing(
    url: str, options: dict[str, str], seconds: float
) -> asyncio.subprocess.Process:
    """In a process of its own: FFmpeg keeps the interpreter locked while it connects."""
    call = f"publish({url!r}, {options!r}, {seconds})"
    program = f"from tests.stream.rtc.test_whip_ffmpeg import publish; {call}"
    quiet = asyncio.subprocess.DEVNULL
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=ROOT, stdout=quiet, stderr=quiet
    )


@pytest.mark.parametrize("certificate", ["rsa", "ecdsa"])
def test_ffmpeg_publishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, certificate: str
) -> None:
    need_whip()
    monkeypatch.setattr("stream.graph.FaceDetector", OneFace)
    monkeypatch.setattr("stream.graph.open_runtime", OpenedRuntimes())

    async def program() -> None:
        async with relay(token=TOKEN) as client:
            options = write_certificate(tmp_path, certificate)
            options |= {"authorization": TOKEN, "whip_flags": "dtls_active"}
            url = f"{client.relay.url}whip/studio"
            sending = await start_publishing(url, options, 8.0)
            await until(lambda: any(one.connected for one in client.relay.connections.open))
            peer = viewer("video")
            await client.begin(peer, "/whep/studio", Authorization=f"Bearer {TOKEN}")
            watcher = Watcher(received(peer, "video"))
            await until(lambda: len(watcher.numbers) > 10, "no pictures came")
            assert watcher.numbers == sorted(watcher.numbers)
            assert (watcher.frames[-1].width, watcher.frames[-1].height) == SIZE
            assert await sending.wait() == 0  # it has sent DELETE
            await until(lambda: not client.relay.connections.open, "the session did not end")
            await peer.close()

    rtc_calls.run(program())


def test_ffmpeg_without_the_token_is_refused(tmp_path: Path) -> None:
    need_whip()

    async def program() -> None:
        async with relay(token=TOKEN, runtime="onnxruntime-cpu") as client:
            options = write_certificate(tmp_path, "ecdsa")
            sending = await start_publishing(f"{client.relay.url}whip", options, 1.0)
            assert await sending.wait() != 0
            assert not client.relay.connections.open

    rtc_calls.run(program())
