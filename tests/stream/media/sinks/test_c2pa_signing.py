"""C2PA: outputs signed with a certificate made here, and read back as anybody would."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from run_pipeline import main
from stream.media.sinks.c2pa_signing import COMPOSITE, KINDS
from tests.fake_stages import use_fake_stages
from tests.recording_files import VFR_PTS, times_of, write_recording

c2pa = pytest.importorskip("c2pa", reason="needs the extra c2pa")

USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
    "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
PEM = serialization.Encoding.PEM


def make_key(folder: Path) -> list[str]:
    """A key and its chain: the options that sign with them."""

    def name(common: str) -> x509.Name:
        told = ((NameOID.ORGANIZATION_NAME, "Closeup's tests"), (NameOID.COMMON_NAME, common))
        return x509.Name([x509.NameAttribute(*one) for one in told])

    def certificate(subject: str, key: Any, authority: bool) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        usage = dict.fromkeys(USAGES, False)
        usage["key_cert_sign" if authority else "digital_signature"] = True
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(authority, None), critical=True)
            .add_extension(x509.KeyUsage(**usage), critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
                critical=False,
            )
        )

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = certificate("root", root_key, True).sign(root_key, hashes.SHA256())
    purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
    leaf = certificate("signer", key, False).add_extension(purpose, critical=False)
    chain = [leaf.sign(root_key, hashes.SHA256()), root]
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(PEM) for one in chain))
    secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "key.pem").write_bytes(secret)
    return ["--c2pa-key", str(folder / "key.pem"), "--c2pa-cert", str(folder / "chain.pem")]


def manifest_of(path: Path) -> tuple[dict[str, Any], list[str]]:
    """The active manifest, and the codes of what a validator says against it."""
    with path.open("rb") as file, c2pa.Reader(KINDS[path.suffix], file) as reader:
        read = json.loads(reader.json())
    against = [one["code"] for one in read.get("validation_status", [])]
    return read["manifests"][read["active_manifest"]], against


@pytest.mark.parametrize("ending", [".mp4", ".mov"])
def test_the_signature_says_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    use_fake_stages(monkeypatch)
    call, output = tmp_path / "call.mp4", tmp_path / f"better{ending}"
    write_recording(call)
    assert main(["--input", str(call), "--output", str(output), *make_key(tmp_path)]) == 0
    manifest, against = manifest_of(output)
    # Nobody trusts a certificate that was made a second ago; all else is in order.
    assert against == ["signingCredential.untrusted"]
    assert manifest["title"] == output.name
    actions = next(
        one["data"]["actions"] for one in manifest["assertions"] if "c2pa.actions" in one["label"]
    )
    assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.edited"]
    assert actions[1]["digitalSourceType"] == COMPOSITE
    assert actions[1]["softwareAgent"]["name"] == "Closeup"
    assert "sha256:" in actions[1]["description"]
    assert [one["relationship"] for one in manifest["ingredients"]] == ["parentOf"]
    assert "call" not in json.dumps(manifest["ingredients"])
    assert len(times_of(output)) == len(VFR_PTS)
    # A bit that somebody turns afterwards is found.
    data = bytearray(output.read_bytes())
    data[data.index(b"mdat") + 500] ^= 1
    output.write_bytes(data)
    assert "assertion.bmffHash.mismatch" in manifest_of(output)[1]


def test_nothing_is_signed_without_an_enhanced_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_fake_stages(monkeypatch, face=False)
    call, output = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(call)
    assert main(["--input", str(call), "--output", str(output), *make_key(tmp_path)]) == 0
    with pytest.raises(c2pa.C2paError):
        manifest_of(output)


def test_keys_that_do_not_sign(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    use_fake_stages(monkeypatch)
    call, output = tmp_path / "call.mp4", tmp_path / "better.mp4"
    write_recording(call)
    key = make_key(tmp_path)
    (tmp_path / "bad.pem").write_text("no key")
    (tmp_path / "other").mkdir()
    other = make_key(tmp_path / "other")
    before = {path.name for path in tmp_path.iterdir()}
    for options, message in (
        (key[:2], "belong together"),
        ([*key[:3], str(tmp_path / "missing.pem")], "cannot be read"),
        (["--c2pa-key", str(tmp_path / "bad.pem"), *key[2:]], "cannot be used"),
        ([*key[:2], *other[2:]], "cannot be"),
    ):
        assert main(["--input", str(call), "--output", str(output), *options]) == 2
        said = [one for one in capsys.readouterr().err.splitlines() if one.startswith("error")]
        assert len(said) == 1
        assert message in said[0]
        assert {path.name for path in tmp_path.iterdir()} == before
    assert main(["--input", str(call), "--output", str(output.with_suffix(".mkv")), *key]) == 2
    assert "cannot hold" in capsys.readouterr().err
