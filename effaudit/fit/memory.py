"""The memories of a fit as they are reported."""

from __future__ import annotations

from effaudit.checks.subject import Subject
from effaudit.estimate.demand import ARENA, Demand
from effaudit.fit.subject import assumed
from effaudit.fit.types import FitMemory, ItemReport, MemoryRow
from effaudit.plan.floor import Floor
from effaudit.plan.problem import aligned
from effaudit.quantity import Quantity
from effaudit.report import LiveTensor

ARENA_ALIGN = 16  # bytes: what a C array of an arena is aligned to, and rounded up to


def memory_of(subject: Subject, least: Floor) -> FitMemory:
    """Need, have and margin of every memory, the arena, and what is alive at its peak."""
    made, whole = subject.planned, not assumed(subject.audited)
    arena = next((i.bytes for d in subject.demands for i in d.items if i.what == ARENA), made.arena)
    steps = [n for n, runs in zip(made.graph.nodes, made.flow.live, strict=True) if runs]
    peak = made.liveness.peak if whole else None
    return FitMemory(
        rows=tuple(map(row_of, subject.demands)),
        rules=made.runtime.name,
        planner=made.asked.planner or made.runtime.planner,
        arena_bytes=arena.value,
        arena_bounds=(arena.low, arena.high),
        arena_constant_bytes=_constant(arena, made.runtime.kept(made.graph)),
        floor_bytes=least.bytes if whole else 0,
        floor_rule=least.rule if whole else arena.why,
        peak_node=steps[peak.step].label if peak is not None and peak.step < len(steps) else None,
        live_set=() if peak is None else tuple(LiveTensor(name, size) for name, size in peak.alive),
    )


def row_of(demand: Demand) -> MemoryRow:
    """One memory. The margin is against all of it, or the largest region where that leaves less."""
    need, piece = demand.need, demand.together
    margins = []
    if need.high is not None and demand.have is not None:
        margins.append(demand.have - need.high)
    if piece.high is not None and demand.contiguous is not None and demand.contiguous < (demand.have or 0):
        margins.append(demand.contiguous - piece.high)
    return MemoryRow(
        memory=demand.memory.name,
        kind=demand.memory.kind,
        need_bytes=need.value,
        need_bounds=(need.low, need.high),
        have_bytes=demand.have,
        contiguous_bytes=demand.contiguous,
        margin_bytes=min(margins) if margins and need.high is not None else None,
        items=tuple(
            ItemReport(item.what, item.bytes.value, (item.bytes.low, item.bytes.high), item.basis, item.place)
            for item in demand.items
        ),
    )


def _constant(arena: Quantity, kept: Quantity | None) -> int | None:
    """What goes into the C file: an upper bound, with what the runtime keeps in the arena."""
    if arena.high is None or (kept is not None and kept.high is None):
        return None
    return aligned(arena.high + (0 if kept is None or kept.high is None else kept.high), ARENA_ALIGN)
