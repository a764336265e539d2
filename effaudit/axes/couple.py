"""Graph -> the axes of all its tensors, coupled: which of them are one, and which keep their lengths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from effaudit.axes._registry import find
from effaudit.axes.call import Call, Edit, Producer, Unsuited
from effaudit.axes.terms import OPEN, OPEN_LENGTH, Axes, Term, block
from effaudit.dataflow import Flow, flow
from effaudit.elements import value_of
from effaudit.graph import SEQUENCE, Graph, Node, Value
from effaudit.ops._call import INVALID

GRAPH_INPUT: Final = "it is an axis of the graph input {!r}"
GRAPH_OUTPUT: Final = "it is an axis of the graph output {!r}"


class Use(msgspec.Struct, frozen=True):
    """One place that reads a constant, with axes of its own where the constant is a vector: exporters store equal
    vectors once, whoever reads them."""

    node: int
    slot: int
    name: str
    axes: Axes


class Coupling(msgspec.Struct, frozen=True):
    """The axes of every tensor of a graph by name, the uses of its constants, what follows their lengths (`edits`) and
    the constants that make axes (`producers`)."""

    axes: Mapping[str, Axes]
    uses: tuple[Use, ...]
    edits: tuple[Edit, ...]
    producers: tuple[Producer, ...]


def couple(graph: Graph, symbolic: Graph, known: Flow | None = None) -> Coupling:
    """The axes of a graph with shapes; `symbolic` is the same with open dims as symbols (itself where none is open),
    from which the values of small tensors are taken: a number there holds whatever sizes are fed."""
    return _Walk(graph, symbolic, known or flow(graph)).run()


class _Walk:
    def __init__(self, graph: Graph, symbolic: Graph, known: Flow) -> None:
        self.graph = graph
        self.symbolic = symbolic
        self.varying = known.varying
        self.axes: dict[str, Axes | None] = {}
        self.uses: list[Use] = []
        self.edits: list[Edit] = []
        self.producers: list[Producer] = []
        held = {n: Value(c.encoding, c.shape) for n, c in graph.constants.items()}
        self.values: Mapping[str, Value] = {**held, **graph.values}
        self.constants = {*graph.constants, *(o for n in graph.nodes if _is_constant(n) for o in n.outputs)}
        self.known = {**{n: value_of(c) for n, c in graph.constants.items()}, **symbolic.values}

    def run(self) -> Coupling:
        for name in self.graph.inputs:
            self._fix(name, GRAPH_INPUT.format(name))
        for name in self.graph.outputs:
            self._fix(name, GRAPH_OUTPUT.format(name))
        for i, node in enumerate(self.graph.nodes):
            if not _is_constant(node):
                self._node(i, node)
        found = {name: axes for name, axes in self.axes.items() if axes is not None}
        return Coupling(found, tuple(self.uses), tuple(self.edits), tuple(self.producers))

    def _fix(self, name: str, why: str) -> None:
        for term in self._axes(name) or ():
            block(term, why)

    def _axes(self, name: str) -> Axes | None:
        """The axes of a tensor, made when first asked for; None where its rank is not known."""
        if name not in self.axes:
            self.axes[name] = self._fresh(name)
        return self.axes[name]

    def _fresh(self, name: str) -> Axes | None:
        value = self.values.get(name)
        if value is None or value.shape is None or value.encoding is SEQUENCE:
            return None
        return tuple(Term(d) if type(d) is int else Term(OPEN, blocked=OPEN_LENGTH) for d in value.shape)

    def _input(self, i: int, slot: int, name: str) -> Axes | None:
        if not name:
            return None
        shape = self.values[name].shape if name in self.values else None
        vector = name in self.constants and shape is not None and sum(d != 1 for d in shape) < 2
        if not vector:
            return self._axes(name)
        axes = self._fresh(name)
        if axes is not None:
            self.uses.append(Use(i, slot, name, axes))
        return axes

    def _node(self, i: int, node: Node) -> None:
        inputs = [self._input(i, slot, name) for slot, name in enumerate(node.inputs)]
        outputs = [self._axes(name) if name else None for name in node.outputs]
        call = Call(i, node, self.graph.opsets.get(node.domain, 1), (inputs, outputs), self.known, self.varying)
        rule = None if node.bodies else find(node.domain, node.op)
        domain = f"{node.domain}::" if node.domain else ""
        if (node.domain, node.op) in self.graph.operators:
            rule = None
        if rule is None:
            why = "its body may depend on it" if node.bodies else "the operator has no coupling rule"
            call.fix_all(f"{domain}{node.op} {node.label}: {why}")
            for body in node.bodies.values():
                for name in body.captured:
                    self._fix(name, f"{node.op} {node.label}: a body reads it")
            return
        try:
            rule(call)
        except Unsuited as error:
            call.fix_all(f"{domain}{node.op} {node.label}: {error}")
        except (*INVALID, RecursionError) as error:
            call.fix_all(f"{domain}{node.op} {node.label}: invalid: {error}")
        self.edits.extend(call.edits)
        self.producers.extend(call.producers)


def _is_constant(node: Node) -> bool:
    return node.op == "Constant" and not node.domain


def tensors(found: Coupling) -> Iterator[tuple[str, Axes]]:
    """Every tensor with its axes; a constant that several read once for each."""
    yield from found.axes.items()
    for use in found.uses:
        yield use.name, use.axes
