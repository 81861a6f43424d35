"""Measure every runtime that this machine has: speed, memory, and how near it is to FP32.

    python -m engines.benchmark [--json F] [--scales 4] [--buckets 48] [--exemplars 3] [--repeat 50]

prints a Markdown table. Times are wall-clock medians after a warm-up, each call from picture to
picture. Every bucket is measured in the same run with the baseline: PyTorch, eager, FP32,
everything computed again for each frame, on as many threads; `ratio` is enhance / naive. Exemplars
are aligned to the crop beforehand (`engines.alignment`), which has a column of its own. Without
PyTorch (extra `train`) what needs it stays empty.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engines.alignment import align
from engines.errors import reported, run_program
from engines.machine import processor
from engines.output_file import output_file
from engines.runtime import (
    BUCKETS,
    RUNTIMES,
    SCALES,
    EngineError,
    Image,
    Runtime,
    WeightsError,
    runtime_class,
)
from engines.runtimes.cpu import CpuRuntime, default_threads

if TYPE_CHECKING:
    from engines.hime.reference import Reference

SAME_DB = 99.0
"""What stands for "no difference" where pictures of 8 bits are compared."""


@dataclass(frozen=True)
class Row:
    """One runtime, precision and bucket; ms, MB, dB. None: not measured."""

    runtime: str
    precision: str
    scale: int
    bucket: int
    exemplars: int
    align_ms: float | None
    """Alignment of the exemplars, for all runtimes the same."""
    encode_ms: float | None
    enhance_ms: float
    naive_ms: float | None
    ratio: float | None
    psnr_to_fp32: float | None
    enhance_p95_ms: float
    enhance_p99_ms: float
    encode_p95_ms: float | None
    encode_p99_ms: float | None
    gmacs_per_s: float | None
    share_of_peak: float | None
    memory_mb: float | None
    """Growth of the process by this runtime at this bucket."""
    first_ms: float
    """Open, encode and the first enhanced crop; packages are in memory already."""


def pictures(side: int, scale: int, exemplars: int) -> tuple[Image, list[Image]]:
    """A crop and exemplars that show the same thing, a little moved, and aligned to it: shapes,
    edges and noise.

    Args:    side: of the crop, px. scale: 4 or 8. exemplars: how many.
    Returns: RGB uint8 (side, side, 3), and RGBA uint8 (scale side, scale side, 4) each.
    """
    crop, moved = unaligned(side, scale, exemplars)
    return crop, align(crop, moved)


def unaligned(side: int, scale: int, exemplars: int) -> tuple[Image, list[Image]]:
    """As `pictures`, before they are aligned: the exemplars are RGB.

    Args: side: of the crop, px. scale: 4 or 8. exemplars: how many.
    """
    big = side * scale
    y, x = np.mgrid[0:big, 0:big] / big
    waves = [np.sin(9 * x + 5 * y * c) + np.sign(np.sin(17 * y - 6 * x * c)) for c in (1, 2, 3)]
    noise = np.random.default_rng(side).normal(0, 6, (big, big, 3))
    truth = np.clip(128 + 40 * np.stack(waves, axis=-1) + noise, 0, 255)
    crop = truth.reshape(side, scale, side, scale, 3).mean(axis=(1, 3)).astype(np.uint8)
    moved = [np.roll(truth, (k + 1) * scale, axis=1) for k in range(exemplars)]
    return crop, [np.ascontiguousarray(m.astype(np.uint8)) for m in moved]


def psnr_to(
    reference: NDArray[np.float32], runtime: Runtime, crop: Image, exemplars: list[Image]
) -> float:
    """How near a runtime comes to the FP32 network, dB.

    Before rounding where the runtime gives floats, otherwise between pictures of 8 bits.

    Args: reference: (3, s*b, s*b) from `Reference.enhance_float`.
    """
    features = runtime.encode(exemplars) if exemplars else None
    if isinstance(runtime, CpuRuntime):
        error = runtime.enhance_float(crop, features).astype(np.float64) - reference
    else:
        right = (np.clip(reference, 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0)
        error = (runtime.enhance(crop, features).astype(np.float64) - right) / 255
    mse = float(np.square(error).mean())
    return -10 * float(np.log10(mse)) if mse > 0 else SAME_DB


def times_ms(call: Callable[[], object], repeat: int) -> tuple[float, float, float]:
    """p50, p95 and p99 after a warm-up."""
    for _ in range(max(2, repeat // 10)):
        call()
    taken = []
    for _ in range(repeat):
        start = time.perf_counter()
        call()
        taken.append((time.perf_counter() - start) * 1e3)
    p50, p95, p99 = np.percentile(taken, (50, 95, 99))
    return float(p50), float(p95), float(p99)


def resident_mb() -> float | None:
    """Memory of this process, or None where the system does not tell (only Linux does)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_gflops() -> dict[str, float | None]:
    """Speed of a large matrix product, by type."""
    try:
        from engines.hime.reference import matmul_gflops, use_threads
    except ImportError:
        a = np.ones((2048, 2048), np.float32)
        best = min(times_ms(lambda: a @ a, 5))
        return {"fp32": 2 * 2048**3 / best / 1e6, "bf16": None}
    use_threads(default_threads())
    return {kind: matmul_gflops(kind) for kind in ("fp32", "bf16")}


def open_reference(scale: int) -> Reference | None:
    """The PyTorch network, or None without PyTorch."""
    try:
        from engines.hime.reference import Reference, use_threads
    except ImportError:
        return None
    use_threads(default_threads())
    return Reference(scale)


@dataclass(frozen=True)
class Case:
    """One bucket, and what all runtimes are held against there."""

    scale: int
    bucket: int
    exemplars: int
    repeat: int
    peak: dict[str, float | None]

    def rows(self, names: list[str], missing: Callable[[str], None]) -> Iterator[Row]:
        """Measure runtimes in all their precisions.

        Args:   missing: gets a line for each runtime or precision that cannot run here.
        Raises: WeightsError.
        """
        reference = open_reference(self.scale)
        crop, moved = unaligned(self.bucket, self.scale, self.exemplars)
        known = align(crop, moved)
        align_ms = times_ms(partial(align, crop, moved), max(5, self.repeat // 2))[0]
        naive_ms, right, gmacs = None, None, 0.0
        if reference is not None:
            naive = partial(reference.enhance, crop, known)
            right = reference.enhance_float(crop, known)
            gmacs = reference.gmacs(self.bucket, self.exemplars)[1]
            naive_ms = times_ms(naive, max(5, self.repeat // 2))[0]
        for name in names:
            for precision in runtime_class(name).precisions:
                try:
                    row = self._row(name, precision, crop, known, right)
                except WeightsError:  # the same files for all
                    raise
                except EngineError as error:
                    missing(f"{name} {precision}: {error}")
                    continue
                rate = gmacs / row.enhance_ms * 1e3 if gmacs else None
                top = self.peak.get(precision)
                yield replace(
                    row,
                    align_ms=align_ms if known else None,
                    naive_ms=naive_ms,
                    ratio=row.enhance_ms / naive_ms if naive_ms else None,
                    gmacs_per_s=rate,
                    share_of_peak=2 * rate / top if rate and top else None,
                )

    def _row(
        self,
        name: str,
        precision: str,
        crop: Image,
        known: list[Image],
        right: NDArray[np.float32] | None,
    ) -> Row:
        """What one runtime does by itself. Raises: EngineError: it cannot run, or fails."""
        gc.collect()
        before, start = resident_mb(), time.perf_counter()
        with runtime_class(name)(self.scale, precision) as runtime:
            features = runtime.encode(known) if known else None
            runtime.enhance(crop, features)
            first_ms = (time.perf_counter() - start) * 1e3
            enhance = times_ms(partial(runtime.enhance, crop, features), self.repeat)
            encode: tuple[float | None, ...] = (None, None, None)
            if known:
                encode = times_ms(partial(runtime.encode, known), max(3, self.repeat // 3))
            after = resident_mb()
            psnr = None if right is None else psnr_to(right, runtime, crop, known)
        return Row(
            *(name, precision, self.scale, self.bucket, self.exemplars),
            align_ms=None,
            encode_ms=encode[0],
            enhance_ms=enhance[0],
            naive_ms=None,
            ratio=None,
            psnr_to_fp32=psnr,
            enhance_p95_ms=enhance[1],
            enhance_p99_ms=enhance[2],
            encode_p95_ms=encode[1],
            encode_p99_ms=encode[2],
            gmacs_per_s=None,
            share_of_peak=None,
            memory_mb=None if before is None or after is None else after - before,
            first_ms=first_ms,
        )


def markdown(rows: list[Row]) -> str:
    """The table, narrow enough for README."""

    def show(value: float | None, digits: int = 1) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    lines = [
        "| runtime | precision | crop | exemplars | align ms | encode ms "
        "| enhance ms p50 / p95 / p99 | naive ms | ratio | GMACs/s | of peak | dB to FP32 | MB |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        share = "–" if row.share_of_peak is None else f"{row.share_of_peak:.0%}"
        spread = (row.enhance_ms, row.enhance_p95_ms, row.enhance_p99_ms)
        cells = [
            row.runtime,
            row.precision,
            f"{row.bucket} px x{row.scale}",
            str(row.exemplars),
            show(row.align_ms),
            show(row.encode_ms),
            " / ".join(show(v) for v in spread),
            show(row.naive_ms),
            show(row.ratio, 2),
            show(row.gmacs_per_s, 0),
            share,
            show(row.psnr_to_fp32, 0),
            show(row.memory_mb, 0),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Command line options."""
    parser = argparse.ArgumentParser(prog="python -m engines.benchmark", description=__doc__)
    names = [name for name, _ in RUNTIMES]
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--json", type=output_file, help="also write everything that was measured")
    parser.add_argument("--runtimes", nargs="+", choices=names, default=names)
    parser.add_argument("--scales", nargs="+", type=int, choices=SCALES, default=list(SCALES))
    parser.add_argument("--buckets", nargs="+", type=int, help="sides of crops, px, even")
    parser.add_argument("--exemplars", nargs="+", type=int, default=[3], help="how many (3)")
    parser.add_argument("--repeat", type=int, default=50, help="frames to time (50)")
    args = parser.parse_args(argv)
    if any(b < 8 or b % 2 for b in args.buckets or ()):
        parser.error("--buckets: a side must be even and at least 8")
    if args.repeat < 1 or min(args.exemplars) < 0:
        parser.error("--repeat must be at least 1, --exemplars at least 0")
    return args


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    args = parse(argv)
    notes: dict[str, None] = {}
    rows: list[Row] = []
    try:
        peak = peak_gflops()
        for scale in args.scales:
            for bucket in args.buckets or BUCKETS[scale]:
                for exemplars in args.exemplars:
                    case = Case(scale, bucket, exemplars, args.repeat, peak)
                    for row in case.rows(args.runtimes, lambda line: notes.setdefault(line)):
                        rows.append(row)
                        print(f"{row.runtime} {row.precision} x{scale} {bucket}", file=sys.stderr)
        machine = {"processor": processor(), "threads": default_threads()}
        result: dict[str, Any] = {"peak_gflops": peak, "machine": machine}
        if args.json:
            rows_out = [asdict(row) for row in rows]
            text = json.dumps(result | {"rows": rows_out, "not_measured": list(notes)}, indent=1)
            args.json.write_text(text + "\n")
    except (EngineError, OSError) as error:
        return reported(error)
    print(markdown(rows))
    tops = ", ".join(f"{k} {v:.0f}" for k, v in peak.items() if v is not None)
    print(f"\n{machine['processor']}, {machine['threads']} threads; matrix product, GFLOPS: {tops}")
    if rows and rows[0].naive_ms is None:
        print("PyTorch is not installed: nothing was compared with the baseline and with FP32")
    for note in notes:
        print(f"not measured: {note}")
    return 0


if __name__ == "__main__":
    run_program(main)
