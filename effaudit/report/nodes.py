"""One row of the table of nodes, with those of its bodies."""

from __future__ import annotations

import msgspec

from effaudit.dataflow import flow
from effaudit.graph import Graph, Value
from effaudit.kinds import attention_kinds
from effaudit.quantity import add
from effaudit.report.types import NodeReport, TensorType
from effaudit.table import Row
from effaudit.views.activations import made_bytes
from effaudit.views.extents import written
from effaudit.views.groups import kernel
from effaudit.views.owners import Claims


def tensor_type(name: str, value: Value) -> TensorType:
    """The type of a tensor, its dims as text where they are expressions."""
    shape = None if value.shape is None else tuple(d if isinstance(d, int) else written(d) for d in value.shape)
    return TensorType(name, value.encoding.dtype, shape)


class Scope(msgspec.Struct, frozen=True):
    """The graph a row stands in: `shown` has the shapes as a reader sees them (open dims by name), `graph` the sizes
    that were counted with; `varying` are its activations."""

    shown: Graph
    graph: Graph
    varying: frozenset[str]


def node_report(row: Row, scope: Scope, claims: Claims, kind: str | None, part: str | None) -> NodeReport:
    """One node, with those of its bodies."""
    node = row.node
    macs, ops = row.quantity("macs"), row.quantity("ops")
    read_, written_ = row.quantity("reads"), row.quantity("writes")
    read, written = read_.value, written_.value
    flops = add((macs, macs, ops))
    params, weight_bytes = claims.take(id(node))
    inner: list[NodeReport] = []
    for name, table in row.bodies.items():
        body = node.bodies[name]
        if claims.first(id(body)):
            known = flow(body, (*body.inputs, *body.captured))
            kinds, within = attention_kinds(body, known), Scope(body, body, known.varying)
            inner.extend(node_report(r, within, claims, kinds.get(i), None) for i, r in enumerate(table.rows))
    return NodeReport(
        name=node.name,
        op=node.op,
        domain=node.domain,
        kind=kind or row.kind,
        outputs=tuple(tensor_type(n, scope.shown.values[n]) for n in node.outputs if n),
        params=params + sum(n.params for n in inner),
        macs=macs.value,
        ops=ops.value,
        weight_bytes=weight_bytes + sum(n.weight_bytes for n in inner),
        read_bytes=read,
        write_bytes=written,
        intensity=intensity(flops.value, read, written),
        unpriced=row.why or None,
        why=row.why or macs.why or ops.why or read_.why or written_.why or None,
        activation_bytes=made_bytes(node, scope.graph, scope.varying),
        kernel=kernel(node, scope.graph, kind or row.kind) or None,
        part=part,
        live=row.live,
        macs_bounds=None if macs.value is not None else macs.bounds,
        ops_bounds=None if ops.value is not None else ops.bounds,
        read_bounds=None if read is not None else read_.bounds,
        write_bounds=None if written is not None else written_.bounds,
        nodes=tuple(inner),
    )


def intensity(flops: int | None, read: int | None, written: int | None) -> float | None:
    """FLOP per byte; None where either is unknown or nothing moves."""
    if flops is None or read is None or written is None or not read + written:
        return None
    return round(flops / (read + written), 4)
