"""Workspaces that follow from how a kernel computes, whatever the runtime: im2col columns, attention scores."""

from __future__ import annotations

from typing import Final

from effaudit.graph import Graph, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.quantity import Quantity
from effaudit.runtimes._shapes import exactly, shape_of, unknown, upto, window_of

# Fused attention -> the place of its past keys; the last has queries, keys and values in one input.
_PAST: Final = {("", "Attention"): 4, (MICROSOFT, "MultiHeadAttention"): 6, (MICROSOFT, "Attention"): 4}
_PACKED: Final = (MICROSOFT, "Attention")


def im2col(graph: Graph, node: Node) -> Quantity:
    """The columns of one image and one group, kernel x channels per group x outputs, in the type of the input; 0 for a
    pointwise convolution of stride 1, which is a matrix product as it stands.

    Chellapilla et al. 2006, "High performance convolutional neural networks for document processing".
    """
    window = window_of(graph, node)
    if window is None:
        return unknown(node)
    if window.taps == 1 and window.strides == (1, 1) and window.pads == (0, 0):
        return exactly(0)
    elements = window.taps * (window.channels // window.groups) * window.out_height * window.out_width
    size = graph.values[node.inputs[0]].encoding.nbytes(elements)
    return exactly(size) if type(size) is int else unknown(node)


def attention_scores(graph: Graph, node: Node) -> Quantity:
    """Batch x heads x queries x keys of a fused attention operator, in the type of its input: 0 where the kernel goes
    by blocks (Dao et al. 2022, https://arxiv.org/abs/2205.14135), all of them where it does not."""
    operator = (node.domain, node.op)
    if operator not in _PAST:
        return exactly(0)
    if any(node.inputs[_PAST[operator] :][:1]):
        return unknown(node, "past keys are not followed")
    source, other = node.inputs[0], node.inputs[1] if len(node.inputs) > 1 and operator != _PACKED else ""
    query, key = shape_of(graph, source), shape_of(graph, other or source)
    heads = node.attrs.get("q_num_heads") or node.attrs.get("num_heads")
    if query is not None and len(query) == 4:
        heads = query[1]
    if query is None or key is None or not isinstance(heads, int) or len(query) < 3 or len(key) < 3:
        return unknown(node)
    most = graph.values[source].encoding.nbytes(query[0] * heads * query[-2] * key[-2])
    return upto(most, "blockwise kernels never hold all scores") if type(most) is int else unknown(node)
