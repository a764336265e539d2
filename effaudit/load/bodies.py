"""The bodies of one control-flow node while its shape rule runs: what was run, with which shapes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from effaudit.dataflow import reads
from effaudit.dims import Dim
from effaudit.elements import value_of
from effaudit.graph import UNKNOWN, Graph, Node, Value


class Scope(dict[str, Value]):
    """The tensors visible in a body: its own, and on demand those around it."""

    def __init__(self, outer: Mapping[str, Value] | None = None) -> None:
        super().__init__()
        self._outer = outer

    def __missing__(self, name: str) -> Value:
        if self._outer is None:
            raise KeyError(name)
        value = self[name] = self._outer[name]
        return value


Run = Callable[[Graph, Mapping[str, Value], Mapping[str, Value] | None], tuple[tuple[Node, ...], Scope]]


class NodeBodies:
    """The bodies of one node in the scope `outer`; `done` holds those that ran (or never will), by label. They get the
    `operators` of the graph around them."""

    def __init__(
        self, node: Node, outer: Scope, run: Run, operators: Mapping[tuple[str, str], Any] | None = None
    ) -> None:
        self._node = node
        self._outer = outer
        self._run = run
        self._operators = operators or {}
        self.done: dict[str, Graph] = {}

    def graph(self, attribute: str) -> Graph:
        return self._node.bodies[attribute]

    def run(self, attribute: str, inputs: Sequence[Value], label: str = "") -> tuple[Value, ...]:
        body = self.graph(attribute)
        nodes, values = self._run(body, self._bound(body, inputs), self._outer)
        outputs = tuple(values[name] for name in body.outputs)
        self.done[label or attribute] = msgspec.structs.replace(
            body, nodes=nodes, values=values, operators=self._operators
        )
        return outputs

    def probe(self, attribute: str, inputs: Sequence[Value], wanted: Sequence[str]) -> Mapping[str, Value]:
        body = self.graph(attribute)
        part = _slice(body, wanted)
        return self._run(part, self._bound(part, inputs), self._outer)[1]

    def skip(self, attribute: str, why: str) -> None:
        self.done[attribute] = msgspec.structs.replace(blank(self.graph(attribute), self._outer, why), times=(0, 0))

    def repeat(self, label: str, fewest: Dim | None, most: Dim | None) -> None:
        self.done[label] = msgspec.structs.replace(self.done[label], times=(fewest, most))

    def forget(self, label: str) -> None:
        self.done.pop(label, None)

    def fill(self, why: str) -> Mapping[str, Graph]:
        """What ran; where a rule ran nothing, every body with nothing known of it."""
        return self.done or {name: blank(body, self._outer, why) for name, body in self._node.bodies.items()}

    def _bound(self, body: Graph, inputs: Sequence[Value]) -> Mapping[str, Value]:
        if len(inputs) != len(body.inputs):
            raise ValueError(f"its body takes {len(body.inputs)} inputs, {len(inputs)} are given")
        if None in inputs:
            raise ValueError("an omitted input of its body")
        return dict(zip(body.inputs, inputs, strict=True))


def _slice(body: Graph, wanted: Sequence[str]) -> Graph:
    """The body with only the nodes that `wanted` depends on."""
    needed = set(wanted)
    kept = []
    for node in reversed(body.nodes):
        if not needed.isdisjoint(node.outputs):
            kept.append(node)
            needed.update(reads(node))
    return msgspec.structs.replace(body, nodes=tuple(reversed(kept)))


def blank(body: Graph, outer: Mapping[str, Value], why: str) -> Graph:
    """A body that was not run: nothing is known of what it makes."""
    values = Scope(outer)
    unknown = Value(UNKNOWN, None, why=why)
    values.update(dict.fromkeys((*body.inputs, *body.outputs), unknown))
    for name in body.captured:
        values[name] = outer[name]
    for name, constant in body.constants.items():
        values[name] = value_of(constant)
    nodes = []
    for node in body.nodes:
        values.update(dict.fromkeys(filter(None, node.outputs), unknown))
        inner = {name: blank(b, values, why) for name, b in node.bodies.items()}
        nodes.append(msgspec.structs.replace(node, bodies=inner) if inner else node)
    return msgspec.structs.replace(body, nodes=tuple(nodes), values=values)
