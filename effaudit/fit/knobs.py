"""What would change a verdict: each change is really made and planned again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.checks.types import Result
from effaudit.device.peaks import peak_of
from effaudit.device.types import Device
from effaudit.estimate.demand import ARENA, Demand, with_arena
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.fit.types import Knob
from effaudit.memory.remedies import FLOATS, remedies
from effaudit.memory.searched import Searched

# The options of `effaudit memory` whose plan computes the same numbers.
_LOSSLESS = ("--planner", "--reorder", "--patch")
GOOD = ("pass", "warn", "skipped")  # the statuses that stop no model


def of_memory(subject: Subject, found: Searched, results: Sequence[Result]) -> tuple[Knob, ...]:
    """The changes of the arena, against the memory that holds it; the model fits where all else passes."""
    demand = _arena_of(subject)
    if demand is None:
        return ()
    others = [r for r in results if not (r.check == "ram" and r.where == demand.memory.name)]
    rest, made = all(r.status in GOOD for r in others), []
    for remedy in remedies(subject.audited, subject.planned, found):
        if remedy.option.startswith(("--quantize", "--runtime")) or not remedy.option:
            continue
        after = with_arena(demand, remedy.arena_bytes, subject.planned)
        option = remedy.option.removesuffix(" --save PATH")
        made.append(
            Knob(
                what=remedy.what,
                memory=demand.memory.name,
                need_bytes=after.need.low,
                need_bounds=(after.need.low, after.need.high),
                held=after.status(),
                fits=rest and after.status() == "pass",
                lossless=option.startswith(_LOSSLESS),
                cost=remedy.cost,
                option=option,
            )
        )
    return tuple(made)


def of_runtimes(subject: Subject, asked: FitAsked) -> Iterator[Knob]:
    """The same numbers under the other runtimes of the device whose rules differ, one for each of the rules: they lay
    out, reuse and compute in place as they do."""
    seen = {subject.runtime.rules}
    for runtime in subject.device.runtimes:
        if runtime.rules in seen:
            continue
        seen.add(runtime.rules)
        name = f"{runtime.name}@{runtime.version}" if runtime.version else runtime.name
        other = subject_of(subject.audited, subject.device, msgspec.structs.replace(asked, runtime=name))
        demand = _arena_of(other)
        if demand is None:
            continue
        yield Knob(
            what=f"under {runtime.title or runtime.name}",
            memory=demand.memory.name,
            need_bytes=demand.need.low,
            need_bounds=(demand.need.low, demand.need.high),
            held=demand.status(),
            fits=all(result.status in GOOD for result in results(other)),
            lossless=True,
            cost="another runtime",
            option=f"--runtime {name}",
        )


def _arena_of(subject: Subject) -> Demand | None:
    """The memory that holds the arena."""
    return next((d for d in subject.demands if any(item.what == ARENA for item in d.items)), None)


def as_quantized(subject: Subject, asked: FitAsked) -> Iterator[Knob]:
    """The same model with its floats stored as int8, where it has such and the device works on int8."""
    device = subject.device
    if asked.quantize is not None or not _is_float(subject) or not _has_int8(device):
        return
    other = subject_of(subject.audited, device, msgspec.structs.replace(asked, quantize="int8"))
    found = results(other)
    demand = max(other.demands, key=lambda d: (d.status() != "pass", _use(d)), default=None)
    if demand is None:
        return
    yield Knob(
        what="as int8",
        memory=demand.memory.name,
        need_bytes=demand.need.low,
        need_bounds=(demand.need.low, demand.need.high),
        held=demand.status(),
        fits=all(result.status in GOOD for result in found),
        lossless=False,
        cost="accuracy to be checked",
        option="--quantize int8",
    )


def _use(demand: Demand) -> float:
    """How much of its memory it takes, at the most that is known."""
    need = demand.need
    return (need.low if need.high is None else need.high) / (demand.have or 1)


def _is_float(subject: Subject) -> bool:
    return any(kernel.macs.low and kernel.dtype in FLOATS for kernel in subject.kernels)


def _has_int8(device: Device) -> bool:
    return any(peak_of(engine, "int8") is not None for engine in device.engines)
