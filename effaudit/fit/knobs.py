"""What would change a verdict: each change is really made and planned again."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.device.peaks import peak_of
from effaudit.device.types import Device
from effaudit.estimate.demand import ARENA, Demand
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import subject_of
from effaudit.fit.types import Knob
from effaudit.memory.remedies import FLOATS, remedies
from effaudit.memory.searched import Searched
from effaudit.quantity import Quantity

# The options of `effaudit memory` whose plan computes the same numbers.
_LOSSLESS = ("--planner", "--reorder", "--patch")


def of_memory(subject: Subject, found: Searched) -> tuple[Knob, ...]:
    """The changes of the arena, against the memory that holds it."""
    demand = next((d for d in subject.demands if any(item.what == ARENA for item in d.items)), None)
    if demand is None:
        return ()
    made = []
    for remedy in remedies(subject.audited, subject.planned, found):
        if remedy.option.startswith(("--quantize", "--runtime")) or not remedy.option:
            continue
        after = with_arena(demand, remedy.arena_bytes)
        option = remedy.option
        made.append(
            Knob(
                what=remedy.what,
                memory=demand.memory.name,
                need_bytes=after.need.low,
                fits=_fits(after),
                lossless=option.startswith(_LOSSLESS),
                cost=remedy.cost,
                option=option,
            )
        )
    return tuple(made)


def with_arena(demand: Demand, arena: int) -> Demand:
    """The same memory with another arena, the workspaces on top kept as they are."""
    items = tuple(
        msgspec.structs.replace(item, bytes=Quantity(arena, arena)) if item.what == ARENA else item
        for item in demand.items
    )
    return msgspec.structs.replace(demand, items=items)


def _fits(demand: Demand) -> bool:
    need, piece = demand.need, demand.together
    if demand.have is None or need.high is None or piece.high is None:
        return False
    return need.high <= demand.have and piece.high <= (demand.contiguous or demand.have)


def as_quantized(subject: Subject, asked: FitAsked) -> Iterator[Knob]:
    """The same model with its floats stored as int8, where it has such and the device works on int8."""
    device = subject.device
    if asked.quantize is not None or not _is_float(subject) or not _has_int8(device):
        return
    other = subject_of(subject.audited, device, msgspec.structs.replace(asked, quantize="int8"))
    memories = [r for r in results(other) if r.check in ("flash", "ram")]
    demand = max(other.demands, key=lambda d: d.need.low, default=None)
    if demand is None:
        return
    yield Knob(
        what="as int8",
        memory=demand.memory.name,
        need_bytes=demand.need.low,
        fits=all(result.status == "pass" for result in memories),
        lossless=False,
        cost="accuracy to be checked",
        option="--quantize int8",
    )


def _is_float(subject: Subject) -> bool:
    return any(kernel.macs.low and kernel.dtype in FLOATS for kernel in subject.kernels)


def _has_int8(device: Device) -> bool:
    return any(peak_of(engine, "int8") is not None for engine in device.engines)
