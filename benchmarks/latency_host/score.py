"""Predictions against the clock: what one network's document says, and what many say together."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

# of |predicted / measured - 1|, and of the seconds of kernels
MEDIAN_GOAL: Final = 0.10
TENTH_GOAL: Final = 0.25
ATTRIBUTED_GOAL: Final = 0.95
CONSISTENT_GOAL: Final = 0.99


@dataclass(frozen=True)
class Kernel:
    op: str
    seconds: float
    predicted_s: float | None


@dataclass(frozen=True)
class Score:
    """One network at one number of threads. Seconds of one inference; parts of 1."""

    name: str
    family: str
    threads: int
    macs: int | None
    measured_s: float
    noise: float
    predicted_s: float | None
    low_s: float | None
    high_s: float | None
    attributed: float | None
    consistent: float | None
    worst: str
    kernels: tuple[Kernel, ...] = ()

    @property
    def error(self) -> float | None:
        """Relative to the measurement: 0.1 is a prediction 10 % too long."""
        return None if self.predicted_s is None else self.predicted_s / self.measured_s - 1

    @property
    def inside(self) -> bool | None:
        """Whether the measurement lies in the interval of the prediction."""
        if self.low_s is None or self.high_s is None:
            return None
        return self.low_s <= self.measured_s <= self.high_s


def read(name: str, family: str, document: Mapping[str, Any]) -> Score:
    """The score of a document of `effaudit time NAME --predict --json`."""
    model = document["models"][0]
    total = (model["prediction"] or {}).get("total") or {}
    attribution = model["attribution"] or {}
    return Score(
        name=name,
        family=family,
        threads=model["threads"],
        macs=model["macs"],
        measured_s=model["runs"]["p50_s"],
        noise=model["runs"]["noise_ratio"] or 0.0,
        predicted_s=model["predicted_s"],
        low_s=total.get("low"),
        high_s=total.get("high"),
        attributed=attribution.get("attributed_ratio"),
        consistent=attribution.get("consistent_ratio"),
        worst=_worst((model["prediction"] or {}).get("worst") or ()),
        kernels=tuple(Kernel(k["op"], k["seconds"], k["predicted_s"]) for k in model["kernels"]),
    )


def _worst(found: Sequence[Mapping[str, Any]]) -> str:
    if not found:
        return ""
    first = found[0]
    return f"{first['op']} {first['kernel']}: {1e3 * first['predicted_s']:.3g} for {1e3 * first['seconds']:.3g} ms"


def quantile(values: Iterable[float], part: float) -> float:
    """Linear between neighbours; NaN of nothing."""
    ordered = sorted(values)
    if not ordered:
        return math.nan
    place = part * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


@dataclass(frozen=True)
class Summary:
    """`median` and `tenth` (the 90th percentile) of |error|; `bias`: the median of predicted / measured."""

    count: int
    median: float
    tenth: float
    bias: float
    inside: float | None

    @property
    def met(self) -> bool:
        return self.median <= MEDIAN_GOAL and self.tenth <= TENTH_GOAL


def summary(scores: Iterable[Score]) -> Summary:
    """Of those that are predicted; NaN where there is none."""
    known = [score for score in scores if score.error is not None]
    errors = [score.error for score in known if score.error is not None]
    told = [score.inside for score in known if score.inside is not None]
    return Summary(
        count=len(errors),
        median=quantile(map(abs, errors), 0.5),
        tenth=quantile(map(abs, errors), 0.9),
        bias=1 + quantile(errors, 0.5),
        inside=sum(told) / len(told) if told else None,
    )


@dataclass(frozen=True)
class Residual:
    """An operator over all networks. `share` is the median part of a network's kernel seconds, of the networks that
    have it; `ratio` the median, over these networks, of predicted over measured seconds; `off` the median part of a
    network's seconds by which the operator is off. `unpredicted` kernels have no prediction."""

    op: str
    networks: int
    kernels: int
    share: float
    ratio: float
    off: float
    unpredicted: int


def residuals(scores: Iterable[Score]) -> list[Residual]:
    """The operators that shift predictions most first."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    missing: dict[str, int] = defaultdict(int)
    for score in scores:
        whole = sum(kernel.seconds for kernel in score.kernels)
        for op in {kernel.op for kernel in score.kernels}:
            mine = [kernel for kernel in score.kernels if kernel.op == op]
            counts[op] += len(mine)
            missing[op] += sum(kernel.predicted_s is None for kernel in mine)
            told = [(k.seconds, k.predicted_s) for k in mine if k.predicted_s is not None]
            measured, predicted = (sum(pair[i] for pair in told) for i in (0, 1))
            if measured > 0 and whole > 0:
                found[op].append((measured / whole, predicted / measured, (predicted - measured) / whole))
    rows = []
    for op, of in found.items():
        share, ratio, off = (median(part) for part in zip(*of, strict=True))
        rows.append(Residual(op, len(of), counts[op], share, ratio, off, missing[op]))
    return sorted(rows, key=lambda row: -abs(row.off) * row.networks)
