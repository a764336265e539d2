"""Normalizations that are written as arithmetic, and the sum before one.

`LayerNormFusion`, `SimplifiedLayerNormFusion` and `SkipLayerNormFusion` (onnxruntime/core/optimizer).
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.ops._registry import MICROSOFT

_SKIPPED = frozenset(("float32", "float16", "bfloat16"))


def written_out(graph: Graph) -> Graph:
    """ReduceMean, Sub, Pow, Sqrt, Div and their like as one normalization of the last axis."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op == "Div" and not node.domain:
            _layer(draft, i) or _simplified(draft, i)
    return draft.graph()


def _root(draft: Draft, name: str) -> tuple[str, list[int]] | None:
    """(what the mean of is taken, the nodes) of Sqrt(Add(ReduceMean(x), epsilon))."""
    gone = []
    for op in ("Sqrt", "Add", "ReduceMean"):
        node = draft.makes(name, op)
        if node is None or len(draft.edges(name)) != 1 or name in draft.pinned:
            return None
        gone.append(draft.maker(name))
        constant = 1 if draft.is_constant(node.inputs[-1]) else 0
        name = node.inputs[1 - constant] if op == "Add" else node.inputs[0]
    return name, [i for i in gone if i is not None]


def _square(draft: Draft, name: str) -> tuple[str, int] | None:
    """(x, the node) of Pow(x, 2) or Mul(x, x)."""
    node = draft.makes(name, "Pow", "Mul")
    if node is None or len(node.inputs) != 2 or len(draft.edges(name)) != 1:
        return None
    squares = draft.number(node.inputs[1]) == 2 if node.op == "Pow" else node.inputs[0] == node.inputs[1]
    i = draft.maker(name)
    return (node.inputs[0], i) if squares and i is not None else None


def _scale(draft: Draft, out: str, root: str) -> tuple[int, str] | None:
    """(the Mul behind, its constant)."""
    j = draft.reader(out, "Mul")
    if j is None:
        return None
    other = next((name for name in draft.nodes[j].inputs if name != out), "")
    return (j, other) if draft.is_constant(other) and len(draft.shape(other) or ()) == 1 else None


def _layer(draft: Draft, i: int) -> bool:
    divided = draft.nodes[i]
    root = _root(draft, divided.inputs[1])
    square = None if root is None else _square(draft, root[0])
    if root is None or square is None or divided.inputs[0] != square[0]:
        return False
    centred = draft.makes(square[0], "Sub")
    mean = None if centred is None else draft.makes(centred.inputs[1], "ReduceMean")
    if centred is None or mean is None or mean.inputs[0] != centred.inputs[0]:
        return False
    scale = _scale(draft, divided.outputs[0], square[0])
    shift = None if scale is None else draft.reader(draft.nodes[scale[0]].outputs[0], "Add")
    if scale is None or shift is None:
        return False
    after = draft.nodes[shift]
    bias = next((name for name in after.inputs if draft.is_constant(name)), "")
    if not bias:
        return False
    gone = [draft.maker(centred.inputs[1]), draft.maker(square[0]), square[1], *root[1], i, scale[0], shift]
    made = Node(divided.name, "", "LayerNormalization", (mean.inputs[0], scale[1], bias), after.outputs, {"axis": -1})
    draft.fuse([j for j in gone if j is not None], made)
    return True


def _simplified(draft: Draft, i: int) -> bool:
    divided = draft.nodes[i]
    root = _root(draft, divided.inputs[1])
    square = None if root is None else _square(draft, root[0])
    if root is None or square is None or divided.inputs[0] != square[0]:
        return False
    scale = _scale(draft, divided.outputs[0], square[0])
    if scale is None:
        return False
    outputs = draft.nodes[scale[0]].outputs
    made = Node(divided.name, "", "SimplifiedLayerNormalization", (square[0], scale[1]), outputs, {"axis": -1})
    draft.fuse([square[1], *root[1], i, scale[0]], made)
    return True


def with_sum(graph: Graph) -> Graph:
    """LayerNormalization with the sum of two tensors of one shape before it, and a bias in one of them."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op == "LayerNormalization" and not node.domain and len(node.inputs) > 1:
            j = draft.maker(node.inputs[0])
            if j is not None and _sums(draft, j):
                _skip(draft, i, j)
    return draft.graph()


def _sums(draft: Draft, i: int) -> bool:
    node = draft.nodes[i]
    if node.op != "Add" or node.domain or draft.sole(node.outputs[0]) is None:
        return False
    shapes = [draft.dims(name) for name in node.inputs]
    same = shapes[0] is not None and len(shapes[0]) == 3 and shapes[0] == shapes[1]
    return same and all(draft.dtype(name) in _SKIPPED for name in node.inputs)


def _skip(draft: Draft, i: int, j: int) -> None:
    norm, added = draft.nodes[i], draft.nodes[j]
    inputs, gone = [*added.inputs, norm.inputs[1], norm.inputs[2] if len(norm.inputs) > 2 else ""], [i, j]
    for place in (0, 1):
        before = draft.maker(added.inputs[place])
        if before is not None and _shifts(draft, before):
            inputs[place] = draft.nodes[before].inputs[0]
            inputs.append(draft.nodes[before].inputs[1])
            gone.append(before)
            break
    attrs = {key: value for key, value in norm.attrs.items() if key == "epsilon"}
    draft.fuse(gone, replace(norm, domain=MICROSOFT, op="SkipLayerNormalization", inputs=tuple(inputs), attrs=attrs))


def _shifts(draft: Draft, i: int) -> bool:
    """A bias as long as the last axis, added by a node that nothing else needs."""
    node = draft.nodes[i]
    if node.op != "Add" or node.domain or draft.sole(node.outputs[0]) is None or not draft.is_constant(node.inputs[1]):
        return False
    fed, bias = draft.dims(node.inputs[0]), draft.shape(node.inputs[1])
    return fed is not None and bias is not None and len(fed) == 3 and bias == (fed[2],)
