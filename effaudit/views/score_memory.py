"""The memory of attention scores, and what is left of it with a kernel that never writes them.

Spelled out, every attention has its scores as tensors: batch x heads x queries x keys elements after the first product,
again after every scale, mask and cast, and as probabilities. A fused operator writes none of them, but its kernel may
keep them in its workspace: nothing with a kernel after FlashAttention (https://arxiv.org/abs/2205.14135), up to scores
and probabilities at the same time with one that computes them whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import flow
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph
from effaudit.lower.flash import Flashed, Products, flash
from effaudit.plan.lifetimes import lifetimes
from effaudit.plan.liveness import analyse
from effaudit.plan.problem import Buffer, profile
from effaudit.quantity import Quantity, add
from effaudit.table import price
from effaudit.views.attentions import Attended, Scope, attentions, labelled, layers
from effaudit.views.expressions import agrees, sizes_used
from effaudit.views.transformer.attention import Core
from effaudit.views.transformer.fused import RECURRENT, inside

AT_ONCE: Final = 2  # scores and probabilities, in a kernel that computes them whole
NONE: Final = Quantity(0, 0)
IN_A_BODY: Final = "it runs in a body, whose tensors live_bytes does not count"


class ScoreLayer(msgspec.Struct, frozen=True):
    """One attention. `scores_bytes` is one tensor of its scores (batch x heads x queries x keys, in the type of the
    probabilities; of a fused operator, of its output), `formula` the same in the open dims.

    `tensors` are those between its two products, in order, with their bytes: none of a fused `operator`, whose kernel
    may need `workspace_bytes` instead. `flash` is True where a fused kernel was put in its place, or it is fused as
    written; else `why` says why not.
    """

    where: str
    operator: str
    heads: int | None
    queries: int | None
    keys: int | None
    dtype: str
    scores_bytes: Quantity
    formula: Dim | None
    tensors: tuple[tuple[str, int | None], ...]
    tensors_bytes: Quantity
    workspace_bytes: Quantity
    flash: bool
    why: str = ""


class ScoreMemory(msgspec.Struct, frozen=True):
    """The scores of a model, in bytes.

    `scores_bytes` adds up one tensor of scores per attention, `tensors_bytes` every tensor between the products;
    neither is alive at once. `live_bytes` is the file's, `workspace_live_bytes` the range it has with the workspace of
    the fused operators, `flash_live_bytes` what it becomes where every attention that can be is one node. `peak` and
    `flash_peak` are the nodes of these peaks. The MACs are those of the graph before and after: they are the same.
    """

    layers: tuple[ScoreLayer, ...]
    scores_bytes: Quantity
    tensors_bytes: Quantity
    live_bytes: Quantity
    workspace_live_bytes: Quantity
    flash_live_bytes: Quantity
    peak: str
    flash_peak: str
    macs: Quantity
    flash_macs: Quantity
    why: str = ""

    @property
    def saved_bytes(self) -> int | None:
        """What a fused kernel takes off the peak, None where either peak is not exact."""
        before, after = self.live_bytes.value, self.flash_live_bytes.value
        return None if before is None or after is None else before - after


def score_memory(audited: Audited) -> ScoreMemory | None:
    """The score memory of a model, None where it holds no attention."""
    found = attentions(audited)
    if found is None:
        return None
    every = [(scope, layer, core) for scope, layer in layers(found) for core in layer.cores]
    if not every and not found.why:
        return None
    spelled = [core for scope, _, core in every if not scope.path and core.fused is None]
    graph, known = audited.graph, audited.flow
    made = flash(graph, [Products(c.scores, c.values) for c in spelled], audited.table)
    place = {id(core): a for a, core in enumerate(spelled)}
    rows = tuple(_row(audited, scope, layer, core, made, place) for scope, layer, core in every)
    changed = made.graph is not graph
    after_flow = flow(made.graph) if changed else known
    after = analyse(made.graph, after_flow) if changed else audited.memory
    before = audited.memory
    return ScoreMemory(
        layers=rows,
        scores_bytes=add(row.scores_bytes for row in rows),
        tensors_bytes=add(row.tensors_bytes for row in rows),
        live_bytes=before.live_bytes,
        workspace_live_bytes=_with_workspace(audited, every, rows),
        flash_live_bytes=after.live_bytes,
        peak="" if before.peak is None else _running(graph, known.live, before.peak.step),
        flash_peak="" if after.peak is None else _running(made.graph, after_flow.live, after.peak.step),
        macs=audited.table.total("macs"),
        flash_macs=price(made.graph, after_flow).total("macs") if changed else audited.table.total("macs"),
        why="; ".join(found.why),
    )


def _row(
    audited: Audited, scope: Scope, layer: Attended, core: Core, made: Flashed, place: Mapping[int, int]
) -> ScoreLayer:
    s, z = scope.signal, layer.sizes
    where = " / ".join((*scope.path, s.nodes[core.softmax].label)) if len(layer.cores) > 1 else labelled(scope, layer)
    if core.fused is not None:
        return _fused(scope, layer, core, where)
    name = s.output(core.softmax)
    value = s.graph.values[name]
    a = place.get(id(core))
    if a is not None and a in made.gone:
        names: Sequence[str] = made.gone[a]
    else:
        names = [out for i in sorted(core.inner.union(core.scores)) for out in s.nodes[i].outputs if out]
    tensors = tuple((n, _nbytes(s.graph, n)) for n in names if n in s.varying)
    why = IN_A_BODY if a is None else made.left.get(a, "")
    return ScoreLayer(
        where,
        "",
        z.heads,
        z.tokens,
        z.kv_tokens,
        value.encoding.dtype,
        _quantity(_nbytes(s.graph, name), f"{name}: {value.why or 'its size depends on the values fed'}"),
        None if scope.path else _formula(audited, name),
        tensors,
        add(_quantity(size, f"{n}: its size is not known") for n, size in tensors),
        NONE,
        a is not None and a in made.gone,
        why,
    )


def _fused(scope: Scope, layer: Attended, core: Core, where: str) -> ScoreLayer:
    assert core.fused is not None
    s, z = scope.signal, layer.sizes
    node, value = s.nodes[core.fused], s.graph.values[s.output(core.fused)]
    f = inside(s, core.fused)
    sizes = (f.batch, f.heads, f.queries, f.keys)
    if node.op in RECURRENT:
        size, why = 0, "a linear attention has no scores"
    elif None in sizes or value.encoding.bits < 8:
        why = s.table.rows[core.fused].quantity("macs").why or "its sizes cannot be told from the shapes"
        size = None
    else:
        batch, heads, queries, keys = (n or 0 for n in sizes)
        size, why = batch * heads * queries * keys * (value.encoding.bits // 8), ""
    workspace = Quantity(0, None if size is None else AT_ONCE * size, "" if size == 0 else why or "the kernel decides")
    return ScoreLayer(
        where,
        node.op,
        z.heads,
        z.tokens,
        z.kv_tokens,
        value.encoding.dtype,
        _quantity(size, why),
        None,
        (),
        NONE,
        workspace,
        True,
        "; ".join(filter(None, (why, IN_A_BODY if scope.path else ""))),
    )


def _with_workspace(
    audited: Audited, every: Sequence[tuple[Scope, Attended, Core]], rows: Sequence[ScoreLayer]
) -> Quantity:
    """`live_bytes` with the workspace of every fused operator at the step where it runs."""
    live = audited.memory.live_bytes
    needs = {c.fused: row.workspace_bytes for (scope, _, c), row in zip(every, rows, strict=True) if not scope.path}
    needs.pop(None, None)
    if not needs or live.value is None:
        return live
    if any(need.high is None for need in needs.values()):
        return Quantity(live.low, None, next(need.why for need in needs.values() if need.high is None))
    step, steps = 0, {}
    for i, runs in enumerate(audited.flow.live):
        if runs and i in needs:
            steps[step] = needs[i].high or 0
        step += runs
    found = lifetimes(audited.graph, audited.flow)
    buffers = [Buffer(b.name, b.start, b.end, b.size) for b in found if isinstance(b.size, int)]
    buffers += [Buffer("", at, at + 1, size) for at, size in steps.items()]
    high = max(alive for _, alive in profile(buffers))
    return Quantity(live.low, high, "" if high == live.low else "the kernel decides what it keeps of the scores")


def _formula(audited: Audited, name: str) -> Dim | None:
    if audited.symbolic is audited.graph:
        return None
    try:
        size = audited.symbolic.values[name].nbytes
    except (TypeError, Undecided):
        return None
    return size if agrees(size, _nbytes(audited.graph, name), sizes_used(audited)) else None


def _nbytes(graph: Graph, name: str) -> int | None:
    try:
        size = graph.values[name].nbytes
    except (TypeError, Undecided):
        return None
    return size if isinstance(size, int) else None


def _quantity(size: int | None, why: str) -> Quantity:
    return Quantity(0, None, why) if size is None else Quantity(size, size)


def _running(graph: Graph, live: Sequence[bool], step: int) -> str:
    """The label of the node that runs at a step."""
    running = (node for node, runs in zip(graph.nodes, live, strict=True) if runs)
    return next((node.label for i, node in enumerate(running) if i == step), "")
