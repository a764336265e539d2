"""Where a graph reads its weights: which inputs of which operators, and which axis of the stored tensor is which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.graph import Constant, Node
from effaudit.ops._registry import MICROSOFT
from effaudit.whatif.draft import Draft

FLOATS: Final = ("float32", "float16")
MAX_STEPS: Final = 8  # nodes between a constant and the operator that computes with it
_MATRIX: Final = frozenset(("MatMul", "Gemm", "FusedMatMul", "FusedGemm", "TransposeMatMul"))
_CONV: Final = frozenset(("Conv", "FusedConv"))
RECURRENT: Final = frozenset(("LSTM", "GRU", "RNN"))
_PLACES: Final[Mapping[str, tuple[int, ...]]] = {
    **dict.fromkeys(_CONV, (1,)),
    "ConvTranspose": (1,),
    **dict.fromkeys(RECURRENT, (1, 2)),
    **dict.fromkeys(_MATRIX, (1, 0)),
    "Gather": (0,),
}


class Site(msgspec.Struct, frozen=True):
    """A constant that a node computes with at input `place`.

    `channels` is the axis of its output channels and `inner` one that is summed over, both of the constant as it is
    stored (None: not known). `between` are the nodes that bring it there, nearest the constant first.
    """

    node: int
    place: int
    constant: Constant
    channels: int | None
    inner: int | None
    between: tuple[Node, ...] = ()


def places(node: Node) -> tuple[int, ...]:
    """The inputs of a node that may hold weights."""
    if node.domain not in ("", MICROSOFT) or node.bodies:
        return ()
    if node.domain and node.op == "Attention":
        return (1,)
    return tuple(place for place in _PLACES.get(node.op, ()) if place < len(node.inputs) and node.inputs[place])


def sites(draft: Draft, i: int) -> tuple[Site, ...]:
    """The weights that node `i` computes with: constants, also behind nodes that only arrange elements."""
    node = draft.raw.nodes[i]
    found = []
    for place in places(node):
        constant, between = _behind(draft, node.inputs[place])
        if constant is None or constant.encoding.dtype not in (*FLOATS, "bfloat16", "float64"):
            continue
        channels, inner = _axes(node, place, _rank(constant, between))
        channels, inner = (_through(between, axis, len(constant.shape)) for axis in (channels, inner))
        found.append(Site(i, place, constant, channels, inner, between))
        if node.op in _MATRIX:
            break  # a product of two constants has one weight: the second
    return tuple(found)


def _behind(draft: Draft, name: str) -> tuple[Constant | None, tuple[Node, ...]]:
    """The constant whose elements a tensor has, and the nodes between."""
    between: list[Node] = []
    for _ in range(MAX_STEPS):
        if (constant := draft.constant(name)) is not None:
            return constant, tuple(reversed(between))
        node = draft.makers.get(name)
        if node is None or node.domain or node.op not in ("Identity", "Transpose", "Reshape", "Unsqueeze", "Squeeze"):
            break
        between.append(node)
        name = node.inputs[0]
    return None, ()


def _rank(constant: Constant, between: Sequence[Node]) -> int | None:
    """The rank of what the node reads; None behind a node that changes it."""
    arranged = all(node.op in ("Identity", "Transpose") for node in between)
    return len(constant.shape) if arranged else None


def _axes(node: Node, place: int, rank: int | None) -> tuple[int | None, int | None]:
    """(axis of output channels, axis summed over) of the tensor as the node reads it."""
    if rank is None or rank < 2:
        return None, None
    if node.op in _CONV:
        return 0, 1
    if node.op == "ConvTranspose":
        return (1, 0) if node.attrs.get("group", 1) == 1 else (None, 0)
    if node.op in RECURRENT:
        return 1, 2
    if node.op == "Gather":
        return int(node.attrs.get("axis", 0)) % rank, rank - 1
    if place == 1:
        return (rank - 2, rank - 1) if node.attrs.get("transB") else (rank - 1, rank - 2)
    return (rank - 1, rank - 2) if node.attrs.get("transA") else (rank - 2, rank - 1)


def _through(between: Sequence[Node], axis: int | None, rank: int) -> int | None:
    """The axis of the constant, of `rank` axes, that is `axis` behind the nodes between."""
    for node in reversed(between):
        if axis is None or node.op not in ("Identity", "Transpose"):
            return None
        if node.op == "Transpose":
            perm = node.attrs.get("perm") or tuple(reversed(range(rank)))
            axis = int(perm[axis])
    return axis
