"""The graph with weights and activations stored in integers, their scales known before it runs.

Operators, ranges and layout are those of onnxruntime's `quantize_static`; a Constant node counts as an initializer, as
after its pre-processing. https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import FLOAT16, Node
from effaudit.whatif.constants import holds_weights
from effaudit.whatif.quantize import qdq, qoperator
from effaudit.whatif.quantize.coding import Span
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.quantize.marks import ACTIVATION, OPERATORS, WEIGHT, Floats, marks
from effaudit.whatif.quantize.outputs import reached
from effaudit.whatif.quantize.qdq import Quantized
from effaudit.whatif.quantize.spans import MARKED, UNCALIBRATED, Calibration, calibrated, settled
from effaudit.whatif.quantize.stored import detail, unsaved
from effaudit.whatif.quantize.types import RANDOM, Arguments, Rule, bits_of, text
from effaudit.whatif.types import Blocked, Change, Detail

TABLE: Final = "activations"
COARSE_WEIGHTS: Final = 4  # bits below which nobody ships weights without training
COARSE_ACTIVATIONS: Final = 8
MASK: Final = 1e30


def rewrite(audited: Audited, rules: Sequence[Rule], arguments: Arguments) -> Change:
    """Weights and activations of each node stored by the rule of its index. Raises UsageError, RunError."""
    known = calibrated(audited, arguments, wanted(audited, rules))
    made, spans = written(audited, rules, known.spans)
    if not made.activations and not made.weights:
        raise UsageError(f"{audited.name}: --quantize: no operator that {form_of(audited, rules)} stores in integers")
    change = _change(audited, rules, arguments, replace(known, spans=spans), made)
    return reached(audited, change, known) if arguments.calibrate else change


def written(audited: Audited, rules: Sequence[Rule], spans: Mapping[str, Span]) -> tuple[Quantized, Mapping[str, Span]]:
    """The graph under rules and the ranges of `wanted` tensors; and these ranges as they are settled. Raises
    UsageError."""
    form = form_of(audited, rules)
    floats = Floats(audited.raw, audited.graph.values)
    softmax = qoperator.SOFTMAX if form == "qoperator" else qdq.SOFTMAX
    spans = settled(audited.raw.nodes, floats, rules, spans, softmax)
    if form == "qoperator":
        return qoperator.write(audited, rules, spans), spans
    return qdq.write(audited, rules, marks(audited.raw, audited.graph.values, rules), spans), spans


def form_of(audited: Audited, rules: Sequence[Rule]) -> str:
    """The one format of all static rules. Raises UsageError where they name several, or what the format cannot hold."""
    static = [rule for rule in rules if rule.static]
    forms = {rule.form or "qdq" for rule in static}
    if len(forms) > 1:
        raise UsageError(f"{audited.name}: --quantize: one format for all nodes; expected qdq or qoperator")
    for rule in static:
        if rule.weights == "nf4":
            raise UsageError(f"{audited.name}: --quantize: nf4 stores weights only; drop activations=")
    if forms != {"qoperator"}:
        return "qdq"
    if len({rule.activations for rule in static}) > 1:
        raise UsageError(f"{audited.name}: --quantize: format=qoperator takes one type of activations; use format=qdq")
    for rule in static:
        if rule.activations not in ("int8", "uint8") or rule.weights not in ("int8", rule.activations):
            raise UsageError(
                f"{audited.name}: --quantize: format=qoperator has operators for 8 bits only, with weights int8 or of "
                f"the activations' type, not {rule.weights} with {rule.activations}; use format=qdq"
            )
    for node, rule in zip(audited.raw.nodes, rules, strict=True):
        value = audited.graph.values.get(node.inputs[0]) if rule.static and node.inputs else None
        if value is not None and value.encoding is FLOAT16 and node.op in qoperator.FORMS:
            raise UsageError(
                f"{audited.name}: --quantize: format=qoperator has operators for float32 only, and {node.op} "
                f"{node.label} computes in float16; use format=qdq"
            )
    return "qoperator"


def wanted(audited: Audited, rules: Sequence[Rule]) -> Mapping[str, Rule]:
    """The tensors whose ranges are needed, with the rule that clips each. Raises UsageError."""
    nodes = audited.raw.nodes
    if form_of(audited, rules) == "qdq":
        tensors = marks(audited.raw, audited.graph.values, rules).tensors
        own = {name: mark for name, mark in tensors.items() if mark.kind == ACTIVATION and not mark.like}
        return {name: rules[mark.node] for name, mark in own.items()}
    floats = Floats(audited.raw, audited.graph.values)
    found: dict[str, Rule] = {}
    for node, rule in zip(nodes, rules, strict=True):
        if rule.static and not node.domain and node.op in qoperator.FORMS:
            for name in (*node.outputs, *node.inputs):
                if name and floats.constant(name) is None and floats.floating(name):
                    found.setdefault(name, rule)
    return found


# ---- what a reader is told
def _change(
    audited: Audited,
    rules: Sequence[Rule],
    arguments: Arguments,
    known: Calibration,
    made: Quantized,
) -> Change:
    lost = Error()
    for weight in made.weights.values():
        # An addend is no weight, and one that masks with the largest float would hide the errors of all others.
        lost += (weight.made.lost if weight.kind == WEIGHT else None) or Error()
    static = [rule for rule in rules if rule.static]
    coarse = any(
        bits_of(rule.weights) < COARSE_WEIGHTS or bits_of(rule.activations) < COARSE_ACTIVATIONS for rule in static
    )
    rows = tuple(detail(one.constant, name, one.rule, one.made) for name, one in made.weights.items())
    return Change(
        replace(made.graph, history=(*made.graph.history, f"quantize {text(arguments)}")),
        notes=tuple(_notes(audited, static, arguments, known, made)),
        blocked=tuple(_blocked(audited, rules, made)),
        details=(*rows, *_rows(known, made)),
        loss=lost.share if holds_weights(one.constant for one in made.weights.values()) else None,
        retrain=coarse,
    )


def _notes(
    audited: Audited, static: Sequence[Rule], arguments: Arguments, known: Calibration, made: Quantized
) -> Iterator[str]:
    if arguments.calibrate == RANDOM:
        yield MARKED
    elif not known.source:
        held = holds_weights(one.constant for one in made.weights.values())
        rest = ", and the model cannot be saved" if held else ""
        yield f"{UNCALIBRATED}; sizes are exact, scales of activations are not known{rest}"
    types = {dtype for rule in static for dtype in (rule.weights, rule.activations)}
    yield from (f"cannot be saved: {why}" for why in sorted({unsaved(dtype) for dtype in types} - {""}))
    if unknown := sum(one.made.lost is None for one in made.weights.values()):
        yield f"the errors of {unknown} tensors are not known: the model holds no weights"
    if made.removed:
        yield f"{made.removed} Relu and Clip nodes are left to the ranges of the tensors they clip"
    integers = {node.outputs[0] for node in audited.raw.nodes if node.op == "DequantizeLinear"}
    if twice := integers.intersection(made.activations):
        yield f"{len(twice)} tensors come from integers already, and are quantized once more behind that"
    yield from _masks(known, made)
    if _reordered(audited.raw.nodes, made.graph.nodes):
        yield "nodes stand in the order in which onnxruntime's quantizer writes them"


def _masks(known: Calibration, made: Quantized) -> Iterator[str]:
    """Tensors whose one scale is made for a number that stands for infinity: nothing is left of their others."""
    constants = ((name, one.made.lost) for name, one in made.weights.items() if one.made.where.axis is None)
    far = [name for name, lost in constants if lost is not None and lost.signal > lost.count * MASK**2]
    far += [name for name, span in known.spans.items() if not isinstance(span, str) and max(map(abs, span)) > MASK]
    if far:
        yield (
            f"{far[0]!r} holds numbers beyond {MASK:g}, as a mask does, and in one scale with them all others become "
            "zero; skip=NODE leaves the nodes that read it in floats"
        )


def _reordered(before: Sequence[Node], after: Sequence[Node]) -> bool:
    """True where nodes that are still there have changed places."""
    place = {node.label: i for i, node in enumerate(before)}
    kept = [place[node.label] for node in after if node.label in place]
    return kept != sorted(kept)


def _blocked(audited: Audited, rules: Sequence[Rule], made: Quantized) -> Iterator[Blocked]:
    yield from (Blocked(name, why) for name, why in made.kept)
    known = qoperator.FORMS if form_of(audited, rules) == "qoperator" else OPERATORS
    for node, rule, row in zip(audited.raw.nodes, rules, audited.table.rows, strict=True):
        free = type(row.high.macs) is int and not row.high.macs
        if rule.static and (node.op not in known or node.bodies) and not free:
            yield Blocked(node.label, f"onnxruntime's quantizer has no integer form of {node.op}")


def _rows(known: Calibration, made: Quantized) -> Iterator[Detail]:
    """A row per activation: the range that is kept, the scale and zero point that follow."""
    for name, scale in made.activations.items():
        span: Span = known.spans.get(made.shares.get(name, name), UNCALIBRATED)
        low, high = (None, None) if isinstance(span, str) else span
        source = known.source or (UNCALIBRATED if isinstance(span, str) else "the operator's own range")
        yield Detail(
            TABLE,
            name,
            {
                "dtype": scale.dtype,
                "bits": bits_of(scale.dtype),
                "low": low,
                "high": high,
                "scale": None if scale.missing else float(scale.find()[0][0]),
                "zero_point": None if scale.missing else int(scale.find()[1][0]),
                "source": source,
            },
        )
