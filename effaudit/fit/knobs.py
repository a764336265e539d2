"""What would change a verdict: each change is really made, and everything checked again."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence, Set
from typing import Final

from msgspec.structs import replace

from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.checks.types import Result
from effaudit.device.peaks import peak_of
from effaudit.device.types import Device
from effaudit.estimate.demand import ARENA, Demand
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.fit.types import Knob
from effaudit.memory.asked import Stage
from effaudit.memory.remedies import FLOATS, remedies
from effaudit.memory.searched import Searched

GOOD: Final = ("pass", "warn", "skipped")  # the statuses that stop no model


def of_memory(subject: Subject, asked: FitAsked, found: Searched, before: Sequence[Result]) -> Iterator[Knob]:
    """The changes of the arena: another planner, another order, patches. They compute the same numbers."""
    for remedy in remedies(subject.audited, subject.planned, found):
        changed = asked_with(remedy.option, asked)
        if changed is not None:
            other = subject_of(subject.audited, subject.device, changed)
            option = remedy.option.removesuffix(" --save PATH")
            yield from _knob(other, before, remedy.what, remedy.cost, option, lossless=True)


def asked_with(words: str, asked: FitAsked) -> FitAsked | None:
    """What is asked with the option of a remedy; None of one that a fit takes by itself, or not at all."""
    option, *values = shlex.split(words) or [""]
    if option == "--planner":
        return replace(asked, planner=values[0])
    if option == "--reorder":
        return replace(asked, reorder=True)
    if option == "--patch":
        tensor, _, grid = values[0].rpartition(":")
        rows, _, columns = grid.partition("x")
        return replace(asked, patch=Stage(tensor, (int(rows), int(columns)))) if columns else None
    return None


def of_runtimes(subject: Subject, asked: FitAsked, before: Sequence[Result]) -> Iterator[Knob]:
    """The same numbers under the other runtimes of the device whose rules differ, one for each of the rules: they lay
    out, reuse and compute in place as they do."""
    seen = {subject.runtime.rules}
    for runtime in subject.device.runtimes:
        if runtime.rules in seen:
            continue
        seen.add(runtime.rules)
        name = f"{runtime.name}@{runtime.version}" if runtime.version else runtime.name
        other = subject_of(subject.audited, subject.device, replace(asked, runtime=name))
        what = f"under {runtime.title or runtime.name}"
        yield from _knob(other, before, what, "another runtime", f"--runtime {name}", lossless=True)


def as_quantized(subject: Subject, asked: FitAsked, before: Sequence[Result]) -> Iterator[Knob]:
    """The same model with its floats stored as int8, where it has such and the device works on int8."""
    device = subject.device
    if asked.quantize is not None or not _is_float(subject) or not _has_int8(device):
        return
    other = subject_of(subject.audited, device, replace(asked, quantize="int8"))
    tightest = max(other.demands, key=lambda d: (d.status() != "pass", _use(d)), default=None)
    yield from _knob(
        other, before, "as int8", "accuracy to be checked", "--quantize int8", lossless=False, demand=tightest
    )


def _knob(
    other: Subject,
    before: Sequence[Result],
    what: str,
    cost: str,
    option: str,
    *,
    lossless: bool,
    demand: Demand | None = None,
) -> Iterator[Knob]:
    """The changed subject against every check, seen from one memory (the arena's, where none is named)."""
    shown = demand or next((d for d in other.demands if d.has(ARENA)), None)
    if shown is not None:
        yield Knob(
            what=what,
            memory=shown.memory.name,
            need_bytes=shown.need.low,
            need_bounds=(shown.need.low, shown.need.high),
            held=shown.status(),
            fits=holds(results(other), failed_in(before)),
            lossless=lossless,
            cost=cost,
            option=option,
        )


def failed_in(found: Sequence[Result]) -> frozenset[str]:
    """The checks that failed."""
    return frozenset(r.check for r in found if r.status == "fail")


def holds(found: Sequence[Result], failed: Set[str]) -> bool:
    """Nothing fails or is unknown; and what failed before is held again, not skipped: a runtime that states no
    operators takes away the reason, not the failure."""
    held = {r.check for r in found if r.status != "skipped"}
    return all(r.status in GOOD for r in found) and failed <= held


def _use(demand: Demand) -> float:
    """How much of its memory it takes, at the most that is known."""
    need = demand.need
    return (need.low if need.high is None else need.high) / (demand.have or 1)


def _is_float(subject: Subject) -> bool:
    return any(kernel.macs.low and kernel.dtype in FLOATS for kernel in subject.kernels)


def _has_int8(device: Device) -> bool:
    return any(peak_of(engine, "int8") is not None for engine in device.engines)
