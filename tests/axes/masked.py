"""An oracle for pruning: the network at its full width, with every constant zero wherever it lies on a channel that
goes. It computes what the pruned one does, unless elements of the two do not lie where the coupling says."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from effaudit.audited import Audited
from effaudit.axes import Coupling, Group, couple, groups
from effaudit.axes.terms import Kept
from effaudit.graph import Graph, Node
from effaudit.whatif.constants import derived
from effaudit.whatif.draft import Draft
from effaudit.whatif.prune.slicing import Cuts, cuts_of, with_input


def grouped(audited: Audited) -> tuple[Coupling, dict[str, Group]]:
    found = couple(audited.graph, audited.symbolic, audited.flow)
    return found, {group.name: group for group in groups(audited.graph, found)}


def chosen(every: Mapping[str, Group], seed: int, ratio: float = 0.5) -> dict[str, tuple[int, ...]]:
    """Channels that go, drawn at random in every group that may be pruned."""
    draw = np.random.default_rng(seed)
    return {
        name: tuple(sorted(map(int, draw.choice(group.length, int(group.length * ratio), replace=False))))
        for name, group in every.items()
        if not group.blocked and group.length > 1
    }


def masked(audited: Audited, found: Coupling, every: Mapping[str, Group], gone: Mapping[str, tuple[int, ...]]) -> Graph:
    kept: Kept = {
        every[name].term: [i for i in range(every[name].length) if i not in places] for name, places in gone.items()
    }
    draft = Draft(audited)
    nodes: dict[int, Node] = {}
    for name, axes in found.axes.items():
        cuts = cuts_of(axes, kept)
        constant = draft.constant(name)
        if any(cuts) and constant is not None:
            draft.exchange(name, derived(constant, lambda array, cuts=cuts: zeroed(array, cuts), shape=constant.shape))
    for use in found.uses:
        cuts = cuts_of(use.axes, kept)
        constant = draft.constant(use.name)
        if any(cuts) and constant is not None:
            new = derived(constant, lambda array, cuts=cuts: zeroed(array, cuts), shape=constant.shape)
            node = nodes.get(use.node, audited.raw.nodes[use.node])
            nodes[use.node] = with_input(node, use.slot, draft.add(use.name, new))
    for i, node in nodes.items():
        draft.put(i, node)
    return draft.graph("masked")


def zeroed(array: np.ndarray, cuts: Cuts) -> np.ndarray:
    found = np.array(array)
    for axis, cut in enumerate(cuts):
        if cut is not None:
            gone = np.setdiff1d(np.arange(array.shape[axis]), cut)
            np.moveaxis(found, axis, 0)[gone] = 0
    return found
