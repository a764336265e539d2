"""`python -m benchmarks.latency.write [--rows FILE]`: the `performance` of the microcontroller profiles, from the fit.

Everything below the line `performance:` of device_profiles/{arm-cortex-*,xtensa-*,riscv-*}.yaml is replaced.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from benchmarks.latency.mcu_entries import Basis, Entry, entries, measured_errors
from benchmarks.latency.mcu_work import CLASSES
from benchmarks.latency.rows import ROWS, read

FOLDER: Final = Path(__file__).resolve().parents[2] / "device_profiles"
START: Final = "performance:"
HEAD: Final = f"{START}  # written by: python -m benchmarks.latency.write\n"
DIGITS: Final = 4
DATE: Final = "2026-11-20"  # when the measurements were read
DATASET: Final = "published MCU latencies (MLPerf Tiny, TinyEngine, ST zoo, esp-tflite-micro)"
NOTES: Final[dict[Basis, str]] = {
    "known": "error: on boards left out, where another board of the core was measured with the runtime",
    "borrowed": "not measured on this core; error: on boards left out, no other of whose core was measured with it",
    "strange": "any other runtime, at what the measured ones cost on average; error: on runtimes left out",
    "float": "float32 was measured on one Cortex-M4 and one Cortex-M7; error: on the former, left out",
    "strange float": "float32 of any other runtime: nobody measured it; the factor is that of both unknowns together",
}


def text(made: Iterable[Entry]) -> str:
    """The entries of one profile as YAML. Numbers that name no source take that of the profile."""
    lines = [HEAD]
    for entry in made:
        lines.append(f"  - engine: cpu\n    dtype: {entry.dtype}\n    runtime: {_quoted(entry.runtime)}\n")
        lines.append(f"    version: {_quoted(entry.version)}\n    rates:\n")
        per_output = _number(entry.costs[-1])
        for name, cost in zip(CLASSES, entry.costs, strict=False):
            lines.append(f"      {name}: {{mac_per_cycle: {_number(1 / cost)}, per_output_cycles: {per_output}}}\n")
        lines.append(f"      other: {{op_per_cycle: {_number(1 / entry.costs[-1])}}}\n")
        lines.append("    prediction_error:\n")
        errors = entry.errors
        lines.append(f"      median_ratio: {_number(errors.median_ratio)}\n")
        lines.append(f"      interval_factor: {_number(errors.factor)}\n")
        lines.append(f"      coverage_ratio: {_number(errors.coverage)}\n      rows_count: {errors.count}\n")
        lines.append(f"      dataset: {DATASET}\n      date: {_quoted(DATE)}\n    note: '{NOTES[entry.basis]}'\n")
    return "".join(lines)


def replaced(profile: str, made: Iterable[Entry]) -> str:
    """The text of a profile with its performance replaced. Raises ValueError where it has no line for it."""
    head, found, _ = profile.partition(f"\n{START}")
    if not found:
        raise ValueError(f"expected a line {START!r}, the last key of the profile")
    return f"{head}\n{text(made)}"


def write(rows: Path, folder: Path = FOLDER) -> list[Path]:
    """The profiles that changed."""
    found, changed = read(rows), []
    for name, made in entries(found, measured_errors(found)).items():
        path = folder / f"{name}.yaml"
        before = path.read_text(encoding="utf-8")
        after = replaced(before, made)
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(path)
    return changed


def _number(value: float) -> str:
    """With `DIGITS` significant digits and a point, never an exponent: YAML reads some of those as text."""
    rounded = float(f"{value:.{DIGITS}g}")
    return f"{rounded:.10f}".rstrip("0").rstrip(".") if rounded < 1e6 else str(int(rounded))


def _quoted(value: str) -> str:
    return f"'{value}'"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=Path, default=ROWS)
    for path in write(parser.parse_args(arguments).rows):
        print(path)


if __name__ == "__main__":
    main()
