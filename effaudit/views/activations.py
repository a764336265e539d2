"""The activations a node makes: the outputs that depend on a graph input or on chance, views included."""

from __future__ import annotations

from collections.abc import Collection

from effaudit import dims
from effaudit.audited import Audited
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node, Value
from effaudit.views.extents import elements, nbytes


def made_bytes(node: Node, graph: Graph, varying: Collection[str]) -> int | None:
    """Bytes of the activations among a node's outputs; None where a size is not known."""
    total = 0
    for name in node.outputs:
        if name in varying:
            value = graph.values[name]
            size = nbytes(value) if value.shape is not None else None
            if type(size) is not int:
                return None
            total += size
    return total


def activation_elements(audited: Audited) -> int | None:
    """Elements of all activations, the graph inputs that are read included: those of `sum_bytes`; None if unknown."""
    known, values = audited.flow, audited.graph.values
    outside, varying = frozenset(audited.graph.inputs), known.varying
    fed: set[str] = set()
    made: list[Value] = []
    for node, names, runs in zip(audited.graph.nodes, known.reads, known.live, strict=True):
        if runs:
            fed.update(outside.intersection(names))
            made.extend(values[name] for name in node.outputs if name in varying)
    made.extend(values[name] for name in fed)
    sizes = [elements(value) for value in made if value.shape is not None]
    if None in sizes or len(sizes) < len(made):
        return None
    try:
        total = dims.total(size for size in sizes if size is not None)
    except Undecided:  # more open dims than an expression holds
        return None
    return total if isinstance(total, int) else None
