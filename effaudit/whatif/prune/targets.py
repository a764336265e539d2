"""Which tensors have their elements pruned: the weights of convolutions and matrix products, or those named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Constant, Node
from effaudit.lower._rewrite import FLOATING
from effaudit.nearest import did_you_mean
from effaudit.ops._registry import MAC_KINDS, MICROSOFT
from effaudit.weights import PARAM, Tensor
from effaudit.whatif.prune.arguments import OPTION
from effaudit.whatif.prune.matrix import Matrix, matrix_of
from effaudit.whatif.types import Blocked

MAX_HOPS: Final = 8  # nodes between a weight and the product that reads it
_WILD: Final = frozenset("*?[")
# The inputs of an operator that hold weights, by (domain, operator).
_WEIGHTS: Final[Mapping[tuple[str, str], tuple[int, ...]]] = {
    ("", "Conv"): (1,),
    ("", "ConvTranspose"): (1,),
    ("", "DeformConv"): (1,),
    ("", "Gemm"): (0, 1),
    ("", "MatMul"): (0, 1),
    (MICROSOFT, "FusedConv"): (1,),
    (MICROSOFT, "FusedGemm"): (0, 1),
    (MICROSOFT, "FusedMatMul"): (0, 1),
}
_SAME: Final = frozenset(("Identity", "Cast", "Dropout"))
# What leaves an element that is zero at zero, so that the product meets it.
_KEEPS_ZEROS: Final = _SAME | frozenset("Transpose Reshape Squeeze Unsqueeze Flatten Mul Div DequantizeLinear".split())


class Weight(msgspec.Struct, frozen=True):
    """A tensor whose elements are pruned, the label of the node that reads it, and how it is a matrix there. `node` is
    that node where it is a product, and `place` the input at which it reads the weight."""

    constant: Constant
    reader: str
    matrix: Matrix
    node: Node | None = None
    place: int = 0

    @property
    def name(self) -> str:
        return self.constant.name


def weights_of(audited: Audited, only: str = "", skip: str = "") -> tuple[tuple[Weight, ...], tuple[Blocked, ...]]:
    """The weights that are pruned, in the order of the graph, and those of products that cannot be.

    `only` and `skip` are patterns of tensors or of the nodes that read them, several with `|`. A pattern takes weights
    of convolutions and matrix products alone; the whole name of a tensor takes any parameter in floating point. Raises
    UsageError for a pattern that no parameter has, and where nothing is left.
    """
    tensors = audited.weights.of(PARAM)
    makers = {name: node for node in audited.raw.nodes for name in node.outputs if name}
    ours = _at_the_top(audited, makers)
    wanted, dropped = _patterns(only), _patterns(skip)
    names = [(t.constant.name, t.reader.label if t.reader else "") for t in tensors]
    for pattern in (*wanted, *dropped):
        if not any(_matches(pair, (pattern,)) for pair in names):
            hint = did_you_mean(pattern, [name for pair in names for name in pair])
            raise UsageError(f"{OPTION}: no weight, nor a node that reads one, has a name like {pattern!r}{hint}")
    kinds = {id(node): audited.kind(i) for i, node in enumerate(audited.graph.nodes)}
    found: list[Weight] = []
    blocked: list[Blocked] = []
    for tensor, pair in zip(tensors, names, strict=True):
        if (wanted and not _matches(pair, wanted)) or _matches(pair, dropped):
            continue
        seen = _weight(tensor, makers, ours, kinds, named=pair[0] in wanted)
        if isinstance(seen, Weight):
            found.append(seen)
        elif seen:
            blocked.append(Blocked(pair[0], seen))
    if not found:
        why = f"; {blocked[0].group}: {blocked[0].reason}" if blocked else ""
        raise UsageError(f"{audited.name}: {OPTION}: no weights of convolutions or matrix products to prune{why}")
    return tuple(found), tuple(blocked)


def _weight(
    tensor: Tensor, makers: Mapping[str, Node], ours: set[int], kinds: Mapping[int, str], *, named: bool
) -> Weight | str:
    """The weight a parameter is; else why its elements cannot be pruned, "" where nobody would expect them to be."""
    constant, reader = tensor.constant, tensor.reader
    if reader is None:
        return ""
    places = _WEIGHTS.get((reader.domain, reader.op), ())
    found = ((i, _read_at(reader, i, constant, makers)) for i in places)
    place, seen = next((pair for pair in found if pair[1]), (0, None))
    product = kinds.get(id(reader), "other") in MAC_KINDS and len(constant.shape) > 1
    direct = constant.name in reader.inputs and (reader.domain, reader.op) in _WEIGHTS
    if seen is None and not named and (direct or not product):  # a bias, a norm, an embedding
        return ""
    if id(constant) not in ours:
        return "inside the body of a node or a function: only weights of the graph itself are pruned"
    if constant.place == "sparse":
        return "stored as a sparse tensor already"
    if constant.encoding.dtype not in FLOATING:
        return f"{constant.encoding.dtype}: quantized weights keep their zeros; prune first, then quantize"
    if seen is None and not named and (reader.domain, reader.op) in _WEIGHTS:
        return "computed with before the product reads it, so that zeros would not stay"
    if seen is None and not named:
        return f"read by {reader.op}: only convolutions and matrix products are pruned, others by their whole name"
    if not constant.numel:
        return "it has no elements"
    if seen is None:
        return Weight(constant, reader.label, matrix_of("", 0, {}, constant.shape))
    return Weight(constant, reader.label, seen, reader, place)


def _read_at(reader: Node, place: int, constant: Constant, makers: Mapping[str, Node]) -> Matrix | None:
    """The matrix of a constant that reaches this input of its reader, through nodes that keep its elements; None where
    it does not get there."""
    if place >= len(reader.inputs):
        return None
    name, between = reader.inputs[place], list[Node]()
    while name != constant.name:
        node = makers.get(name)
        if node is None or not node.inputs or node.op not in _KEEPS_ZEROS or len(between) >= MAX_HOPS:
            return None
        between.append(node)
        name = node.inputs[0]
    plain = matrix_of("", 0, {}, constant.shape)
    turns = [node for node in between if node.op not in _SAME]
    if not turns:
        return matrix_of(reader.op, place, reader.attrs, constant.shape)
    rank = len(constant.shape)
    order = turns[0].attrs.get("perm", tuple(reversed(range(rank))))
    if len(turns) > 1 or turns[0].op != "Transpose" or sorted(order) != list(range(rank)):
        return plain
    turned = matrix_of(reader.op, place, reader.attrs, tuple(constant.shape[axis] for axis in order))
    if len(turned.split) != rank:
        return plain
    return replace(turned, split=constant.shape, order=tuple(order[axis] for axis in turned.order))


def _at_the_top(audited: Audited, makers: Mapping[str, Node]) -> set[int]:
    """The identities of the constants that a rewrite can exchange."""
    held = (node.attrs.get("value") for node in makers.values() if node.op == "Constant" and not node.domain)
    return {*map(id, audited.raw.constants.values()), *map(id, held)}


def _patterns(written: str) -> tuple[str, ...]:
    return tuple(filter(None, written.split("|")))


def _matches(names: Iterable[str], patterns: Iterable[str]) -> bool:
    """True where a pattern is one of the names, or matches one."""
    tried = tuple(patterns)
    return any(name == one or (_WILD & set(one) and fnmatchcase(name, one)) for one in tried for name in names if name)
