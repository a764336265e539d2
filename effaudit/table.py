"""Graph -> CostTable: one row per node, under the counting convention `effaudit-macs/1`.

`macs` are multiply-accumulates of convolution, matrix products, attention and recurrent weights; `ops` every other
scalar operation. A node reads each distinct input once and writes each output once, unless its rule says otherwise. A
body counts as often as it runs: [fewest, most] times where that is not known; an If counts its [cheapest, dearest]
branch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, Graph, Node, Value
from effaudit.ops._call import INVALID, arguments
from effaudit.ops._registry import MAC_KINDS, Context, Cost, Rules, Unpriced, rules_for
from effaudit.printable import printable
from effaudit.quantity import TOO_LARGE, Quantity, between
from effaudit.units import MAX_FIGURE

NO_SIZE = "it moves strings, or elements of a type that is not known: these have no fixed size"
COUNTING = "effaudit-macs/1"
MAX_WHY = 600  # characters of a reason that comes from a body
CONTROL = frozenset(("If", "Loop", "Scan", "SequenceMap"))
UNPRICED = "unpriced"


class Price(msgspec.Struct, frozen=True, gc=False):
    """What one execution costs: operations, and bytes moved; None where nothing bounds a figure from above."""

    macs: Dim | None
    ops: Dim | None
    reads: Dim | None
    writes: Dim | None

    def times(self, n: Dim | None, side: int) -> Price:
        """The price of `n` executions (None: nothing bounds their number); `side` as in `_total`."""
        return Price(*(0 if v == 0 else None if v is None or n is None else _product(v, n, side) for v in self.figures))

    @property
    def figures(self) -> tuple[Dim | None, ...]:
        return self.macs, self.ops, self.reads, self.writes


FREE = Price(0, 0, 0, 0)
UNBOUNDED = Price(None, None, None, None)
UNBOUNDED_OPS = Price(0, None, None, None)


class Row(msgspec.Struct, frozen=True, gc=False):
    """One node: between `low` and `high`, and why it is not priced, if it is not.

    `live` is False for a node that never runs: its costs are what it would cost, and no total counts them. `bodies` are
    the tables of the bodies of a control-flow node or function call, per execution.
    """

    node: Node
    kind: str
    low: Price
    high: Price
    why: str = ""
    live: bool = True
    bodies: Mapping[str, CostTable] = {}

    @property
    def doubt(self) -> str:
        """Why a figure of this row is not exact."""
        if MAX_FIGURE in self.low.figures:
            return self.why or TOO_LARGE
        return self.why or ("the values fed decide what runs" if self.bodies else NO_SIZE)

    def quantity(self, figure: str) -> Quantity:
        """ "macs", "ops", "reads" or "writes" of this row."""
        low = getattr(self.low, figure)
        if self.high is self.low and type(low) is int:
            return Quantity(low, low)
        high = getattr(self.high, figure)
        return between(low, high, self.why or ("" if low == high else self.doubt))


class CostTable(msgspec.Struct, frozen=True):
    """The rows of a graph, in execution order, and their sum over those that run: `low`..`high`."""

    rows: tuple[Row, ...]
    low: Price
    high: Price

    @property
    def unpriced(self) -> tuple[Row, ...]:
        """Rows that run and have no price."""
        return tuple(row for row in self.rows if row.why and row.live)

    @property
    def complete(self) -> bool:
        return not self.unpriced

    def total(self, figure: str) -> Quantity:
        """The total of "macs", "ops", "reads" or "writes" over the rows that run."""
        low, high = getattr(self.low, figure), getattr(self.high, figure)
        why = "" if low == high else self._doubt(figure)
        return between(low, high, why)

    def _doubt(self, figure: str) -> str:
        """Why a total is not exact: the first row that is not."""
        for row in self.rows:
            if row.live and getattr(row.low, figure) != getattr(row.high, figure):
                return f"{row.node.op} {row.node.label}: {row.doubt}"
        return ""


def _table(rows: tuple[Row, ...]) -> CostTable:
    running = [row for row in rows if row.live]
    low = _sum([row.low for row in running], LEAST)
    exact = all(row.high is row.low for row in running)
    return CostTable(rows, low, low if exact else _sum([row.high for row in running], MOST))


LEAST, MOST = 0, 1  # the sides of `dims.bounds`


def _sum(prices: Sequence[Price], side: int) -> Price:
    if not prices:
        return FREE
    return Price(*(_total(list(column), side) for column in zip(*(p.figures for p in prices), strict=True)))


def _product(a: Dim, b: Dim, side: int) -> Dim | None:
    """The product; of expressions too large to multiply, the product of their bounds on one side."""
    try:
        return a * b
    except Undecided:
        left, right = _end(a, side), _end(b, side)
        return None if left is None or right is None else left * right


def _end(value: Dim, side: int) -> int | None:
    """A bound of a figure; none is below 0."""
    end = dims.bounds(value)[side]
    return max(end or 0, 0) if side == LEAST else end


def _total(values: list[Dim | None], side: int) -> Dim | None:
    """The sum; of expressions too many to add up, the sum of their bounds on one side."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None
    try:
        return dims.total(known)
    except Undecided:
        ends = [_end(value, side) for value in known]
        return None if None in ends else sum(end for end in ends if end is not None)


def price(graph: Graph, known: Flow | None = None) -> CostTable:
    """The cost of every node of a graph with inferred shapes; `known` is its data flow, where the caller has it."""
    return _Pricer(rules_for(graph)).table(graph, known)


class _Pricer:
    """Prices bodies once each: a function called twice with the same shapes is the same body object."""

    def __init__(self, rules: Mapping[tuple[str, str], Rules]) -> None:
        self.rules = rules
        self.tables: dict[int, CostTable] = {}

    def table(self, graph: Graph, known: Flow | None = None) -> CostTable:
        table = self.tables.get(id(graph))
        if table is None:
            known = known or flow(graph)
            steps = zip(graph.nodes, known.reads, known.live, strict=True)
            rows = tuple(self._row(node, graph, read, alive) for node, read, alive in steps)
            table = self.tables[id(graph)] = _table(rows)
        return table

    def _row(self, node: Node, graph: Graph, read: tuple[str, ...], live: bool) -> Row:
        values = graph.values
        if node.bodies and ("function" in node.bodies or (node.op in CONTROL and not node.domain)):
            return self._with_bodies(node, values, live)
        rules = self.rules.get((node.domain, node.op))
        if rules is None or rules.cost is None or rules.cost_takes is None:
            return Row(node, UNPRICED, FREE, _unbounded(rules), _no_rule(node, rules), live)
        inputs = [values[name] if name else None for name in node.inputs]
        unknown = _unknown(inputs, node, values)
        if unknown and not rules.view:
            return Row(node, _fixed_kind(rules), FREE, _unbounded(rules), unknown, live)
        try:
            kind, cost = _apply(rules, node, graph, inputs, values)
            low, high = _capped(*_moved(cost, node, read, values))
        except Undecided as doubt:
            return Row(node, _fixed_kind(rules), FREE, _unbounded(rules), f"its cost depends on {doubt}", live)
        except Unpriced as reason:
            return Row(node, _fixed_kind(rules), FREE, _unbounded(rules), str(reason)[:160], live)
        except (*INVALID, StopIteration) as error:
            return Row(
                node, _fixed_kind(rules), FREE, _unbounded(rules), f"invalid {node.op}: {str(error)[:160]}", live
            )
        return Row(node, kind, low, high, "", live)

    def _with_bodies(self, node: Node, values: Mapping[str, Value], live: bool) -> Row:
        tables = {name: self.table(body) for name, body in node.bodies.items()}
        broken = next((values[name].why for name in node.outputs if name and values[name].invalid), "")
        if broken:
            return Row(node, "control", FREE, UNBOUNDED, broken, live, tables)
        kind = "function" if "function" in tables else "control"
        running = [(tables[name], body.times) for name, body in node.bodies.items() if body.runs]
        if node.op == "If" and kind == "control":
            low = _extreme([table.low for table, _ in running], dims.minimum)
            high = _extreme([table.high for table, _ in running], dims.maximum)
        else:
            low = _sum(
                [table.low.times(0 if fewest is None else fewest, LEAST) for table, (fewest, _) in running], LEAST
            )
            high = _sum([table.high.times(most, MOST) for table, (_, most) in running], MOST)
        low, high = _capped(low, low if high == low else high)
        why = _why(tables)
        if None in high.figures and MAX_FIGURE not in low.figures:
            why = why or "the number of iterations is not known"
        return Row(node, kind, low, high, why, live, tables)


def _capped(low: Price, high: Price) -> tuple[Price, Price]:
    """The prices with every number past `MAX_FIGURE` as unknown, at least that."""
    if _fits(low) and (low is high or _fits(high)):
        return low, high
    least = [MAX_FIGURE if _is_too_large(v) else v for v in low.figures]
    most = [None if _is_too_large(v) else v for v in high.figures]
    return Price(*least), Price(*most)


def _fits(price: Price) -> bool:
    # `_is_too_large` written out: this runs for every node.
    for figure in (price.macs, price.ops, price.reads, price.writes):
        if type(figure) is int and figure > MAX_FIGURE:
            return False
    return True


def _is_too_large(figure: Dim | None) -> bool:
    return type(figure) is int and figure > MAX_FIGURE


def _no_rule(node: Node, rules: Rules | None) -> str:
    if rules is not None and rules.unpriced:
        return rules.unpriced
    return f"no cost rule for {node.domain or 'ai.onnx'}::{node.op}"


def _unbounded(rules: Rules | None) -> Price:
    """Nothing bounds an operator without a price; one that never multiplies and accumulates still has no MACs."""
    return (
        UNBOUNDED_OPS
        if rules is not None and rules.kind not in MAC_KINDS and isinstance(rules.kind, str)
        else UNBOUNDED
    )


def _unknown(inputs: list[Value | None], node: Node, values: Mapping[str, Value]) -> str:
    """Why the rank of a tensor that the node touches is not known, or ""; sequences have none."""
    for value in inputs:
        if value is not None and value.shape is None and value.encoding is not SEQUENCE:
            return value.why
    for name in node.outputs:
        if name:
            value = values[name]
            if value.shape is None and value.encoding is not SEQUENCE:
                return value.why
    return ""


def _fixed_kind(rules: Rules) -> str:
    return rules.kind if isinstance(rules.kind, str) else "other"


def _apply(
    rules: Rules, node: Node, graph: Graph, inputs: list[Value | None], values: Mapping[str, Value]
) -> tuple[str, Cost]:
    """The kind and cost of a node, from its rule."""
    takes = rules.cost_takes
    assert takes is not None and rules.cost is not None
    args, attrs = arguments(node, inputs, takes)
    kind = rules.kind if isinstance(rules.kind, str) else rules.kind(*args, **attrs)
    if takes.wants_out and not (takes.wants_ctx or takes.wants_outs):  # nearly all rules
        first = node.outputs[0] if node.outputs else ""
        return kind, rules.cost(*args, **attrs, out=values[first or next(name for name in node.outputs if name)])
    extra: dict[str, Any] = {}
    if takes.wants_out:
        extra["out"] = values[next(name for name in node.outputs if name)]
    if takes.wants_ctx:
        extra["ctx"] = Context(node, graph.opsets.get(node.domain, 1), _no_fresh, NO_BODIES)
    if takes.wants_outs:
        extra["outs"] = tuple(values[name] if name else None for name in node.outputs)
    return kind, rules.cost(*args, **attrs, **extra)


NO_BODIES: Any = None


def _no_fresh(origin: str, low: int, high: Dim | None, reason: str) -> Expr:
    raise TypeError("a cost rule names no dims")


def _moved(cost: Cost, node: Node, names: tuple[str, ...], values: Mapping[str, Value]) -> tuple[Price, Price]:
    """Each distinct input is read once, each output written once, unless the rule says otherwise.

    (least, most): nothing bounds the bytes of tensors without a fixed element size.
    """
    read, written, fixed = cost.reads, cost.writes, True
    if read is None:
        read = 0
        for name in names:
            value = values[name]
            read = read + value.nbytes
            fixed = fixed and value.encoding.bits > 0
    if written is None:
        written = 0
        for name in node.outputs:
            if name:
                value = values[name]
                written = written + value.nbytes
                fixed = fixed and value.encoding.bits > 0
    price = Price(cost.macs, cost.ops, read, written)
    return price, price if fixed else Price(cost.macs, cost.ops, None, None)


def _why(bodies: Mapping[str, CostTable]) -> str:
    for table in bodies.values():
        for row in table.unpriced:
            return printable(f"{row.node.op} {row.node.label}: {row.why}", MAX_WHY)  # told again at every level
    return ""


def _extreme(prices: list[Price], choose: Callable[..., Dim]) -> Price:
    columns = zip(*(p.figures for p in prices), strict=True)
    return Price(*(None if None in column else choose(*column) for column in columns))
