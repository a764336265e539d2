"""Which tensors may lie in the same bytes: views, and outputs that take the place of an input.

What an operator permits stands beside its cost rule (`@storage`); which of it a runtime makes use of is its `Sharing`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow
from effaudit.dims import Dim
from effaudit.graph import Graph, Node
from effaudit.ops._registry import Rules, rules_for
from effaudit.plan.lifetimes import Lifetime

# The inputs whose bytes the first output may take, in the order they are tried.
InPlace = Callable[[Node, Rules], Iterable[int]]
# The storages of a graph, made of its tensors.
Storages = Callable[[Graph, Flow, list[Lifetime]], list[Lifetime]]


def as_registered(node: Node, rules: Rules) -> tuple[int, ...]:
    """What the operator's `@storage` rule permits."""
    return rules.overwrites


def never(node: Node, rules: Rules) -> tuple[int, ...]:
    """Nothing is computed in place."""
    return ()


class Sharing(msgspec.Struct, frozen=True):
    """What may share bytes.

    `views`: the output of a view is its input's bytes. `in_place`: the first output may take the bytes of one of these
    inputs, if that dies there, is exactly as large, and its bytes hold no graph input. `resized`: the same, whatever
    the sizes; the storage is then as large as the larger one. `storages`: a runtime's own planner decides it all.
    `bodies` says why what a body needs may lie in the bytes of its node's inputs and outputs, "" if it may not.
    """

    views: bool
    in_place: InPlace = never
    resized: InPlace = never
    storages: Storages | None = None
    bodies: str = ""


APART = Sharing(views=False)
SHARED = Sharing(views=True, in_place=as_registered)


def shared(graph: Graph, flowing: Flow, found: list[Lifetime], sharing: Sharing) -> list[Lifetime]:
    """The storages left of `found`; decided node by node, in order: one valid choice, not always the best."""
    if sharing == APART:
        return found
    if sharing.storages is not None:
        return sharing.storages(graph, flowing, found)
    storage = _Storage(found, graph.inputs, graph.outputs)
    rules = rules_for(graph)
    step = 0
    for node, runs in zip(graph.nodes, flowing.live, strict=True):
        if not runs:
            continue
        known = rules.get((node.domain, node.op))
        if known is not None and node.outputs and node.outputs[0] in storage.sizes and not node.bodies:
            _share(node, known, storage, sharing, step)
        step += 1
    return storage.merged()


def _share(node: Node, rules: Rules, storage: _Storage, sharing: Sharing, step: int) -> None:
    target = node.outputs[0]
    if sharing.views and rules.view and node.inputs and node.inputs[0] in storage.sizes:
        storage.join(target, node.inputs[0])
        return
    for permitted, resized in ((sharing.in_place, False), (sharing.resized, True)):
        for place in permitted(node, rules):
            if place < len(node.inputs) and storage.may_overwrite(node.inputs[place], target, step, resized=resized):
                storage.join(target, node.inputs[place])
                return


class _Storage:
    """Storage classes: tensors that share bytes, with the span and the size of the whole class."""

    def __init__(self, found: list[Lifetime], inputs: Iterable[str], outputs: Iterable[str]) -> None:
        self.found: Mapping[str, Lifetime] = {b.name: b for b in found}
        self.sizes: dict[str, Dim | None] = {b.name: b.size for b in found}
        self.root = {b.name: b.name for b in found}
        self.span: dict[str, tuple[int, int]] = {b.name: (b.start, b.end) for b in found}
        self.pinned = {*inputs, *outputs}
        self.fixed = {name for name in self.pinned if name in self.root}

    def may_overwrite(self, source: str, target: str, step: int, *, resized: bool) -> bool:
        """`source` dies at this step, belongs to nobody outside, and (unless `resized`) is as large as `target`."""
        if source not in self.root:
            return False
        root = self.root[source]
        size = self.found[target].size
        if size is None or self.sizes[root] is None or self.span[root][1] != step + 1 or root in self.fixed:
            return False
        return resized or self.sizes[root] == size

    def join(self, target: str, source: str) -> None:
        root = self.root[source]
        self.root[target] = root
        start, end = self.span[root]
        self.span[root] = (start, max(end, self.found[target].end))
        size, other = self.sizes[root], self.found[target].size
        if size != other and size is not None and other is not None:
            self.sizes[root] = dims.maximum(size, other)
        if target in self.pinned:
            self.fixed.add(root)

    def merged(self) -> list[Lifetime]:
        others: dict[str, list[str]] = {}
        for name, root in self.root.items():
            if name != root:
                others.setdefault(root, []).append(name)
        return [
            Lifetime(name, *self.span[name], self.sizes[name], self.found[name].why, tuple(others.get(name, ())))
            for name, root in self.root.items()
            if name == root
        ]
