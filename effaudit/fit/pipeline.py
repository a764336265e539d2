"""Models run one after the other, each so many times: diffusion steps, an encoder and its decoder."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import msgspec

from effaudit.checks._memories import held, is_flash
from effaudit.checks.types import Result, at_least, at_most
from effaudit.device.types import Device
from effaudit.estimate.demand import Demand, joined
from effaudit.fit.judge import exit_code, verdict
from effaudit.fit.memory import row_of
from effaudit.fit.types import FitReport, Pipeline, SecondsReport


class Part(msgspec.Struct, frozen=True):
    """A report, and what it was made of: the device, and what it needs of each memory."""

    report: FitReport
    device: Device
    demands: tuple[Demand, ...]


def pipelines(parts: Sequence[Part]) -> tuple[Pipeline, ...]:
    """One for each device, runtime and element type: time and energy add up, each as often as its model runs; all
    weights are there at once, and one arena after the other takes the same bytes, the largest counts."""
    ordered = sorted(parts, key=_key)
    return tuple(_pipeline(list(several)) for _, several in groupby(ordered, _key))


def _key(part: Part) -> tuple[str, str, str]:
    return part.report.device, part.report.runtime, part.report.quantize or ""


def _pipeline(several: list[Part]) -> Pipeline:
    parts = [part.report for part in several]
    demands = joined(several[0].device, [part.demands for part in several])
    memories = [one for demand in demands for one in held("flash" if is_flash(demand) else "ram", demand)]
    time, energy = _sum([(p.latency_s, p.times) for p in parts]), None
    joules = [(p.energy_j, p.times) for p in parts if p.energy_j is not None]
    if len(joules) == len(parts):
        energy = _sum([(one, times) for one, times in joules if one is not None])
    findings = (*memories, *_limits(parts, time, energy), *_operators(parts))
    status = verdict(findings, ())
    return Pipeline(
        device=parts[0].device,
        status=status,
        exit_code=exit_code(status),
        parts=tuple((part.model, part.times) for part in parts),
        latency_s=time,
        energy_j=energy,
        rows=tuple(map(row_of, demands)),
        findings=findings,
    )


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
