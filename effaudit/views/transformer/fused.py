"""The parts inside a fused attention operator, exactly: its projections, query x key, probability x value.

What is not a projection is split by the size of a key head and of a value head. The other operations of the operator
(softmax, scale, masks, biases) count as scores.
"""

from __future__ import annotations

from math import prod
from typing import Final

import msgspec

from effaudit import dims
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Graph, Node
from effaudit.ops._registry import MICROSOFT, numel
from effaudit.views.transformer.signal import Signal

# Where the projection weights of an operator stand.
_WEIGHTS: Final = {
    "Attention": (1,),
    "QAttention": (1,),
    "PackedAttention": (1,),
    "DecoderMaskedSelfAttention": (1,),
    "DecoderAttention": (2, 3),
    "QOrderedAttention": (5, 6, 7),
    "LongformerAttention": (1, 4),
    "QOrderedLongformerAttention": (2, 8),
}
RECURRENT: Final = frozenset(("LinearAttention", "GatedDeltaNet"))


class Inside(msgspec.Struct, frozen=True):
    """One fused operator: MACs of its parts (None: not known), and its sizes as far as they are known."""

    qkv: int | None
    scores: int | None
    values: int | None
    heads: int | None = None
    kv_heads: int | None = None
    head: int | None = None
    queries: int | None = None
    keys: int | None = None
    batch: int | None = None
    width: int | None = None


NOTHING: Final = Inside(None, None, None)


def projects(node: Node) -> bool:
    """True for an operator that holds its own projections."""
    return node.op in _WEIGHTS and (node.op != "Attention" or node.domain == MICROSOFT)


def inside(s: Signal, i: int) -> Inside:
    """What a fused operator holds."""
    node, total = s.nodes[i], s.macs(i)
    heads = _attribute(node, "num_heads", "q_num_heads")
    q, out = s.shape(s.input(i)), s.shape(s.output(i))
    if q is None or out is None or node.op in RECURRENT:
        return _recurrence(node, total, heads, q)
    if len(out) == 4:
        heads = out[1]
    if not heads or len(q) < 2 or len(out) < 2:
        return NOTHING
    v_head = out[-1] if len(out) == 4 else out[-1] // heads
    kv_heads = _attribute(node, "kv_num_heads") or _kv_heads(s, i, heads)
    head = _head(s, i, q, heads, v_head)
    batch, queries = _lengths(s, i, q)
    qkv = _projections(s, i, q)
    each = batch * heads * queries * (head + v_head)
    if node.op == "DecoderAttention":
        cache = s.shape(node.outputs[1]) if len(node.outputs) > 1 else None
        qkv = None if cache is None or len(cache) != 4 or total is None else total - each * cache[2]
    if total is None or qkv is None or not each or not 0 <= qkv <= total or (total - qkv) % each:
        return Inside(None, None, None, heads, kv_heads, head, queries, None, batch, _width(s, i))
    keys_read = (total - qkv) // each
    pairs = batch * heads * queries * keys_read
    return Inside(qkv, pairs * head, pairs * v_head, heads, kv_heads, head, queries, keys_read, batch, _width(s, i))


def _recurrence(node: Node, total: int | None, heads: int | None, q: tuple[int, ...] | None) -> Inside:
    """A linear attention has no scores: what updates and reads its state counts as values."""
    if node.op not in RECURRENT or total is None or q is None or not heads:
        return NOTHING
    batch, queries = (q[0], q[1]) if len(q) == 3 else (None, None)
    kv_heads = _attribute(node, "kv_num_heads")
    head = q[-1] // heads if len(q) == 3 and node.op == "LinearAttention" else None
    return Inside(0, 0, total, heads, kv_heads, head, queries, queries, batch)


def _attribute(node: Node, *names: str) -> int | None:
    for name in names:
        value = node.attrs.get(name)
        if isinstance(value, int) and value > 0:
            return value
    return None


def _kv_heads(s: Signal, i: int, heads: int) -> int:
    """The key heads of an operator whose operands have a heads axis; elsewhere as many as query heads."""
    node = s.nodes[i]
    key = None if projects(node) else s.shape(s.input(i, 1))
    return key[1] if key is not None and len(key) == 4 and not node.domain else heads


def _head(s: Signal, i: int, q: tuple[int, ...], heads: int, v_head: int) -> int:
    """The elements of a key head."""
    node = s.nodes[i]
    sizes = node.attrs.get("qkv_hidden_sizes")
    if isinstance(sizes, tuple) and len(sizes) == 3 and isinstance(sizes[0], int):
        return sizes[0] // heads
    if node.op == "QOrderedAttention":
        weights = s.shape(s.input(i, 5))
        return weights[-1] // heads if weights else v_head
    if projects(node) or not s.input(i, 1) or node.op == "GroupQueryAttention":
        return v_head
    return q[-1] if len(q) >= 4 else q[-1] // heads


def _lengths(s: Signal, i: int, q: tuple[int, ...]) -> tuple[int, int]:
    """(batch, queries) of an operator."""
    place = {"PackedAttention": 3, "PackedMultiHeadAttention": 4}.get(s.nodes[i].op)
    if place is not None:
        offsets = s.shape(s.input(i, place))
        return (offsets[0], offsets[1]) if offsets and len(offsets) == 2 else (0, 0)
    if len(q) == 2:
        return 1, q[0]
    if s.nodes[i].op == "DecoderAttention":
        return q[1], q[0]
    return q[0], q[2] if len(q) == 4 else q[1]


def _projections(s: Signal, i: int, q: tuple[int, ...]) -> int | None:
    node = s.nodes[i]
    if not projects(node):
        return 0
    sizes = [s.size(s.input(i, place)) for place in _WEIGHTS[node.op]]
    return None if None in sizes else prod(q[:-1]) * sum(size for size in sizes if size)


def projection(graph: Graph, node: Node) -> Dim | None:
    """MACs of the projections inside an operator, its tokens as expressions; None where they are not known so."""
    places = _WEIGHTS.get(node.op, ())
    if not projects(node) or node.op == "DecoderAttention" or len(node.inputs) <= max(places):
        return None
    x, *weights = (graph.values.get(node.inputs[place]) for place in (0, *places))
    if x is None or x.shape is None:
        return None
    try:
        return numel(x.shape[:-1]) * dims.total([w.numel for w in weights if w is not None])
    except (TypeError, Undecided):
        return None


def _width(s: Signal, i: int) -> int | None:
    """The width of what an operator with projections projects."""
    node = s.nodes[i]
    weights = s.shape(s.input(i, _WEIGHTS[node.op][0])) if projects(node) else None
    return weights[0] if weights else None
