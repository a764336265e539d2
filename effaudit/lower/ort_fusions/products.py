"""What goes into a matrix product: the shift behind it, an activation, a constant factor, a transposition.

`MatMulAddFusion`, `GemmActivationFusion`, `MatMulScaleFusion` and `MatmulTransposeFusion` (onnxruntime/core/optimizer).
"""

from __future__ import annotations

from math import prod
from typing import Final

from msgspec.structs import replace

from effaudit.graph import INT64, Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.ops._registry import MICROSOFT

_ACTIVATIONS: Final = frozenset("Relu Sigmoid Tanh LeakyRelu Elu HardSigmoid Softplus Softsign".split())
_FLOATS: Final = frozenset(("float32", "float16", "bfloat16"))


def with_shift(graph: Graph) -> Graph:
    """MatMul and the Add behind it as a Gemm, between views where the product has batches."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op == "MatMul" and not node.domain:
            j = draft.reader(node.outputs[0], "Add")
            if j is not None:
                _gemm(draft, i, j)
    return draft.graph()


def _gemm(draft: Draft, i: int, j: int) -> None:
    product, shift = draft.nodes[i], draft.nodes[j]
    fed, weights = draft.dims(product.inputs[0]), draft.dims(product.inputs[1])
    bias = shift.inputs[1 if shift.inputs[0] == product.outputs[0] else 0]
    if fed is None or weights is None or len(weights) != 2 or draft.dtype(product.inputs[0]) not in _FLOATS:
        return
    shape = draft.shape(bias)
    if shape is None or draft.dtype(bias) != draft.dtype(product.inputs[0]):
        return
    flat = len(fed) == 2
    wide = weights[1]
    fits = shape == (wide,) or (flat and shape == (1, wide)) or (flat and shape in ((fed[0], 1), (fed[0], wide)))
    if not fits:
        return
    if flat:
        made = replace(product, op="Gemm", inputs=(*product.inputs, bias), outputs=shift.outputs)
        draft.fuse((i, j), made)
        return
    sizes = draft.shape(product.inputs[0])
    if sizes is None or type(wide) is not int or not sizes:
        return
    _between_views(draft, (i, j), bias, (prod(sizes[:-1]), sizes[-1], wide))


def _between_views(draft: Draft, pair: tuple[int, int], bias: str, sizes: tuple[int, int, int]) -> None:
    """A Gemm of as many rows as all batches have, its input and its output under other shapes."""
    product, shift = (draft.nodes[i] for i in pair)
    (rows, inner, wide), out = sizes, shift.outputs[0]
    rank = len(draft.shape(product.inputs[0]) or ())
    flat = draft.tensor(f"{out}/rows", product.inputs[0], (rows, inner))
    made = draft.tensor(f"{out}/product", product.inputs[0], (rows, wide))
    to, back = draft.stored(f"{flat}/shape", INT64, (2,)), draft.stored(f"{made}/shape", INT64, (rank,))
    draft.fuse(pair, replace(product, op="Gemm", inputs=(flat, product.inputs[1], bias), outputs=(made,)))
    draft.add(Node(f"{product.label}/rows", "", "Reshape", (product.inputs[0], to), (flat,), {}))
    draft.add(Node(f"{product.label}/batches", "", "Reshape", (made, back), (out,), {}))


def activated(graph: Graph) -> Graph:
    """Activations in the Gemm before them, which is com.microsoft's FusedGemm then."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op != "Gemm" or node.domain or draft.dtype(node.outputs[0]) != "float32":
            continue
        j = draft.reader(node.outputs[0], *_ACTIVATIONS)
        if j is not None:
            after = draft.nodes[j]
            attrs = {**node.attrs, "activation": after.op}
            draft.fuse((i, j), replace(node, domain=MICROSOFT, op="FusedGemm", outputs=after.outputs, attrs=attrs))
    return draft.graph()


def transposed(graph: Graph) -> Graph:
    """Transpositions of the last two axes in the products that read them."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if not _is_product(node) or draft.dtype(node.outputs[0]) != "float32":
            continue
        inputs, attrs = list(node.inputs), dict(node.attrs)
        for place, flag in ((0, "transA"), (1, "transB")):
            j = draft.maker(node.inputs[place])
            if j is not None and _swaps(draft, j):
                inputs[place] = draft.nodes[j].inputs[0]
                attrs[flag] = 1 - int(bool(attrs.get(flag, 0)))
        if inputs != list(node.inputs):
            draft.put(i, replace(node, domain=MICROSOFT, op="FusedMatMul", inputs=tuple(inputs), attrs=attrs))
            for name in node.inputs:
                _drop_unread(draft, name)
    return draft.graph()


def _is_product(node: Node) -> bool:
    return (node.op, node.domain) in (("MatMul", ""), ("FusedMatMul", MICROSOFT))


def _swaps(draft: Draft, i: int) -> bool:
    node = draft.nodes[i]
    perm = node.attrs.get("perm")
    if node.op != "Transpose" or node.domain or type(perm) is not tuple or len(perm) < 2:
        return False
    last = len(perm)
    return perm == (*range(last - 2), last - 1, last - 2)


def _drop_unread(draft: Draft, name: str) -> None:
    i = draft.maker(name)
    if i is not None and not draft.edges(name) and name not in draft.pinned:
        draft.drop(i)


def scaled(graph: Graph) -> Graph:
    """Constant factors of what goes into a product, and of what comes out, in the product."""
    draft = Draft(graph)
    for i in draft.indices():
        if _is_product(draft.nodes[i]) and draft.dtype(draft.nodes[i].outputs[0]) in ("float32", "float64"):
            _scale(draft, i)
    return draft.graph()


def _scale(draft: Draft, i: int) -> None:
    node = draft.nodes[i]
    inputs = [_unscaled(draft, name) or name for name in node.inputs]
    j = draft.reader(node.outputs[0], "Mul", "Div")
    behind = None if j is None or _scaled(draft, draft.nodes[j]) != node.outputs[0] else j
    if inputs == list(node.inputs) and behind is None:
        return
    before = node.inputs
    outputs = node.outputs if behind is None else draft.nodes[behind].outputs
    gone = (i,) if behind is None else (i, behind)
    made = replace(node, domain=MICROSOFT, op="FusedMatMul", inputs=tuple(inputs), outputs=outputs)
    draft.fuse(gone, made)
    for name in before:
        _drop_unread(draft, name)


def _unscaled(draft: Draft, name: str) -> str | None:
    """What a tensor is a constant multiple of."""
    node = draft.makes(name, "Mul", "Div")
    return None if node is None else _scaled(draft, node)


def _scaled(draft: Draft, node: Node) -> str | None:
    """The input that a node multiplies by, or divides by, a constant that is one number."""
    for place in (1,) if node.op == "Div" else (0, 1):
        other = node.inputs[1 - place]
        if draft.number(node.inputs[place]) is None or draft.is_constant(other):
            continue
        rank, of = len(draft.dims(node.inputs[place]) or ()), draft.dims(other)
        if of and rank <= len(of):
            return other
    return None
