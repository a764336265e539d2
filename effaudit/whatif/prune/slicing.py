"""Cutting channels out of a graph: every tensor that lies on a pruned axis loses the elements that go, and every
setting that states a length follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.axes.couple import Coupling
from effaudit.axes.terms import Axes, Kept, kept_of
from effaudit.dataflow import reads
from effaudit.graph import Constant, Node
from effaudit.whatif.constants import derived
from effaudit.whatif.draft import Draft
from effaudit.whatif.prune.settings import Settings

if TYPE_CHECKING:
    import numpy as np

Cuts = tuple[tuple[int, ...] | None, ...]  # by axis, the positions that stay; None: all
_ODD: Final = "a tensor of this form of Constant cannot be cut"


class Uncut(Exception):
    """A tensor on a pruned axis that cannot be cut: the name, and the reason."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(why)
        self.name = name


def sliced(audited: Audited, found: Coupling, kept: Kept) -> Draft:
    """The graph without the elements that go, as a draft. Raises Uncut."""
    draft = Draft(audited)
    nodes: dict[int, Node] = {}
    _shared(audited, found, kept, draft)
    _vectors(audited, found, kept, draft, nodes)
    _settings(audited, found, kept, draft, nodes)
    for i, node in nodes.items():
        draft.put(i, *draft.at(i)[:-1], node)  # what makes its sizes stands before it
    _without_dead(audited, draft)
    return draft


def _shared(audited: Audited, found: Coupling, kept: Kept, draft: Draft) -> None:
    """Constants of several axes: one cut for all who read them, as their axes are coupled."""
    for name, axes in found.axes.items():
        if name in audited.flow.varying:
            continue
        cuts = cuts_of(axes, kept)
        constant = draft.constant(name)
        if any(cuts) and (constant is not None or _is_constant(draft.makers.get(name))):
            draft.exchange(name, _cut(name, constant, cuts))


def _vectors(audited: Audited, found: Coupling, kept: Kept, draft: Draft, nodes: dict[int, Node]) -> None:
    """Vectors, which those who read them may cut differently: then each cut is a tensor of its own."""
    by_name: dict[str, dict[Cuts, list[tuple[int, int]]]] = {}
    for use in found.uses:
        cuts = cuts_of(use.axes, kept)
        by_name.setdefault(use.name, {}).setdefault(cuts, []).append((use.node, use.slot))
    captured = {name for node in audited.raw.nodes for body in node.bodies.values() for name in body.captured}
    for name, several in by_name.items():
        whole = name in captured or name in audited.raw.outputs
        for cuts, places in several.items():
            if not any(cuts):
                continue
            new = _cut(name, draft.constant(name), cuts)
            if len(several) == 1 and not whole:
                draft.exchange(name, new)
                continue
            added = draft.add(name, new)
            for i, slot in places:
                nodes[i] = with_input(nodes.get(i, audited.raw.nodes[i]), slot, added)


def _settings(audited: Audited, found: Coupling, kept: Kept, draft: Draft, nodes: dict[int, Node]) -> None:
    pruned = {name for name, axes in found.axes.items() if any(cuts_of(axes, kept))}
    touched = {i for i, n in enumerate(audited.raw.nodes) if not pruned.isdisjoint((*n.inputs, *n.outputs))}
    settings = Settings(audited, draft, kept, touched)
    for edit in found.edits:
        node = nodes.get(edit.node, audited.raw.nodes[edit.node])
        changed = settings.followed(node, edit)
        if changed is not node:
            nodes[edit.node] = changed


def cuts_of(axes: Axes, kept: Kept) -> Cuts:
    """By axis, the positions that stay; None where all do."""
    found = (kept_of(term, kept) for term in axes)
    return tuple(None if one is None else tuple(one) for one in found)


def _cut(name: str, constant: Constant | None, cuts: Cuts) -> Constant:
    if constant is None:
        raise Uncut(name, _ODD)
    if constant.place == "sparse":
        raise Uncut(name, "it is stored as a sparse tensor")
    shape = tuple(size if cut is None else len(cut) for size, cut in zip(constant.shape, cuts, strict=True))

    def compute(array: np.ndarray) -> np.ndarray:
        for axis, cut in enumerate(cuts):
            if cut is not None:
                array = array.take(cut, axis)
        return array

    return derived(constant, compute, shape=shape)


def with_input(node: Node, slot: int, name: str) -> Node:
    """The node with another tensor as an input, which may be one it did not give."""
    inputs = [*node.inputs, *("" for _ in range(slot + 1 - len(node.inputs)))]
    inputs[slot] = name
    return replace(node, inputs=tuple(inputs))


def _is_constant(node: Node | None) -> bool:
    return node is not None and node.op == "Constant" and not node.domain


def _without_dead(audited: Audited, draft: Draft) -> None:
    """Removes the nodes that no output needs now but did before: they made lengths that are numbers now."""
    needed = set(audited.raw.outputs)
    gone = []
    for i in range(len(audited.raw.nodes) - 1, -1, -1):
        for node in reversed(draft.at(i)):
            if not needed.isdisjoint(node.outputs):
                needed.update(reads(node))
            elif audited.flow.live[i] and not _is_constant(node):
                gone.append((i, node))
            else:  # it did nothing before either
                needed.update(reads(node) if not audited.flow.live[i] else ())
    for i, node in gone:
        draft.put(i, *(one for one in draft.at(i) if one is not node))
