"""What a reader of a report should know beside its numbers, and what to do about it."""

from __future__ import annotations

import shlex

import msgspec

from effaudit.graph import Graph
from effaudit.table import CostTable
from effaudit.weights import PARAM, UNUSED, Weights


class Finding(msgspec.Struct, frozen=True):
    """One observation: a stable `rule`, how many things it concerns, a sentence, what to do, and examples."""

    rule: str
    count: int
    message: str
    remedy: str
    where: tuple[str, ...] = ()


def findings(graph: Graph, table: CostTable, weights: Weights) -> tuple[Finding, ...]:
    """All findings of a model, in a fixed order."""
    made = (
        _assumed(graph, table),
        _unpriced(table),
        _dead(table),
        _unused(weights),
        _constant_nodes(weights),
        _missing(weights),
        _unsorted(graph),
    )
    return tuple(f for f in made if f is not None)


def _names(names: list[str]) -> tuple[str, ...]:
    return tuple(names[:5])


def _assumed(graph: Graph, table: CostTable) -> Finding | None:
    names = [f"{name}={info.value}" for name, info in graph.dims.items() if info.origin == "assumed"]
    if not names:
        return None
    options = " ".join(f"--dim {shlex.quote(name)}" for name in names)
    message = f"the file leaves {len(names)} dim(s) open; the numbers assume {', '.join(names[:6])}"
    root = next((row.why for row in table.unpriced if row.why.startswith("invalid")), "")
    if root:
        message += f"; under these sizes the model is not valid ({root})"
    return Finding("dims-assumed", len(names), message, f"give the real ones: {options}", _names(names))


def _unpriced(table: CostTable) -> Finding | None:
    rows = table.unpriced
    if not rows:
        return None
    return Finding(
        "unpriced",
        len(rows),
        f"{len(rows)} node(s) have no price; totals are lower bounds ({rows[0].node.op}: {rows[0].why})",
        "the JSON document lists them with their reasons, under `unpriced`",
        _names([row.node.label for row in rows]),
    )


def _dead(table: CostTable) -> Finding | None:
    rows = [row for row in table.rows if not row.live]
    if not rows:
        return None
    return Finding(
        "dead-nodes",
        len(rows),
        f"{len(rows)} node(s) feed no output and never run; they are in no total",
        "remove them from the file",
        _names([row.node.label for row in rows]),
    )


def _unused(weights: Weights) -> Finding | None:
    tensors = [t.constant for t in weights.of(UNUSED)]
    if not tensors:
        return None
    size = sum(c.nbytes for c in tensors)
    return Finding(
        "unused-constants",
        len(tensors),
        f"{len(tensors)} constant(s) of {size:,} bytes are read by nothing that runs",
        "remove them from the file",
        _names([c.name for c in tensors]),
    )


def _constant_nodes(weights: Weights) -> Finding | None:
    tensors = [t.constant for t in weights.of(PARAM) if t.constant.place == "node"]
    if not tensors:
        return None
    return Finding(
        "weights-in-constant-nodes",
        len(tensors),
        f"{len(tensors)} weight(s) are Constant nodes, not initializers; tools that read initializers miss them",
        "turn them into initializers",
        _names([c.name for c in tensors]),
    )


def _missing(weights: Weights) -> Finding | None:
    tensors = [t.constant for t in weights.tensors if t.constant.missing and t.constant.place != "sparse"]
    if not tensors:
        return None
    return Finding(
        "missing-weights",
        len(tensors),
        f"the data of {len(tensors)} tensor(s) cannot be read ({tensors[0].missing}); structure needs none",
        "put the weight file beside the model for questions about values",
        _names([c.name for c in tensors]),
    )


def _unsorted(graph: Graph) -> Finding | None:
    if graph.source.sorted:
        return None
    return Finding(
        "unsorted",
        1,
        "the nodes are not in topological order; they were sorted, keeping the file's order where possible",
        "sort the file: ONNX requires it",
    )
