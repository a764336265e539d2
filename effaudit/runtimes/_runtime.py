"""What a runtime is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec

from effaudit.graph import Graph, Node
from effaudit.ops._call import INVALID
from effaudit.plan.storage import APART, Sharing
from effaudit.quantity import Quantity

Scratch: TypeAlias = Callable[[Graph, Node], Quantity]
Persistent: TypeAlias = Callable[[Graph], Quantity]


def unchanged(graph: Graph) -> Graph:
    """The graph as written."""
    return graph


class Runtime(msgspec.Struct, frozen=True):
    """A named set of rules, with the sources they were read in.

    `lower` makes the graph it executes, in its order. `sharing` says which tensors lie in the same bytes; `planner`
    names the one that assigns offsets ("best": the best plan found), in multiples of `align` bytes. `inputs` is False
    where the tensors fed stay in the caller's memory, outside the arena; `orders` is True where the nodes run in an
    order of the runtime's own, whatever that of the file. `scratch` are the bytes of workspace a node of the lowered
    graph needs while it runs, `persistent` those the runtime keeps for a lowered graph as long as it is loaded, as
    ranges where that is all that is known; None where nothing is known of them. `notes` are what a reader of its
    figures must know.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    lower: Callable[[Graph], Graph] = unchanged
    sharing: Sharing = APART
    planner: str = "best"
    align: int = 1
    inputs: bool = True
    orders: bool = False
    scratch: Scratch | None = None
    persistent: Persistent | None = None
    notes: tuple[str, ...] = ()

    def workspace(self, graph: Graph, node: Node) -> Quantity:
        """`scratch`, unbounded of a node that breaks the contract of its operator."""
        assert self.scratch is not None
        try:
            return self.scratch(graph, node)
        except INVALID:
            return Quantity(0, None, f"{node.label}: its inputs are not those of {node.op}")

    def kept(self, graph: Graph) -> Quantity | None:
        """`persistent`, unbounded where a node breaks the contract of its operator."""
        try:
            return None if self.persistent is None else self.persistent(graph)
        except INVALID:
            return Quantity(0, None, "a node does not have the inputs of its operator")
