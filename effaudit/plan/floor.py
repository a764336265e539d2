"""The least that a graph needs under a runtime's rules, in any order of its nodes that the runtime allows.

A bound, with a proof that can be read: while a node runs, its inputs and its outputs are there, whole. Where nothing
may share bytes that is their sum; where outputs may take the place of inputs, the larger of the two.
"""

from __future__ import annotations

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node
from effaudit.plan.storage import APART, Sharing


class Floor(msgspec.Struct, frozen=True):
    """`bytes` that no plan goes below, where `node` runs; `rule` says why."""

    bytes: int
    node: str
    rule: str


def floor(graph: Graph, known: Flow, sharing: Sharing, *, inputs: bool) -> Floor:
    """The most that one node needs while it runs. `inputs` is False where the graph's inputs lie outside the arena."""
    outside = frozenset() if inputs else frozenset(graph.inputs)
    best = Floor(0, "", "no node runs")
    for node, read, runs in zip(graph.nodes, known.reads, known.live, strict=True):
        if not runs:
            continue
        fed = sum(_least(graph, name) for name in read if name in known.varying and name not in outside)
        made = sum(_least(graph, name) for name in node.outputs if name and name in known.varying)
        size = fed + made if sharing == APART else max(fed, made)
        if size > best.bytes:
            best = Floor(size, node.label, _rule(node, sharing))
    return best


def one_order_only(graph: Graph, known: Flow) -> bool:
    """True where every node that runs reads what the one before it makes: no other order is possible."""
    before: frozenset[str] | None = None
    for node, read, runs in zip(graph.nodes, known.reads, known.live, strict=True):
        if not runs or known.varying.isdisjoint(node.outputs):
            continue
        if before is not None and before.isdisjoint(read):
            return False
        before = frozenset(node.outputs)
    return True


def _rule(node: Node, sharing: Sharing) -> str:
    if sharing == APART:
        return f"while {node.op} runs, its inputs and outputs are there, each whole and apart"
    return f"while {node.op} runs, its inputs are there whole, and after it its outputs, even in place"


def _least(graph: Graph, name: str) -> int:
    value = graph.values.get(name)
    if value is None or value.shape is None:
        return 0
    try:
        return max(dims.bounds(value.nbytes)[0] or 0, 0)
    except Undecided:
        return 0
