"""All nodes of one operator in a model, with what is known of the operator."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.explain.lookup import DEFAULT_DOMAIN, Operator
from effaudit.explain.node import NodeExplanation, explain_node, surroundings
from effaudit.explain.operator import InputCard, OperatorCard, card
from effaudit.graph import Graph
from effaudit.ops._registry import Rules, rules_for
from effaudit.table import UNPRICED, Row

MAX_NODES: Final = 20  # that are explained
FUNCTION: Final = "function"


class Several(msgspec.Struct, frozen=True):
    """The nodes of one operator in a model: `total` of them, the first ones explained. `operators` has one card for
    each domain that has an operator of that name, `listed` the command that lists all nodes."""

    model: str
    operators: tuple[OperatorCard, ...]
    total: int
    nodes: tuple[NodeExplanation, ...]
    listed: str

    @staticmethod
    def of(audited: Audited, places: Sequence[int]) -> Several:
        """The nodes at these places."""
        rows = {(audited.table.rows[i].node.domain, audited.table.rows[i].kind == FUNCTION): i for i in places[::-1]}
        rules = rules_for(audited.graph)
        return Several(
            model=audited.name,
            operators=tuple(_card(audited.graph, audited.table.rows[i], rules) for i in sorted(rows.values())),
            total=len(places),
            nodes=explain_nodes(audited, places[:MAX_NODES]),
            listed=f"effaudit report {shlex.quote(audited.name)} --nodes",
        )


def nodes_of(graph: Graph, word: str) -> tuple[list[int], bool]:
    """The nodes of an operator, such as `Conv` or `com.microsoft::FusedMatMul`, in any case, and whether the word is
    its name in this very spelling; without a domain, those of any domain."""
    domain, colons, op = word.rpartition("::")
    stated = "" if domain == DEFAULT_DOMAIN else domain
    named = [i for i, node in enumerate(graph.nodes) if node.op.lower() == op.lower()]
    named = [i for i in named if not colons or graph.nodes[i].domain.lower() == stated.lower()]
    exact = [i for i in named if graph.nodes[i].op == op]
    return (exact, True) if exact else (named, False)


def explain_nodes(audited: Audited, places: Sequence[int]) -> tuple[NodeExplanation, ...]:
    """Everything about these nodes."""
    around = surroundings(audited.graph, audited.table, audited.weights, audited.kinds)
    return tuple(explain_node(around, i) for i in places)


def _card(graph: Graph, row: Row, rules: Mapping[tuple[str, str], Rules]) -> OperatorCard:
    """What is known of the operator of a node: by its rules, by the model's own function, or that nothing is."""
    key = (row.node.domain, row.node.op)
    if row.kind == FUNCTION:
        return _function(graph, row)
    if key in rules:
        return card(Operator(*key, rules[key]))
    return OperatorCard(
        name=row.node.op,
        domain=row.node.domain or DEFAULT_DOMAIN,
        kind=UNPRICED,
        inputs=(),
        attributes=(),
        cost="",
        unpriced=row.why or f"no cost rule for {row.node.op}",
        storage="its output needs bytes of its own",
        specification="",
        short_form={},
        examples=(),
    )


def _function(graph: Graph, row: Row) -> OperatorCard:
    """A function of the model: its body says what it costs."""
    function = next(f for (d, op, _), f in graph.functions.items() if (d, op) == (row.node.domain, row.node.op))
    return OperatorCard(
        name=function.name,
        domain=function.domain or DEFAULT_DOMAIN,
        kind=FUNCTION,
        inputs=tuple(InputCard(name, False) for name in function.inputs),
        attributes=(),
        cost=f"through its body of {len(function.nodes):,} nodes, a function of the model",
        unpriced=None,
        storage="its output needs bytes of its own",
        specification="",
        short_form={},
        examples=(),
        defined_in=graph.source.path,
    )
