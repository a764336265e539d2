"""The longest context that a graph states: rows of its tables of positions.

Learned positions (https://arxiv.org/abs/1706.03762, section 3.5) and precomputed rotary angles
(https://arxiv.org/abs/2104.09864) are looked up in a constant with a row per position. Angles that the graph computes
have no end.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.graph import INTEGERS, Graph, Node
from effaudit.ops._registry import MICROSOFT, ONNX

# The inputs that are tables of positions, by place:
# https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
_TABLES: Final = {
    (MICROSOFT, "RotaryEmbedding"): 2,
    (MICROSOFT, "GroupQueryAttention"): 7,
    (MICROSOFT, "EmbedLayerNormalization"): 3,
    (MICROSOFT, "GemmaRotaryEmbedding"): 4,
}
_COUNTS: Final = frozenset(("Range", "CumSum"))
_POSITION: Final = re.compile(r"position|pos_?id", re.IGNORECASE)
MAX_STEPS: Final = 64  # nodes looked at behind one index
MIN_ROWS: Final = 4  # a table of fewer tells segments apart, not positions


class Positions(msgspec.Struct, frozen=True):
    """A table of positions: how many it has rows for."""

    rows: int
    table: str


def positions(audited: Audited) -> Positions | None:
    """The shortest table of positions; None where the graph states none."""
    graph = audited.graph
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    found = [
        table
        for node, runs in zip(graph.nodes, audited.flow.live, strict=True)
        if runs and (table := _table(graph, node, maker)) is not None
    ]
    return min(found, key=lambda table: (table.rows, table.table), default=None)


def _table(graph: Graph, node: Node, maker: dict[str, int]) -> Positions | None:
    place = _TABLES.get((node.domain, node.op))
    if node.domain == ONNX and node.op == "RotaryEmbedding" and len(node.inputs) > 3 and node.inputs[3]:
        place = 1
    if node.domain == ONNX and node.op == "Gather" and node.attrs.get("axis", 0) == 0 and len(node.inputs) > 1:
        place = 0 if _is_position(graph, node.inputs[1], maker) else None
    if place is None or place >= len(node.inputs):
        return None
    name = node.inputs[place]
    constant = graph.constants.get(name)
    if constant is None or len(constant.shape) != 2 or constant.encoding.dtype in INTEGERS:
        return None
    return Positions(constant.shape[0], name) if constant.shape[0] >= MIN_ROWS else None


def _is_position(graph: Graph, index: str, maker: dict[str, int]) -> bool:
    """True where an index counts tokens (a range, a running sum, a constant) or is fed as positions; shapes are not
    looked behind."""
    pending, seen, counted = [index], {index}, False
    while pending and len(seen) <= MAX_STEPS:
        name = pending.pop()
        if name in graph.inputs:
            counted = counted or _POSITION.search(name) is not None
            continue
        if name in graph.constants:
            counted = counted or (name == index and graph.constants[name].numel > 1)
            continue
        node = graph.nodes[maker[name]] if name in maker else None
        if node is None or node.op in ("Shape", "Size"):
            continue
        if node.op in _COUNTS or (node.op == "Slice" and _counts(graph, node.inputs[0])):
            return True
        if node.op == "Constant":
            counted = counted or name == index
            continue
        for behind in node.inputs:
            if behind and behind not in seen:
                seen.add(behind)
                pending.append(behind)
    return counted


def _counts(graph: Graph, name: str) -> bool:
    """True of a constant row of whole numbers, of which as many are cut off as there are tokens."""
    constant = graph.constants.get(name)
    return constant is not None and constant.encoding.dtype in INTEGERS and constant.numel >= MIN_ROWS
