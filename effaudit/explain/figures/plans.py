"""Figures of a plan of memory, of the file as written."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.memory.asked import Asked
from effaudit.memory.planned import Planned, planned
from effaudit.printable import printable
from effaudit.report import ModelReport

PAGE = "docs/memory.md"
MOST = 12  # buffers that are listed


def _made(audited: Audited) -> Planned:
    return planned(audited.graph, Asked())


@figure("arena_bytes", "arena", "bytes", formula="max over buffers of offset + size", page=PAGE, labels=("arena",))
def arena_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """The bytes in which a planner lays out every activation, so that no two that exist at the same time overlap; here
    of the file as written, by the best planner. effaudit memory says it for runtimes."""
    made = _made(audited)
    plan = made.plan
    if plan is None or not made.need.exact:
        return Derivation(None, (), made.arena.bounds, made.arena.why)
    placed = sorted(zip(plan.offsets, plan.problem.buffers, strict=True), key=lambda one: -one[0] - one[1].size)
    steps = [
        f"{offset:>14,} + {b.size:>12,}  steps {b.start} to {b.end - 1}  {printable(b.name, 34)}"
        for offset, b in placed[:MOST]
    ]
    more = [f"and {len(placed) - MOST} more below"] if len(placed) > MOST else []
    proof = "no plan is smaller" if plan.proven else f"no plan is below {plan.floor:,}"
    return Derivation(plan.arena, (f"planner {plan.planner}; {proof}", *steps, *more))


@figure("floor_bytes", "floor of the arena", "bytes", page=PAGE, labels=("floor",))
def floor_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """What no plan of the same buffers can be below: at least the most that is alive at one step. A plan that meets it
    is optimal."""
    made = _made(audited)
    if made.plan is None or not made.need.exact:
        return Derivation(made.need.least.floor, ("at the smallest sizes",), None, made.need.why)
    return Derivation(made.plan.floor, (f"the arena is {made.plan.arena:,}",))


@figure("best_order_bytes", "live in the best order", "bytes", page=PAGE, labels=("best order",))
def best_order_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """The least live bytes of any order of the nodes in which each comes after what it reads; or of those searched,
    where there are too many."""
    from effaudit.plan.order import best_order

    found = best_order(audited.graph, audited.flow)
    if found.peak is None:
        return Derivation(None, why=found.why)
    proof = "no order has less" if found.proven else f"no order has less than {found.floor:,}"
    given = "the order of the file" if found.method == "given" else f"another order, {found.states:,} states looked at"
    return Derivation(found.peak, (given, proof))
