"""A graph being rewritten: nodes replaced, removed and added, constants exchanged; in the end a graph as if read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import Constant, Graph, Node, Value
from effaudit.load.toposort import sort_nodes
from effaudit.whatif.constants import tensor


class Draft:
    """Collects the changes to a graph. Nodes are named by their index in the graph as read, which is that of the node
    with shapes as well (`audited.graph.nodes`). Nothing is changed but the draft."""

    def __init__(self, audited: Audited) -> None:
        self.raw = audited.raw
        self.values: Mapping[str, Value] = audited.graph.values
        self.constants: dict[str, Constant] = dict(audited.raw.constants)
        self.declared: dict[str, Value] = dict(audited.raw.declared)
        self.opsets: dict[str, int] = dict(audited.raw.opsets)
        self.makers: dict[str, Node] = {name: node for node in self.raw.nodes for name in node.outputs if name}
        self._nodes: list[tuple[Node, ...]] = [(node,) for node in self.raw.nodes]
        self._renamed: dict[str, str] = {}
        self._taken: set[str] = {*self.constants, *self.makers, *self.raw.inputs}
        self._unread = self._not_read(self.raw.nodes)

    def constant(self, name: str) -> Constant | None:
        """The constant behind a name: an initializer, or the tensor of a Constant node."""
        return self.constants.get(name) or tensor(self.raw, name, self.makers)

    def put(self, i: int, *nodes: Node) -> None:
        """These nodes stand where the node `i` stood; none: it is removed."""
        self._nodes[i] = nodes

    def more(self, *nodes: Node) -> None:
        """These nodes stand behind all others."""
        self._nodes.append(nodes)

    def at(self, i: int) -> tuple[Node, ...]:
        """What stands where the node `i` stood."""
        return self._nodes[i]

    def own(self, i: int) -> Node:
        """The node that now writes what the node `i` wrote."""
        return next(node for node in self._nodes[i] if node.outputs == self.raw.nodes[i].outputs)

    def instead(self, i: int, *nodes: Node) -> None:
        """These nodes stand for the node `i`, behind what else was put there."""
        others = (node for node in self._nodes[i] if node.outputs != self.raw.nodes[i].outputs)
        self._nodes[i] = (*others, *nodes)

    def exchange(self, name: str, constant: Constant) -> None:
        """Another tensor under the name of a constant, wherever that stands."""
        if name in self.constants:
            self.constants[name] = replace(constant, name=name, place="initializer")
            return
        i = next(i for i, node in enumerate(self.raw.nodes) if name in node.outputs)
        node = self.raw.nodes[i]
        held = replace(constant, name=name, place="node")
        self.put(i, replace(node, attrs={"value": held}))

    def add(self, like: str, constant: Constant) -> str:
        """A new initializer under a name of its own, which is returned."""
        name = self.fresh(like)
        self.constants[name] = replace(constant, name=name, place="initializer")
        return name

    def fresh(self, like: str) -> str:
        """A name that nothing has yet."""
        name, number = like, 1
        while name in self._taken:
            number += 1
            name = f"{like}_{number}"
        self._taken.add(name)
        return name

    def rename(self, old: str, new: str) -> None:
        """Every node that read `old` reads `new`. A graph output keeps its name, so it cannot be renamed here."""
        self._renamed[old] = new

    def graph(self, *history: str) -> Graph:
        """The rewritten graph, in topological order, without the constants that nothing reads any more."""
        nodes = [self._inputs(node) for several in self._nodes for node in several]
        nodes, constants = self._used(nodes)
        given = {*self.raw.inputs, *constants}
        ordered, _, captured = sort_nodes(nodes, given, (), self.raw.source.path)
        inputs = {*self.raw.inputs, *self.raw.outputs, *constants}
        return replace(
            self.raw,
            nodes=tuple(ordered),
            constants=constants,
            declared={name: value for name, value in self.declared.items() if name in inputs},
            stated=dict,
            opsets=self.opsets,
            captured=captured,
            history=(*self.raw.history, *history),
        )

    def _inputs(self, node: Node) -> Node:
        if not any(name in self._renamed for name in node.inputs):
            return node
        return replace(node, inputs=tuple(self._final(name) for name in node.inputs))

    def _final(self, name: str) -> str:
        seen = set()
        while name in self._renamed and name not in seen:
            seen.add(name)
            name = self._renamed[name]
        return name

    def _used(self, nodes: Sequence[Node]) -> tuple[list[Node], dict[str, Constant]]:
        """Without the constants, and Constant nodes, that were read before and are not now."""
        gone = self._not_read(nodes) - self._unread
        kept = [n for n in nodes if not (n.op == "Constant" and not n.domain and gone.issuperset(n.outputs))]
        return kept, {name: one for name, one in self.constants.items() if name not in gone}

    def _not_read(self, nodes: Iterable[Node]) -> set[str]:
        found = {name for node in nodes if node.op == "Constant" and not node.domain for name in node.outputs}
        found.update(self.constants)
        found.difference_update(self.raw.outputs)
        for node in nodes:
            found.difference_update(node.inputs)
            for body in node.bodies.values():
                found.difference_update(body.captured)
        return found
