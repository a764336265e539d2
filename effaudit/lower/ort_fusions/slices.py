"""All of a tensor cut into pieces by nodes of their own, as one Split.

`GatherSliceToSplitFusion` (onnxruntime/core/optimizer/gather_fusion.cc): every Gather of a tensor takes one index, or
every Slice a range of step 1, of the same axis, and together they take each index once.
"""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from effaudit.graph import INT64, Graph, Node
from effaudit.lower.ort_fusions.draft import Draft


class _Piece(msgspec.Struct, frozen=True):
    """What one reader takes: from `start` to before `end` of an axis; `single`: one index, whose axis goes away."""

    axis: int
    start: int
    end: int
    single: bool


def split(graph: Graph) -> Graph:
    """The graph with Split in the place of Gather and Slice nodes that cut a tensor up."""
    draft = Draft(graph)
    names = dict.fromkeys(name for node in graph.nodes for name in node.inputs[:1] if node.op in ("Gather", "Slice"))
    for name in names:
        if draft.is_constant(name):
            continue
        for op in ("Gather", "Slice"):
            found = {i: _piece(draft, draft.nodes[i], name) for i in draft.edges(name) if draft.nodes[i].op == op}
            pieces = {i: piece for i, piece in found.items() if piece is not None}
            if len(pieces) > 1 and len(pieces) == len(found) and _covers(draft, name, list(pieces.values())):
                _cut(draft, name, pieces)
    return draft.graph()


def _piece(draft: Draft, node: Node, name: str) -> _Piece | None:
    shape = draft.shape(name)
    if shape is None or node.domain or node.inputs[0] != name:
        return None
    if node.op == "Gather":
        index, axis = draft.whole(node.inputs[1]), node.attrs.get("axis", 0)
        if index is None or len(index) != 1 or not -len(shape) <= axis < len(shape) or not shape[axis]:
            return None
        first = index[0] % shape[axis]
        return _Piece(axis % len(shape), first, first + 1, single=draft.shape(node.inputs[1]) == ())
    return _range(draft, node, shape) if node.op == "Slice" else None


def _range(draft: Draft, node: Node, shape: tuple[int, ...]) -> _Piece | None:
    """A Slice of one axis in steps of 1; its numbers are inputs, or attributes as they were before opset 10."""
    keys = ("starts", "ends", "axes")
    if len(node.inputs) > 2:
        stated = [draft.whole(one) if one else None for one in (*node.inputs[1:4], "", "")[:3]]
        steps = draft.whole(node.inputs[4]) if len(node.inputs) > 4 and node.inputs[4] else (1,)
    else:
        stated, steps = [node.attrs.get(key) for key in keys], (1,)
    if any(one is None or len(one) != 1 for one in stated) or steps != (1,):
        return None
    (start,), (end,), (axis,) = (tuple(one or ()) for one in stated)
    if not -len(shape) <= axis < len(shape):
        return None
    first, last, _ = slice(start, end).indices(shape[axis])
    return _Piece(axis % len(shape), first, last, single=False) if last > first else None


def _covers(draft: Draft, name: str, pieces: list[_Piece]) -> bool:
    shape, ordered = draft.shape(name) or (), sorted(pieces, key=lambda piece: piece.start)
    if len({piece.axis for piece in pieces}) != 1 or len({piece.single for piece in pieces}) != 1:
        return False
    ends = [0, *(piece.end for piece in ordered)]
    return ends[:-1] == [piece.start for piece in ordered] and ends[-1] == shape[ordered[0].axis]


def _cut(draft: Draft, name: str, pieces: dict[int, _Piece]) -> None:
    ordered = sorted(pieces, key=lambda i: pieces[i].start)
    first, shape = pieces[ordered[0]], draft.shape(name) or ()
    outputs: list[str] = []
    for i in ordered:
        piece, out = pieces[i], draft.nodes[i].outputs[0]
        if piece.single:
            kept = (*shape[: piece.axis], 1, *shape[piece.axis + 1 :])
            outputs.append(draft.tensor(f"{out}/piece", name, kept))
        else:
            outputs.append(out)
    old = [draft.nodes[i] for i in ordered]
    sizes = draft.stored(f"{name}/sizes", INT64, (len(ordered),))
    attrs = {"axis": first.axis}
    draft.fuse(ordered, replace(old[0], op="Split", inputs=(name, sizes), outputs=tuple(outputs), attrs=attrs))
    if first.single:
        axes = draft.stored(f"{name}/axes", INT64, (1,))
        for node, cut in zip(old, outputs, strict=True):
            draft.add(Node(f"{node.label}/squeeze", "", "Squeeze", (cut, axes), node.outputs, {}))
