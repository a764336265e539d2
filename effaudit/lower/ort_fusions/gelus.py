"""Activations that are written as arithmetic: Gelu by the error function or by a tanh, and x times a sigmoid of x.

`GeluFusion`, `FastGeluFusion` and `QuickGeluFusion` (onnxruntime/core/optimizer).
"""

from __future__ import annotations

from collections.abc import Iterable

from effaudit.graph import Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.ops._registry import MICROSOFT

_ROOT_2 = 1.4142135


def written_out(graph: Graph) -> Graph:
    """The graph with Gelu, FastGelu and QuickGelu where it has their arithmetic."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.domain or len(node.outputs) != 1:
            continue
        if node.op == "Erf":
            _gelu(draft, i)
        elif node.op == "Tanh":
            _fast(draft, i)
    return draft.graph()


def by_sigmoid(graph: Graph) -> Graph:
    """The graph with QuickGelu for x times the sigmoid of x, or of a multiple of x."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op == "Sigmoid" and not node.domain:
            _quick(draft, i)
    return draft.graph()


def _other(node: Node, name: str) -> str:
    return next((one for one in node.inputs if one != name), name)


def _gelu(draft: Draft, i: int) -> None:
    """x / sqrt(2), Erf, + 1, then times x and times a half, in either order."""
    erf = draft.nodes[i]
    ratio = draft.makes(erf.inputs[0], "Div", "Mul")
    if ratio is None or draft.sole(erf.inputs[0]) is None:
        return
    factor = next((one for one in map(draft.number, ratio.inputs) if one is not None), None)
    wanted = _ROOT_2 if ratio.op == "Div" else 1 / _ROOT_2
    if factor is None or abs(factor - wanted) > 1e-3:
        return
    source = next((name for name in ratio.inputs if draft.number(name) is None), "")
    added = draft.reader(erf.outputs[0], "Add")
    if not source or added is None or draft.number(_other(draft.nodes[added], erf.outputs[0])) != 1:
        return
    _finish(draft, source, [draft.maker(erf.inputs[0]), i, added], "Gelu")


def _finish(draft: Draft, source: str, inner: Iterable[int | None], op: str) -> None:
    """What is left to do to `inner`'s last output: times `source` and times a half, or times half of `source`."""
    gone = [i for i in inner if i is not None]
    out, halved, multiplied = draft.nodes[gone[-1]].outputs[0], False, False
    while not (halved and multiplied):
        j = draft.reader(out, "Mul")
        if j is None:
            return
        other = _other(draft.nodes[j], out)
        half = draft.makes(other, "Mul")
        if not halved and draft.number(other) == 0.5:
            halved = True
        elif not multiplied and other == source:
            multiplied = True
        elif (
            not (halved or multiplied)
            and half is not None
            and draft.sole(other) is not None
            and _halves(draft, half, source)
        ):
            halved = multiplied = True
            gone.append(draft.maker(other) or 0)
        else:
            return
        gone.append(j)
        out = draft.nodes[j].outputs[0]
    if op == "FastGelu" and out in draft.pinned:
        return
    draft.fuse(gone, Node(draft.nodes[gone[0]].name, MICROSOFT, op, (source,), (out,), {}))


def _halves(draft: Draft, node: Node, source: str) -> bool:
    return source in node.inputs and draft.number(_other(node, source)) == 0.5


def _fast(draft: Draft, i: int) -> None:
    """tanh of sqrt(2 / pi) (x + 0.044715 x^3), + 1, then as above."""
    tanh = draft.nodes[i]
    scaled = draft.makes(tanh.inputs[0], "Mul")
    name = "" if scaled is None else next((one for one in scaled.inputs if draft.number(one) is None), "")
    summed = draft.makes(name, "Add")
    added = draft.reader(tanh.outputs[0], "Add")
    if scaled is None or summed is None or added is None:
        return
    for cubed in summed.inputs:
        source = _other(summed, cubed)
        part = draft.makes(cubed, "Mul")
        power = None if part is None else next((one for one in part.inputs if draft.makes(one, "Pow")), None)
        if power is None or draft.makes(power, "Pow").inputs[0] != source:  # type: ignore[union-attr]
            continue
        if draft.number(_other(draft.nodes[added], tanh.outputs[0])) == 1:
            before = [draft.maker(one) for one in (power, cubed, name, tanh.inputs[0])]
            _finish(draft, source, [*before, i, added], "FastGelu")
            return


def _quick(draft: Draft, i: int) -> None:
    sigmoid = draft.nodes[i]
    source, gone = sigmoid.inputs[0], [i]
    scaled = draft.makes(source, "Mul")
    if scaled is not None and draft.sole(source) is not None:
        constant = next((one for one in scaled.inputs if draft.number(one) is not None), None)
        if constant is not None:
            gone.insert(0, draft.maker(source) or 0)
            source = _other(scaled, constant)
    j = draft.reader(sigmoid.outputs[0], "Mul")
    if j is None or sorted(draft.nodes[j].inputs) != sorted((source, sigmoid.outputs[0])):
        return
    alpha = 1.0 if len(gone) == 1 else 1.702
    made = Node(sigmoid.name, MICROSOFT, "QuickGelu", (source,), draft.nodes[j].outputs, {"alpha": alpha})
    draft.fuse([*gone, j], made)
