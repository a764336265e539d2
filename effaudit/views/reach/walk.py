"""Walks a graph in order: what every tensor sees of the graph inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.errors import Undecided
from effaudit.graph import Graph, Node, nested
from effaudit.ops._call import INVALID
from effaudit.ops._registry import Rules
from effaudit.views.reach import mixing, reach, rearranging, sliding
from effaudit.views.reach.call import Call, Rule
from effaudit.views.reach.reach import Field
from effaudit.views.reach.steps import Budget

RULES: Final[Mapping[tuple[str, str], Rule]] = {**mixing.RULES, **rearranging.RULES, **sliding.RULES}
SLIDING: Final = frozenset((*sliding.RULES, ("", "DepthToSpace"), ("", "SpaceToDepth")))
BODY_WORK: Final = 8  # of the budget, per node of a body: bodies are walked at every call


class Seen(msgspec.Struct, frozen=True):
    """What one node's outputs see (by output place), and what is to be said of it."""

    fields: tuple[Field, ...]
    notes: tuple[str, ...] = ()


class Walk:
    """The state of one analysis: the budget, and the axes of graph inputs that an operator slides over.

    `rules` are those of the whole graph (`rules_for`): bodies have no operators of their own.
    """

    def __init__(self, rules: Mapping[tuple[str, str], Rules], nodes: int = 0) -> None:
        self.budget = Budget(nodes)
        self.slides: set[tuple[str, int]] = set()
        self.rules = rules

    def graph(self, graph: Graph, given: Mapping[str, Field]) -> tuple[list[Seen], dict[str, Field]]:
        """What every node sees, in order, and the fields of all tensors; `given` are those of its inputs."""
        fields = dict(given)
        seen = []
        for node in graph.nodes:
            found = self._node(node, graph, fields)
            seen.append(found)
            fields.update((name, f) for name, f in zip(node.outputs, found.fields, strict=True) if name and f)
        return seen, fields

    def _node(self, node: Node, graph: Graph, fields: Mapping[str, Field]) -> Seen:
        inputs = [fields.get(name) if name else None for name in node.inputs]
        if node.bodies:
            inputs.extend(fields.get(name) for body in node.bodies.values() for name in body.captured)
        if not any(inputs):
            return Seen(tuple({} for _ in node.outputs))
        opset = graph.opsets.get(node.domain, 1)
        call = Call(node, graph.values, opset, inputs, self.budget, self.slides)
        try:
            if node.bodies:
                return self._bodies(call, fields)
            rule = RULES.get((node.domain, node.op)) or mixing.by_kind(node.op, self.rules.get((node.domain, node.op)))
            if rule is None:
                raise Undecided("this view has no rule for it")
            made = tuple(rule(call, out) if name else {} for out, name in enumerate(node.outputs))
            return Seen(made, tuple(call.notes))
        except Undecided as doubt:
            return _lost(call, inputs, str(doubt))
        except INVALID as error:
            return _lost(call, inputs, f"invalid: {str(error)[:160]}")

    def _bodies(self, call: Call, fields: Mapping[str, Field]) -> Seen:
        """A function call, or an If: what either branch sees, and the condition everywhere."""
        node = call.node
        if "function" not in node.bodies and (node.op != "If" or node.domain):
            raise Undecided("what a loop carries from one run of its body to the next is not followed")
        results = []
        for body in node.bodies.values():
            if not body.runs:
                continue
            self.budget.spend(BODY_WORK * len(body.nodes))
            given = {name: fields[name] for name in body.captured if name in fields}
            if "function" in node.bodies:
                given.update((a, fields[b]) for a, b in zip(body.inputs, node.inputs, strict=False) if b in fields)
            _, inside = self.graph(body, given)
            results.append([inside.get(name, {}) for name in body.outputs])
        condition = [call.everything(0)] if "function" not in node.bodies else []
        made = tuple(
            call.joined([*condition, *(outputs[i] for outputs in results if i < len(outputs))], i) if name else {}
            for i, name in enumerate(node.outputs)
        )
        return Seen(made, tuple(call.notes))


def _lost(call: Call, inputs: Sequence[Field | None], why: str) -> Seen:
    """Outputs of which nothing is known but the inputs they may depend on."""
    names: dict[str, tuple[reach.Reach, ...]] = {}
    for field in inputs:
        for name, reaches in (field or {}).items():
            before = names.get(name, reaches)
            reason = call.because(why)
            names[name] = tuple(
                reach.Reach(a.extent, *reach.NOTHING, (), False, a.why or b.why or reason)
                for a, b in zip(before, reaches, strict=True)
            )
    return Seen(tuple(names for _ in call.node.outputs))


def slides(graph: Graph) -> bool:
    """Whether any operator of a graph, or of a body in it, slides over an axis."""
    return any((node.domain, node.op) in SLIDING for one in nested([graph]) for node in one.nodes)


def sources(graph: Graph) -> dict[str, Field]:
    """The fields of the graph inputs: each sees itself."""
    return {
        name: {name: reach.source(shape)} for name in _fed(graph) if (shape := graph.values[name].shape) is not None
    }


def _fed(graph: Graph) -> Iterable[str]:
    """The inputs that are fed; before IR 4 every constant is listed as an input too."""
    return (name for name in graph.inputs if name not in graph.constants)
