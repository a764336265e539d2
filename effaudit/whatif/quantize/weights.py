"""The graph with its weights stored by rules, activations as they are or quantized at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.graph import Node
from effaudit.weights import BUFFER, PARAM
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize import dequantized, lookups, products
from effaudit.whatif.quantize.order import breadth_first
from effaudit.whatif.quantize.sites import FLOATS, RECURRENT, Site, places, sites
from effaudit.whatif.quantize.types import DYNAMIC, HALVES, Rule, bits_of
from effaudit.whatif.quantize.written import Written
from effaudit.whatif.types import Blocked, Change

IN_A_BODY: Final = "it is read inside a body of If, Loop or Scan, or in a function"
# A matrix that one of these reads is a bias, or a table that is added or scaled: it stays in floats like any bias.
FLOATING: Final = RECURRENT | frozenset("Add Sub Mul Div PRelu Concat".split())
COARSE: Final = 4  # bits below which nobody ships them without


def rewrite(audited: Audited, rules: Sequence[Rule], *history: str) -> Change:
    """Each node's weights stored by the rule of its index; static rules are left to others. Raises UsageError where
    none can be."""
    parameters = frozenset(tensor.constant.name for tensor in audited.weights.of(PARAM, BUFFER))
    draft, written = Draft(audited), Written(parameters)
    for i, rule in enumerate(rules):
        if rule.weights and rule.activations == "":
            _node(draft, i, rules, written)
    if any(rule.activations == DYNAMIC for rule in rules):
        from effaudit.whatif.quantize import dynamic

        dynamic.write(draft, rules, written)
    if any(rule.activations in HALVES for rule in rules):
        from effaudit.whatif.quantize import halves

        halves.write(draft, rules, written)
    if not written.done and not written.computes:
        raise UsageError(_nothing(audited.name, written))
    _others(audited, written)
    graph = draft.graph(*history)
    if any(rule.activations == DYNAMIC or rule.form == "nbits" for rule in rules):  # as its own file would be
        graph = replace(graph, nodes=breadth_first(graph.nodes, (*graph.inputs, *graph.constants)))
    return Change(
        graph,
        notes=tuple(_notes(written, rules)),
        blocked=tuple(Blocked(name, why) for name, why in written.blocked.items()),
        details=tuple(written.details),
        loss=None if written.unknown else written.lost.share,
        retrain=any(0 < bits_of(rule.weights) < COARSE for rule in rules if rule.weights),
    )


def _node(draft: Draft, i: int, rules: Sequence[Rule], written: Written) -> None:
    """The weights of one node."""
    rule, node = rules[i], draft.raw.nodes[i]
    if node.op == "Gather" and not rule.named:
        return
    for site in sites(draft, i):
        name = site.constant.name
        if name in written.done or name in written.blocked:
            continue
        if why := _unfit(draft, site):
            written.blocked[name] = why
            continue
        form = lookups if node.op == "Gather" else products
        packed = "it is read by several operators" if _shared(draft, site) else form.unfit(node, site, rule)
        if rule.form == "nbits" and packed:
            written.blocked[name] = packed
        elif rule.form != "qdq" and not packed:
            written.add(site, rule, form.write(draft, site, rule))
        else:
            made = dequantized.write(draft, site, rule)
            if isinstance(made, str):
                written.blocked[name] = made
            else:
                written.add(site, made[1], made[0])


def _unfit(draft: Draft, site: Site) -> str:
    """Why a constant cannot be stored otherwise; "" where it can."""
    constant = site.constant
    if constant.encoding.dtype not in FLOATS:
        return f"its elements are {constant.encoding.dtype}; float32 and float16 are quantized"
    if not constant.numel:
        return "it has no elements"
    if constant.name in draft.raw.outputs:
        return "it is an output of the model"
    if any(constant.name in body.captured for node in draft.raw.nodes for body in node.bodies.values()):
        return "a body of If, Loop or Scan, or a function, reads it too"
    return ""


def _shared(draft: Draft, site: Site) -> bool:
    """True where anything but this input reads the constant."""
    name = site.constant.name
    return sum(one == name for node in draft.raw.nodes for one in node.inputs) > 1


def _others(audited: Audited, written: Written) -> None:
    """The reasons why other matrices of parameters stay floats."""
    for tensor in audited.weights.of(PARAM):
        constant = tensor.constant
        known = constant.name in written.done or constant.name in written.blocked
        matrix = sum(dim > 1 for dim in constant.shape) > 1
        if known or not matrix or constant.encoding.dtype not in FLOATS or not constant.name:
            continue
        if tensor.reader is not None and tensor.reader.op in FLOATING:
            continue
        outside = tensor.reader is None or any(tensor.reader is node for node in audited.graph.nodes)
        written.blocked[constant.name] = _reason(tensor.reader) if outside else IN_A_BODY


def _reason(reader: Node | None) -> str:
    if reader is None:
        return "no operator reads it as a weight"
    if reader.op == "Gather":
        return f"a table that Gather looks up; nodes={reader.label} quantizes it"
    if places(reader):
        return f"what {reader.op} reads is computed from it; fold constants first"
    name = f"{reader.domain}.{reader.op}" if reader.domain else reader.op
    return f"{name} is not quantized here"


def _notes(written: Written, rules: Sequence[Rule]) -> list[str]:
    found = [f"cannot be saved: {why}" for why in written.unsaved]
    if any(rule.activations == "bfloat16" for rule in rules):
        found.append("the CPU kernels of ONNX Runtime take no bfloat16, nor do standard operators before opset 22")
    if any(rule.weights == "float4e2m1" for rule in rules):
        found.append("the CPU kernels of ONNX Runtime take no float4e2m1")
    if written.unknown:
        found.append(f"the errors of {written.unknown} tensors are not known: the model holds no weights")
    return found


def _nothing(name: str, written: Written) -> str:
    why = next((f"; {tensor!r}: {reason}" for tensor, reason in written.blocked.items()), "")
    return f"{name}: --quantize: no weight that can be stored otherwise{why}"
