"""What the stages found of one model: the single thing that every view of a report is computed from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from effaudit.assume import assumptions
from effaudit.dataflow import Flow, flow
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.kinds import attention_kinds
from effaudit.load import NOTHING_GIVEN, Given, infer, read
from effaudit.plan.liveness import Liveness, analyse
from effaudit.table import CostTable, price
from effaudit.weights import Weights, classify


class Audited(msgspec.Struct, frozen=True):
    """One model through every stage.

    `raw` is the file as written, `symbolic` has shapes with the open dims as symbols, `graph` has numbers: open dims
    are assumed (it is `symbolic` itself where none is open). `flow`, `table`, `weights`, `memory` and `kinds` (node
    index -> kind that one node alone cannot tell) are of `graph`; `formulas` are the prices of `symbolic`, None where
    it is `graph`.
    """

    name: str
    given: Given
    raw: Graph
    symbolic: Graph
    graph: Graph
    flow: Flow
    table: CostTable
    weights: Weights
    memory: Liveness
    kinds: Mapping[int, str]
    formulas: CostTable | None

    def kind(self, i: int) -> str:
        """The kind of a node."""
        return self.kinds.get(i) or self.table.rows[i].kind


def examine(
    name: str | os.PathLike[str],
    given: Given = NOTHING_GIVEN,
    operators: Mapping[tuple[str, str], Any] | None = None,
) -> Audited:
    """A model through every stage, under the sizes `given`; `operators` are definitions of `effaudit.operators.read`.

    Raises LoadError, LimitError, UsageError.
    """
    return examined(read(name, operators), given)


def examined(raw: Graph, given: Given = NOTHING_GIVEN) -> Audited:
    """A graph as it was read, through every stage. Raises UsageError."""
    symbolic = infer(raw, given)
    graph = _numeric(raw, symbolic, given)
    known = flow(graph)
    table = price(graph, known)
    return Audited(
        name=raw.source.path,
        given=given,
        raw=raw,
        symbolic=symbolic,
        graph=graph,
        flow=known,
        table=table,
        weights=classify(graph, known),
        memory=analyse(graph, known),
        kinds=attention_kinds(graph, known),
        formulas=None if graph is symbolic else price(symbolic),
    )


def _numeric(raw: Graph, symbolic: Graph, given: Given) -> Graph:
    """The graph with its open dims assumed: the first assumption under which every operator is valid."""
    best: tuple[int, Graph] | None = None
    for assumed in assumptions(symbolic):
        if not assumed:
            return symbolic
        try:
            graph = infer(raw, Given(given.dims, given.shapes, assumed))
        except UsageError:  # a dim that follows from these would be negative
            continue
        invalid = sum(value.invalid for value in graph.values.values())
        if best is None or invalid < best[0]:
            best = (invalid, graph)
        if not invalid:
            break
    return symbolic if best is None else best[1]
