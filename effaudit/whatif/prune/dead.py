"""Lossless pruning: channels that every reader ignores, or that are one number whatever is fed, go; the number goes
into the biases of those who read it. The outputs stay what they were."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited, examined
from effaudit.axes import Coupling, Group, couple, groups
from effaudit.axes.terms import Axes, Term, indices, kept_of, leaves
from effaudit.errors import UsageError
from effaudit.graph import Constant, Graph, Node
from effaudit.whatif.constants import elements, literal, tensor
from effaudit.whatif.draft import Draft
from effaudit.whatif.prune.constancy import WHAT, Constancy, pads
from effaudit.whatif.prune.saliency import Saliency, Unranked
from effaudit.whatif.prune.slicing import Uncut, sliced, with_input
from effaudit.whatif.prune.verify import accepted
from effaudit.whatif.types import Blocked, Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "dead channels"
HISTORY: Final = "--prune dead"
MAX_ROUNDS: Final = 8  # each may leave channels that nobody reads any more
_READERS: Final = frozenset(("Conv", "ConvTranspose", "Gemm", "MatMul"))
# Operators that keep the channels of an axis apart.
_APART: Final = frozenset(
    """Abs Add AveragePool BatchNormalization Cast Clip Concat Div Dropout Elu Erf Exp Flatten Gelu GlobalAveragePool
    GlobalMaxPool HardSigmoid HardSwish Identity InstanceNormalization LeakyRelu Log MaxPool Mish Mul Neg PRelu Pad Pow
    Reciprocal Relu Reshape Resize Selu Sigmoid Slice Softplus Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze Upsample
    """.split()
)
# What makes sizes of sizes, and what takes them.
_SIZES: Final = frozenset("Gather Slice Concat Unsqueeze Squeeze Identity Cast Mul Div Add Sub".split())
_SIZED: Final = frozenset("Reshape Expand Slice Resize Split".split())


class Reading(msgspec.Struct, frozen=True):
    """One product that sums over an axis: which positions it needs, and what a position that is a number adds.

    `needed` is True at positions whose channel cannot go; `adds` is [out, positions], None where nothing needs adding.
    """

    node: int
    term: Term
    needed: np.ndarray
    adds: np.ndarray | None


class Uses(msgspec.Struct, frozen=True):
    """What is done with classes of channels: the nodes that read or write each, the products that sum over it, all
    nodes that `summing` knows how to fold, the tensors that come from integers, and the channels that some filter makes
    nothing of."""

    nodes: Mapping[Term, set[int]]
    readings: Mapping[Term, Sequence[Reading]]
    summing: frozenset[int]
    in_integers: frozenset[str]
    zero_filters: Mapping[Term, np.ndarray | None]


class Found(msgspec.Struct, frozen=True):
    """What one round takes: the group, the channels that stay, and how many of the others are numbers but zero."""

    group: Group
    kept: tuple[int, ...]
    folded: int


def rewrite(audited: Audited) -> Change:
    """The model without its dead channels. Raises UsageError where its weights are missing."""
    current, details, blocked, removed = audited, list[Detail](), dict[str, str](), 0
    for turn in range(MAX_ROUNDS):
        graph, found, kept = _round(current)
        if not turn:
            blocked = kept
        if graph is None:
            break
        details += [_detail(one) for one in found]
        removed += sum(one.group.length - len(one.kept) for one in found)
        current = examined(graph, audited.given)
    notes = [f"{removed:,} dead channels in {len(details)} groups are gone; the outputs are the same"]
    if not removed:
        notes = ["no channel is dead: every one that may go is read, and depends on the input"]
        if blocked:
            notes = [f"no dead channel can go: {len(blocked)} groups have filters of zeros, which stay"]
    return Change(
        graph=replace(current.raw, history=(*audited.raw.history, HISTORY)),
        notes=tuple(notes),
        blocked=tuple(Blocked(name, why) for name, why in blocked.items()),
        details=tuple(details),
    )


def _round(audited: Audited) -> tuple[Graph | None, list[Found], dict[str, str]]:
    coupling = couple(audited.graph, audited.symbolic, audited.flow)
    every = groups(audited.graph, coupling)
    constancy = Constancy(audited, coupling)
    refused: dict[Term, str] = {}
    why: dict[str, str] = {}
    readings = _readings(audited, coupling, constancy)
    uses = _uses(audited, coupling, every, readings)
    while True:
        found = [one for group in every if group.term not in refused and (one := _dead(audited, group, uses, why))]
        if not found:
            return None, [], why
        kept = {one.group.term: one.kept for one in found}
        graph = _taken(audited, coupling, kept, readings, refused)
        if graph is not None:
            return graph, found, why


def _taken(
    audited: Audited,
    coupling: Coupling,
    kept: dict[Term, tuple[int, ...]],
    readings: Sequence[Reading],
    refused: dict[Term, str],
) -> Graph | None:
    """The graph without the channels, what they added put into biases; None where a group is refused after all."""
    try:
        draft = sliced(audited, coupling, kept)
    except Uncut as error:
        refused.update(dict.fromkeys(kept, str(error)))
        return None
    for reading in readings:
        if reading.adds is not None:
            _fold(audited, coupling, draft, reading, kept)
    return accepted(audited, coupling, kept, draft.graph(HISTORY), refused)


# ---- which channels
def _dead(audited: Audited, group: Group, uses: Uses, why: dict[str, str]) -> Found | None:
    """The dead channels of a group, if it has any; in `why`, the reason why some that look dead stay."""
    import numpy as np

    leaf = group.term
    needed, numbers = np.zeros(group.length, bool), np.zeros(group.length, bool)
    looks = uses.zero_filters[leaf]
    held = group.blocked if leaf.blocked else _mixed(audited, uses, leaf)
    if not held:
        for reading in uses.readings.get(leaf, ()):
            places = np.array(indices(reading.term, leaf))
            inside = places >= 0
            needed[places[inside & reading.needed]] = True
            if reading.adds is not None:
                adding = (reading.adds != 0).any(axis=0)
                numbers[places[inside & adding]] = True
    gone = np.zeros(group.length, bool) if held else ~needed
    if looks is not None and (looks & ~gone).any():
        reason = held or "their channels are read all the same, in a residual or beside padding"
        why.setdefault(group.name, f"filters of zeros that stay: {int((looks & ~gone).sum())}: {reason}")
    if not gone.any():
        return None
    stay = tuple(int(i) for i in np.flatnonzero(~gone)) or (0,)
    return Found(group, stay, int((gone & numbers).sum())) if len(stay) < group.length else None


def _zero_filters(ranks: Saliency, group: Group) -> np.ndarray | None:
    """The channels that some filter makes nothing of; None where filters are computed."""
    import numpy as np

    found = np.zeros(group.length, bool)
    try:
        for producer in group.made_by:
            found |= ranks.norms(producer, group.term, 1) == 0
    except Unranked:
        return None
    return found


def _uses(audited: Audited, coupling: Coupling, every: Sequence[Group], readings: Sequence[Reading]) -> Uses:
    wanted, ranks = {group.term for group in every}, Saliency(audited, coupling, "l1")
    by_class: dict[Term, list[Reading]] = {}
    for reading in readings:
        for leaf in wanted.intersection(leaves(reading.term)):
            by_class.setdefault(leaf, []).append(reading)
    return Uses(
        nodes=_users(audited, coupling, wanted),
        readings=by_class,
        summing=frozenset(reading.node for reading in readings),
        in_integers=frozenset(node.outputs[0] for node in audited.graph.nodes if node.op == "DequantizeLinear"),
        zero_filters={group.term: _zero_filters(ranks, group) for group in every},
    )


def _users(audited: Audited, coupling: Coupling, wanted: set[Term]) -> dict[Term, set[int]]:
    """The nodes that read or write a tensor with a class on an axis."""
    result: dict[Term, set[int]] = {}
    for i, node in enumerate(audited.graph.nodes):
        for name in (*node.inputs, *node.outputs):
            if name in audited.flow.varying:
                for term in coupling.axes.get(name, ()):
                    for leaf in leaves(term):
                        if leaf in wanted:
                            result.setdefault(leaf, set()).add(i)
    return result


def _mixed(audited: Audited, uses: Uses, leaf: Term) -> str:
    """Why a class may not lose channels without changing others: a node that mixes them. "" where none does."""
    for i in sorted(uses.nodes.get(leaf, ())):
        node = audited.graph.nodes[i]
        if node.op == "Shape" and _only_sizes(audited, node.outputs[0]):
            continue
        if node.op in _READERS and node.inputs[1] in uses.in_integers:
            return f"the weights of {node.op} {node.label} are in integers; prune first, then quantize"
        if node.domain or not (node.op in _APART or (node.op in _READERS and i in uses.summing)):
            return f"{node.op} {node.label} computes with all of them together"
    return ""


def _only_sizes(audited: Audited, name: str) -> bool:
    """True where a shape only serves to give others theirs: their elements do not depend on it."""
    waiting, seen = [name], {name}
    while waiting:
        one = waiting.pop()
        if one in audited.raw.outputs:
            return False
        for node in audited.graph.nodes:
            if one not in node.inputs:
                continue
            if node.bodies or not (node.op in _SIZES or (node.op in _SIZED and node.inputs[0] != one)):
                return False
            if node.op in _SIZES:
                waiting += [out for out in node.outputs if out not in seen]
                seen.update(node.outputs)
    return True


# ---- who reads them
def _readings(audited: Audited, coupling: Coupling, constancy: Constancy) -> list[Reading]:
    found: list[Reading] = []
    for i, node in enumerate(audited.graph.nodes):
        if node.op in _READERS and not node.domain:
            found += _reading(i, node, coupling, constancy)
    return found


def _reading(i: int, node: Node, coupling: Coupling, constancy: Constancy) -> Iterator[Reading]:
    import numpy as np

    x = coupling.axes.get(node.inputs[0], ())
    weight = constancy.constant(node.inputs[1])
    if node.op in ("Conv", "ConvTranspose") and weight is not None and len(x) > 1:
        if node.attrs.get("group", 1) != 1:
            if node.attrs["group"] == x[1].size and node.op == "Conv":  # depthwise: nothing is summed
                yield Reading(i, Term(1), np.zeros(1, bool), None)
            return
        held = constancy.at(node.inputs[0], 1, x[1].size)
        turned = weight if node.op == "Conv" else np.swapaxes(weight, 0, 1)
        sums = turned.reshape(*turned.shape[:2], -1).astype(np.float64)  # [out, in, positions]
        free = node.op == "Conv" and not pads(node)
        yield _judged(i, x[1], (sums != 0).any(axis=(0, 2)), sums.sum(axis=2), held, free=free)
    elif node.op in ("Gemm", "MatMul") and weight is not None and weight.ndim == 2 and not node.attrs.get("transA"):
        held = constancy.at(node.inputs[0], len(x) - 1, x[-1].size)
        matrix = (weight if node.attrs.get("transB") else weight.T).astype(np.float64) * node.attrs.get("alpha", 1.0)
        yield _judged(i, x[-1], (matrix != 0).any(axis=0), matrix, held, free=True)


def _judged(i: int, term: Term, matters: np.ndarray, sums: np.ndarray, held: np.ndarray, *, free: bool) -> Reading:
    """A position is needed where its weights are not zero and it is no number, or one that padding interrupts."""
    import numpy as np

    known = (held == 0) | (~np.isnan(held) if free else np.zeros(held.shape, bool))
    adds = sums * np.where(known & matters, np.nan_to_num(held), 0.0)
    return Reading(i, term, matters & ~known, adds if adds.any() else None)


# ---- putting what they added into biases
def _fold(
    audited: Audited, coupling: Coupling, draft: Draft, reading: Reading, kept: dict[Term, tuple[int, ...]]
) -> None:
    import numpy as np

    stays = kept_of(reading.term, kept)
    if stays is None or reading.adds is None:
        return
    gone = np.setdiff1d(np.arange(reading.term.size), np.array(stays))
    added = reading.adds[:, gone].sum(axis=1)
    if not added.any():
        return
    *before, node = draft.at(reading.node)
    raw = audited.raw.nodes[reading.node]
    y: Axes = coupling.axes[raw.outputs[0]]
    out = kept_of(y[1 if node.op in ("Conv", "ConvTranspose") else -1], kept)
    old = _bias(audited, draft, raw)
    beta = raw.attrs.get("beta", 1.0)
    if raw.op == "MatMul" or (len(raw.inputs) > 2 and raw.inputs[2] and old is None) or not beta:
        _add_after(draft, reading.node, before, node, _typed(added, out, audited, raw))
        return
    total = added / beta + (0.0 if old is None else np.broadcast_to(old.astype(np.float64), added.shape))
    name = draft.add(f"{raw.inputs[1]}_bias", _typed(total, out, audited, raw))
    draft.put(reading.node, *before, with_input(node, 2, name))


def _bias(audited: Audited, draft: Draft, node: Node) -> np.ndarray | None:
    """The vector a product adds; None where it adds none, or something else."""
    if len(node.inputs) < 3 or not node.inputs[2]:
        return None
    held = tensor(audited.raw, node.inputs[2], draft.makers)
    return None if held is None or len(held.shape) > 1 else elements(held, WHAT)


def _typed(values: np.ndarray, out: Sequence[int] | None, audited: Audited, node: Node) -> Constant:
    cut = values if out is None else values[list(out)]
    encoding = audited.graph.values[node.outputs[0]].encoding
    if encoding.dtype not in ("float32", "float64", "float16"):
        raise UsageError(f"{audited.name}: {HISTORY}: {node.op} {node.label} computes in {encoding.dtype}")
    return literal("bias", cut.astype(encoding.dtype))


def _add_after(draft: Draft, i: int, before: Sequence[Node], node: Node, bias: Constant) -> None:
    inner = draft.fresh(f"{node.outputs[0]}_product")
    name = draft.add(f"{node.outputs[0]}_bias", bias)
    added = Node(f"{node.label}_bias" if node.name else "", "", "Add", (inner, name), node.outputs, {})
    draft.put(i, *before, replace(node, outputs=(inner,)), added)


def _detail(found: Found) -> Detail:
    group = found.group
    figures: dict[str, int | float | str | None] = {
        "channels_before": group.length,
        "channels_after": len(found.kept),
        "folded_into_biases": found.folded,
        "made_by": group.label,
    }
    return Detail(TABLE, group.name, figures)
