"""Phones, NPUs and single-board computers: estimates of boards that the fit has not seen, against measurements.

Every engine family has one rule by which a board that was never measured is estimated from what its profile states:
CPUs and GPUs by cores x clock x width and by bandwidth; Hexagon, whose peaks nobody publishes, by where its version
stands between those of boards that were measured; any other NPU by its int8 peak, with the efficiency of Hexagon.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Final

import msgspec

from benchmarks.latency.edge_boards import Place, place_of
from benchmarks.latency.edge_model import CLASSES, WIDTH, Board, Costs, Fitted, Sample, fit, seconds, work
from benchmarks.latency.rows import UNSTATED, Row, read
from benchmarks.latency.score import Scored
from benchmarks.zoo import NETWORKS

# More boards of the collection that the reference file took its Hexagon rows from, at the same commit: they show how
# versions of Hexagon differ. BSD 3-Clause, https://github.com/quic/ai-hub-models.
AI_HUB: Final = Path(__file__).with_name("ai_hub.csv")
SHARE: Final = 0.92  # of the measurements of other boards that an interval is made to hold
UNSTEADY: Final = 1.2  # 90th percentile over mean from which a measurement is scored, but not fitted
ELSEWHERE: Final = frozenset(("tensorrt", "openvino", "pytorch", "onnxruntime"))  # scored with GPUs and servers
# Versions of Hexagon in the order of their generations, about a year apart: what lies between them counts by place.
GENERATIONS: Final = (65, 66, 68, 69, 73, 75, 79, 81)
# The runtime whose kernels stand for those of one that was not measured; it is the one measured on most boards.
GENERIC: Final[Mapping[str, str]] = {"cpu": "tflite-ruy", "mali": "armnn-opencl", "hexagon": "ai-hub-qnn"}
REFERENCE: Final = "qualcomm-qcs8550"  # the Hexagon whose int8 peak is stated: of other NPUs the efficiency
REFERENCE_MAC_PER_S: Final = 24e12  # https://en.eeworld.com/news/qcdz/eic656854.html: 48 TOPS int8

# Before any measurement, round numbers: parts of a board's peak and bandwidth, seconds.
_CPU: Final[Costs] = (0.4, 0.4, 0.15, 0.3, 0.3, 0.1, 0.1, 0.5, 2e-5, 1e-4)
_HEXAGON: Final[Costs] = (1e13, 1e13, 1e12, 5e12, 2e12, 1e12, 5e11, 6e10, 1.3e-6, 2e-4)
_INT8: Final = 2.0  # times the rate of wider types


class Case(msgspec.Struct, frozen=True):
    """A measurement that can be estimated. Versions of a runtime count as one; `steady` measurements are fitted."""

    row: Row
    place: Place
    runtime: str
    dtype: str
    steady: bool


Key = tuple[str, str, str]  # family, runtime, element type


def cases(rows: Iterable[Row]) -> tuple[Case, ...]:
    """The measurements of these rows whose network is built and whose board a profile describes."""
    made = []
    for row in rows:
        if row.network not in NETWORKS or row.metric != "latency" or row.kind not in ("edge", "phone/NPU", "cpu"):
            continue
        if row.suite.startswith("MLPerf Tiny") or row.runtime in ELSEWHERE:
            continue
        place = place_of(row)
        if place is not None:
            # closed ResNet-50 of Arm CPUs states no type: it is as slow as float32 MobileNets are, per operation
            dtype = "float32" if row.dtype == UNSTATED else row.dtype
            made.append(Case(row, place, row.runtime, dtype, _steady(row)))
    return tuple(made)


def _steady(row: Row) -> bool:
    match = re.search(r"p90=([\d.]+)", row.statistic)
    return match is None or float(match[1]) * 1e-3 <= UNSTEADY * row.seconds


@cache
def extra() -> tuple[Case, ...]:
    """The measurements of `ai_hub.csv`."""
    return cases(read(AI_HUB))


def scored(rows: Sequence[Row], more: Sequence[Case] | None = None) -> list[Scored]:
    """Every measurement that can be estimated beside the estimate of its board from all other boards."""
    own = cases(rows)
    seen = (*own, *(extra() if more is None else more))
    found = []
    for board in dict.fromkeys(case.place.board for case in own):
        others = [case for case in seen if case.place.board != board]
        fits: dict[Key, Entry] = {}
        for case in own:
            if case.place.board == board:
                found.append((case, *estimate(case, others, fits)))
    return [_scored(one, found) for one in found]


Found = tuple[Case, float, bool]


def _scored(one: Found, found: Sequence[Found]) -> Scored:
    case, predicted, known = one
    factor = interval(_errors(found, group(case), but=case.place.board))
    return Scored(case.row, predicted, predicted / factor, predicted * factor, known, group(case))


def _errors(found: Sequence[Found], name: str, but: str = "") -> list[float]:
    """Of the group, its other boards; where it has none, of every other board that had to be estimated as it was."""
    own = [_error(one) for one in found if group(one[0]) == name and one[0].place.board != but]
    return own or [_error(one) for one in found if one[0].place.board != but]


def _error(one: Found) -> float:
    return abs(math.log(one[1] / one[0].row.seconds))


def interval(errors: Sequence[float]) -> float:
    """The factor within which `SHARE` of these errors (of the logarithm) lie; infinite where there are none."""
    if not errors:
        return math.inf
    ranked = sorted(errors)
    return math.exp(ranked[min(math.ceil(SHARE * len(ranked)), len(ranked)) - 1])


def group(case: Case) -> str:
    """The line of the table."""
    if case.place.family == "hexagon":
        return f"Hexagon, {'fp16' if case.dtype == 'float16' else 'w8a8'}"
    if case.place.family == "mali":
        return "Mali GPU, Arm NN"
    if case.place.family == "npu":
        return "other NPUs, no sister board"
    names = {"tflite-ruy": "Arm CPU, TensorFlow Lite (ruy)", "armnn-neon": "Arm CPU, Arm NN"}
    return names.get(case.runtime, "CPU, other runtimes")


class Entry(msgspec.Struct, frozen=True):
    """A fit, and the boards (by name) and generations its slowness is of."""

    fitted: Fitted
    boards: tuple[str, ...]
    generations: tuple[int | None, ...]


def estimate(case: Case, others: Sequence[Case], fits: dict[Key, Entry]) -> tuple[float, bool]:
    """(seconds, whether the runtime was measured on a sister board), from other boards alone."""
    place, dtype = case.place, case.dtype
    if place.family == "npu":
        return seconds(npu_costs(others, fits), place.facts, work(case.row.network, dtype)), False
    same = [c for c in others if c.place.family == place.family and c.runtime == case.runtime]
    known = any(c.place.core == place.core for c in same)
    entry = entry_of((place.family, case.runtime if same else GENERIC[place.family], dtype), others, fits)
    slow = 1.0 if place.generation is None else slowness(place.generation, entry)
    return slow * seconds(entry.fitted.costs, place.facts, work(case.row.network, dtype)), known


def entry_of(key: Key, others: Sequence[Case], fits: dict[Key, Entry]) -> Entry:
    """The fit of a runtime and type, made once; where nothing of it was measured, that of the whole family, and where
    nothing of that was either, the parameters before any measurement."""
    if key not in fits:
        fits[key] = _entry(key, others, fits)
    return fits[key]


def _entry(key: Key, others: Sequence[Case], fits: dict[Key, Entry]) -> Entry:
    """A runtime starts from what the one measured on most boards costs."""
    family, _, dtype = key
    own = [c for c in others if (c.place.family, c.runtime, c.dtype) == key and c.steady]
    own = own or [c for c in others if c.place.family == family and c.dtype == dtype and c.steady]
    places: dict[tuple[str, Board], Place] = {}
    for case in own:
        places.setdefault((case.place.board, case.place.facts), case.place)
    order = list(places)
    samples = [Sample(c.row.network, c.dtype, order.index((c.place.board, c.place.facts)), c.row.seconds) for c in own]
    facts = [board for _, board in order]
    narrow = _INT8 if dtype == "int8" else 1.0
    if family == "hexagon":
        start, most = _wider(_HEXAGON, narrow), None
    else:
        first = ("cpu", GENERIC["cpu"], dtype)
        start = _CPU if key == first else entry_of(first, others, fits).fitted.costs
        most = (*(narrow,) * len(CLASSES), 2.0, 1e-3, 1e-1)
    fitted = fit(samples, facts, start, most=most, scaled=family == "hexagon") if samples else Fitted(start, ())
    return Entry(fitted, tuple(name for name, _ in order), tuple(place.generation for place in places.values()))


def _wider(costs: Costs, factor: float) -> Costs:
    return tuple(cost * factor if i < 5 else cost for i, cost in enumerate(costs))


def slowness(generation: int, entry: Entry) -> float:
    """Of a version of Hexagon, from those measured: their geometric mean where it was, else on the line through the
    two nearest (logarithm over version), between or beyond them; 1 where none was."""
    of: dict[float, list[float]] = {}
    for version, slow in zip(entry.generations, entry.fitted.slowness, strict=True):
        if version is not None:
            of.setdefault(_place(version), []).append(math.log(slow))
    points = sorted((place, fmean(logs)) for place, logs in of.items())
    wanted = _place(generation)
    if not points:
        return 1.0
    if wanted in of or len(points) == 1:
        return math.exp(dict(points).get(wanted, points[0][1]))
    first = min(max((i for i, point in enumerate(points) if point[0] < wanted), default=0), len(points) - 2)
    (v0, s0), (v1, s1) = points[first : first + 2]
    return math.exp(s0 + (s1 - s0) * (wanted - v0) / (v1 - v0))


def _place(version: int) -> float:
    """Of a version among the generations; of one that is not listed, half way between its neighbours."""
    if version in GENERATIONS:
        return float(GENERATIONS.index(version))
    return sum(version > other for other in GENERATIONS) - 0.5


def npu_costs(others: Sequence[Case], fits: dict[Key, Entry]) -> Costs:
    """Parameters of an NPU of which nothing was measured: Hexagon's, as parts of the peak that one of them states; what
    comes over its memory's interface comes at its full rate."""
    entry = entry_of(("hexagon", GENERIC["hexagon"], "int8"), others, fits)
    slow = entry.fitted.slowness[entry.boards.index(REFERENCE)] if REFERENCE in entry.boards else 1.0
    costs = entry.fitted.costs
    rates = tuple(cost / slow / REFERENCE_MAC_PER_S for cost in costs[: WIDTH - 3])
    return (*rates, 1.0, costs[-2] * slow, costs[-1] * slow)


def tables(found: Sequence[Scored]) -> str:
    """The score by group: n, median relative error where the runtime is known and where not, share in the interval."""
    lines = ["| group | n | median error | runtime known | not known | inside |", "|---|---|---|---|---|---|"]
    for name in (*sorted({one.group for one in found}), "all"):
        own = [one for one in found if name in (one.group, "all")]
        parts = [_median([abs(o.error) for o in own if o.known is k]) for k in (True, False)]
        inside = sum(one.inside for one in own) / len(own)
        lines.append(
            f"| {name} | {len(own)} | {_median([abs(o.error) for o in own])} | {parts[0]} | {parts[1]} | {inside:.0%} |"
        )
    return "\n".join(lines)


def _median(errors: Sequence[float]) -> str:
    ranked = sorted(errors)
    return f"{ranked[len(ranked) // 2]:.1%} ({len(ranked)})" if ranked else "-"


if __name__ == "__main__":
    print(tables(scored(read())))
