"""INT8 report: what quantising cost and brought, for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from calibration.quantisation.int8_speed import FASTER, Way, gain

SENSITIVE = 8
"""Layers in the list of the most sensitive ones."""


@dataclass
class Report:
    """One scale. dB are means over samples; "truth": of people who were held out."""

    scale: int
    weights: str
    """Of the network: of `engines.contract.WEIGHTS`."""
    files: dict[str, str]
    """Name and sha256 of the INT8 halves ..."""
    of: dict[str, str]
    """... and of those that they were made from."""
    megabytes: tuple[float, float]
    """Of both halves, float32 and INT8."""
    held_out_people: int
    held_out_samples: int
    db_to_float32: float
    truth_db_float32: float
    truth_db_int8: float
    truth_loss_db_worst: float
    """Of a single sample."""
    ways: list[Way]
    tensorrt: str
    notes: list[str]
    allowed_db: float
    layers: list[dict[str, Any]] = field(default_factory=list)
    samples: int = 0
    ranges_of_percent: float = 100.0
    loss_db_chosen_with: float = 0.0
    minutes: float = 0.0

    @property
    def truth_loss_db(self) -> float:
        """What INT8 loses of the truth."""
        return self.truth_db_float32 - self.truth_db_int8

    def pays_for(self, runtime: str) -> bool:
        """Whether it is faster there, and near enough to the truth."""
        ratio = gain(self.ways, runtime)
        return ratio is not None and ratio <= FASTER and self.truth_loss_db <= self.allowed_db

    def pays(self) -> bool:
        """Whether it pays for any runtime."""
        return any(self.pays_for(runtime) for runtime in self.runtimes())

    def runtimes(self) -> list[str]:
        """Those that were measured, in order."""
        return list(dict.fromkeys(way.runtime for way in self.ways))

    def summary(self) -> dict[str, Any]:
        """For the manifest."""
        return {
            "layers_int8": sum(layer["int8"] for layer in self.layers),
            "layers": len(self.layers),
            "held_out_people": self.held_out_people,
            "held_out_samples": self.held_out_samples,
            "db_to_float32": round(self.db_to_float32, 2),
            "truth_db_float32": round(self.truth_db_float32, 3),
            "truth_db_int8": round(self.truth_db_int8, 3),
            "time_over_best_other": {
                name: round(ratio, 3)
                for name in self.runtimes()
                if (ratio := gain(self.ways, name)) is not None
            },
        }


def markdown(report: Report) -> str:
    """The report for people."""
    chosen = [layer for layer in report.layers if layer["int8"]]
    work = sum(layer["macs"] for layer in report.layers) or 1
    share = sum(layer["macs"] for layer in chosen) / work
    lines = [
        f"## x{report.scale} in INT8, {report.weights} weights",
        "",
        f"{len(chosen)} of {len(report.layers)} convolutions ({share:.0%} of their work), ranges "
        f"of {report.ranges_of_percent:g} % of the values; {report.megabytes[0]:.1f} MB become "
        f"{report.megabytes[1]:.1f} MB. {report.samples} samples to calibrate with; "
        f"{report.minutes:.1f} minutes.",
        "",
        f"On {report.held_out_samples} samples of {report.held_out_people} people who were held "
        f"out: {report.db_to_float32:.1f} dB to float32; to the truth "
        f"{report.truth_db_float32:.3f} dB in float32, {report.truth_db_int8:.3f} dB in INT8: "
        f"{report.truth_loss_db:.3f} dB lost, {report.truth_loss_db_worst:.2f} dB at worst.",
        "",
        "| runtime | precision | enhance ms, all threads | enhance ms, one thread, processor time "
        "| encode, likewise |",
        "|---|---|---|---|---|",
    ]
    for way in report.ways:
        cells = (way.enhance_ms, way.enhance_cpu_ms, way.encode_cpu_ms)
        numbers = " | ".join(f"{cell:.1f}" for cell in cells)
        lines.append(f"| {way.runtime} | {way.precision} | {numbers} |")
    lines.append("")
    for name in report.runtimes():
        ratio = gain(report.ways, name)
        if ratio is not None:
            verdict = "pays" if report.pays_for(name) else "does not pay"
            lines.append(f"- {name}: {verdict}; {ratio:.2f} of the time of the next best precision")
    lines.append(f"- TensorRT: {report.tensorrt}")
    lines += [f"- not measured: {note}" for note in report.notes]
    lines += ["", "Most sensitive, alone: " + _sensitive(report) + "."]
    return "\n".join(lines)


def _sensitive(report: Report) -> str:
    ordered = sorted(report.layers, key=lambda layer: float(layer["alone_db"]))[:SENSITIVE]
    return ", ".join(
        f"{layer['weight'].removesuffix('.weight')} {layer['alone_db']:.0f} dB"
        f"{'' if layer['int8'] else ' (float)'}"
        for layer in ordered
    )
