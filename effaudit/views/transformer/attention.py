"""Attention cores: softmax(Q K^T) V, spelled out or inside one operator.

From every softmax the scores are followed back to the product of two activations that makes them, and the
probabilities ahead to the product of two activations that they weigh. On the way may lie scales, masks, biases,
casts, quantization and products that mix the heads (talking heads, https://arxiv.org/abs/2003.02436), which keep the
number of scores. A softmax without both products is no core.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from effaudit.views.attends import SOFTMAX, is_fused, is_product, operands
from effaudit.views.transformer.fused import projects
from effaudit.views.transformer.signal import Signal

MAX_NODES: Final = 64  # followed from one softmax in one direction


class Core(msgspec.Struct, frozen=True):
    """One attention: its products and the nodes between them; `q`, `k`, `v` are the tensors that enter.

    A fused operator, or a node whose body holds attention, is `fused` and its own only node.
    """

    scores: tuple[int, ...]
    inner: frozenset[int]
    values: tuple[int, ...]
    q: tuple[str, ...]
    k: tuple[str, ...]
    v: tuple[str, ...]
    softmax: int
    fused: int | None = None

    @property
    def nodes(self) -> frozenset[int]:
        if self.fused is not None:
            return frozenset((self.fused,))
        return self.inner.union(self.scores, self.values)

    @property
    def end(self) -> int:
        return max(self.values) if self.fused is None else self.fused


def cores(s: Signal, holding: Sequence[int] = ()) -> tuple[list[Core], int]:
    """The attention cores in order, and how many softmaxes weigh a product whose scores are none of two activations.

    `holding` are the nodes whose bodies hold attention.
    """
    found, odd, taken = [], 0, set(holding)
    for i, node in enumerate(s.nodes):
        live = s.table.rows[i].live
        if not live:
            continue
        if i in taken or is_fused(node.op, node.domain):
            found.append(_operator(s, i))
        elif _is_softmax(s, i):
            values, ahead = _follow(s, i, s.readers)
            if not values:
                continue
            scores, behind = _follow(s, _input_of(s, i), s.sources)
            if not scores:
                odd += 1
                continue
            core = _core(s, i, scores, values, behind | ahead | {i})
            if not any(core.nodes & other.nodes for other in found[-2:]):
                found.append(core)
    return sorted(found, key=lambda core: core.end), odd


def _is_softmax(s: Signal, i: int) -> bool:
    """A softmax, or the division exp(x) / sum(exp(x)) that spells it."""
    node = s.nodes[i]
    if node.op in SOFTMAX:
        return True
    if node.op != "Div" or len(node.inputs) != 2:
        return False
    top, low = (s.maker.get(name, -1) for name in node.inputs)
    if min(top, low) < 0 or s.nodes[top].op != "Exp" or s.nodes[low].op != "ReduceSum":
        return False
    return s.maker.get(s.input(low)) == top


def _input_of(s: Signal, i: int) -> int:
    """The node whose sources are the scores: the softmax itself, or its exponential."""
    return i if s.nodes[i].op in SOFTMAX else s.maker[s.input(i)]


def _follow(s: Signal, start: int, step: Sequence[Sequence[int]]) -> tuple[tuple[int, ...], set[int]]:
    """The nearest products of two activations along `step`, and the nodes passed on the way to them."""
    came: dict[int, int] = {start: start}
    frontier, products = [start], []
    while frontier and len(came) < MAX_NODES:
        following = []
        for i in frontier:
            for j in step[i]:
                if j in came or s.nodes[j].op in SOFTMAX or s.nodes[j].bodies:
                    continue
                if is_product(s.nodes[j], s.varying):
                    came[j] = i
                    products.append(j)
                elif not s.weighted[j] or _mixes(s, j):
                    came[j] = i
                    following.append(j)
        if products:
            break
        frontier = following
    passed: set[int] = set()
    for j in products:
        i = came[j]
        while i != start and i not in passed:
            passed.add(i)
            i = came[i]
    if start != came[start]:
        passed.add(start)
    return tuple(products), passed


def _mixes(s: Signal, i: int) -> bool:
    """True for a product with weights that keeps the number of elements: it may mix the heads of scores."""
    inputs = [s.out_size(j) for j in s.sources[i]]
    return len(inputs) == 1 and inputs[0] is not None and inputs[0] == s.out_size(i)


def _core(s: Signal, softmax: int, scores: tuple[int, ...], values: tuple[int, ...], inner: set[int]) -> Core:
    inside = {s.output(i) for i in inner}
    v = tuple(name for i in values for name in operands(s.nodes[i]) if name not in inside)
    q, k = [], []
    for i in scores:
        left, right = operands(s.nodes[i])
        if _keys_first(s, i, softmax):
            left, right = right, left
        q.append(left)
        k.append(right)
    nodes = frozenset(inner - set(scores) - set(values))
    return Core(scores, nodes, values, tuple(q), tuple(k), v, softmax)


def _keys_first(s: Signal, product: int, softmax: int) -> bool:
    """True where the first operand is the keys: the softmax runs over the axis it brings."""
    node = s.nodes[product]
    axis = axis_of(s, softmax)
    if node.op == "Einsum":
        text = s.text(product)
        left, _, out = text.partition("->")
        first, _, second = left.partition(",")
        if axis is None or not out or "." in text or len(out) < -axis:
            return False
        return out[axis] in first and out[axis] not in second
    shape, reduced = s.shape(s.output(product)), s.shape(s.output(softmax))
    if axis is None or not shape or not reduced or len(shape) < 2 or shape[-1] == shape[-2]:
        return axis == -2
    return reduced[axis] == shape[-2] and reduced[axis] != shape[-1]


def axis_of(s: Signal, softmax: int) -> int | None:
    """The axis a softmax runs over, counted from the end."""
    node, shape = s.nodes[softmax], s.shape(s.output(softmax))
    if shape is None:
        return None
    if node.op == "Div":
        summed = s.shape(node.inputs[1]) or ()
        places = [i - len(shape) for i, (a, b) in enumerate(zip(shape, summed, strict=False)) if a != b]
        return places[0] if len(places) == 1 else -1
    axis = node.attrs.get("axis", -1)
    if not isinstance(axis, int) or not -len(shape) <= axis < len(shape):
        return -1
    return axis if axis < 0 else axis - len(shape)


def _operator(s: Signal, i: int) -> Core:
    names = s.nodes[i].inputs
    if s.nodes[i].op == "DecoderAttention":
        names = names[:1] if names[:1] == names[1:2] else names[:2]
    elif projects(s.nodes[i]):
        names = names[:1]
    return Core((), frozenset(), (), names[:1], names[1:2], names[2:3], i, fused=i)
