"""Report: everything a renderer may see of one model. `audit` is the whole pipeline."""

from __future__ import annotations

import heapq
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, overload

import msgspec

from effaudit import __version__, dims
from effaudit.assume import assumptions
from effaudit.dataflow import flow
from effaudit.dims import Dim
from effaudit.errors import Undecided, UsageError
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
    why: str | None
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
    given: dict[str, dict[str, Any]]
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


def audit(name: str | os.PathLike[str], given: Given = NOTHING_GIVEN) -> ModelReport:
    """Everything known of one model, under the sizes `given`.

    Open dims stay symbols in shapes and formulas; where a number is wanted they are assumed, and `dims` says so.
    Raises LoadError, LimitError, UsageError.
    """
    name = os.fspath(name)
    raw = read(name)
    symbolic = infer(raw, given)
    numeric = _numeric(raw, symbolic, given)
    known = flow(numeric)
    table = price(numeric, known)
    weights = classify(numeric, known)
    memory = analyse(numeric, known)
    formulas = None if numeric is symbolic else _formulas(symbolic, numeric, table, memory)
    kinds = attention_kinds(numeric, known)
    own, owners = weights.by_reader(), _owners(table)
    rows = table.rows

    def node(i: int) -> NodeReport:
        claims = _Claims(own, owners, i)
        return _node(rows[i], symbolic, claims, kinds.get(i))

    return ModelReport(
        path=name,
        producer=raw.source.producer,
        ir_version=raw.source.ir_version,
        opsets={domain or "ai.onnx": version for domain, version in raw.opsets.items()},
        file_bytes=raw.source.file_bytes,
        read_bytes=raw.source.read_bytes,
        given={"dims": dict(given.dims), "shapes": {name: list(shape) for name, shape in given.shapes.items()}},
        dims=_dims(numeric, symbolic),
        inputs=tuple(_type(n, symbolic.values[n]) for n in raw.inputs),
        outputs=tuple(_type(n, symbolic.values[n]) for n in raw.outputs),
        totals=_totals(table, weights),
        formulas=formulas,
        memory=_memory(memory, table),
        hot=_hot(table, _params(table, own, owners), kinds),
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
    flops = _sum_of(exact.get("macs"), exact.get("macs"), exact.get("ops"))
    numbers = add((table.total("macs"), table.total("macs"), table.total("ops")))
    found["flops"] = None if flops is None else _checked(flops, numbers, at)
    found["live_bytes"] = None if live is None else _checked(live, memory.live_bytes, at)
    return found


def _sum_of(*parts: Dim | None) -> Dim | None:
    """The sum of expressions, None where one is not known or they are too many to add up."""
    known = [part for part in parts if part is not None]
    try:
        return dims.total(known) if len(known) == len(parts) else None
    except Undecided:
        return None


_FIGURES: Final = {"macs": "macs", "ops": "ops", "reads": "read_bytes", "writes": "write_bytes"}


def _checked(formula: Dim, number: Quantity, at: dict[str, int]) -> str | None:
    if any(s.origin != "input" for s in dims.symbols(formula)):
        return None
    return dims.text(formula) if dims.evaluate(formula, at) == number.value else None


def _type(name: str, value: Value) -> TensorType:
    shape = None if value.shape is None else tuple(d if isinstance(d, int) else dims.text(d) for d in value.shape)
    return TensorType(name, value.encoding.dtype, shape)


def _owners(table: CostTable) -> dict[int, int]:
    """Reading node -> the row it first stands in: the nodes of a body stand in every row that runs it."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def visit(row: Row, place: int) -> None:
        found.setdefault(id(row.node), place)
        for inner in row.bodies.values():
            if id(inner) not in seen:
                seen.add(id(inner))
                for r in inner.rows:
                    visit(r, place)

    for i, row in enumerate(table.rows):
        visit(row, i)
    return found


def _params(table: CostTable, own: Own, owners: Mapping[int, int]) -> list[int]:
    """The parameters of each row, those of its bodies included; each tensor once."""
    params = [0] * len(table.rows)
    for reader, (count, _) in own.items():
        if reader in owners:
            params[owners[reader]] += count
    return params


def _hot(table: CostTable, params: list[int], kinds: dict[int, str]) -> tuple[Hot, ...]:
    """The top nodes by MACs and by parameters; ranges count with their lower bound."""
    macs = [row.quantity("macs").low for row in table.rows]
    found = []
    for figure, values in (("macs", macs), ("params", params)):
        ranked = [(value, -i) for i, value in enumerate(values) if table.rows[i].live]
        total = sum(value for value, _ in ranked)
        top = [(value, -i) for value, i in heapq.nlargest(TOP, ranked) if value]
        nodes = tuple(
            HotNode(table.rows[i].node.label, kinds.get(i, table.rows[i].kind), value, value / total)
            for value, i in top
        )
        found.append(Hot(figure, nodes))
    return tuple(found)


Own = Mapping[int, tuple[int, int]]


class _Claims:
    """Who shows a constant: the node that reads it, in the first row it stands in, once."""

    def __init__(self, own: Own, owners: Mapping[int, int], place: int) -> None:
        self._own = own
        self._owners = owners
        self._place = place
        self._shown: set[int] = set()

    def take(self, key: int) -> tuple[int, int]:
        """(params, weight bytes) of a reader."""
        if key in self._shown or self._owners.get(key) != self._place:
            return 0, 0
        self._shown.add(key)
        return self._own.get(key, (0, 0))

    def first(self, key: int) -> bool:
        """True the first time: a body that several nodes of a row share is spelled out once."""
        fresh = key not in self._shown
        self._shown.add(key)
        return fresh


def _node(row: Row, graph: Graph, claims: _Claims, kind: str | None) -> NodeReport:
    """One node, with those of its bodies."""
    node = row.node
    macs, ops = row.quantity("macs"), row.quantity("ops")
    read_, written_ = row.quantity("reads"), row.quantity("writes")
    read, written = read_.value, written_.value
    params, weight_bytes = claims.take(id(node))
    inner: list[NodeReport] = []
    for name, table in row.bodies.items():
        body = node.bodies[name]
        if claims.first(id(body)):
            kinds = attention_kinds(body, flow(body, (*body.inputs, *body.captured)))
            inner.extend(_node(r, body, claims, kinds.get(i)) for i, r in enumerate(table.rows))
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
        why=row.why or macs.why or ops.why or read_.why or written_.why or None,
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
        why=macs.why or ops.why or read.why or written.why or None,
    )


def _memory(memory: Liveness, table: CostTable) -> MemoryReport:
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
