"""Operators, calls and nodes explained, as lines of text of at most 80 columns, without colour."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import singledispatch
from typing import Final

from effaudit.explain.derivation import Count, Step
from effaudit.explain.node import NodeExplanation, Operand, WeightReport
from effaudit.explain.operator import OperatorAnswer, OperatorCard, Tensor
from effaudit.printable import printable
from effaudit.render.screen import cut
from effaudit.report import size
from effaudit.wrapping import wrapped

INDENT: Final = 9
MAX_LISTED: Final = 12  # tensors of one list
MAX_TEXT: Final = 2_000  # characters of one line of words; formulas are shown whole
_NUMBER: Final = re.compile(r"(?<![\w.])\d{4,}(?![\w.])")
_NAMES: Final = {"macs": "MACs", "ops": "ops", "flops": "FLOPs", "read_bytes": "read", "write_bytes": "written"}
_IN_BYTES: Final = frozenset(("read_bytes", "write_bytes"))


@singledispatch
def lines(explained: object) -> list[str]:
    """What `effaudit explain` found as text; `effaudit.render.explanation` adds the subjects that are not here."""
    raise TypeError(f"no text for {type(explained).__name__}")


@lines.register
def _card(card: OperatorCard) -> list[str]:
    found = [cut(printable(f"{card.name}   {card.domain}   {card.kind}"))]
    if card.defined_in:
        found += _wrapped("from", card.defined_in)
    for item in card.inputs:
        note = "any number" if item.variadic else "needed" if item.required else "optional"
        found += _wrapped("input" if item is card.inputs[0] else "", f"{item.name}  {note}")
    for i, attribute in enumerate(card.attributes):
        default = "needed" if attribute.required else f"= {attribute.default}" if attribute.default else "optional"
        found += _wrapped("attr" if not i else "", f"{attribute.name}  {attribute.type}  {default}")
    found += _wrapped("cost", f"unpriced: {card.unpriced}" if card.unpriced else card.cost)
    found += _wrapped("storage", card.storage)
    if card.specification:
        found.append(f"{'spec':<{INDENT}}{card.specification}")
    for i, (name, meaning) in enumerate(card.short_form.items()):
        found += _wrapped("short" if not i else "", f"{name}=  {meaning}")
    for i, example in enumerate(card.examples):
        found.append(f"{'try' if not i else '':<{INDENT}}{example}")
    return found


@lines.register
def _answer(answer: OperatorAnswer) -> list[str]:
    found = [cut(f"{answer.operator}   {answer.domain}   {answer.kind}")]
    found += _listed("in", (_tensor(t) for t in answer.inputs))
    if answer.attributes:
        found += _wrapped("attr", "  ".join(f"{name}={value}" for name, value in answer.attributes.items()))
    found += _listed("out", (_tensor(t) for t in answer.outputs))
    found += _wrapped("params", _count(answer.params))
    found += _costs(answer.derivation, answer.unpriced)
    found += _per_byte(answer.intensity)
    for note in answer.notes:
        found += _wrapped("note", note)
    return found


@lines.register
def _node(node: NodeExplanation) -> list[str]:
    domain = "" if node.domain == "ai.onnx" else f"{printable(node.domain, 40)}::"
    found = _wrapped("node", f"{printable(node.name)}   ({node.index + 1} of {node.nodes:,})")
    found += _wrapped("what", f"{domain}{printable(node.op, 60)}   {node.kind}")
    if node.kind_why:
        found += _wrapped("", node.kind_why)
    if not node.live:
        found += _wrapped("", "no output of the model depends on it: it never runs and is in no total")
    found += _listed("in", (_operand(o) for o in node.inputs))
    if node.attributes:
        attributes = (f"{printable(k, 60)}={printable(v, 60)}" for k, v in list(node.attributes.items())[:40])
        found += _wrapped("attr", "  ".join(attributes))
    found += _listed("out", (_operand(o) for o in node.outputs))
    found += _listed("weights", (_weight(w) for w in node.weights))
    found += _wrapped("params", f"{node.params:,}, weights of {node.weight_bytes:,} B")
    for body in node.bodies:
        fewest, most = body.times
        runs = _count(fewest) if fewest == most else f"{_count(fewest)} .. {_count(most, 'unbounded')}"
        runs = "where chosen" if node.op == "If" and fewest == most == 1 else f"{runs} run(s)"
        text = f"{body.nodes:,} nodes, {runs}, each {_count(body.macs)} MACs + {_count(body.ops)} ops"
        found += _wrapped("body", f"{printable(body.name, 60)}: {text}" + (f" ({body.why})" if body.why else ""))
    found += _costs(node.derivation, node.unpriced)
    for figure, (low, high) in node.bounds.items():
        top = f"{high:,}" if high is not None else "unbounded"
        found += _wrapped(_NAMES[figure], f"{low:,} .. {top}" + (" B" if figure in _IN_BYTES else ""))
    if node.why and not node.unpriced:
        found += _wrapped("because", node.why)
    found += _per_byte(node.intensity)
    if node.advice:
        found += _wrapped("advice", node.advice)
    return found


def _costs(steps: Iterable[Step], unpriced: str | None) -> list[str]:
    found = _wrapped("unpriced", unpriced) if unpriced else []
    for step in steps:
        if step.figure == "params":
            continue
        name, unit = _NAMES[step.figure], " B" if step.figure in _IN_BYTES else ""
        result = f"= {_count(step.result)}{unit}"
        if step.result == 0 and (step.formula == "0" or step.figure == "flops"):
            found += _wrapped(name, "0")
            continue
        found += _wrapped(name, f"= {step.formula}", None)
        put = step.substituted
        if put and put != str(step.result):
            found += _wrapped("", f"= {grouped(put) if isinstance(step.result, int) else put}", None)
        found += _wrapped("", result, None)
        if not put and step.where:
            found += _wrapped("", f"where {', '.join(step.where)}")
    return found


def _per_byte(value: float | None) -> list[str]:
    return [] if value is None else _wrapped("per byte", f"{value:,} FLOP/B")


def _tensor(tensor: Tensor) -> str:
    role = "" if tensor.role in ("input", "output") else f"  {tensor.role}"
    return f"{tensor.name}  {tensor.dtype} {size(tensor.shape)}{_bytes(tensor.bytes)}{role}"


def _operand(operand: Operand) -> str:
    role = f"{operand.role}: " if operand.role else ""
    source = f"  {operand.source}" if operand.source else ""
    return f"{role}{operand.name}  {operand.dtype} {size(operand.shape)}{_bytes(operand.bytes)}{source}"


def _bytes(count: Count) -> str:
    return "" if count is None else f"  {_count(count)} B"


def _weight(weight: WeightReport) -> str:
    where = f", counted at {weight.counted_at}" if weight.counted_at else ""
    return f"{weight.name}  {size(weight.shape)}  {weight.elements:,} elements  {weight.role}{where}"


def _listed(head: str, items: Iterable[str]) -> list[str]:
    found: list[str] = []
    shown = list(items)
    for i, item in enumerate(shown[:MAX_LISTED]):
        found += _wrapped(head if not i else "", item)
    if len(shown) > MAX_LISTED:
        found += _wrapped("", f"and {len(shown) - MAX_LISTED:,} more")
    return found


def _count(value: Count, unknown: str = "unknown") -> str:
    return unknown if value is None else f"{value:,}" if isinstance(value, int) else value


def grouped(arithmetic: str) -> str:
    """Plain arithmetic with separators in its numbers, as results have them: 2 x 442,368 + 16,384."""
    return _NUMBER.sub(lambda number: f"{int(number[0]):,}", arithmetic)


def _wrapped(head: str, text: str, limit: int | None = MAX_TEXT) -> list[str]:
    """`text` behind `head`."""
    return wrapped(f"{head:<{INDENT}}", printable(text, limit))
