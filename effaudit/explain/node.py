"""A node of a model explained: what it reads and writes, its weights, its costs and how they come about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from effaudit.dims import Dim
from effaudit.explain.derivation import (
    Count,
    Step,
    as_count,
    as_shape,
    as_text,
    attribute_text,
    derivation,
    exact,
    flops_of,
    flops_step,
    intensity_of,
    moved_steps,
)
from effaudit.explain.find import find_node
from effaudit.explain.takes import names_of
from effaudit.graph import Constant, Graph, Node, Value, nested
from effaudit.kinds import SCORES, VALUES
from effaudit.ops._registry import Rules, rules_for
from effaudit.report import size
from effaudit.table import UNPRICED, CostTable, Row
from effaudit.views.extents import nbytes
from effaudit.weights import BUFFER, PARAM, QUANTIZATION, Tensor, Weights

__all__ = ["NodeExplanation", "Surroundings", "explain_node", "find_node", "surroundings"]

_FIGURES: Final = {"macs": "macs", "ops": "ops", "reads": "read_bytes", "writes": "write_bytes"}
MAX_TENSORS: Final = 200  # inputs or outputs that are spelled out


class Operand(msgspec.Struct, frozen=True):
    """An input or output: its name in the operator's schema ("" where it has none), its name, type, shape and bytes,
    and where it comes from ("model input", "constant", "output of NODE", "outer graph") or goes ("model output")."""

    role: str
    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    bytes: Count
    source: str


class WeightReport(msgspec.Struct, frozen=True):
    """A weight the node reads: its role (param, buffer or quantization), its logical elements, and the node that counts
    it where that is another ("" where it is this one)."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    role: str
    elements: int
    bytes: int
    counted_at: str


class BodyReport(msgspec.Struct, frozen=True):
    """A body of a control-flow node: how often it runs (None: nothing bounds it), and its cost per run."""

    name: str
    nodes: int
    times: tuple[Count, Count]
    macs: Count
    ops: Count
    why: str


class NodeExplanation(msgspec.Struct, frozen=True):
    """One node. Counts are numbers, or formulas of the open dims as text; None is not exact: `bounds` then holds the
    range by figure, and `why` (`unpriced` where there is no price at all) the reason. `times` multiplies a body."""

    index: int
    nodes: int
    name: str
    op: str
    domain: str
    kind: str
    kind_why: str
    live: bool
    inputs: tuple[Operand, ...]
    outputs: tuple[Operand, ...]
    attributes: Mapping[str, str]
    weights: tuple[WeightReport, ...]
    params: int
    weight_bytes: int
    macs: Count
    ops: Count
    flops: Count
    read_bytes: Count
    write_bytes: Count
    bounds: Mapping[str, tuple[int, int | None]]
    intensity: float | None
    derivation: tuple[Step, ...]
    bodies: tuple[BodyReport, ...]
    unpriced: str | None
    why: str | None
    advice: str | None


class Surroundings(msgspec.Struct, frozen=True):
    """What explaining any node of a graph needs: the graph with inferred shapes, its table of costs, its weights, the
    kinds that one node alone cannot tell, the rules, the node that makes each tensor, and (params, weight bytes) by the
    identity of the node that counts them."""

    graph: Graph
    table: CostTable
    weights: Weights
    kinds: Mapping[int, str]
    rules: Mapping[tuple[str, str], Rules]
    makers: Mapping[str, Node]
    held: Mapping[int, tuple[int, int]]


def surroundings(graph: Graph, table: CostTable, weights: Weights, kinds: Mapping[int, str]) -> Surroundings:
    """What the nodes of a graph have in common, found once for all of them; `kinds` as `effaudit.kinds` gives them."""
    makers = {name: node for node in graph.nodes for name in node.outputs if name}
    return Surroundings(graph, table, weights, kinds, rules_for(graph), makers, weights.by_reader())


def explain_node(around: Surroundings, index: int) -> NodeExplanation:
    """Everything about node `index` of a graph."""
    graph, row = around.graph, around.table.rows[index]
    node = row.node
    rule = around.rules.get((node.domain, node.op))
    kind = around.kinds.get(index, row.kind)
    costs = _costs(row)
    params, weight_bytes = _held_by(node, around.held)
    return NodeExplanation(
        index=index,
        nodes=len(graph.nodes),
        name=node.label,
        op=node.op,
        domain=node.domain or "ai.onnx",
        kind=kind,
        kind_why=_kind_why(kind, node, graph.values),
        live=row.live,
        inputs=_inputs(node, around, rule),
        outputs=_outputs(node, graph),
        attributes={name: attribute_text(value) for name, value in node.attrs.items() if not name.startswith("__")},
        weights=_weights(node, graph, around.weights),
        params=params,
        weight_bytes=weight_bytes,
        macs=as_count(costs.macs),
        ops=as_count(costs.ops),
        flops=as_count(costs.flops),
        read_bytes=as_count(costs.read_bytes),
        write_bytes=as_count(costs.write_bytes),
        bounds=costs.bounds,
        intensity=intensity_of(costs.flops, costs.read_bytes, costs.write_bytes),
        derivation=_steps(node, graph, rule, row, costs),
        bodies=_bodies(node, row),
        unpriced=row.why or None,
        why=costs.why or None,
        advice=_advice(row, costs.why),
    )


class _Costs(msgspec.Struct, frozen=True):
    """The figures of a row where they are exact, else None; the ranges of those that are not, and why they are not."""

    macs: Dim | None
    ops: Dim | None
    read_bytes: Dim | None
    write_bytes: Dim | None
    bounds: Mapping[str, tuple[int, int | None]]
    why: str

    @property
    def flops(self) -> Dim | None:
        return flops_of(self.macs, self.ops)


def _costs(row: Row) -> _Costs:
    found = {name: None if row.why else exact(row, figure) for figure, name in _FIGURES.items()}
    ranges = {name: row.quantity(figure) for figure, name in _FIGURES.items() if found[name] is None}
    bounds = {name: (quantity.low, quantity.high) for name, quantity in ranges.items()}
    why = row.why or next((quantity.why for quantity in ranges.values() if quantity.why), "")
    return _Costs(**found, bounds=bounds, why=why)


def _steps(node: Node, graph: Graph, rule: Rules | None, row: Row, costs: _Costs) -> tuple[Step, ...]:
    if row.why:
        return ()
    flops = flops_step(costs.macs, costs.ops)
    if row.bodies:
        return (*_body_steps(node, row), *flops)
    if rule is None:
        return flops
    return (*derivation(node, graph.values, rule, row), *flops, *moved_steps(node, graph.values, rule, row))


def _body_steps(node: Node, row: Row) -> tuple[Step, ...]:
    """Times the body: how often each body runs, times what one run of it costs."""
    branches = node.op == "If" and row.kind == "control"
    steps = []
    for figure, name in _FIGURES.items():
        count = exact(row, figure)
        running = list(_running(node, row))
        each = [(body.times, cost) for body, table in running if (cost := exact(table, figure)) is not None]
        if count is None or len(each) < len(running):
            continue
        if branches:
            formula, put = "between the cheapest and the dearest branch", ""
        else:
            formula = " + ".join(f"runs of {key} x its {figure}" for key, body in node.bodies.items() if body.runs)
            fixed = all(times[0] is not None and times[0] == times[1] for times, _ in each)
            pieces = [f"{_factor(times[0])} x {_factor(cost)}" for times, cost in each if times[0] is not None]
            put = " + ".join(pieces) if fixed else ""
        steps.append(Step(name, formula or "no body runs", put, as_count(count)))
    return tuple(steps)


def _running(node: Node, row: Row) -> Iterator[tuple[Graph, CostTable]]:
    for name, table in row.bodies.items():
        if node.bodies[name].runs:
            yield node.bodies[name], table


def _factor(value: Dim) -> str:
    return str(value) if isinstance(value, int) else f"({value})"


def _bodies(node: Node, row: Row) -> tuple[BodyReport, ...]:
    found = []
    for name, table in row.bodies.items():
        fewest, most = node.bodies[name].times
        macs, ops = table.total("macs"), table.total("ops")
        costs = [as_count(exact(table, figure)) for figure in ("macs", "ops")]
        found.append(
            BodyReport(
                name=name,
                nodes=len(table.rows),
                times=(as_count(fewest), as_count(most)),
                macs=costs[0],
                ops=costs[1],
                why=(macs.why or ops.why) if None in costs else "",
            )
        )
    return tuple(found)


def _inputs(node: Node, around: Surroundings, rule: Rules | None) -> tuple[Operand, ...]:
    names = names_of(rule).inputs if rule is not None else ()
    values, shown = around.graph.values, set(node.inputs[:MAX_TENSORS])
    found = []
    for i, name in enumerate(node.inputs[:MAX_TENSORS]):
        if name:
            role = names[i] if i < len(names) else ""
            found.append(_operand(role, name, values[name], _source(name, around)))
    for body in node.bodies.values():
        for name in body.captured[:MAX_TENSORS]:
            if name not in shown and name in values:
                shown.add(name)
                found.append(_operand("captured", name, values[name], _source(name, around)))
    return tuple(found)


def _source(name: str, around: Surroundings) -> str:
    if name in around.graph.inputs:
        return "model input"
    if name in around.graph.constants:
        return "constant"
    maker = around.makers.get(name)
    return f"output of {maker.label}" if maker is not None else "outer graph"


def _outputs(node: Node, graph: Graph) -> tuple[Operand, ...]:
    made = [name for name in node.outputs if name][:MAX_TENSORS]
    ends = set(graph.outputs)
    return tuple(_operand("", name, graph.values[name], "model output" if name in ends else "") for name in made)


def _operand(role: str, name: str, value: Value, source: str) -> Operand:
    return Operand(role, name, value.encoding.dtype, as_shape(value.shape), as_count(nbytes(value)), source)


def _inner(node: Node) -> Iterator[Node]:
    """The node and those of its bodies, however deep; a body that occurs twice once."""
    yield node
    for body in nested(node.bodies.values()):
        yield from body.nodes


def _held_by(node: Node, own: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """(params, weight bytes) that this node and its bodies are the first to read."""
    seen: set[int] = set()
    params = size = 0
    for one in _inner(node):
        if id(one) not in seen:
            seen.add(id(one))
            count, held = own.get(id(one), (0, 0))
            params, size = params + count, size + held
    return params, size


def _weights(node: Node, graph: Graph, weights: Weights) -> tuple[WeightReport, ...]:
    """The weights the node reads itself, and those it counts that reach it through other nodes or its bodies."""
    direct = {id(graph.constants[name]) for name in node.inputs if name in graph.constants}
    inner = {id(one) for one in _inner(node)}
    found = []
    for tensor in weights.of(PARAM, BUFFER, QUANTIZATION):
        reader = tensor.reader
        mine = reader is not None and id(reader) in inner
        if mine or id(tensor.constant) in direct:
            found.append(_weight(tensor, "" if mine or reader is None or reader is node else reader.label))
    return tuple(found)


def _weight(tensor: Tensor, counted_at: str) -> WeightReport:
    c: Constant = tensor.constant
    return WeightReport(c.name, c.encoding.dtype, c.shape, tensor.role, tensor.logical, c.nbytes, counted_at)


_KINDS: Final = {
    "transposed": "every input element meets every weight of its group",
    "gemm": "a matrix product",
    "recurrent": "the same weights at every step",
    "attention": "scaled dot product attention in one operator",
    SCORES: "a product of two activations that a softmax follows: query x key",
    VALUES: "a product of two activations that a softmax feeds: probabilities x value",
    "elementwise": "one result per element, no weights",
    "activation": "one result per element, no weights",
    "movement": "elements are moved or viewed, nothing is computed",
    "shape": "reads the shape of its input, none of its elements",
    "constant": "its output is known before the model runs",
    "control": "its costs are those of its bodies",
    "function": "a call of a function of the model: its costs are those of the body",
    UNPRICED: "no rule says what it costs",
}


def _kind_why(kind: str, node: Node, values: Mapping[str, Value]) -> str:
    """Why a node is of its kind, with the sizes that decide it."""
    words = _KINDS.get(kind)
    if words is not None:
        return words
    if kind not in ("conv", "grouped", "depthwise", "pointwise"):
        return ""
    group = node.attrs.get("group", 1)
    place = 3 if node.op == "QLinearConv" else 1
    weights = values.get(node.inputs[place]) if len(node.inputs) > place else None
    shape = weights.shape if weights is not None and weights.shape is not None else ()
    kernel = size(as_shape(shape[2:])) if len(shape) > 2 else "?"
    if kind == "depthwise":
        return f"group = {group} = input channels: one channel per group"
    if kind == "grouped":
        share = as_text(shape[1]) if len(shape) > 1 else "?"
        return f"group = {group}: every filter sees {share} of the input channels"
    if kind == "pointwise":
        return f"kernel {kernel}, one group: a matrix product at every position"
    return f"kernel {kernel}, one group: every filter sees all input channels"


def _advice(row: Row, why: str) -> str | None:
    """What to do about a figure that is not exact."""
    if row.why.startswith("invalid"):
        return (
            "the operator refuses its inputs: check the model (onnx.checker), or the sizes given by --dim and --shape"
        )
    if row.why.startswith(("no cost rule", "no shape rule")):
        return "its cost is in no total, which are lower bounds; count it by hand, or state its formula as a rule"
    if row.why:
        return "its cost is in no total, which are lower bounds"
    if not why:
        return None
    if "is not given" in why or "leaves it open" in why:
        return "give the open dims: --dim NAME=N"
    if row.bodies:
        return "the totals hold the range: the fewest and the most runs, or the cheapest and the dearest branch"
    return None
