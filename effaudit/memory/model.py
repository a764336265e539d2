"""An audited model -> its memory under a runtime."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from effaudit import __version__
from effaudit.audited import Audited, examine
from effaudit.findings import Finding, findings
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.memory.asked import NOTHING_ASKED, Asked, Cache
from effaudit.memory.kernels import kernels
from effaudit.memory.planned import Planned, planned
from effaudit.memory.remedies import remedies
from effaudit.memory.searched import Searched, searched
from effaudit.memory.timeline import timeline
from effaudit.memory.training import training
from effaudit.memory.types import (
    SCHEMA,
    BufferReport,
    MemoryDocument,
    MemoryFigures,
    ModelMemory,
    Workspace,
)
from effaudit.plan.arena import running
from effaudit.plan.lifetimes import high, low
from effaudit.quantity import Quantity, larger
from effaudit.report import LiveTensor
from effaudit.report.model import dims_of
from effaudit.report.nodes import tensor_type

# Of the findings of a report, those that change what a plan of memory means.
CONCERNING = frozenset(("dims-assumed", "dead-nodes", "invalid"))


def memory(models: Sequence[ModelMemory]) -> MemoryDocument:
    """The document over models."""
    return MemoryDocument(SCHEMA, __version__, tuple(models))


def plan_memory(
    name: str | os.PathLike[str],
    given: Given = NOTHING_GIVEN,
    asked: Sequence[Asked] = (NOTHING_ASKED,),
    operators: Mapping[tuple[str, str], Any] | None = None,
    save: str | None = None,
) -> list[ModelMemory]:
    """What a model needs while it runs, under the sizes `given`, once for each of what is `asked`.

    `save` is where the reordered model goes. Raises LoadError, LimitError, UsageError.
    """
    audited = examine(name, given, operators)
    plans = [planned(audited.graph, one) for one in asked]
    made = [_described(audited, one) for one in plans]
    if save is not None:
        _saved(audited, plans[0], save)
    return made


def _saved(audited: Audited, made: Planned, path: str) -> None:
    """Writes the model with its nodes in the order of the plan."""
    from effaudit.plan.order import expand
    from effaudit.save import save_reordered

    order = expand(audited.graph, made.graph, range(len(made.graph.nodes)))
    save_reordered(audited.raw, order, path)


def describe(audited: Audited, asked: Asked = NOTHING_ASKED) -> ModelMemory:
    """The memory of an audited model. Raises UsageError for a planner or a stage that does not exist."""
    return _described(audited, planned(audited.graph, asked))


def _described(audited: Audited, made: Planned) -> ModelMemory:
    found, graph, asked = searched(audited, made), made.graph, made.asked
    return ModelMemory(
        path=audited.name,
        given={
            "dims": dict(audited.given.dims),
            "shapes": {name: list(shape) for name, shape in audited.given.shapes.items()},
        },
        dims=dims_of(audited.graph, audited.symbolic),
        inputs=tuple(tensor_type(name, graph.values[name]) for name in graph.inputs),
        outputs=tuple(tensor_type(name, graph.values[name]) for name in graph.outputs),
        nodes=made.flow.running,
        runtime=made.runtime.title,
        sources=made.runtime.sources,
        rewrites=graph.history,
        notes=(*made.runtime.notes, *_of_the_cache(asked.cache, found)),
        memory=_figures(audited, made, found),
        kv_cache=found.kv_cache,
        scores=found.scores,
        kernels=None if asked.kernels is None else kernels(made, asked.kernels),
        remedies=remedies(audited, made, found),
        findings=_findings(audited, made),
    )


def _of_the_cache(asked: Cache, found: Searched) -> Iterator[str]:
    """What the options of the cache do not do: they move no other figure."""
    if asked == Cache():
        return
    if found.kv_cache is None:
        yield "no key/value cache was found: --context, --batch-size, --kv-dtype and --kv-window change nothing"
    elif asked.dtype is not None:
        yield f"the cache is counted as if in {asked.dtype}; the arena has the types of the file"
    if asked.context is not None or asked.batch is not None:
        yield "the arena is that of the inputs above; other sizes are given with --dim or --shape"


def _figures(audited: Audited, made: Planned, found: Searched) -> MemoryFigures:
    live, arena, plan = made.liveness, made.arena, made.plan
    steps = timeline(made)
    peak = live.peak
    scratch, workspaces = _workspaces(made)
    persistent = made.runtime.kept(made.graph)
    exact = plan is not None and arena.value is not None
    estimate = None if made.asked.training is None else training(audited, made, made.asked.training)
    return MemoryFigures(
        runtime=made.runtime.name,
        planner=made.asked.planner or made.runtime.planner if plan is None else plan.planner,
        align=made.need.least.align,
        inputs_pinned=made.asked.pin_inputs,
        sum_bytes=live.sum_bytes.value,
        max_in_out_bytes=live.max_in_out_bytes.value,
        live_bytes=live.live_bytes.value,
        live_bounds=live.live_bytes.bounds,
        inplace_bytes=live.inplace_bytes.value,
        inplace_bounds=live.inplace_bytes.bounds,
        body_live_bytes=live.body_live_bytes.value,
        best_order_bytes=None if found.order is None else found.order.live_bytes,
        best_order=found.order,
        arena_bytes=arena.value,
        arena_bounds=arena.bounds,
        floor_bytes=plan.floor if plan is not None and exact else made.need.least.floor,
        gap=round(plan.gap, 6) if plan is not None and exact else None,
        proven_optimal=plan.proven if plan is not None and exact else None,
        scratch_bytes=None if scratch is None else scratch.value,
        scratch_bounds=None if scratch is None else scratch.bounds,
        arena_with_scratch_bounds=None if made.with_workspaces is None else made.with_workspaces.bounds,
        persistent_bytes=None if persistent is None else persistent.value,
        persistent_bounds=None if persistent is None else persistent.bounds,
        patched_bytes=None if found.patched is None else found.patched.patched_bytes,
        patched=found.patched,
        training_bytes=None if estimate is None else estimate.training_bytes,
        training=estimate,
        peak_node=steps[peak.step].node if peak is not None and steps else None,
        peak_step=None if peak is None else peak.step,
        live_set=() if peak is None else tuple(LiveTensor(name, size) for name, size in peak.alive),
        workspaces=workspaces,
        buffers=_buffers(made),
        timeline=steps,
        seconds=made.seconds,
        why=live.live_bytes.why or arena.why or None,
    )


def _workspaces(made: Planned) -> tuple[Quantity | None, tuple[Workspace, ...]]:
    """(the largest workspace, that of every node that may need one); None where the runtime's are not known."""
    if made.runtime.scratch is None:
        return None, ()
    worst, found = Quantity(0, 0), []
    for node in running(made.graph, made.flow):
        wanted = made.runtime.workspace(made.graph, node)
        worst = larger(worst, wanted)
        if wanted.high != 0:
            found.append(Workspace(node.label, wanted.value, wanted.bounds))
    return worst, tuple(found)


def _buffers(made: Planned) -> tuple[BufferReport, ...]:
    """The storages, in the order they are first needed; offsets are of the plan at their largest sizes."""
    offsets = made.plan.offsets if made.plan is not None else [None] * len(made.need.storages)
    return tuple(
        BufferReport(
            name=one.name,
            bytes=low(one) if low(one) == high(one) else None,
            bounds=[low(one), high(one)],
            start=one.start,
            end=one.end,
            offset=offset,
            others=one.others,
        )
        for one, offset in zip(made.need.storages, offsets, strict=True)
    )


def _findings(audited: Audited, made: Planned) -> tuple[Finding, ...]:
    found = [finding for finding in findings(audited) if finding.rule in CONCERNING]
    return tuple(found)
