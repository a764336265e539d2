"""Where a graph attends, and how a product or an operator takes keys and values of fewer heads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.draft import Draft
from effaudit.whatif.gqa.way import Heads
from effaudit.whatif.spelled import ODD, Spelled, spelled

if TYPE_CHECKING:
    from effaudit.whatif.gqa.way import Way

Rewrite: TypeAlias = "Callable[[Node, Draft, Way], Sequence[Node]]"
MAX_HOPS: Final = 8  # from a product back to the node that repeats its heads
AXES_AS_INPUT: Final = 13  # the opset from which Unsqueeze reads its axes
EXPAND: Final = 8
_PACKED: Final = "its projections lie inside the operator, or in one tensor"
_PASSES: Final = frozenset("Transpose Cast Identity Mul Div".split())


class Attention(msgspec.Struct, frozen=True):
    """One attention by the node that is its softmax, or the operator itself. `enter` are the tensors that hold its key
    and value heads on the way to it, `made` those that come out of it; `nodes` read them and become what `rewrites`
    gives. `why`: what forbids it, "" where nothing does."""

    node: int
    label: str
    heads: int = 0
    kv_heads: int = 0
    enter: tuple[tuple[str, Heads], ...] = ()
    made: tuple[tuple[str, Heads], ...] = ()
    nodes: tuple[int, ...] = ()
    rewrites: Mapping[int, Rewrite] = {}
    why: str = ""


def attentions(audited: Audited) -> list[Attention]:
    """Every attention of the main graph that runs, in order."""
    draft = Draft(audited)
    known, odd = spelled(audited)
    found = [_spelled(audited, draft, one) for one in known]
    found += [Attention(i, audited.raw.nodes[i].label, why=ODD) for i in odd]
    for i, node in enumerate(audited.raw.nodes):
        if audited.flow.live[i]:
            if (node.domain, node.op) in _OPERATORS:
                found.append(_OPERATORS[node.domain, node.op](audited, i, node))
            elif node.op == "Attention" and node.domain == MICROSOFT:
                found.append(Attention(i, node.label, why=_PACKED))
    return sorted(found, key=lambda one: one.node)


def _shape(audited: Audited, name: str) -> tuple[int, ...]:
    """The shape of a tensor; () where it is not known."""
    value = audited.graph.values.get(name)
    shape = value.shape if value is not None else None
    if shape is None or not all(type(dim) is int for dim in shape):
        return ()
    return tuple(dim for dim in shape if type(dim) is int)


# ---- spelled out
class _Repeat(msgspec.Struct, frozen=True):
    """Where heads are repeated: `expand` turns (heads, 1) at `axis` into (heads, times), `source` is what has the
    heads on `axis`."""

    source: str
    axis: int
    heads: int
    times: int
    expand: int


def _spelled(audited: Audited, draft: Draft, one: Spelled) -> Attention:
    nodes = audited.raw.nodes
    label = nodes[one.softmax].label
    shape = _shape(audited, nodes[one.softmax].outputs[0])
    if one.turned:
        return Attention(one.softmax, label, why="its keys stand before its queries, or its values before the scores")
    if len(shape) != 4:
        return Attention(one.softmax, label, why="its heads lie in one axis with the batch, or it has no heads")
    heads = shape[1]
    keys, values = nodes[one.scores].inputs[1], nodes[one.values].inputs[1]
    for name in (keys, values):
        if len(_shape(audited, name)) != 4 or _shape(audited, name)[1] != heads:
            return Attention(one.softmax, label, why=f"{name!r} has not the heads of the queries: it is shared already")
    repeats = [_repeat(audited, name, heads) for name in (keys, values)]
    if len({None if r is None else r.heads for r in repeats}) != 1:
        return Attention(one.softmax, label, why="keys and values have different heads")
    rewrites: dict[int, Rewrite] = {}
    enter: list[tuple[str, Heads]] = []
    read: list[int] = []
    for product, name, repeat in zip((one.scores, one.values), (keys, values), repeats, strict=True):
        if repeat is None:
            if audited.raw.opsets.get("", 1) < EXPAND:
                return Attention(one.softmax, label, why=f"repeating heads takes opset {EXPAND}")
            enter.append((name, Heads(1, 1)))
            rewrites[product] = partial(_repeated, shape=_shape(audited, name), open_=3 if product == one.scores else 2)
            read.append(product)
        else:
            enter.append((repeat.source, Heads(repeat.axis, 1)))
            rewrites[repeat.expand] = partial(_wider, repeat=repeat, rank=len(shape) + 1)
            read.append(repeat.expand)
    kv_heads = heads if repeats[0] is None else repeats[0].heads
    return Attention(one.softmax, label, heads, kv_heads, tuple(enter), (), tuple(read), rewrites)


def _repeat(audited: Audited, name: str, heads: int) -> _Repeat | None:
    """The repetition of heads before a product: Unsqueeze, Expand, Reshape, as `repeat_kv` is exported."""
    index = {out: i for i, node in enumerate(audited.raw.nodes) for out in node.outputs if out}
    axis = 1
    for _ in range(MAX_HOPS):
        i = index.get(name)
        if i is None:
            return None
        node = audited.raw.nodes[i]
        if node.op == "Reshape" and not node.domain:
            return _expanded(audited, index, node.inputs[0], axis, heads)
        if node.op not in _PASSES or node.domain:
            return None
        if node.op == "Transpose":
            rank = len(_shape(audited, name))
            axis = (node.attrs.get("perm") or tuple(range(rank))[::-1])[axis]
        name = next((one for one in node.inputs if _shape(audited, one)[axis : axis + 1] == (heads,)), "")
    return None


def _expanded(audited: Audited, index: Mapping[str, int], name: str, axis: int, heads: int) -> _Repeat | None:
    i = index.get(name)
    if i is None or audited.raw.nodes[i].op != "Expand":
        return None
    node = audited.raw.nodes[i]
    wide, narrow = _shape(audited, name), _shape(audited, node.inputs[0])
    pairs = wide[axis : axis + 2], narrow[axis : axis + 2]
    if len(wide) != 5 or len(pairs[0]) != 2 or pairs[0][0] * pairs[0][1] != heads or pairs[1] != (pairs[0][0], 1):
        return None
    j = index.get(node.inputs[0], -1)
    maker = audited.raw.nodes[j]
    if j < 0 or maker.op not in ("Unsqueeze", "Reshape"):
        return None
    source = _shape(audited, maker.inputs[0])
    if len(source) != 4 or source[axis : axis + 1] != pairs[0][:1]:
        return None
    return _Repeat(node.inputs[0], axis, pairs[0][0], pairs[0][1], i)


def _wider(node: Node, draft: Draft, way: Way, *, repeat: _Repeat, rank: int) -> Sequence[Node]:
    """The Expand that repeats each head more often. A 1 in its target leaves a size as it is."""
    times = repeat.times * way.heads // way.kept
    target = [times if place == repeat.axis + 1 else 1 for place in range(rank)]
    return (replace(node, inputs=(node.inputs[0], way.whole_numbers(f"{node.label}.times", target))),)


def _repeated(node: Node, draft: Draft, way: Way, *, shape: tuple[int, ...], open_: int) -> Sequence[Node]:
    """The product behind a repetition of the heads of its second operand, of which the dim `open_` is not stated."""
    ones = [1, 1, way.heads // way.kept, 1, 1]
    back = [0, way.heads, *(-1 if place == open_ else shape[place] for place in (2, 3))]
    nodes, name = _wide(draft, way, node.inputs[1], 2, ones, back)
    return (*nodes, replace(node, inputs=(node.inputs[0], name)))


def _wide(
    draft: Draft, way: Way, name: str, axis: int, ones: Sequence[int], back: Sequence[int]
) -> tuple[list[Node], str]:
    """Nodes that repeat each head: a new axis, expanded, and joined to that of the heads."""
    outputs = [draft.fresh(f"{name}.{part}") for part in ("each", "times", "repeated")]
    read: tuple[str, ...] = (name,)
    attrs: dict[str, object] = {"axes": (axis,)}
    if draft.opsets.get("", 1) >= AXES_AS_INPUT:
        read, attrs = (name, way.whole_numbers(f"{name}.axis", [axis])), {}
    expand = (outputs[0], way.whole_numbers(f"{name}.times.shape", ones))
    join = (outputs[1], way.whole_numbers(f"{name}.repeated.shape", back))
    return [
        Node("", "", "Unsqueeze", read, (outputs[0],), attrs),
        Node("", "", "Expand", expand, (outputs[1],), {}),
        Node("", "", "Reshape", join, (outputs[2],), {}),
    ], outputs[2]


# ---- operators
def _grouped(audited: Audited, i: int, node: Node) -> Attention:
    """com.microsoft GroupQueryAttention: keys [batch, length, heads x head], caches [batch, heads, length, head].

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.GroupQueryAttention
    """
    heads, kv_heads = int(node.attrs["num_heads"]), int(node.attrs["kv_num_heads"])
    if len(node.inputs) < 3 or not node.inputs[1] or not node.inputs[2]:
        return Attention(i, node.label, why=_PACKED)
    return _operator(audited, i, node, heads, kv_heads, node.inputs[3:5], {"kv_num_heads"})


def _standard(audited: Audited, i: int, node: Node) -> Attention:
    """ONNX Attention: keys of three or four axes. https://onnx.ai/onnx/operators/onnx__Attention.html"""
    shapes = [_shape(audited, name) for name in node.inputs[:3]]
    if not all(len(shape) in (3, 4) for shape in shapes):
        return Attention(i, node.label, why="the shapes of its inputs are not known")
    heads, kv_heads = (
        int(node.attrs.get(key, 0)) or (shape[1] if len(shape) == 4 else 0)
        for key, shape in (("q_num_heads", shapes[0]), ("kv_num_heads", shapes[1]))
    )
    if not heads or not kv_heads:
        return Attention(i, node.label, why="it does not say how many heads it has")
    return _operator(audited, i, node, heads, kv_heads, node.inputs[4:6], {"kv_num_heads"} & set(node.attrs))


def _operator(
    audited: Audited, i: int, node: Node, heads: int, kv_heads: int, caches: Sequence[str], stated: set[str]
) -> Attention:
    """An operator that knows of shared heads."""
    enter: list[tuple[str, Heads]] = []
    for name in node.inputs[1:3]:
        shape = _shape(audited, name)
        if len(shape) not in (3, 4):
            return Attention(i, node.label, why=f"the shape of {name!r} is not known")
        enter.append((name, Heads(2, shape[2] // kv_heads) if len(shape) == 3 else Heads(1, 1)))
    enter += [(name, Heads(1, 1)) for name in caches if name]
    made = tuple((name, Heads(1, 1)) for name in node.outputs[1:3] if name)

    def fewer(node: Node, draft: Draft, way: Way) -> Sequence[Node]:
        return (replace(node, attrs={**node.attrs, **dict.fromkeys(stated, way.kept)}),)

    return Attention(i, node.label, heads, kv_heads, tuple(enter), made, (i,), {i: fewer})


def _multi_head(audited: Audited, i: int, node: Node) -> Attention:
    """com.microsoft MultiHeadAttention, whose keys have the heads of the queries: they are repeated before it. It stays
    what it is, as GroupQueryAttention attends to what came before alone.

    https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md#com.microsoft.MultiHeadAttention
    """
    heads = int(node.attrs["num_heads"])
    inputs = (*node.inputs, *("",) * 8)
    shapes = [_shape(audited, name) for name in inputs[1:3]]
    if not all(len(shape) == 3 for shape in shapes):
        return Attention(i, node.label, why=_PACKED)
    if inputs[3]:
        return Attention(i, node.label, why="it adds a bias to keys and values itself, one for each of their heads")
    if any(inputs[6:8]) or any(node.outputs[1:3]):
        return Attention(i, node.label, why="its cache holds the heads as the queries have them")
    if audited.raw.opsets.get("", 1) < EXPAND:
        return Attention(i, node.label, why=f"repeating heads takes opset {EXPAND}")
    enter = tuple((name, Heads(2, shape[2] // heads)) for name, shape in zip(inputs[1:3], shapes, strict=True))
    rewrite = partial(_repeated_flat, units=tuple(shape[2] // heads for shape in shapes))
    return Attention(i, node.label, heads, heads, enter, (), (i,), {i: rewrite})


def _repeated_flat(node: Node, draft: Draft, way: Way, *, units: tuple[int, ...]) -> Sequence[Node]:
    """The operator behind a repetition of the heads of its keys and values [batch, length, heads x unit]."""
    nodes, names = list[Node](), list[str]()
    for name, unit in zip(node.inputs[1:3], units, strict=True):
        split = draft.fresh(f"{name}.heads")
        target = way.whole_numbers(f"{name}.heads.shape", [0, 0, way.kept, unit])
        nodes.append(Node("", "", "Reshape", (name, target), (split,), {}))
        ones = [1, 1, 1, way.heads // way.kept, 1]
        more, made = _wide(draft, way, split, 3, ones, [0, 0, way.heads * unit])
        nodes += more
        names.append(made)
    return (*nodes, replace(node, inputs=(node.inputs[0], *names, *node.inputs[3:])))


_OPERATORS: Final[Mapping[tuple[str, str], Callable[[Audited, int, Node], Attention]]] = {
    (MICROSOFT, "GroupQueryAttention"): _grouped,
    (MICROSOFT, "MultiHeadAttention"): _multi_head,
    ("", "Attention"): _standard,
}
