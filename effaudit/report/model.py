"""`audit`, the whole pipeline: a path -> everything a renderer may see of that model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from effaudit import __version__, dims
from effaudit.audited import Audited, examine
from effaudit.dims import Dim
from effaudit.findings import findings
from effaudit.graph import Graph
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.ops._registry import rules_for
from effaudit.plan.liveness import Liveness
from effaudit.quantity import Quantity, add
from effaudit.report.formulas import crossovers, formulas
from effaudit.report.nodes import Scope, intensity, node_report, tensor_type
from effaudit.report.types import (
    SCHEMA,
    Asked,
    DimReport,
    LiveTensor,
    MemoryReport,
    ModelReport,
    NodeReport,
    NodeReports,
    Report,
    Totals,
)
from effaudit.table import COUNTING, CostTable, Row
from effaudit.views.activations import activation_elements
from effaudit.views.attends import attends
from effaudit.views.groups import groups, key_of
from effaudit.views.hot import hot
from effaudit.views.owners import Claims, Own, by_row, owners
from effaudit.views.sizes import sizes
from effaudit.weights import BUFFER, PARAM, QUANTIZATION

if TYPE_CHECKING:
    from effaudit.views.pareto import Pareto
    from effaudit.views.published.architectures import Architecture
    from effaudit.views.transformer import Transformer

NOTHING_ASKED = Asked()


def report(models: Sequence[ModelReport], baselines: Sequence[str] = (), pareto: Pareto | None = None) -> Report:
    """The document over audited models, published architectures by name ("nearest": the closest to each model), and
    the models by accuracy and cost.

    Raises UsageError for a name that is not among them.
    """
    published = _baselines(models, baselines) if baselines else ()
    return Report(SCHEMA, __version__, COUNTING, tuple(models), published, pareto)


def check(asked: Asked, baselines: Sequence[str] = ()) -> None:
    """Raises UsageError for a group key, a published figure or an architecture that does not exist: before any work."""
    for name in asked.group_by:
        key_of(name)
    if asked.against or baselines:
        from effaudit.views.published.architectures import find, known
        from effaudit.views.published.figure import parse

        for text in asked.against:
            if known(text) is None:
                parse(text)
        for name in baselines:
            if name != "nearest":
                find(name)


def audit(
    name: str | os.PathLike[str],
    given: Given = NOTHING_GIVEN,
    asked: Asked = NOTHING_ASKED,
    operators: Mapping[tuple[str, str], Any] | None = None,
) -> ModelReport:
    """Everything known of one model, under the sizes `given`, with the views that are `asked` for.

    Open dims stay symbols in shapes and formulas; where a number is wanted they are assumed, and `dims` says so.
    Raises LoadError, LimitError, UsageError.
    """
    return describe(examine(name, given, operators), asked)


def describe(audited: Audited, asked: Asked = NOTHING_ASKED) -> ModelReport:
    """The report of an audited model. Raises UsageError for an unknown group key or published figure."""
    raw, given, table, weights = audited.raw, audited.given, audited.table, audited.weights
    own, places = weights.by_reader(), owners(table)
    per_row = by_row(table, own, places)
    parts, part_formulas, blocks = _transformer(audited)
    optional = _optional(audited, asked)
    read = optional["weights"]
    return ModelReport(
        path=audited.name,
        producer=raw.source.producer,
        ir_version=raw.source.ir_version,
        opsets={domain or "ai.onnx": version for domain, version in raw.opsets.items()},
        file_bytes=raw.source.file_bytes,
        read_bytes=raw.source.read_bytes,
        given={"dims": dict(given.dims), "shapes": {name: list(shape) for name, shape in given.shapes.items()}},
        dims=dims_of(audited.graph, audited.symbolic),
        inputs=tuple(tensor_type(n, audited.symbolic.values[n]) for n in raw.inputs),
        outputs=tuple(tensor_type(n, audited.symbolic.values[n]) for n in raw.outputs),
        totals=totals_of(audited),
        sizes=sizes(weights, rules_for(audited.graph)),
        formulas=formulas(audited),
        part_formulas=None if part_formulas is None else {part: dims.text(f) for part, f in part_formulas.items()},
        crossovers=crossovers(audited, part_formulas),
        memory=_memory(audited.memory, table),
        hot=hot(audited, [params for params, _ in per_row], asked.top),
        transformer=blocks,
        groups=groups(audited, asked.group_by, per_row, parts) if asked.group_by else None,
        **optional,
        nodes=_nodes(audited, own, places, parts),
        unpriced=tuple(
            {"node": r.node.label, "op": r.node.op, "domain": r.node.domain, "reason": r.why} for r in table.unpriced
        ),
        findings=(*findings(audited), *(read.findings if read else ())),
    )


def _baselines(models: Sequence[ModelReport], names: Sequence[str]) -> tuple[Architecture, ...]:
    from effaudit.views.published.architectures import find, nearest

    found: dict[str, Architecture] = {}
    for name in names:
        if name == "nearest":
            near = [n.architecture for m in models for n in nearest(m.totals.params, m.totals.macs)]
        else:
            near = [find(name)]
        found.update({one.name: one for one in near})
    return tuple(found.values())


def _transformer(audited: Audited) -> tuple[Mapping[int, str], Mapping[str, Dim] | None, Transformer | None]:
    """(part of each node, MACs of each part as formulas, the breakdown), where the model has attention."""
    if not attends(audited):
        return {}, None, None
    from effaudit.views.transformer import part_formulas, transformer

    found = transformer(audited)
    if found is None:
        return {}, None, None
    formulas_ = part_formulas(audited, found) if audited.formulas is not None else None
    return found.part_of, formulas_, msgspec.structs.replace(found, part_of={})


def _optional(audited: Audited, asked: Asked) -> dict[str, Any]:
    """The views that are made only when asked for, by field name: few reports need their modules."""
    made: dict[str, Any] = dict.fromkeys(("movement", "receptive_field", "winograd", "weights"))
    if "movement" in asked.views:
        from effaudit.views.movement import movement

        made["movement"] = movement(audited)
    if "receptive-field" in asked.views:
        from effaudit.views.receptive_field import receptive_field

        made["receptive_field"] = receptive_field(audited)
    if "winograd" in asked.views:
        from effaudit.views.winograd import winograd

        made["winograd"] = winograd(audited)
    if "weights" in asked.views:
        from effaudit.views.weights import inspect

        made["weights"] = inspect(audited)
    if asked.against:
        from effaudit.views.against import against

        made["against"] = tuple(against(audited, text) for text in asked.against)
    return {"against": (), **made}


def _nodes(audited: Audited, own: Own, places: Mapping[int, int], parts: Mapping[int, str]) -> NodeReports:
    rows = audited.table.rows
    scope = Scope(audited.symbolic, audited.graph, audited.flow.varying)

    def node(i: int) -> NodeReport:
        return node_report(rows[i], scope, Claims(own, places, i), audited.kinds.get(i), parts.get(i))

    return NodeReports(node, len(rows))


def totals_of(audited: Audited) -> Totals:
    """What all nodes that run cost together."""
    table, weights = audited.table, audited.weights
    macs, ops, read, written = (table.total(figure) for figure in ("macs", "ops", "reads", "writes"))
    flops = add((macs, macs, ops))
    running = [row for row in table.rows if row.live]
    by = {role: weights.bytes_of(role) for role in (PARAM, BUFFER, QUANTIZATION)}
    size = sum(by.values())
    return Totals(
        nodes=len(table.rows),
        priced=len(running) - len(table.unpriced),
        unpriced=len(table.unpriced),
        params=weights.params,
        params_stored=weights.params_stored,
        buffers=weights.buffers,
        constant_elements=weights.constant_elements,
        weight_bytes=size,
        weight_bytes_by=by,
        macs=macs.value,
        macs_bounds=macs.bounds,
        ops=ops.value,
        ops_bounds=ops.bounds,
        flops=flops.value,
        flops_bounds=flops.bounds,
        read_bytes=read.value,
        read_bounds=read.bounds,
        write_bytes=written.value,
        write_bounds=written.bounds,
        movement_bytes=_movement_bytes(running),
        activations=activation_elements(audited),
        intensity=intensity(flops.value, read.value, written.value),
        intensity_bounds=_intensity_bounds(flops, add((read, written))),
        weight_intensity=intensity(flops.value, size, 0),
        weight_intensity_bounds=_intensity_bounds(flops, Quantity(size, size)),
        why=macs.why or ops.why or read.why or written.why or None,
    )


def _intensity_bounds(flops: Quantity, moved: Quantity) -> list[float | None]:
    """FLOP per byte: least operations over most bytes, and the other way round; None where nothing bounds it."""
    if moved.high == 0:
        return [None, None]
    low = flops.low / moved.high if moved.high else 0.0
    return [round(low, 4), round(flops.high / moved.low, 4) if flops.high is not None and moved.low else None]


def _movement_bytes(running: Sequence[Row]) -> int | None:
    """Bytes moved by the nodes that compute nothing; None where that is not exact."""
    moved = 0
    for row in running:
        low, high = row.low, row.high
        if low.macs == 0 and low.ops == 0:
            if low is not high or not (isinstance(low.reads, int) and isinstance(low.writes, int)):
                return None
            moved += low.reads + low.writes
    return moved


def _memory(memory: Liveness, table: CostTable) -> MemoryReport:
    running = [row.node for row in table.rows if row.live]
    peak = memory.peak
    node = running[peak.step].label if peak is not None and running else None
    return MemoryReport(
        sum_bytes=memory.sum_bytes.value,
        max_in_out_bytes=memory.max_in_out_bytes.value,
        live_bytes=memory.live_bytes.value,
        live_bounds=memory.live_bytes.bounds,
        inplace_bytes=memory.inplace_bytes.value,
        body_live_bytes=memory.body_live_bytes.value,
        peak_node=node,
        peak_step=None if peak is None else peak.step,
        live_set=() if peak is None else tuple(LiveTensor(name, size) for name, size in peak.alive),
        why=memory.live_bytes.why or None,
    )


def dims_of(numeric: Graph, symbolic: Graph) -> dict[str, DimReport]:
    """Every named dim: of the graph with numbers, and what it was before."""
    infos = {**symbolic.dims, **{n: i for n, i in numeric.dims.items() if i.origin not in ("data", "unknown")}}
    return {
        name: DimReport(
            info.value,
            info.origin,
            [info.low, info.high] if info.value is None else [info.value] * 2,
            info.reason or None,
        )
        for name, info in infos.items()
    }
