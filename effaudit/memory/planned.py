"""One model under one runtime: lowered, ordered, laid out in one arena, and verified."""

from __future__ import annotations

from time import perf_counter

import msgspec

from effaudit.dataflow import Flow, flow
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.memory.asked import Asked
from effaudit.plan.arena import Need, Rules, need
from effaudit.plan.liveness import Liveness, analyse
from effaudit.plan.offsets import plan
from effaudit.plan.problem import Plan, Problem
from effaudit.plan.storage import APART, SHARED
from effaudit.plan.verify import verify
from effaudit.quantity import Quantity
from effaudit.runtimes import Runtime, find


class Planned(msgspec.Struct, frozen=True):
    """`graph` is the one the runtime executes, `flow` and `liveness` are of it. `need` is what has to be placed;
    `plan` places it at its largest sizes, and is None where nothing bounds these. `with_workspaces` is the arena with
    the kernels' workspaces among the buffers, None where nothing is known of them; `seconds` how long planning took,
    where that was asked."""

    runtime: Runtime
    asked: Asked
    graph: Graph
    flow: Flow
    liveness: Liveness
    need: Need
    plan: Plan | None
    with_workspaces: Quantity | None
    seconds: float | None = None

    @property
    def arena(self) -> Quantity:
        """Bytes of the arena; the sizes that are not known make it a range."""
        return _arena(self.need, self.plan)


def planned(graph: Graph, asked: Asked) -> Planned:
    """A graph with inferred shapes, under the runtime asked for. Raises UsageError for a planner that does not exist
    or is not installed."""
    lowered = lower(graph, asked)
    if asked.reorder and find(asked.runtime).orders:
        raise UsageError(f"--reorder: {asked.runtime} runs the nodes in an order of its own, whatever that of the file")
    if asked.reorder:
        from effaudit.plan.order import apply_order, best_order

        known = flow(lowered)
        lowered = apply_order(lowered, best_order(lowered, known, effort=asked.effort).order)
    if not asked.seconds:
        return laid_out(lowered, asked)
    start = perf_counter()
    made = laid_out(lowered, asked)
    return msgspec.structs.replace(made, seconds=round(perf_counter() - start, 3))


def lower(graph: Graph, asked: Asked) -> Graph:
    """The graph that the runtime executes, in the order of the file or its own. Raises UsageError for a type that
    nothing is quantized to."""
    if asked.quantize is not None:
        from effaudit.lower.as_if import as_if

        graph = as_if(graph, asked.quantize)
    return find(asked.runtime).lower(graph)


def laid_out(graph: Graph, asked: Asked) -> Planned:
    """A graph that is lowered and ordered already, laid out for its runtime. Raises UsageError as `planned`."""
    runtime, known = find(asked.runtime), flow(graph)
    name = asked.planner or runtime.planner
    rules = Rules(runtime.sharing, asked.align or runtime.align, runtime.inputs, asked.pin_inputs)
    if asked.pin_inputs and not runtime.inputs:
        raise UsageError(f"--pin-inputs: {runtime.name} keeps the inputs outside its arena already")

    def arena(problem: Problem) -> int:
        return _planned(problem, name, asked.effort).arena

    wanted = need(graph, known, rules, arena)
    made = None if wanted.most is None else _planned(wanted.most, name, asked.effort)
    workspaces = None
    if runtime.scratch is not None:
        more = need(graph, known, rules, arena, runtime.workspace)
        if len(more.storages) == len(wanted.storages):
            workspaces = _arena(wanted, made)
        else:
            whole = None if more.most is None else _planned(more.most, name, asked.effort)
            workspaces = _between(_arena(wanted, made), _arena(more, whole))
    own = SHARED if runtime.sharing == APART else runtime.sharing
    return Planned(runtime, asked, graph, known, analyse(graph, known, own), wanted, made, workspaces)


def _planned(problem: Problem, name: str, effort: str) -> Plan:
    """A plan that is verified: no two buffers that are alive together overlap."""
    made = plan(problem, name, effort)
    verify(problem, made.offsets)
    return made


def _arena(wanted: Need, made: Plan | None) -> Quantity:
    if made is None:
        return Quantity(wanted.least.floor, None, wanted.why)
    if wanted.exact:
        return Quantity(made.arena, made.arena)
    return Quantity(wanted.least.floor, made.arena, wanted.why)


def _between(without: Quantity, including: Quantity) -> Quantity:
    """From kernels that need no workspace, where there are such, to those that need most."""
    if including.value is not None:
        return including
    low = without.low if including.high is None else min(without.low, including.high)
    return Quantity(max(low, including.low), including.high, including.why)
