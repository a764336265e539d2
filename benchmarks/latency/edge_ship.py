"""Writes what the fits of `edge` say into the device profiles: `python -m benchmarks.latency.edge_ship`.

Everything from the line MARK on is written, what stands above it is kept; a second run changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import msgspec

from benchmarks.latency.edge import (
    AI_HUB,
    GENERIC,
    Case,
    Entry,
    Key,
    cases,
    entry_of,
    extra,
    interval,
    npu_costs,
    scored,
    slowness,
)
from benchmarks.latency.edge_boards import PROFILES, core_of, facts_of, generation
from benchmarks.latency.edge_model import CLASSES, Board, Costs, Sample, fit, seconds, work
from benchmarks.latency.rows import Row, read
from benchmarks.latency.score import Scored
from effaudit.device.find import find
from effaudit.device.types import Device, Engine
from effaudit.estimate.rates import engine_of, value

MARK: Final = "# Fitted: written by python -m benchmarks.latency.edge_ship, not by hand.\n"
SOURCE: Final = "measured-latency"
DATE: Final = "2026-11-20"
HEXAGONS: Final = (
    "qualcomm-qcs6490",
    "qualcomm-qcs8550",
    "qualcomm-snapdragon-8-elite",
    "qualcomm-snapdragon-8gen3",
    "qualcomm-snapdragon-x-elite",
)
BOARDS: Final = (
    "hardkernel-odroid-n2plus",
    "raspberry-pi-4b",
    "raspberry-pi-5",
    "raspberry-pi-zero-2w",
    "rockchip-rk3399-cpu",
    "rockchip-rk3588s-cpu",
)
EDGE_TPU: Final = "coral-edgetpu-usb"
# Runtime of the profile -> of the measurements.
_ON_HEXAGON: Final[Mapping[str, str]] = {"qnn": "ai-hub-qnn", "tflite": "ai-hub-tflite", "onnxruntime": "ai-hub-onnx"}
_OTHER: Final = "CPU, other runtimes"
_GROUPS: Final[Mapping[str, str]] = {
    "tflite-ruy": "Arm CPU, TensorFlow Lite (ruy)",
    "armnn-neon": "Arm CPU, Arm NN",
    "armnn-opencl": "Mali GPU, Arm NN",
    "": _OTHER,
}


class Error(msgspec.Struct, frozen=True):
    """How far estimates of unseen measurements were: median, factor, share within it, how many, of what."""

    median: float
    factor: float
    coverage: float
    count: int
    dataset: str


class Line(msgspec.Struct, frozen=True):
    """One entry of `performance`: numbers by key, rates by class."""

    engine: str
    dtype: str
    runtime: str
    rates: Mapping[str, tuple[str, float]]
    numbers: Mapping[str, float]
    error: Error
    note: str = ""


def lines(name: str, seen: Sequence[Case], fits: dict[Key, Entry], errors: Mapping[str, Error]) -> list[Line]:
    """The entries of a profile's `performance`."""
    device = find(name, (PROFILES,))
    if name in HEXAGONS:
        return list(_of_hexagon(device, seen, fits, errors))
    if name == EDGE_TPU:
        return [_of_edge_tpu(device, seen, fits)]
    return list(_of_board(device, seen, fits, errors))


def _of_hexagon(
    device: Device, seen: Sequence[Case], fits: dict[Key, Entry], errors: Mapping[str, Error]
) -> Iterator[Line]:
    version, dram = generation(device), next(memory for memory in device.memories if memory.kind == "dram")
    htp = next(engine for engine in device.engines if engine.name == "htp")
    for runtime, measured in (*_ON_HEXAGON.items(), ("", GENERIC["hexagon"])):
        for dtype, group in (("float16", "Hexagon, fp16"), ("int8", "Hexagon, w8a8")):
            if dtype not in htp.peaks:
                continue
            entry = entry_of(("hexagon", measured, dtype), seen, fits)
            own = device.name in entry.boards
            slow = entry.fitted.slowness[entry.boards.index(device.name)] if own else slowness(version or 0, entry)
            *rates, bandwidth, per_kernel, per_inference = entry.fitted.costs
            numbers = {
                "bandwidth_fraction": bandwidth / slow / value(dram.read_bandwidth_byte_per_s),
                "activation_fraction": 0.0,
                "per_inference_s": per_inference * slow,
                "per_kernel_s": per_kernel * slow,
            }
            note = "" if own else "no measurement of this chip under this runtime: from other versions of Hexagon"
            error = errors[group] if runtime else _of_other_runtimes(entry, dtype, seen)
            if not runtime:
                note = f"the rates of {next(iter(_ON_HEXAGON))}, for a runtime that was not measured"
            rated = _rates([rate / slow for rate in rates], "mac_per_s", "op_per_s")
            yield Line("htp", dtype, runtime, rated, numbers, error, note)


def _of_other_runtimes(entry: Entry, dtype: str, seen: Sequence[Case]) -> Error:
    """Of measurements under the other runtimes, on chips that the entry has seen."""
    ratios = []
    for case in seen:
        place = case.place
        if place.family != "hexagon" or case.dtype != dtype or case.runtime == GENERIC["hexagon"]:
            continue
        if place.board in entry.boards:
            slow = entry.fitted.slowness[entry.boards.index(place.board)]
            ratios.append(
                slow * seconds(entry.fitted.costs, place.facts, work(case.row.network, dtype)) / case.row.seconds
            )
    return _error_of(ratios, "Hexagon: published latencies; two runtimes estimated from the third")


def _error_of(ratios: Sequence[float], dataset: str) -> Error:
    """Of estimates over measurements."""
    factor = interval([abs(math.log(ratio)) for ratio in ratios])
    inside = sum(abs(math.log(ratio)) <= math.log(factor) * (1 + 1e-9) for ratio in ratios)
    return Error(median(abs(ratio - 1) for ratio in ratios), factor, inside / len(ratios), len(ratios), dataset)


def _of_board(
    device: Device, seen: Sequence[Case], fits: dict[Key, Entry], errors: Mapping[str, Error]
) -> Iterator[Line]:
    runtimes = [("cpu", "cpu", "tflite-ruy"), ("cpu", "cpu", "armnn-neon"), ("cpu", "cpu", "")]
    if engine_of(device, "gpu") is not None:
        runtimes.append(("mali", "gpu", "armnn-opencl"))
    for family, name, runtime in runtimes:
        engine = engine_of(device, name)
        assert engine is not None
        seen_core = any(case.place.core == core_of(engine) for case in seen)
        for dtype in ("float32", "int8"):
            costs = entry_of((family, runtime or GENERIC[family], dtype), seen, fits).fitted.costs
            width = _width(engine)
            rated = _rates([cost * width for cost in costs[: len(CLASSES)]], "mac_per_cycle", "op_per_cycle")
            numbers = {"bandwidth_fraction": costs[-3], "per_inference_s": costs[-1], "per_kernel_s": costs[-2]}
            note = "" if runtime else f"the rates of {GENERIC[family]}, for a runtime that was not measured"
            if runtime and not seen_core:
                note = f"no board with a {core_of(engine)} was measured under this runtime: rates of other cores"
            group = _GROUPS[runtime] if seen_core else _OTHER
            yield Line(name, dtype, runtime, rated, numbers, errors[group], note)


def _width(engine: Engine) -> float:
    return value(engine.peaks["float32"].dense_mac_per_cycle)


def _of_edge_tpu(device: Device, seen: Sequence[Case], fits: dict[Key, Entry]) -> Line:
    """Fitted to its own measurements, from where an NPU that was not measured would be; its error is of networks left
    out, one at a time."""
    engine = engine_of(device, "edgetpu")
    board = None if engine is None else facts_of(device, engine)
    assert board is not None
    own = [case for case in seen if case.place.board == device.name]
    others = [case for case in seen if case.place.board != device.name]
    start = npu_costs(others, fits)
    costs = _edge_fit(own, board, start)
    apart = [_left_out(case, own, board, start) for case in own]
    error = _error_of(apart, "Coral's benchmarks; each network estimated from the others")
    peak = board.compute
    rated: dict[str, tuple[str, float]] = {
        name: ("fraction_of_peak", cost) if i < 5 else ("op_per_s", cost * peak)
        for i, (name, cost) in enumerate(zip(CLASSES, costs, strict=False))
    }
    numbers = {
        "bandwidth_fraction": costs[-3],
        "activation_fraction": board.crossing,
        "per_inference_s": costs[-1],
        "per_kernel_s": costs[-2],
    }
    return Line("edgetpu", "int8", "edgetpu", rated, numbers, error)


def _left_out(case: Case, own: Sequence[Case], board: Board, start: Costs) -> float:
    """A network estimated from the others, over its measurement."""
    costs = _edge_fit([other for other in own if other is not case], board, start)
    return seconds(costs, board, work(case.row.network, case.dtype)) / case.row.seconds


def _edge_fit(own: Sequence[Case], board: Board, start: Costs) -> Costs:
    samples = [Sample(case.row.network, case.dtype, 0, case.row.seconds) for case in own]
    most = (*(1.0,) * len(CLASSES), 1.0, 1e-3, 1e-1)
    return fit(samples, [board], start, most=most).costs


def _rates(costs: Sequence[float], products: str, others: str) -> dict[str, tuple[str, float]]:
    return {
        name: (products if i < 5 else others, cost) for i, (name, cost) in enumerate(zip(CLASSES, costs, strict=True))
    }


def group_errors(found: Sequence[Scored]) -> dict[str, Error]:
    """Of each line of the table. `factor` holds the share of all errors that an interval is made to hold; `coverage` is
    what the intervals held whose factor came from other boards."""
    made = {}
    for name in sorted({one.group for one in found}):
        own = [one for one in found if one.group == name]
        factor = interval([abs(math.log(one.predicted / one.row.seconds)) for one in own])
        dataset = f"{name}: published latencies; each board estimated from the others"
        coverage = sum(one.inside for one in own) / len(own)
        made[name] = Error(median(abs(one.error) for one in own), factor, coverage, len(own), dataset)
    return made


def rendered(made: Sequence[Line]) -> str:
    """The YAML of `performance`."""
    out = [MARK, "performance:\n"]
    for line in made:
        out.append(f"  - engine: {line.engine}\n    dtype: {line.dtype}\n")
        if line.runtime:
            out.append(f"    runtime: {line.runtime}\n")
        out.append("    rates:\n")
        out += [f"      {name}: {{{key}: {_fact(cost)}}}\n" for name, (key, cost) in line.rates.items()]
        out += [f"    {key}: {_fact(number)}\n" for key, number in line.numbers.items()]
        error = line.error
        out.append("    prediction_error:\n")
        out.append(f"      median_ratio: {_fact(error.median)}\n      interval_factor: {_fact(error.factor)}\n")
        out.append(f"      coverage_ratio: {_fact(error.coverage)}\n      rows_count: {_fact(error.count)}\n")
        out.append(f'      dataset: "{error.dataset}"\n      date: {DATE}\n')
        if line.note:
            out.append(f'    note: "{line.note}"\n')
    return "".join(out)


def _fact(number: float) -> str:
    rounded = float(f"{number:.4g}")  # written without an exponent: some readers of YAML take those for text
    text = str(int(rounded)) if rounded >= 1e6 or isinstance(number, int) else f"{rounded:.12f}".rstrip("0").rstrip(".")
    return f"{{value: {text}, source: {SOURCE}, status: fitted}}"


def ship(rows: Sequence[Row], folder: Path = Path(PROFILES)) -> list[str]:
    """Writes the profiles; the names of those that changed."""
    errors = group_errors(scored(rows))
    seen, changed = (*cases(rows), *extra()), []
    fits: dict[Key, Entry] = {}
    for name in (*HEXAGONS, *BOARDS, EDGE_TPU):
        path = folder / f"{name}.yaml"
        before = path.read_text(encoding="utf-8")
        after = before.partition(MARK)[0] + rendered(lines(name, seen, fits, errors))
        if after != before:
            path.write_text(after, encoding="utf-8")
            changed.append(name)
    return changed


if __name__ == "__main__":
    print(f"rows of {AI_HUB.name} and the reference file; changed: {', '.join(ship(read())) or 'nothing'}")
