"""What a reader of a report should know beside its numbers, and what to do about it."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.elements import MAX_ELEMENTS
from effaudit.graph import INTEGERS, Constant
from effaudit.load.external import REMOTE
from effaudit.quantity import add
from effaudit.weights import PARAM, UNUSED

MAX_EXAMPLES: Final = 5


class Finding(msgspec.Struct, frozen=True):
    """One observation: a stable `rule`, how many things it concerns, a sentence, what to do, and examples."""

    rule: str
    count: int
    message: str
    remedy: str
    where: tuple[str, ...] = ()


def findings(audited: Audited) -> tuple[Finding, ...]:
    """All findings of a model, in a fixed order."""
    return tuple(found for make in _MAKERS.values() if (found := make(audited)) is not None)


def examples(names: Iterable[str]) -> tuple[str, ...]:
    """The first of the names, for `where`."""
    return tuple(islice(names, MAX_EXAMPLES))


def _assumed(audited: Audited) -> Finding | None:
    """The file leaves dims open, and nobody gave them: where a table needs a number, a size was assumed. Formulas hold
    for any size that the model takes; numbers hold for the assumed one."""
    names = [f"{name}={info.value}" for name, info in audited.graph.dims.items() if info.origin == "assumed"]
    if not names:
        return None
    message = f"the file leaves {len(names)} dim(s) open; the numbers assume {', '.join(names[:6])}"
    root = next((row.why for row in audited.table.unpriced if row.why.startswith("invalid")), "")
    options = " ".join(f"--dim {shlex.quote(name)}" for name in names)
    if root:
        message += f"; under these sizes the model is not valid ({root})"
        options = " ".join(f"--dim {shlex.quote(name.rpartition('=')[0])}=N" for name in names)
    return Finding("dims-assumed", len(names), message, f"give the real ones: {options}", examples(names))


def _unpriced(audited: Audited) -> Finding | None:
    """Operators without a cost rule, or whose cost their shapes do not tell. They count nothing, so totals are lower
    bounds."""
    rows = audited.table.unpriced
    if not rows:
        return None
    return Finding(
        "unpriced",
        len(rows),
        f"{len(rows)} node(s) have no price; totals are lower bounds ({rows[0].node.op}: {rows[0].why})",
        _price(rows[0].why, audited),
        examples([row.node.label for row in rows]),
    )


OLDEST: Final = 7  # the first opset whose operators broadcast without an attribute


def _price(why: str, audited: Audited) -> str:
    """What gives a node a price, by the reason that it has none."""
    if why.startswith("no "):
        return "state their formulas with --operators FILE; -f json lists them under `unpriced`"
    if audited.raw.opsets.get("", OLDEST) < OLDEST:
        return f"opsets before {OLDEST} are not understood in full: convert the model with onnx.version_converter"
    if _shapes_missing(audited):
        return "put the weight file beside the model: shapes depend on it"
    if why.startswith("invalid"):
        return "the sizes do not fit: give others with --dim or --shape, or mend the model"
    return "effaudit explain MODEL NODE says more; -f json lists them under `unpriced`"


def _shapes_missing(audited: Audited) -> list[Constant]:
    """Constants without data that shapes may depend on: small and whole numbers."""
    tensors = (t.constant for t in audited.weights.tensors)
    return [c for c in tensors if c.missing and c.numel <= MAX_ELEMENTS and c.encoding.dtype in INTEGERS]


def _dead(audited: Audited) -> Finding | None:
    """Nodes on which no output of the graph depends. A runtime removes them; they are listed with what they would cost
    and are in no total."""
    rows = [row for row in audited.table.rows if not row.live]
    if not rows:
        return None
    return Finding(
        "dead-nodes",
        len(rows),
        f"{len(rows)} node(s) feed no output and never run; they are in no total",
        "remove them from the file",
        examples([row.node.label for row in rows]),
    )


def _unused(audited: Audited) -> Finding | None:
    """Constants that nothing reads, or only nodes that never run: bytes of the file that no run needs."""
    tensors = [t.constant for t in audited.weights.of(UNUSED)]
    if not tensors:
        return None
    size = sum(c.nbytes for c in tensors)
    return Finding(
        "unused-constants",
        len(tensors),
        f"{len(tensors)} constant(s) of {size:,} bytes are read by nothing that runs",
        "remove them from the file",
        examples([c.name for c in tensors]),
    )


def _constant_nodes(audited: Audited) -> Finding | None:
    """Weights written as Constant nodes instead of initializers. They count here like any weight; tools that read the
    initializers only miss them."""
    tensors = [t.constant for t in audited.weights.of(PARAM) if t.constant.place == "node"]
    if not tensors:
        return None
    return Finding(
        "weights-in-constant-nodes",
        len(tensors),
        f"{len(tensors)} weight(s) are Constant nodes, not initializers; tools that read initializers miss them",
        "turn them into initializers",
        examples([c.name for c in tensors]),
    )


def _input_independent(audited: Audited) -> Finding | None:
    """Nodes that run but depend on no input: what they make could be computed once and stored. Their work is in the
    totals, as the file asks for it; their results are no activations."""
    rows = [
        row
        for row, read in zip(audited.table.rows, audited.flow.reads, strict=True)
        if row.live and read and audited.flow.varying.isdisjoint(row.node.outputs) and row.low.ops != 0
    ]
    if not rows:
        return None
    cost = add(row.quantity("ops") for row in rows)
    held = sum(row.node.op == "DequantizeLinear" for row in rows)
    least = "" if cost.value is not None else "at least "
    message = f"{len(rows)} node(s) depend on no input; they cost {least}{cost.low:,} ops in every run"
    message += f" ({held} of them dequantize weights)" if held else ""
    fold = "fold constants, for instance with ONNX Runtime's basic optimizations"
    return Finding(
        "input-independent",
        len(rows),
        message,
        fold
        if held < len(rows)
        else "not needed where the runtime has integer kernels, which take the weights as they are",
        examples([row.node.label for row in rows]),
    )


def _missing(audited: Audited) -> Finding | None:
    """Tensors whose data is not there, such as a weight file that lies elsewhere. The structure needs none of them,
    unless a shape is among them; questions about values do."""
    absent = (t.constant for t in audited.weights.tensors if t.constant.missing not in ("", REMOTE))
    tensors = [constant for constant in absent if constant.place != "sparse"]
    if not tensors:
        return None
    shapes = _shapes_missing(audited)
    return Finding(
        "missing-weights",
        len(tensors),
        f"the data of {len(tensors)} tensor(s) cannot be read: {tensors[0].missing}",
        f"put the weight file beside the model: {'shapes depend on it' if shapes else '--weights needs it'}",
        examples([c.name for c in tensors]),
    )


def _unsorted(audited: Audited) -> Finding | None:
    """Nodes that stand before the nodes they read from. ONNX requires topological order; they were sorted, which
    settles what is alive when."""
    if audited.graph.source.sorted:
        return None
    return Finding(
        "unsorted",
        1,
        "the nodes are not in topological order; they were sorted, keeping the file's order where possible",
        "sort the file: ONNX requires it",
    )


_MAKERS: Final[Mapping[str, Callable[[Audited], Finding | None]]] = {
    "dims-assumed": _assumed,
    "unpriced": _unpriced,
    "dead-nodes": _dead,
    "unused-constants": _unused,
    "weights-in-constant-nodes": _constant_nodes,
    "input-independent": _input_independent,
    "missing-weights": _missing,
    "unsorted": _unsorted,
}
# rule -> what it means, the documentation of `effaudit explain RULE`
RULES: Final[Mapping[str, str]] = {rule: " ".join((make.__doc__ or "").split()) for rule, make in _MAKERS.items()}
