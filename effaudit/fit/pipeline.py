"""Models run one after the other, each so many times: diffusion steps, an encoder and its decoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from effaudit.checks.types import Result, at_least, at_most, worst
from effaudit.estimate.demand import ARENA
from effaudit.fit.judge import exit_code, verdict
from effaudit.fit.types import FitReport, ItemReport, MemoryRow, Pipeline, SecondsReport


def pipelines(reports: Sequence[FitReport]) -> tuple[Pipeline, ...]:
    """One for each device, runtime and element type: time and energy add up, each as often as its model runs; all
    weights are there at once, and one arena after the other takes the same bytes, the largest counts."""
    ordered = sorted(reports, key=_key)
    return tuple(_pipeline(list(parts)) for _, parts in groupby(ordered, _key))


def _key(report: FitReport) -> tuple[str, str, str]:
    return report.device, report.runtime, report.quantize or ""


def _pipeline(parts: list[FitReport]) -> Pipeline:
    rows = tuple(_row(name, parts) for name in dict.fromkeys(r.memory for part in parts for r in part.memory.rows))
    time, energy = _sum([(p.latency_s, p.times) for p in parts]), None
    joules = [(p.energy_j, p.times) for p in parts if p.energy_j is not None]
    if len(joules) == len(parts):
        energy = _sum([(one, times) for one, times in joules if one is not None])
    findings = (*map(_held, rows), *_limits(parts, time, energy), *_operators(parts))
    status = verdict(findings, ())
    return Pipeline(
        device=parts[0].device,
        status=status,
        exit_code=exit_code(status),
        parts=tuple((part.model, part.times) for part in parts),
        latency_s=time,
        energy_j=energy,
        rows=rows,
        findings=findings,
    )


def _row(name: str, parts: list[FitReport]) -> MemoryRow:
    """A memory with the weights of all, the largest arena, and what the runtime and the user keep, once."""
    found = [row for part in parts for row in part.memory.rows if row.memory == name]
    items: dict[str, ItemReport] = {}
    for row in found:
        for item in row.items:
            before = items.get(item.what)
            items[item.what] = item if before is None else _joined(before, item)
    low = sum(item.bounds[0] for item in items.values())
    highs = [item.bounds[1] for item in items.values()]
    high = None if None in highs else sum(size for size in highs if size is not None)
    have, whole = found[0].have_bytes, found[0].contiguous_bytes
    margins = [None if high is None or have is None else have - high]
    if whole is not None and have is not None and whole < have:
        margins.append(_less(whole, _together(items.values())[1]))
    return MemoryRow(
        memory=name,
        kind=found[0].kind,
        need_bytes=low if low == high else None,
        need_bounds=(low, high),
        have_bytes=have,
        contiguous_bytes=whole,
        margin_bytes=None if None in margins else min(margin for margin in margins if margin is not None),
        items=tuple(items.values()),
    )


# Of these every model has its own; of all else the largest serves the whole pipeline.
_ADDED = ("weights", "scales and zero points", "tables of the runtime")


def _joined(one: ItemReport, other: ItemReport) -> ItemReport:
    both = (one.bounds, other.bounds)
    lows, highs = [b[0] for b in both], [b[1] for b in both]
    add = one.what in _ADDED
    low = sum(lows) if add else max(lows)
    known = [h for h in highs if h is not None]
    high = None if None in highs else sum(known) if add else max(known)
    return ItemReport(one.what, low if low == high else None, (low, high), one.basis, one.place)


def _together(items: Iterable[ItemReport]) -> tuple[int, int | None]:
    """What lies in one piece: at the least what has to, at the most all that may."""
    kept = list(items)
    most = [item.bounds[1] for item in kept if item.place != "elsewhere"]
    known = [size for size in most if size is not None]
    low = sum(item.bounds[0] for item in kept if item.place == "piece")
    return low, sum(known) if len(known) == len(most) else None


def _less(size: int, high: int | None) -> int | None:
    return None if high is None else size - high


def _held(row: MemoryRow) -> Result:
    low, high = row.need_bounds
    check = "ram" if any(item.what == ARENA for item in row.items) else "flash"
    if row.have_bytes is None:
        message = f"the profile does not know the size of {row.memory}"
        return Result(check, "unknown", row.need_bytes, row.need_bounds, None, "bytes", row.memory, message)
    status = at_most(low, high, row.have_bytes)
    if row.contiguous_bytes is not None:
        piece = at_most(*_together(row.items), row.contiguous_bytes)
        status = worst(status, piece)
    message = ", ".join(f"{item.what} {item.bounds[0]:,}" for item in row.items)
    return Result(check, status, row.need_bytes, row.need_bounds, row.have_bytes, "bytes", row.memory, message)


def _limits(parts: list[FitReport], time: SecondsReport, energy: SecondsReport | None) -> list[Result]:
    """The user's limits hold of the whole."""
    found = []
    for check, total, unit in (("latency", time, "s"), ("energy", energy, "J")):
        limit = next((r.limit for part in parts for r in part.findings if r.check == check), None)
        if limit is None:
            continue
        if total is None:
            found.append(
                Result(check, "unknown", None, (None, None), limit, unit, "", "the energy of a part is not known")
            )
            continue
        status = at_most(total.low, total.high, limit)
        found.append(Result(check, status, total.value, (total.low, total.high), limit, unit, "", total.basis))
    limit = next((r.limit for part in parts for r in part.findings if r.check == "throughput"), None)
    if limit is not None:
        low, high = 1 / time.high if time.high else 0.0, 1 / time.low if time.low else None
        status = at_least(low, high, limit)
        value = 1 / time.value if time.value else None
        found.append(Result("throughput", status, value, (low, high), limit, "1/s", "", "runs of the whole pipeline"))
    return found


def _operators(parts: list[FitReport]) -> list[Result]:
    return [result for part in parts for result in part.findings if result.check == "operators"]


def _sum(parts: list[tuple[SecondsReport, int]]) -> SecondsReport:
    values = [None if one.value is None else one.value * times for one, times in parts]
    highs = [None if one.high is None else one.high * times for one, times in parts]
    return SecondsReport(
        value=None if None in values else sum(v for v in values if v is not None),
        low=sum(one.low * times for one, times in parts),
        high=None if None in highs else sum(h for h in highs if h is not None),
        basis="; ".join(dict.fromkeys(one.basis for one, _ in parts)),
    )
