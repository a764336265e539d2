"""Figures of work: operations, bytes, and their ratio."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.explain.figures._registry import Derivation, figure
from effaudit.printable import printable
from effaudit.quantity import Quantity, add
from effaudit.report import ModelReport

SHOWN = 5


@figure("macs", "MACs", "multiply-accumulates", formula="sum of macs over the nodes that run", labels=("MACs",))
def macs(audited: Audited, report: ModelReport) -> Derivation:
    """Multiply-accumulates, one product and one sum each, of convolutions, matrix products, attention and recurrent
    weights. Norms, activations, softmax, pooling and biases are other operations and never mixed in."""
    return _summed(audited, "macs")


@figure("ops", "other operations", "operations", formula="sum of ops over the nodes that run", labels=("ops",))
def ops(audited: Audited, report: ModelReport) -> Derivation:
    """Every scalar operation that is no multiply-accumulate: biases, norms, activations, softmax, pooling, elementwise
    arithmetic, quantization, each with a documented number per element."""
    return _summed(audited, "ops")


@figure("flops", "FLOPs", "operations", formula="2 x macs + ops", labels=("FLOPs",))
def flops(audited: Audited, report: ModelReport) -> Derivation:
    """All scalar operations: a multiply-accumulate counts two, every other operation one."""
    t = report.totals
    if t.flops is None:
        return Derivation(None, (), t.flops_bounds, t.why)
    return Derivation(t.flops, (f"2 x {t.macs:,} + {t.ops:,} = {t.flops:,}",))


@figure(
    "read_bytes",
    "bytes read",
    "bytes",
    formula="sum over nodes of the bytes of their distinct inputs",
    labels=("read",),
)
def read_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """Bytes the nodes read when nothing is fused: each node reads each of its distinct inputs once, weights included; a
    look-up reads the rows it picks; views read nothing."""
    return _summed(audited, "reads")


@figure(
    "write_bytes", "bytes written", "bytes", formula="sum over nodes of the bytes of their outputs", labels=("written",)
)
def write_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """Bytes the nodes write when nothing is fused: each output once; views write nothing."""
    return _summed(audited, "writes")


@figure("moved_bytes", "bytes moved", "bytes", formula="read_bytes + write_bytes", labels=("moved", "bytes", "unfused"))
def moved_bytes(audited: Audited, report: ModelReport) -> Derivation:
    """Bytes read and written when nothing is fused and nothing stays in a cache between nodes: the traffic between the
    nodes and memory. Part of it is moved by nodes that compute nothing."""
    t = report.totals
    if t.read_bytes is None or t.write_bytes is None:
        return Derivation(None, (), add((_q(t.read_bounds), _q(t.write_bounds))).bounds, t.why)
    total = t.read_bytes + t.write_bytes
    return Derivation(total, (f"{t.read_bytes:,} read + {t.write_bytes:,} written = {total:,}",))


@figure(
    "intensity",
    "arithmetic intensity",
    "FLOP/B",
    formula="flops / (read_bytes + write_bytes)",
    labels=("FLOP/B", "per byte moved", "arithmetic intensity"),
)
def intensity(audited: Audited, report: ModelReport) -> Derivation:
    """Operations per byte moved between nodes and memory: weights, inputs and outputs of every node, unfused. Below a
    device's ridge point (peak operations / bandwidth) memory is the limit, above it the arithmetic."""
    t = report.totals
    if t.intensity is None:
        return Derivation(None, (), _known(t.intensity_bounds), t.why or "nothing moves")
    return Derivation(
        t.intensity, (f"{t.flops:,} / ({t.read_bytes:,} + {t.write_bytes:,}) = {t.intensity:,.4f} FLOP/B",)
    )


@figure(
    "weight_intensity",
    "intensity of the weights alone",
    "FLOP/B",
    formula="flops / weight_bytes",
    labels=("per byte of weights",),
)
def weight_intensity(audited: Audited, report: ModelReport) -> Derivation:
    """Operations per byte of weights: the intensity if activations never left the chip. Quoted figures often mean this
    one; it can be ten times the other."""
    t = report.totals
    if t.weight_intensity is None:
        return Derivation(None, (), _known(t.weight_intensity_bounds), t.why or "the model has no weights")
    return Derivation(t.weight_intensity, (f"{t.flops:,} / {t.weight_bytes:,} = {t.weight_intensity:,.4f} FLOP/B",))


def _known(bounds: list[float | None]) -> list[float | None] | None:
    """The bounds of a ratio; None where there is nothing to divide by."""
    return None if bounds[0] is None else bounds


def _q(bounds: list[int | None]) -> Quantity:
    return Quantity(bounds[0] or 0, bounds[1])


def _summed(audited: Audited, name: str) -> Derivation:
    """A total over rows: by kind, then the largest rows."""
    rows = [(row.quantity(name), i) for i, row in enumerate(audited.table.rows) if row.live]
    total = audited.table.total(name)
    kinds: dict[str, list[Quantity]] = {}
    for quantity, i in rows:
        if quantity.low or quantity.high is None:
            kinds.setdefault(audited.kind(i), []).append(quantity)
    sums = sorted(((add(found), kind, len(found)) for kind, found in kinds.items()), key=lambda s: (-s[0].low, s[1]))
    steps = [f"{shown(q):>20}  {kind}, {count:,} node{'s' if count > 1 else ''}" for q, kind, count in sums]
    steps.append(f"{'= ' + shown(total):>20}  in all")
    ranked = sorted(rows, key=lambda r: (-r[0].low, r[1]))[:SHOWN]
    top = [f"{shown(q):>20}  {printable(audited.table.rows[i].node.label, 50)}" for q, i in ranked if q.low]
    if top:
        steps += ["the largest:", *top]
    return Derivation(total.value, tuple(steps), None if total.value is not None else total.bounds, total.why or None)


def shown(quantity: Quantity) -> str:
    """A number, or its range."""
    if quantity.value is not None:
        return f"{quantity.value:,}"
    return f"{quantity.low:,}..{'' if quantity.high is None else f'{quantity.high:,}'}"
