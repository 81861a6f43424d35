"""C2PA: a signed manifest in the file that says what was done to it (c2pa.org, extra `c2pa`)."""

from __future__ import annotations

import json
import mimetypes
import os
from pathlib import Path

from engines.install import install_command
from stream.errors import ConfigError, OutputError
from stream.version import __version__

KINDS = {".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"}
"""Endings of files that can hold a manifest."""
ALGORITHMS = ("es256", "es384", "es512", "ps256", "ed25519")
"""Of the key: the first that it fits."""
COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
ORIGINAL = "original"


class C2paSigner:
    """Signs with the user's key. Nothing is asked of any server, so there is no time stamp.

    Args:   key, certificates: PEM files; the chain begins with the signer's own certificate.
            recording: the input, which the manifest refers to by its hash.
    Raises: ConfigError: c2pa is missing, or key and certificates cannot be used.
    """

    def __init__(self, key: Path, certificates: Path, recording: Path | None) -> None:
        try:
            import c2pa
        except ImportError as error:
            raise ConfigError(
                f"--c2pa-key needs c2pa: {install_command('c2pa')} ({error})"
            ) from error
        self._c2pa = c2pa
        self._recording = recording
        try:
            chain, secret = certificates.read_bytes(), key.read_bytes()
        except OSError as error:
            raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
        reasons = []
        for algorithm in ALGORITHMS:
            try:
                info = c2pa.C2paSignerInfo(algorithm.encode(), chain, secret, None)
                self._signer = c2pa.Signer.from_info(info)
            except c2pa.C2paError as error:
                reasons.append(str(error))
            else:
                return
        raise ConfigError(f"{key} and {certificates} cannot be used for signing: {reasons[0]}")

    def sign(self, part: Path, target: Path, statement: str) -> None:
        """Replace `part` by a signed copy.

        Args:   part: the complete file, replaced. target: the name it will have, which says its
                kind. statement: what was done to the pictures, for people.
        Raises: OutputError.
        """
        signed = part.with_name(part.name + ".signed")
        try:
            builder = self._c2pa.Builder(json.dumps(self._manifest(target, statement)))
            if self._recording is not None:
                self._add_recording(builder, self._recording)
            with part.open("rb") as source, signed.open("w+b") as copy:
                builder.sign(self._signer, KINDS[target.suffix.lower()], source, copy)
            os.replace(signed, part)
        except self._c2pa.C2paError as error:
            raise OutputError(f"{target} cannot be signed: {error}") from error
        finally:
            signed.unlink(missing_ok=True)

    def _manifest(self, target: Path, statement: str) -> dict[str, object]:
        agent = {"name": "Closeup", "version": __version__}
        edited = {
            "action": "c2pa.edited",
            "digitalSourceType": COMPOSITE,
            "softwareAgent": agent,
            "description": statement,
        }
        opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": [ORIGINAL]}}
        actions = [opened, edited] if self._recording is not None else [edited]
        return {
            "claim_generator_info": [agent],
            "title": target.name,
            "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        }

    def _add_recording(self, builder: object, recording: Path) -> None:
        # Without its name, which may say more than the user wants to give away.
        told = {
            "title": "the recording before",
            "relationship": "parentOf",
            "label": ORIGINAL,
            "instance_id": ORIGINAL,
        }
        ending = recording.suffix.lower()
        kind = KINDS.get(ending) or mimetypes.guess_type(recording.name)[0] or "video/mp4"
        with recording.open("rb") as file:
            builder.add_ingredient(json.dumps(told), kind, file)  # type: ignore[attr-defined]
