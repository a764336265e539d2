"""Graph -> CostTable: one row per node, under the counting convention `effaudit-macs/1`.

`macs` are multiply-accumulates of convolution, matrix products, attention and recurrent weights; `ops` every other
scalar operation. A node reads each distinct input once and writes each output once, unless its rule says otherwise. A
body counts as often as it runs: [fewest, most] times where that is not known; an If counts its [cheapest, dearest]
branch.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, Graph, Node, Value
from effaudit.ops._call import INVALID, arguments
from effaudit.ops._registry import Context, Cost, Rules, registered
from effaudit.ops.control import scan_trips, trip_count
from effaudit.quantity import Quantity, between

COUNTING = "effaudit-macs/1"
CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))
UNPRICED = "unpriced"


class Price(msgspec.Struct, frozen=True, gc=False):
    """What one execution costs: operations, and bytes moved."""

    macs: Dim
    ops: Dim
    reads: Dim
    writes: Dim

    def __add__(self, other: Price) -> Price:
        return Price(self.macs + other.macs, self.ops + other.ops, self.reads + other.reads, self.writes + other.writes)

    def times(self, n: Dim) -> Price:
        return Price(self.macs * n, self.ops * n, self.reads * n, self.writes * n)


FREE = Price(0, 0, 0, 0)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One node: between `low` and `high` (None: nothing bounds it), and why it is not priced, if it is not.

    `live` is False for a node that never runs: its costs are what it would cost, and no total counts them. `body` is
    the table of the bodies of a control-flow node or function call, per execution.
    """

    node: Node
    kind: str
    low: Price
    high: Price | None
    why: str = ""
    live: bool = True
    bodies: Mapping[str, CostTable] = {}

    def quantity(self, figure: str) -> Quantity:
        """ "macs", "ops", "reads" or "writes" of this row."""
        low = getattr(self.low, figure)
        if self.high is self.low and type(low) is int:
            return Quantity(low, low)
        return between(low, None if self.high is None else getattr(self.high, figure), self.why)


class CostTable(msgspec.Struct, frozen=True):
    """The rows of a graph, in execution order, and their sum over those that run: `low`..`high` (None: not bounded)."""

    rows: tuple[Row, ...]
    low: Price
    high: Price | None

    @property
    def unpriced(self) -> tuple[Row, ...]:
        """Rows that run and have no price."""
        return tuple(row for row in self.rows if row.why and row.live)

    @property
    def complete(self) -> bool:
        return not self.unpriced

    def total(self, figure: str) -> Quantity:
        """The total of "macs", "ops", "reads" or "writes" over the rows that run."""
        low, high = self.low, self.high
        why = next((f"{row.node.op} {row.node.label}: {row.why}" for row in self.unpriced), "") or next(
            (
                f"{r.node.op} {r.node.label} runs as the values fed decide"
                for r in self.rows
                if r.live and r.low is not r.high
            ),
            "",
        )
        return between(getattr(low, figure), None if high is None else getattr(high, figure), why)


def _table(rows: tuple[Row, ...]) -> CostTable:
    running = [row for row in rows if row.live]
    low = _sum(row.low for row in running)
    if all(row.high is row.low for row in running):
        return CostTable(rows, low, low)
    if any(row.high is None for row in running):
        return CostTable(rows, low, None)
    return CostTable(rows, low, _sum(row.high for row in running if row.high is not None))


def _sum(prices: Iterable[Price]) -> Price:
    rows = list(prices)
    return Price(
        dims.total(p.macs for p in rows),
        dims.total(p.ops for p in rows),
        dims.total(p.reads for p in rows),
        dims.total(p.writes for p in rows),
    )


def price(graph: Graph, known: Flow | None = None) -> CostTable:
    """The cost of every node of a graph with inferred shapes; `known` is its data flow, where the caller has it."""
    return _Pricer().table(graph, known)


class _Pricer:
    """Prices bodies once each: a function called twice with the same shapes is the same body object."""

    def __init__(self) -> None:
        self.rules: Mapping[tuple[str, str], Rules] = registered()
        self.tables: dict[int, CostTable] = {}

    def table(self, graph: Graph, known: Flow | None = None) -> CostTable:
        table = self.tables.get(id(graph))
        if table is None:
            live = (known or flow(graph)).live
            rows = tuple(
                self._row(node, graph, graph.values, alive) for node, alive in zip(graph.nodes, live, strict=True)
            )
            table = self.tables[id(graph)] = _table(rows)
        return table

    def _row(self, node: Node, graph: Graph, values: Mapping[str, Value], live: bool) -> Row:
        if node.bodies and ("function" in node.bodies or (node.op in CONTROL and not node.domain)):
            return self._with_bodies(node, values, live)
        rules = self.rules.get((node.domain, node.op))
        if rules is None or rules.cost is None or rules.cost_takes is None:
            return Row(node, UNPRICED, FREE, None, _no_rule(node, rules), live)
        inputs = [values[name] if name else None for name in node.inputs]
        for value in (*inputs, *[values[name] for name in node.outputs if name]):
            if value is not None and value.shape is None and not rules.view:
                if value.encoding is SEQUENCE:
                    break
                return Row(node, _fixed_kind(rules), FREE, None, value.why, live)
        try:
            kind, cost = _apply(rules, node, graph, inputs, values)
            low = _moved(cost, node, values)
        except Undecided as doubt:
            return Row(node, _fixed_kind(rules), FREE, None, f"its cost depends on {doubt}", live)
        except INVALID as error:
            return Row(node, _fixed_kind(rules), FREE, None, f"invalid {node.op}: {str(error)[:160]}", live)
        return Row(node, kind, low, low, "", live)

    def _with_bodies(self, node: Node, values: Mapping[str, Value], live: bool) -> Row:
        bodies = {name: self.table(body) for name, body in node.bodies.items()}
        inputs = [values[name] if name else None for name in node.inputs]
        broken = next(
            (values[name].why for name in node.outputs if name and values[name].why.startswith("invalid")), ""
        )
        if broken:
            return Row(node, "control", FREE, None, broken, live, bodies)
        if "function" in bodies:
            table = bodies["function"]
            return Row(node, "function", table.low, table.high, _why(bodies), live, bodies)
        if node.op == "If":
            lows, highs = [t.low for t in bodies.values()], [t.high for t in bodies.values()]
            high = None if None in highs else _extreme([h for h in highs if h is not None], dims.maximum)
            return Row(node, "control", _extreme(lows, dims.minimum), high, _why(bodies), live, bodies)
        (body_name, table), *_ = bodies.items()
        fewest, most = _trips(node, inputs, node.bodies[body_name])
        high = None if most is None or table.high is None else table.high.times(most)
        why = _why(bodies) or ("the number of iterations is not known" if most is None else "")
        return Row(node, "control", table.low.times(fewest or 0), high, why, live, bodies)


def _no_rule(node: Node, rules: Rules | None) -> str:
    if rules is not None and rules.unpriced:
        return rules.unpriced
    return f"no cost rule for {node.domain or 'ai.onnx'}::{node.op}"


def _fixed_kind(rules: Rules) -> str:
    return rules.kind if isinstance(rules.kind, str) else "other"


def _apply(
    rules: Rules, node: Node, graph: Graph, inputs: list[Value | None], values: Mapping[str, Value]
) -> tuple[str, Cost]:
    """The kind and cost of a node, from its rule."""
    takes = rules.cost_takes
    assert takes is not None and rules.cost is not None
    args, attrs = arguments(node, inputs, takes)
    extra: dict[str, Any] = dict(attrs)
    if takes.wants_out:
        first = next((name for name in node.outputs if name), None)
        if first is None:
            raise ValueError("it has no output")
        extra["out"] = values[first]
    if takes.wants_ctx:
        extra["ctx"] = Context(node, graph.opsets.get(node.domain, 1), _no_fresh, _no_body)
    if takes.wants_outs:
        extra["outs"] = tuple(values[name] if name else None for name in node.outputs)
    cost = rules.cost(*args, **extra)
    kind = rules.kind if isinstance(rules.kind, str) else rules.kind(*args, **attrs)
    return kind, cost


def _no_fresh(origin: str, low: int, high: Dim | None, reason: str) -> Expr:
    raise TypeError("a cost rule names no dims")


def _no_body(attribute: str, inputs: Sequence[Value]) -> tuple[Value, ...]:
    raise TypeError("a cost rule runs no body")


def _moved(cost: Cost, node: Node, values: Mapping[str, Value]) -> Price:
    """Each distinct input is read once, each output written once, unless the rule says otherwise."""
    read, written = cost.reads, cost.writes
    if read is None:
        read = 0
        for name in dict.fromkeys(node.inputs):
            if name:
                read = read + values[name].nbytes
    if written is None:
        written = 0
        for name in node.outputs:
            if name:
                written = written + values[name].nbytes
    return Price(cost.macs, cost.ops, read, written)


def _why(bodies: Mapping[str, CostTable]) -> str:
    for table in bodies.values():
        for row in table.unpriced:
            return f"{row.node.op} {row.node.label}: {row.why}"
    return ""


def _extreme(prices: list[Price], choose: Any) -> Price:
    return Price(
        choose(*(p.macs for p in prices)),
        choose(*(p.ops for p in prices)),
        choose(*(p.reads for p in prices)),
        choose(*(p.writes for p in prices)),
    )


def _trips(node: Node, inputs: list[Value | None], body: Graph) -> tuple[Dim | None, Dim | None]:
    """(fewest, most) runs of the body of a Loop, Scan or SequenceMap."""
    if node.op == "Loop":
        padded = [*inputs, None, None]
        return trip_count(padded[0], padded[1], body.values.get(body.outputs[0]) if body.outputs else None)
    if node.op == "Scan":
        present = [v for v in inputs if v is not None]
        trips = scan_trips(present, node.attrs.get("num_scan_inputs", 1), node.attrs.get("scan_input_axes"))
        return trips, trips
    first = inputs[0] if inputs else None
    items = first.content if first is not None and type(first.content) is tuple else None
    return (None, None) if items is None else (len(items), len(items))
