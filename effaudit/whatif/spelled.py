"""Attention that a graph spells out: the softmax, and the products of two activations before and behind it."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.lower._rewrite import Wiring

ODD: Final = "its scores are not followed back to one product: they are regrouped, or of more than one"
# What may lie between the scores and the softmax, and between that and the product with the values.
BEFORE: Final = frozenset("Add Sub Mul Div Where Cast Identity Dropout Clip Tanh Max Min".split())
BEHIND: Final = frozenset("Cast Identity Dropout Mul Where".split())
MAX_NODES: Final = 32


class Spelled(msgspec.Struct, frozen=True):
    """softmax(Q K^T) V by node index. `before` lie between `scores` and `softmax`, `behind` between that and `values`,
    each in the order in which they are computed. `turned`: the keys, or the values, are the first operand."""

    scores: int
    before: tuple[int, ...]
    softmax: int
    behind: tuple[int, ...]
    values: int
    turned: bool


def spelled(audited: Audited) -> tuple[list[Spelled], list[int]]:
    """Every attention of the main graph that runs and is spelled out with MatMul and Softmax, in order; and the softmax
    nodes that weigh a product, but whose scores are not followed back to one."""
    wiring = Wiring(audited.graph)
    found, odd = list[Spelled](), list[int]()
    for i, node in enumerate(audited.graph.nodes):
        if node.op != "Softmax" or node.domain or not audited.flow.live[i]:
            continue
        behind, values = _ahead(audited, wiring, i)
        if values is None:
            continue
        before, scores = _back(audited, wiring, i)
        if scores is None:
            odd.append(i)
        else:
            found.append(_around(audited, (before, scores), i, (behind, values)))
    return found, odd


def _around(audited: Audited, first: tuple[list[int], int], softmax: int, last: tuple[list[int], int]) -> Spelled:
    (before, scores), (behind, values) = first, last
    nodes = audited.graph.nodes
    probabilities = nodes[behind[-1] if behind else softmax].outputs[0]
    left, right = (audited.graph.values[name].shape for name in nodes[scores].inputs)
    made = audited.graph.values[nodes[scores].outputs[0]].shape
    plain = bool(left and right and made) and made[-2] == left[-2]  # type: ignore[index]
    turned = not plain or nodes[values].inputs[0] != probabilities or not _over_keys(audited, softmax)
    return Spelled(scores, tuple(reversed(before)), softmax, tuple(behind), values, turned)


def _over_keys(audited: Audited, softmax: int) -> bool:
    """True where the softmax runs over the last axis, that of the keys."""
    node = audited.graph.nodes[softmax]
    shape = audited.graph.values[node.outputs[0]].shape or ()
    axis = node.attrs.get("axis", -1 if audited.raw.opsets.get("", 1) >= 13 else 1)
    return axis in (-1, len(shape) - 1)


def _back(audited: Audited, wiring: Wiring, i: int) -> tuple[list[int], int | None]:
    """The nodes from a softmax back to the product of two activations that makes its scores."""
    nodes, values = audited.graph.nodes, audited.graph.values
    shape, passed = values[nodes[i].outputs[0]].shape, list[int]()
    name = nodes[i].inputs[0]
    while len(passed) < MAX_NODES:
        j = wiring.maker.get(name)
        if j is None or nodes[j].domain:
            return passed, None
        if nodes[j].op == "MatMul":
            return passed, j if all(map(wiring.varies, nodes[j].inputs)) else None
        if nodes[j].op not in BEFORE:
            return passed, None
        ways = [one for one in nodes[j].inputs if one and wiring.varies(one) and values[one].shape == shape]
        ways = [one for one in ways if _reaches(audited, wiring, one)] if len(ways) > 1 else ways
        if len(ways) != 1:
            return passed, None
        passed.append(j)
        name = ways[0]
    return passed, None


def _reaches(audited: Audited, wiring: Wiring, name: str) -> bool:
    """True where a product makes a tensor, through nodes of which each has one input that varies."""
    nodes = audited.graph.nodes
    for _ in range(MAX_NODES):
        j = wiring.maker.get(name)
        if j is None or nodes[j].domain:
            return False
        if nodes[j].op == "MatMul":
            return True
        ways = [one for one in nodes[j].inputs if one and wiring.varies(one)]
        if nodes[j].op not in BEFORE or len(ways) != 1:
            return False
        name = ways[0]
    return False


def _ahead(audited: Audited, wiring: Wiring, i: int) -> tuple[list[int], int | None]:
    """The nodes from a softmax ahead to the product with the values."""
    nodes, passed = audited.graph.nodes, list[int]()
    name = nodes[i].outputs[0]
    while len(passed) < MAX_NODES:
        readers = wiring.readers.get(name, [])
        products = [j for j in readers if nodes[j].op == "MatMul" and not nodes[j].domain]
        if len(products) == 1 and all(map(wiring.varies, nodes[products[0]].inputs)):
            return passed, products[0]
        on = [j for j in readers if nodes[j].op in BEHIND and not nodes[j].domain]
        if len(on) != 1 or products:
            return passed, None
        passed.append(on[0])
        name = nodes[on[0]].outputs[0]
    return passed, None
