"""One transposition before several Gather nodes, as one behind each: then the pieces can be cut in one go.

A case of `TransposeOptimizer` (onnxruntime/core/optimizer/transpose_optimization) that attention meets: queries, keys
and values cut from one product. Other moves of transpositions through operators are not modelled.
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower.ort_fusions.draft import Draft


def behind_gather(graph: Graph) -> Graph:
    """The graph with such transpositions behind; two in a row are one."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        perm = node.attrs.get("perm")
        if node.op != "Transpose" or node.domain or type(perm) is not tuple or not perm or not perm[0]:
            continue
        out, readers = node.outputs[0], list(draft.edges(node.outputs[0]))
        takes = all(_takes_first(draft, draft.nodes[j], out) for j in readers)
        if len(readers) > 1 and out not in draft.pinned and takes:
            _push(draft, i, readers)
    return draft.graph()


def _takes_first(draft: Draft, node: Node, name: str) -> bool:
    """A Gather of one index of the first axis."""
    plain = node.op == "Gather" and not node.domain and node.inputs[0] == name and not node.attrs.get("axis", 0)
    return plain and draft.shape(node.inputs[1]) == () and draft.whole(node.inputs[1]) is not None


def _push(draft: Draft, i: int, readers: list[int]) -> None:
    before = draft.nodes[i]
    source, perm = before.inputs[0], before.attrs["perm"]
    dims = draft.dims(source) or ()
    axis = perm[0]
    rest = tuple(one - (one > axis) for one in perm[1:])
    kept = (*dims[:axis], *dims[axis + 1 :])
    for j in readers:
        node, out = draft.nodes[j], draft.nodes[j].outputs[0]
        piece = draft.tensor(f"{out}/piece", source, kept)
        draft.put(
            j, replace(node, inputs=(source, node.inputs[1]), outputs=(piece,), attrs={**node.attrs, "axis": axis})
        )
        k = draft.reader(out, "Transpose")
        if k is not None and type(draft.nodes[k].attrs.get("perm")) is tuple:
            after = draft.nodes[k]
            both = tuple(rest[place] for place in after.attrs["perm"])
            draft.put(k, replace(after, inputs=(piece,), attrs={**after.attrs, "perm": both}))
        else:
            draft.add(Node(f"{node.label}/transpose", "", "Transpose", (piece,), (out,), {"perm": rest}))
    draft.drop(i)
