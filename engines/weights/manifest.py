"""What is shipped in engines/weights, and whether the files are still what they should be."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from engines.contract import DEFAULT_WEIGHTS, FULL, RESEARCH, SCALES, SMALL
from engines.contract import WEIGHTS as CHOICES
from engines.errors import WeightsError

WEIGHTS = Path(__file__).parent
MANIFEST = "manifest.json"
HALVES = ("encode", "enhance")
QUANTISED = "int8"
OPTIONAL = ("quantised", "descriptors")
"""Kinds of weights that a manifest may do without."""
DESCRIPTOR = "face_descriptor.npz"
"""By what people are told apart: see `calibration.descriptor_projection`."""


def sha256(path: Path) -> str:
    """Hexadecimal SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_manifest(folder: Path = WEIGHTS) -> dict[str, Any]:
    """The manifest: for all that was trained its files, training and scores.

    Raises: WeightsError: it is missing or damaged.
    """
    path = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_text())
        kinds = (manifest["networks"], *(manifest.setdefault(kind, {}) for kind in OPTIONAL))
        for entry in (one for kind in kinds for one in kind.values()):
            dict.items(entry["files"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(f"{path}: no manifest of weights; install Closeup again") from error
    return manifest


def network_name(
    scale: int, kind: str = "call", weights: str = DEFAULT_WEIGHTS, network: str = FULL
) -> str:
    """Name of the shipped network: made for calls (the default), or for "clean" shrinking.

    Args: weights: one of `engines.contract.WEIGHTS`. network: one of `engines.contract.NETWORKS`.
    """
    name = f"hime_x{scale}" if kind == "call" else f"hime_x{scale}_{kind}"
    name = name if weights == RESEARCH else f"{name}_{weights}"
    return name if network == FULL else f"{name}_{network}"


def best_weights(scale: int, kind: str, folder: Path = WEIGHTS) -> Path:
    """The enhance half of the network made for a kind of damage.

    Args: scale: 4 or 8. kind: "call", of the default weights, or "clean", of the research weights:
          there are no others. folder: of the weights.
    """
    weights = DEFAULT_WEIGHTS if kind == "call" else RESEARCH
    return folder / f"{network_name(scale, kind, weights)}.enhance.onnx"


def weights_files(
    scale: int, folder: Path = WEIGHTS, *, weights: str = DEFAULT_WEIGHTS, network: str = FULL
) -> tuple[Path, Path]:
    """Paths of the encode and enhance halves, after their checksums have been compared.

    Args:   weights: one of `engines.contract.WEIGHTS`. network: one of its `NETWORKS`.
    Raises: WeightsError: a file is missing or is not the one that the manifest names.
            ValueError: no network of this scale exists.
    """
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {SCALES}, not {scale}")
    name = network_name(scale, weights=weights, network=network)
    entry = read_manifest(folder)["networks"].get(name)
    if entry is None and network != FULL:
        raise WeightsError(f"no {network} network for {weights} weights, x{scale}, is installed")
    if entry is None:
        known = installed(scale, folder)
        way_out = f"there are: {', '.join(known)}" if known else "install Closeup again"
        raise WeightsError(
            f"no {weights} weights that enlarge {scale} times are installed; {way_out}"
        )
    paths = tuple(folder / f"{name}.{half}.onnx" for half in HALVES)
    for path in paths:
        _check(path, entry["files"][path.name])
    return paths[0], paths[1]


def descriptor_file(folder: Path = WEIGHTS) -> Path:
    """Path of the projection of face descriptors, after its checksum has been compared.

    Raises: WeightsError: it is missing or is not the one that the manifest names.
    """
    entry = read_manifest(folder)["descriptors"].get(Path(DESCRIPTOR).stem)
    if entry is None:
        raise WeightsError(f"{folder} has no {DESCRIPTOR}; install Closeup again")
    _check(folder / DESCRIPTOR, entry["files"][DESCRIPTOR])
    return folder / DESCRIPTOR


def _check(path: Path, digest: str) -> None:
    """Raises: WeightsError: the file is missing or has another SHA-256."""
    if not path.is_file():
        raise WeightsError(f"{path} is missing; install Closeup again")
    if sha256(path) != digest:
        raise WeightsError(f"{path} is not the file in the manifest; install Closeup again")


def installed(scale: int, folder: Path = WEIGHTS) -> list[str]:
    """Those of `engines.contract.WEIGHTS` that there are. Raises: WeightsError: no manifest."""
    known = read_manifest(folder)["networks"]
    return [one for one in CHOICES if network_name(scale, weights=one) in known]


def has_small(scale: int, folder: Path = WEIGHTS, *, weights: str = DEFAULT_WEIGHTS) -> bool:
    """Whether weights are shipped in the small size, too.

    Args:   scale: 4 or 8. folder: of the weights. weights: one of `engines.contract.WEIGHTS`.
    Raises: WeightsError: no manifest.
    """
    return network_name(scale, weights=weights, network=SMALL) in read_manifest(folder)["networks"]


def weights_used(
    quantised: Collection[int] = (),
    folder: Path = WEIGHTS,
    *,
    weights: str = DEFAULT_WEIGHTS,
    network: str = FULL,
) -> dict[str, str]:
    """File name → SHA-256 of all the networks that calls and recordings are enhanced with, after
    the checksums have been compared.

    Args:   quantised: the scales that run in INT8, where there are such weights.
            weights: one of `engines.contract.WEIGHTS`.
            network: one of its `NETWORKS`; with the small one, which not every scale has and not
            everything runs, the full one is among them, too.
    Raises: WeightsError: as `weights_files`.
    """
    manifest, used = read_manifest(folder), []
    for scale in SCALES:
        name = network_name(scale, weights=weights)
        if name not in manifest["networks"]:
            weights_files(scale, folder, weights=weights)  # says what is missing
        exact = manifest["networks"][name]
        used.append(manifest["quantised"].get(name, exact) if scale in quantised else exact)
        if network == SMALL and has_small(scale, folder, weights=weights):
            name = network_name(scale, weights=weights, network=SMALL)
            used.append(manifest["networks"][name])
    files = {name: digest for network in used for name, digest in network["files"].items()}
    for name, digest in files.items():
        _check(folder / name, digest)
    return files


def quantised_files(
    scale: int, folder: Path = WEIGHTS, *, weights: str = DEFAULT_WEIGHTS
) -> tuple[Path, Path] | None:
    """Paths of the INT8 halves, after their checksums have been compared.

    Args:    weights: one of `engines.contract.WEIGHTS`.
    Returns: None: there are none, or they were made from other float32 weights than these.
    Raises:  WeightsError: a file is missing or is not the one that the manifest names.
    """
    manifest = read_manifest(folder)
    name = network_name(scale, weights=weights)
    entry = manifest.get("quantised", {}).get(name)
    if entry is None or entry["of"] != manifest["networks"][name]["files"]:
        return None
    paths = tuple(folder / f"{name}.{QUANTISED}.{half}.onnx" for half in HALVES)
    for path in paths:
        _check(path, entry["files"][path.name])
    return paths[0], paths[1]
