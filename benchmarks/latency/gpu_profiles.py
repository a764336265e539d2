"""Writes the fitted numbers of `benchmarks.latency.gpu` into the profiles: the end of each file, from MARK on."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from benchmarks.latency.gpu import (
    CPU,
    CPU_HELD,
    GPU,
    PROFILES,
    interval_factor,
    law_of,
    place_of,
    place_of_row,
    scored,
    unseen,
    used,
)
from benchmarks.latency.gpu_model import Board, Law
from benchmarks.latency.gpu_work import CLASSES, FUSED
from benchmarks.latency.rows import Row
from benchmarks.latency.score import Scored
from effaudit.device.read import read_device
from effaudit.device.types import Device

MARK: Final = "# Fitted: `python -m benchmarks.latency.gpu --write` writes what follows.\n"
KEY: Final = "mlperf-fit"
DATE: Final = "2026-11-20"
TITLE: Final = "MLPerf Inference v1.1, v3.0, v3.1 and v4.0, closed division, fitted by benchmarks/latency/gpu.py"
URL: Final = "https://github.com/mlcommons/inference_results_v3.0"
FITTED: Final = ("int8",)
LIKE_INT8: Final = ("float8e4m3fn", "float16", "bfloat16", "float32")
NO_INTEGERS: Final = ("sm_70",)  # tensor cores without integers: no row is of such a board
SKIPPED: Final = ("sm_53",)  # no tensor cores
ALIKE: Final = "as fitted to int8: no row is of this element type, so a quarter to four times of it"
TIMES: Final = 4  # by which a number of another element type may be off
PARTS: Final = ("launch_cycles",)  # these alone may pass 1
HELD: Final = "not fitted to processors: that of GPUs, or where the search for it starts"


def write(rows: Sequence[Row]) -> list[Path]:
    """Fits, and writes every profile of a GPU, server or desktop processor; the files written."""
    known, written = used(rows), []
    found = scored(known)
    for kind in (GPU, CPU):
        law, error = law_of(known, kind), tuple(_prediction_error(known, found, kind))
        for path, device in _devices(kind):
            text = MARK + "performance:\n" + "".join(f"{line}\n" for line in _entries(device, kind, law, error))
            path.write_text(_with_source(path.read_text(encoding="utf-8")) + text, encoding="utf-8")
            written.append(path)
    return written


def _kind(row: Row) -> str:
    place = place_of_row(row)
    assert place is not None
    return place.kind


def _devices(kind: str) -> Iterator[tuple[Path, Device]]:
    names = ("nvidia-*.yaml",) if kind == GPU else ("intel-xeon-*.yaml", "apple-m1-*.yaml", "x86-desktop-*.yaml")
    for path in sorted(path for name in names for path in PROFILES.glob(name)):
        device = read_device(path, lambda name, _: str(PROFILES / f"{name}.yaml"))
        if device.engines[0].isa not in SKIPPED:
            yield path, device


def _with_source(text: str) -> str:
    """What stands before MARK, with the source of the fit among the sources."""
    text = text.split(MARK)[0]
    line = f'  {KEY}: {{title: "{TITLE}", url: "{URL}", accessed: {DATE}}}\n'
    return text if f"  {KEY}: " in text else re.sub(r"^sources:\n", f"sources:\n{line}", text, count=1, flags=re.M)


def _entries(device: Device, kind: str, law: Law, error: Sequence[str]) -> Iterator[str]:
    engine, boards = device.engines[0], place_of(device).boards
    fitted = FITTED if kind == GPU and engine.isa not in NO_INTEGERS else ("int8", "float32") if kind == CPU else ()
    for dtype in (*FITTED, *LIKE_INT8):
        if dtype in boards:
            own = dtype in fitted
            runtime = "tensorrt" if kind == GPU else '""'
            yield from _entry(engine.name, dtype, runtime, law, _as_int8(boards), kind, own=own)
            yield from error if own else ()
    if any(one.name == "dla" for one in device.engines):
        yield from _dla(law)


def _as_int8(boards: Mapping[str, Board]) -> Board:
    """The board whose power is held against its peak: that of int8 also for wider types, whose products take as much
    more energy as there are fewer of them. Where there is none it would be twice that of float16."""
    if "int8" in boards or "float16" not in boards:
        return boards.get("int8", next(iter(boards.values())))
    return msgspec.structs.replace(boards["float16"], op_per_s=2 * boards["float16"].op_per_s)


def _entry(engine: str, dtype: str, runtime: str, law: Law, board: Board, kind: str, *, own: bool) -> Iterator[str]:
    yield f"  - engine: {engine}"
    yield f"    dtype: {dtype}"
    yield f"    runtime: {runtime}"
    yield f"    source: {KEY}"
    yield "    status: fitted" if own else "    status: assumed"
    yield "    rates:"
    for name in CLASSES:
        part = law.fraction(name) * law.sustained(board)
        yield f"      {name}: {{fraction_of_peak: {_fact(part, own, name, kind)}}}"
    yield f"    fused: [{', '.join(FUSED)}]"
    yield f"    bandwidth_fraction: {_fact(law.fraction('bandwidth'), own, 'bandwidth', kind)}"
    if board.cache_bytes:
        yield f"    activation_fraction: {_fact(law.crossing(board), own, 'cache_mib', kind)}"
    yield f"    per_kernel_cycles: {_fact(law.cycles(board), own, 'launch_cycles', kind)}"


def _fact(number: float, own: bool, name: str, kind: str) -> str:
    value = significant(number, 4)
    if not own:
        high = number * TIMES if name in PARTS else min(number * TIMES, 1.0)
        return (
            f'{{value: {value}, low: {significant(number / TIMES, 4)}, high: {significant(high, 4)}, note: "{ALIKE}"}}'
        )
    return f'{{value: {value}, status: assumed, note: "{HELD}"}}' if kind == CPU and name in CPU_HELD else value


def significant(number: float, digits: int) -> str:
    """As YAML takes it: 8840.391 -> "8840" with four digits."""
    return f"{float(f'{number:.{digits}g}'):.10g}"


def _dla(law: Law) -> Iterator[str]:
    yield "  - engine: dla"
    yield "    dtype: int8"
    yield "    runtime: tensorrt"
    yield f"    source: {KEY}"
    yield "    status: fitted"
    yield "    rates:"
    for name in ("conv", "depthwise", "grouped"):
        yield f"      {name}: {{fraction_of_peak: {significant(law.fraction('dla'), 4)}}}"
    yield "    note: beside the GPU, on convolutional networks; no measurement is of the DLA alone"


def _prediction_error(rows: Sequence[Row], found: Sequence[Scored], kind: str) -> Iterator[str]:
    """Of a kind of board: each left out in its turn, and the interval as the errors of all call for it."""
    of_kind = [one for one in found if _kind(one.row) == kind]
    factor = interval_factor(unseen(rows, kind))
    yield "    prediction_error:"
    yield f"      median_ratio: {significant(float(np.median([abs(one.error) for one in of_kind])), 3)}"
    yield f"      interval_factor: {significant(factor, 3)}"
    yield f"      coverage_ratio: {significant(float(np.mean([one.inside for one in of_kind])), 2)}"
    yield f"      rows_count: {len(of_kind)}"
    yield '      dataset: "MLPerf Inference v1.1, v3.0, v3.1 and v4.0, closed division"'
    yield f"      date: {DATE}"
