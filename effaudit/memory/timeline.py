"""Step by step: what is alive, what is born and what dies."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.memory.planned import Planned
from effaudit.memory.types import StepReport
from effaudit.plan.arena import running
from effaudit.plan.lifetimes import high, lifetimes, low
from effaudit.plan.liveness import profile
from effaudit.plan.problem import profile as placed
from effaudit.report import LiveTensor


def timeline(made: Planned) -> tuple[StepReport, ...]:
    """One entry per node that runs, in order."""
    nodes = running(made.graph, made.flow)
    found = lifetimes(made.graph, made.flow)
    least = profile(found, low, len(nodes))
    unbounded = any(high(one) is None for one in found)
    most: Sequence[int | None] = least
    if unbounded:
        most = [None] * len(nodes)
    elif any(type(one.size) is not int for one in found):
        most = profile(found, lambda one: high(one) or 0, len(nodes))
    counts = profile(found, lambda one: 1, len(nodes))
    used = _used(made, len(nodes))
    born: list[list[LiveTensor]] = [[] for _ in nodes]
    dies: list[list[str]] = [[] for _ in nodes]
    outputs, kept = [set(node.outputs) for node in nodes], set(made.graph.outputs)
    for one in found if nodes else ():
        if one.name in outputs[one.start]:
            born[one.start].append(LiveTensor(one.name, low(one)))
        if one.name not in kept:
            dies[one.end - 1].append(one.name)
    return tuple(
        StepReport(
            step=step,
            node=node.label,
            op=node.op,
            live_bytes=least[step] if least[step] == most[step] else None,
            live_bounds=[least[step], most[step]],
            storage_bytes=used[step],
            alive=counts[step],
            born=tuple(born[step]),
            dies=tuple(dies[step]),
        )
        for step, node in enumerate(nodes)
    )


def _used(made: Planned, steps: int) -> Sequence[int | None]:
    """Bytes of the arena in use at each step; None where sizes are not known."""
    if made.plan is None or not made.need.exact:
        return [None] * steps
    at = dict(placed(made.plan.problem.buffers))
    last, out = 0, []
    for step in range(steps):
        last = at.get(step, last)
        out.append(last)
    return out
