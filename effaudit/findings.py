"""What a reader of a report should know beside its numbers, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.dataflow import Flow
from effaudit.graph import Graph
from effaudit.load.external import REMOTE
from effaudit.quantity import add
from effaudit.table import CostTable
from effaudit.weights import PARAM, UNUSED, Weights


class Finding(msgspec.Struct, frozen=True):
    """One observation: a stable `rule`, how many things it concerns, a sentence, what to do, and examples."""

    rule: str
    count: int
    message: str
    remedy: str
    where: tuple[str, ...] = ()


def findings(graph: Graph, table: CostTable, weights: Weights, known: Flow) -> tuple[Finding, ...]:
    """All findings of a model, in a fixed order."""
    made = (
        _assumed(graph, table),
        _unpriced(table),
        _dead(table),
        _unused(weights),
        _constant_nodes(weights),
        _input_independent(graph, table, known),
        _missing(weights),
        _unsorted(graph),
    )
    return tuple(f for f in made if f is not None)


def _names(names: list[str]) -> tuple[str, ...]:
    return tuple(names[:5])


def _assumed(graph: Graph, table: CostTable) -> Finding | None:
    """The file leaves dims open, and nobody gave them: where a table needs a number, a size was assumed. Formulas hold
    for any size; numbers hold for the assumed one."""
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
    """Operators without a cost rule, or whose cost their shapes do not tell. They count nothing, so totals are lower
    bounds."""
    rows = table.unpriced
    if not rows:
        return None
    return Finding(
        "unpriced",
        len(rows),
        f"{len(rows)} node(s) have no price; totals are lower bounds ({rows[0].node.op}: {rows[0].why})",
        "state their formulas with --operators FILE; -f json lists them under `unpriced`",
        _names([row.node.label for row in rows]),
    )


def _dead(table: CostTable) -> Finding | None:
    """Nodes on which no output of the graph depends. A runtime removes them; they are listed with what they would cost
    and are in no total."""
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
    """Constants that nothing reads, or only nodes that never run: bytes of the file that no run needs."""
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
    """Weights written as Constant nodes instead of initializers. They count here like any weight; tools that read the
    initializers only miss them."""
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


def _input_independent(graph: Graph, table: CostTable, known: Flow) -> Finding | None:
    """Nodes that run but depend on no input: what they make could be computed once and stored. Their work is in the
    totals, as the file asks for it; their results are no activations."""
    rows = [
        row
        for row, read in zip(table.rows, known.reads, strict=True)
        if row.live and read and known.varying.isdisjoint(row.node.outputs) and row.low.ops != 0
    ]
    if not rows:
        return None
    cost = add(row.quantity("ops") for row in rows)
    held = sum(row.node.op == "DequantizeLinear" for row in rows)
    message = f"{len(rows)} node(s) depend on no input; they cost {cost.low:,} ops in every run"
    message += f" ({held} of them dequantize weights)" if held else ""
    fold = "fold constants, for instance with ONNX Runtime's basic optimizations"
    return Finding(
        "input-independent",
        len(rows),
        message,
        fold
        if held < len(rows)
        else "nothing, where the runtime has integer kernels: they take the weights as they are",
        _names([row.node.label for row in rows]),
    )


def _missing(weights: Weights) -> Finding | None:
    """Tensors whose data is not there, such as a weight file that lies elsewhere. The structure needs none of them;
    questions about values do."""
    absent = (t.constant for t in weights.tensors if t.constant.missing not in ("", REMOTE))
    tensors = [constant for constant in absent if constant.place != "sparse"]
    if not tensors:
        return None
    return Finding(
        "missing-weights",
        len(tensors),
        f"the data of {len(tensors)} tensor(s) cannot be read: {tensors[0].missing}",
        "only --weights needs it: put the weight file beside the model",
        _names([c.name for c in tensors]),
    )


def _unsorted(graph: Graph) -> Finding | None:
    """Nodes that stand before the nodes they read from. ONNX requires topological order; they were sorted, which
    settles what is alive when."""
    if graph.source.sorted:
        return None
    return Finding(
        "unsorted",
        1,
        "the nodes are not in topological order; they were sorted, keeping the file's order where possible",
        "sort the file: ONNX requires it",
    )


# rule -> what it means, the documentation of `effaudit explain RULE`
RULES: Final[Mapping[str, str]] = {
    rule: " ".join((make.__doc__ or "").split())
    for rule, make in {
        "dims-assumed": _assumed,
        "unpriced": _unpriced,
        "dead-nodes": _dead,
        "unused-constants": _unused,
        "weights-in-constant-nodes": _constant_nodes,
        "input-independent": _input_independent,
        "missing-weights": _missing,
        "unsorted": _unsorted,
    }.items()
}
