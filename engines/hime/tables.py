"""Scores as text, as Markdown, and as a sheet of faces."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engines.diagram import save
from engines.output_file import output_file

Image = NDArray[np.uint8]
HEAD = 26
"""Height of the sheet's line of titles, px."""
FACE_TITLE = "face: dB S R C"
TITLES = (
    *("method", "exemplars", "PSNR dB", "SSIM", "HaarPSI", "identity"),
    *("+dB", "+SSIM", "sharpness", "right", "coherence", FACE_TITLE, "params M", "GMACs"),
)


def add_report_options(parser: argparse.ArgumentParser) -> None:
    """What a comparison can be asked for besides its table on standard output."""
    parser.add_argument(
        "--identity",
        action="store_true",
        help="ask a face recogniser whether they are still the same people (extra: identity)",
    )
    parser.add_argument("--json", type=output_file, help="write the rows here")
    parser.add_argument("--markdown", type=output_file, help="write the tables here")
    parser.add_argument("--sheet", type=output_file, help="write a picture of faces here (.png)")


@dataclass(frozen=True)
class Row:
    """One line of a table, averaged over all headshots."""

    method: str
    exemplars: int
    psnr: float = 0.0
    ssim: float = 0.0
    haarpsi: float = 0.0
    sharpness: float = 0.0
    right: float = 0.0
    coherence: float = 0.0
    """Of the detail above the camera's Nyquist frequency, see `engines.hime.detail`; of all
    headshots together."""
    face_psnr: float = 0.0
    face_sharpness: float = 0.0
    face_right: float = 0.0
    face_coherence: float = 0.0
    """The same of the inner half of the headshot."""
    identity: float | None = None
    """Cosine similarity to the truth, to a face recogniser; None: nobody asked."""
    parameters: int | None = None
    """None: no network."""
    gmacs: float | None = None
    """Multiply-accumulates for one headshot, its close-ups included, 1e9."""


@dataclass(frozen=True)
class Table:
    """Scores of one setting; the first row is what the others are compared with."""

    scale: int
    size: int
    """Side of the input, px."""
    degradation: str
    headshots: int
    people: int
    weights: str
    rows: list[Row]

    def title(self) -> str:
        """What was measured, in one line."""
        return (
            f"{self.headshots} headshots, {self.size} px x{self.scale}, {self.degradation}, "
            f"{self.people} people, {self.weights}"
        )

    def cells(self) -> list[tuple[str, ...]]:
        """A line of text for every row, in the order of TITLES."""
        base = self.rows[0]
        return [
            (
                r.method,
                str(r.exemplars),
                f"{r.psnr:.2f}",
                f"{r.ssim:.4f}",
                f"{r.haarpsi:.4f}",
                "-" if r.identity is None else f"{r.identity:.4f}",
                f"{r.psnr - base.psnr:+.2f}",
                f"{r.ssim - base.ssim:+.4f}",
                f"{r.sharpness:.3f}",
                f"{r.right:.3f}",
                f"{r.coherence:.3f}",
                f"{r.face_psnr:.2f} "
                f"{r.face_sharpness:.2f} {r.face_right:.2f} {r.face_coherence:.2f}",
                "-" if r.parameters is None else f"{r.parameters / 1e6:.2f}",
                "-" if r.gmacs is None else f"{r.gmacs:.2f}",
            )
            for r in self.rows
        ]


def wide(column: int) -> int:
    """Width of a column of plain text."""
    return 22 if TITLES[column] == FACE_TITLE else 11


def plain(table: Table) -> str:
    """Plain text, with differences to the first row."""
    lines = [TITLES, *table.cells()]
    return "\n".join(
        f"{x[0]:<14}" + "".join(f"{word:>{wide(i)}}" for i, word in enumerate(x[1:], 1))
        for x in lines
    )


def markdown(tables: list[Table]) -> str:
    """Markdown, a heading for each table."""
    parts = []
    for table in tables:
        lines = [TITLES, ("---",) + ("---:",) * (len(TITLES) - 1), *table.cells()]
        body = "\n".join("| " + " | ".join(line) + " |" for line in lines)
        parts.append(f"### {table.title()}\n\n{body}\n")
    return "\n".join(parts)


def write_sheet(path: Path, columns: dict[str, Tensor]) -> None:
    """Save faces side by side: a line for each headshot, a column for each method.

    Args:   path: .png or .jpg. columns: title -> (N, 3, H, W), 0..1; smaller pictures are shown
            with their own pixels, enlarged.
    Raises: ValueError: OpenCV cannot write such a file. OSError.
    """
    side = max(pictures.shape[-1] for pictures in columns.values())
    strips = []
    for title, pictures in columns.items():
        large = F.interpolate(pictures, size=(side, side), mode="nearest")
        pixels = (large.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1)
        head = np.full((HEAD, side, 3), 255, np.uint8)
        # letters shrink with the pictures, so that titles of 64 px faces do not run over
        size = min(0.45, side / 300)
        cv2.putText(head, title, (3, 17), cv2.FONT_HERSHEY_SIMPLEX, size, (0, 0, 0), 1, cv2.LINE_AA)
        strips.append(np.concatenate([head, pixels.reshape(-1, side, 3).numpy()]))
    save(path, np.concatenate(strips, axis=1))


def write_pictures(folder: Path, pictures: Tensor) -> None:
    """Save pictures (N, 3, H, W), 0..1, as 0000.png and on, without loss.

    Raises: OSError: the folder or a file cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rounded = (pictures.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    for index, picture in enumerate(rounded):
        save(folder / f"{index:04d}.png", np.ascontiguousarray(picture))


def spread(count: int, most: int) -> Tensor:
    """At most `most` indices, evenly over 0..count - 1."""
    return torch.linspace(0, count - 1, min(count, most)).round().long()
