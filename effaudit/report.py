"""Report: everything a renderer may see of one model. `audit` is the whole pipeline."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Final, overload

import msgspec

from effaudit import __version__, dims
from effaudit.assume import assumptions
from effaudit.dataflow import flow
from effaudit.dims import Dim
from effaudit.findings import Finding, findings
from effaudit.graph import Graph, Value
from effaudit.kinds import attention_kinds
from effaudit.load import NOTHING_GIVEN, Given, infer, read
from effaudit.plan.liveness import Liveness, analyse, live_formula
from effaudit.quantity import Quantity, add
from effaudit.table import COUNTING, CostTable, Row, price
from effaudit.weights import BUFFER, PARAM, QUANTIZATION, Weights, classify

SCHEMA: Final = "effaudit.report/1"
TOP: Final = 5


class TensorType(msgspec.Struct, frozen=True):
    """A tensor's name, element type and shape: ints, expressions as text, None for an unknown rank."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class NodeReport(msgspec.Struct, frozen=True):
    """One node's costs; None is unknown, `unpriced` then says why. `live` False: it never runs and is in no total."""

    name: str
    op: str
    domain: str
    kind: str
    outputs: tuple[TensorType, ...]
    params: int
    macs: int | None
    ops: int | None
    weight_bytes: int
    read_bytes: int | None
    write_bytes: int | None
    intensity: float | None
    unpriced: str | None
    live: bool = True
    macs_bounds: list[int | None] | None = None
    ops_bounds: list[int | None] | None = None
    nodes: tuple[NodeReport, ...] = ()


class Totals(msgspec.Struct, frozen=True):
    """Totals over the nodes that run."""

    nodes: int
    priced: int
    unpriced: int
    params: int
    params_stored: int
    buffers: int
    constant_elements: int
    weight_bytes: int
    weight_bytes_by: dict[str, int]
    macs: int | None
    macs_bounds: list[int | None]
    ops: int | None
    ops_bounds: list[int | None]
    flops: int | None
    flops_bounds: list[int | None]
    read_bytes: int | None
    read_bounds: list[int | None]
    write_bytes: int | None
    write_bounds: list[int | None]
    why: str | None


class LiveTensor(msgspec.Struct, frozen=True):
    name: str
    bytes: int


class MemoryReport(msgspec.Struct, frozen=True):
    """Memory figures in bytes, as `plan/liveness.py` defines them; None is unknown, `why` says why."""

    sum_bytes: int | None
    max_in_out_bytes: int | None
    live_bytes: int | None
    live_bounds: list[int | None]
    inplace_bytes: int | None
    body_live_bytes: int | None
    peak_node: str | None
    peak_step: int | None
    live_set: tuple[LiveTensor, ...]
    why: str | None


class DimReport(msgspec.Struct, frozen=True):
    value: int | None
    origin: str
    bounds: list[int | None]
    reason: str | None


class Hot(msgspec.Struct, frozen=True):
    """The nodes that hold most of one figure, largest first, with their share of the total."""

    figure: str
    nodes: tuple[HotNode, ...]


class HotNode(msgspec.Struct, frozen=True):
    name: str
    kind: str
    value: int
    share: float


class NodeReports(Sequence[NodeReport]):
    """The nodes of a model, made when they are looked at: a report of 200,000 nodes need not hold them all at once."""

    def __init__(self, make: Callable[[int], NodeReport], count: int) -> None:
        self._make = make
        self._count = count

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> NodeReport: ...
    @overload
    def __getitem__(self, index: slice) -> list[NodeReport]: ...
    def __getitem__(self, index: int | slice) -> NodeReport | list[NodeReport]:
        if isinstance(index, slice):
            return [self._make(i) for i in range(self._count)[index]]
        return self._make(range(self._count)[index])


class ModelReport(msgspec.Struct, frozen=True):
    """One audited model."""

    path: str
    producer: str
    ir_version: int
    opsets: dict[str, int]
    file_bytes: int
    read_bytes: int
    dims: dict[str, DimReport]
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    totals: Totals
    formulas: dict[str, str | None] | None
    memory: MemoryReport
    hot: tuple[Hot, ...]
    nodes: NodeReports
    unpriced: tuple[dict[str, str], ...]
    findings: tuple[Finding, ...]


class Report(msgspec.Struct, frozen=True):
    """The document of `effaudit report`."""

    schema: str
    version: str
    counting: str
    models: tuple[ModelReport, ...]


def report(models: list[ModelReport]) -> Report:
    return Report(SCHEMA, __version__, COUNTING, tuple(models))


def audit(name: str, given: Given = NOTHING_GIVEN) -> ModelReport:
    """Everything known of one model, under the sizes `given`.

    Open dims stay symbols in shapes and formulas; where a number is wanted they are assumed, and `dims` says so.
    Raises LoadError, LimitError, UsageError.
    """
    raw = read(name)
    symbolic = infer(raw, given)
    numeric = _numeric(raw, symbolic, given)
    known = flow(numeric)
    table = price(numeric, known)
    weights = classify(numeric, known)
    memory = analyse(numeric, known)
    formulas = None if numeric is symbolic else _formulas(symbolic, numeric, table, memory)
    kinds = attention_kinds(numeric, known)
    own = weights.by_reader()
    rows = table.rows

    def node(i: int) -> NodeReport:
        return _node(rows[i], symbolic, own, kinds.get(i))

    return ModelReport(
        path=name,
        producer=raw.source.producer,
        ir_version=raw.source.ir_version,
        opsets={domain or "ai.onnx": version for domain, version in raw.opsets.items()},
        file_bytes=raw.source.file_bytes,
        read_bytes=raw.source.read_bytes,
        dims=_dims(numeric, symbolic),
        inputs=tuple(_type(n, symbolic.values[n]) for n in raw.inputs),
        outputs=tuple(_type(n, symbolic.values[n]) for n in raw.outputs),
        totals=_totals(table, weights),
        formulas=formulas,
        memory=_memory(memory, numeric, table),
        hot=_hot(table, own, kinds),
        nodes=NodeReports(node, len(rows)),
        unpriced=tuple(
            {"node": r.node.label, "op": r.node.op, "domain": r.node.domain, "reason": r.why} for r in table.unpriced
        ),
        findings=findings(numeric, table, weights),
    )


def _numeric(raw: Graph, symbolic: Graph, given: Given) -> Graph:
    """The graph with its open dims assumed: the first assumption under which every operator is valid."""
    best: tuple[int, Graph] | None = None
    for assumed in assumptions(symbolic):
        if not assumed:
            return symbolic
        graph = infer(raw, Given(given.dims, given.shapes, assumed))
        invalid = sum(value.shape is None and value.why.startswith("invalid") for value in graph.values.values())
        if best is None or invalid < best[0]:
            best = (invalid, graph)
        if not invalid:
            break
    return symbolic if best is None else best[1]


def _formulas(symbolic: Graph, numeric: Graph, table: CostTable, memory: Liveness) -> dict[str, str | None]:
    """Totals as expressions of the open dims; None where they cannot be told or disagree with the numbers."""
    at = {name: info.value for name, info in numeric.dims.items() if info.value is not None}
    costs, live = price(symbolic), live_formula(symbolic)
    low, high = costs.low, costs.high
    exact = {figure: getattr(low, figure) for figure in _FIGURES if getattr(low, figure) == getattr(high, figure)}
    found = {
        name: _checked(exact[figure], table.total(figure), at) if figure in exact else None
        for figure, name in _FIGURES.items()
    }
    flops = 2 * exact["macs"] + exact["ops"] if {"macs", "ops"} <= exact.keys() else None
    numbers = add((table.total("macs"), table.total("macs"), table.total("ops")))
    found["flops"] = None if flops is None else _checked(flops, numbers, at)
    found["live_bytes"] = None if live is None else _checked(live, memory.live_bytes, at)
    return found


_FIGURES: Final = {"macs": "macs", "ops": "ops", "reads": "read_bytes", "writes": "write_bytes"}


def _checked(formula: Dim, number: Quantity, at: dict[str, int]) -> str | None:
    if any(s.origin != "input" for s in dims.symbols(formula)):
        return None
    return dims.text(formula) if dims.evaluate(formula, at) == number.value else None


def _type(name: str, value: Value) -> TensorType:
    shape = None if value.shape is None else tuple(d if isinstance(d, int) else dims.text(d) for d in value.shape)
    return TensorType(name, value.encoding.dtype, shape)


def _hot(table: CostTable, own: dict[int, tuple[int, int]], kinds: dict[int, str]) -> tuple[Hot, ...]:
    """The top nodes by MACs and by parameters; ranges count with their lower bound."""
    found = []
    seen: set[int] = set()
    for figure in ("macs", "params"):
        values = [
            (_params(row, own, seen) if figure == "params" else row.quantity("macs").low, -i)
            for i, row in enumerate(table.rows)
            if row.live
        ]
        total = sum(value for value, _ in values)
        top = [(value, -i) for value, i in heapq.nlargest(TOP, values) if value]
        nodes = tuple(
            HotNode(table.rows[i].node.label, kinds.get(i, table.rows[i].kind), value, value / total)
            for value, i in top
        )
        found.append(Hot(figure, nodes))
    return tuple(found)


def _params(row: Row, own: dict[int, tuple[int, int]], seen: set[int]) -> int:
    """The parameters a node holds, those of its bodies included; a body that several calls share counts at the
    first."""
    total = own.get(id(row.node), (0, 0))[0]
    for table in row.bodies.values():
        if id(table) not in seen:
            seen.add(id(table))
            total += sum(_params(inner, own, seen) for inner in table.rows)
    return total


def _node(
    row: Row, graph: Graph, own: dict[int, tuple[int, int]], kind: str | None, shown: set[int] | None = None
) -> NodeReport:
    """One node; a body that several calls share is spelled out at the first (`shown` remembers which)."""
    shown = set() if shown is None else shown
    node = row.node
    macs, ops = row.quantity("macs"), row.quantity("ops")
    read, written = row.quantity("reads").value, row.quantity("writes").value
    params, weight_bytes = own.get(id(node), (0, 0))
    inner: list[NodeReport] = []
    for name, table in row.bodies.items():
        body = node.bodies[name]
        if id(body) not in shown:
            shown.add(id(body))
            inner.extend(_node(r, body, own, None, shown) for r in table.rows)
    return NodeReport(
        name=node.name,
        op=node.op,
        domain=node.domain,
        kind=kind or row.kind,
        outputs=tuple(_type(n, graph.values[n]) for n in node.outputs if n),
        params=params + sum(n.params for n in inner),
        macs=macs.value,
        ops=ops.value,
        weight_bytes=weight_bytes + sum(n.weight_bytes for n in inner),
        read_bytes=read,
        write_bytes=written,
        intensity=_intensity(macs.value, ops.value, read, written),
        unpriced=row.why or None,
        live=row.live,
        macs_bounds=None if macs.value is not None else macs.bounds,
        ops_bounds=None if ops.value is not None else ops.bounds,
        nodes=tuple(inner),
    )


def _intensity(macs: int | None, ops: int | None, read: int | None, written: int | None) -> float | None:
    """FLOP per byte moved; None where either is unknown or nothing moves."""
    if macs is None or ops is None or read is None or written is None or not read + written:
        return None
    return round((2 * macs + ops) / (read + written), 4)


def _totals(table: CostTable, weights: Weights) -> Totals:
    macs, ops, read, written = (table.total(figure) for figure in ("macs", "ops", "reads", "writes"))
    flops = add((macs, macs, ops))
    running = [row for row in table.rows if row.live]
    by = {role: weights.bytes_of(role) for role in (PARAM, BUFFER, QUANTIZATION)}
    return Totals(
        nodes=len(table.rows),
        priced=len(running) - len(table.unpriced),
        unpriced=len(table.unpriced),
        params=weights.params,
        params_stored=weights.params_stored,
        buffers=weights.buffers,
        constant_elements=weights.constant_elements,
        weight_bytes=sum(by.values()),
        weight_bytes_by=by,
        macs=macs.value,
        macs_bounds=macs.bounds,
        ops=ops.value,
        ops_bounds=ops.bounds,
        flops=flops.value,
        flops_bounds=flops.bounds,
        read_bytes=read.value,
        read_bounds=read.bounds,
        write_bytes=written.value,
        write_bounds=written.bounds,
        why=(macs.why or ops.why or None),
    )


def _memory(memory: Liveness, graph: Graph, table: CostTable) -> MemoryReport:
    running = [row.node for row in table.rows if row.live]
    peak = memory.peak
    node = running[peak.step].label if peak is not None and running else None
    return MemoryReport(
        sum_bytes=memory.sum_bytes.value,
        max_in_out_bytes=memory.max_in_out_bytes.value,
        live_bytes=memory.live_bytes.value,
        live_bounds=memory.live_bytes.bounds,
        inplace_bytes=memory.inplace_bytes.value,
        body_live_bytes=memory.body_live_bytes.value,
        peak_node=node,
        peak_step=None if peak is None else peak.step,
        live_set=() if peak is None else tuple(LiveTensor(name, size) for name, size in peak.alive),
        why=memory.live_bytes.why or None,
    )


def _dims(numeric: Graph, symbolic: Graph) -> dict[str, DimReport]:
    infos = {**symbolic.dims, **{n: i for n, i in numeric.dims.items() if i.origin not in ("data", "unknown")}}
    return {
        name: DimReport(
            info.value,
            info.origin,
            [info.low, info.high] if info.value is None else [info.value] * 2,
            info.reason or None,
        )
        for name, info in infos.items()
    }
