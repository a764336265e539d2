"""An operator explained without a model: what it takes, what it costs, and that cost calculated for given sizes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from effaudit.errors import UsageError
from effaudit.explain.call import Call, Operand, Priced, price_call
from effaudit.explain.derivation import (
    Count,
    Step,
    as_count,
    as_shape,
    attribute_text,
    derivation,
    exact,
    flops_of,
    flops_step,
    formula_text,
    intensity_of,
    moved_steps,
    weights_step,
)
from effaudit.explain.examples import generic_example
from effaudit.explain.generic import OUTPUTS, call_of, is_attribute, matched, missing
from effaudit.explain.lookup import NONE, Operator, Registry, operator
from effaudit.explain.names import defaults
from effaudit.explain.shorthand import Given, Short, short_form
from effaudit.explain.takes import Names, names_of
from effaudit.graph import Value
from effaudit.nearest import did_you_mean
from effaudit.operators.rules import Definition
from effaudit.ops._registry import Rules
from effaudit.printable import printable
from effaudit.table import CONTROL, UNPRICED
from effaudit.views.extents import nbytes

__all__ = [
    "OperatorAnswer",
    "OperatorCard",
    "calculate_operator",
    "card",
    "cost_text",
    "explain_operator",
    "takes_arguments",
]

MAX_ARGUMENTS: Final = 200
_CONTROL_COST: Final = {
    "If": "between the cheapest and the dearest of its two branches",
    "Loop": "its body, as often as it runs: between the fewest and the most iterations",
    "Scan": "its body, once per step",
    "SequenceMap": "its body, once per element of the sequence",
}
_SHARED_KIND: Final = "conv, grouped, depthwise or pointwise"


class InputCard(msgspec.Struct, frozen=True):
    """One input of an operator."""

    name: str
    required: bool
    variadic: bool = False


class AttributeCard(msgspec.Struct, frozen=True):
    """One attribute: its type as its rule states it, and its default as text ("" where it has none)."""

    name: str
    type: str
    required: bool
    default: str


class OperatorCard(msgspec.Struct, frozen=True):
    """What is known of an operator. `examples` are commands to paste; `unpriced` is the reason it has no price,
    `defined_in` the file that defines it, where it is a user's."""

    name: str
    domain: str
    kind: str
    inputs: tuple[InputCard, ...]
    attributes: tuple[AttributeCard, ...]
    cost: str
    unpriced: str | None
    storage: str
    specification: str
    short_form: Mapping[str, str]
    examples: tuple[str, ...]
    defined_in: str = ""


class Tensor(msgspec.Struct, frozen=True):
    """A tensor of a call: its type, shape, bytes, and role ("input", "weight", "values", "output")."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    bytes: Count
    role: str


class OperatorAnswer(msgspec.Struct, frozen=True):
    """The cost of one call. Counts are numbers, or formulas of the open dims as text; None is unknown, `unpriced` then
    says why. `params` are the elements of the inputs with the role "weight"."""

    operator: str
    domain: str
    kind: str
    inputs: tuple[Tensor, ...]
    attributes: Mapping[str, str]
    outputs: tuple[Tensor, ...]
    params: Count
    macs: Count
    ops: Count
    flops: Count
    read_bytes: Count
    write_bytes: Count
    intensity: float | None
    derivation: tuple[Step, ...]
    unpriced: str | None
    notes: tuple[str, ...] = ()


def explain_operator(name: str, own: Registry = NONE) -> OperatorCard:
    """What is known of an operator, built in or defined by `own`. Raises UsageError, with the nearest names, on another
    name."""
    return card(operator(name, own))


def card(found: Operator) -> OperatorCard:
    """What is known of an operator."""
    takes = names_of(found.rules)
    inputs = tuple(InputCard(n, i < takes.required) for i, n in enumerate(takes.inputs))
    if takes.variadic:
        inputs = (*inputs, InputCard(takes.variadic, False, True))
    short = short_form(found)
    return OperatorCard(
        name=found.op,
        domain=found.domain or "ai.onnx",
        kind=_kind(found),
        inputs=inputs,
        attributes=_attributes(found.rules, takes),
        cost="" if found.rules.unpriced else cost_text(found),
        unpriced=found.rules.unpriced or None,
        storage=_storage(found.rules, takes),
        specification=_specification(found),
        short_form=dict(short.keys) if short is not None else {},
        examples=examples(found),
        defined_in=found.rules.path if isinstance(found.rules, Definition) else "",
    )


def calculate_operator(name: str, arguments: Mapping[str, str], own: Registry = NONE) -> OperatorAnswer:
    """The cost of one call: in the generic form (`x=1x64x56x56 w=128x64x3x3 pads=1,1,1,1`) or, for common layers, in
    the short form (`cin=64 cout=128 k=3 in=56x56`).

    Raises UsageError on an unknown operator or argument, a missing one, a mix of both forms, or inputs that the
    operator refuses (the message is then the rule's).
    """
    found = operator(name, own)
    if len(arguments) > MAX_ARGUMENTS:
        raise UsageError(f"{found.op}: more than {MAX_ARGUMENTS} arguments")
    if not found.domain and found.op in CONTROL:
        raise UsageError(
            f"{found.op}: it costs what its bodies cost, which only a model has: effaudit explain MODEL NODE"
        )
    if found.rules.shape is None:
        raise UsageError(f"{found.op}: {_shapeless(found.rules)}")
    short = _chosen(found, arguments)
    call = call_of(found, arguments) if short is None else _short_call(found, short, arguments)
    return _answer(found, price_call(call, found.rules))


def examples(found: Operator) -> tuple[str, ...]:
    """Complete commands that calculate an operator, the short form first."""
    if found.rules.shape is None or (not found.domain and found.op in CONTROL):
        return ()
    short = short_form(found)
    generic = generic_example(found)
    texts = ([short.example_for(found.op)] if short is not None else []) + ([generic] if generic else [])
    more = f" --operators {shlex.quote(found.rules.path)}" if isinstance(found.rules, Definition) else ""
    return tuple(f"effaudit explain {found.full_name} {text}{more}" for text in texts)


def takes_arguments(found: Operator, arguments: Mapping[str, str]) -> bool:
    """Whether the operator has all these arguments, in one form or the other."""
    takes, short = names_of(found.rules), short_form(found)
    keys = short.keys if short is not None else {}
    return all(name in keys or name == OUTPUTS or matched(name, takes) is not None for name in arguments)


def _shapeless(rules: Rules) -> str:
    if isinstance(rules, Definition):
        return f"{rules.path} states no outputs of it, so only a model knows its shapes: effaudit explain MODEL NODE"
    return rules.unpriced or "it has no shape rule"


def _chosen(found: Operator, arguments: Mapping[str, str]) -> Short | None:
    """The short form where the arguments are of it, None for the generic form. Raises UsageError where neither fits."""
    takes, short = names_of(found.rules), short_form(found)
    keys = short.keys if short is not None else {}
    for name in arguments:
        if name not in keys and name != OUTPUTS and matched(name, takes) is None:
            raise UsageError(_unknown(found, name, takes, keys))
    only_short = [n for n in arguments if n in keys and (matched(n, takes) is None or not _is_input(n, takes))]
    only_full = [n for n in arguments if n not in keys and _is_input(n, takes)]
    if only_short and only_full and any(matched(n, takes) is None for n in only_short):
        raise UsageError(
            f"{found.op}: {only_full[0]}= gives a shape in full, {only_short[0]}= is of the short form; use one of "
            f"them, for example: {' or '.join(examples(found))}"
        )
    if short is not None and not only_full:
        lacking = ["= or ".join(group) + "=" for group in short.needs if not any(n in arguments for n in group)]
        if not lacking:
            return short
        if len(lacking) < len(short.needs) or any(matched(n, takes) is None for n in only_short):
            raise UsageError(_lacks(found, lacking))
    absent = missing(found, arguments)
    if absent:
        raise UsageError(_lacks(found, [f"{name}=" for name in absent], full=bool(only_full)))
    return None


def _is_input(name: str, takes: Names) -> bool:
    known = matched(name, takes)
    return known is not None and not is_attribute(known, takes)


def _short_call(found: Operator, short: Short, arguments: Mapping[str, str]) -> Call:
    own = {name: text for name, text in arguments.items() if name in short.keys}
    rest = {name: text for name, text in arguments.items() if name not in short.keys}
    attrs = call_of(found, rest).attrs
    call = short.build(found, Given(own, attrs))
    takes = names_of(found.rules)
    absent = [name for name in takes.needed if name not in call.attrs]
    if absent:
        raise UsageError(_lacks(found, [f"{name}=" for name in absent]))
    return call


def _unknown(found: Operator, name: str, takes: Names, keys: Mapping[str, str]) -> str:
    known = [*keys, *takes.inputs, *takes.attributes, *([f"{takes.variadic}0"] if takes.variadic else [])]
    full = " ".join(f"{n}=" for n in known[len(keys) :][:16])
    short = f"{' '.join(f'{n}=' for n in keys)} or in full " if keys else ""
    wrong = f"no argument is named {printable(name, 60)!r}{did_you_mean(name, known, most=2) or ';'}"
    return f"{found.op}: {wrong} it takes {short}{full}{_for_example(found)}"


def _lacks(found: Operator, names: list[str], *, full: bool = False) -> str:
    return f"{found.op}: {', '.join(names)} missing{_for_example(found, full=full)}"


def _for_example(found: Operator, *, full: bool = False) -> str:
    """One example: of the short form where there is one, unless the arguments are in full."""
    shown = examples(found)
    return f"; for example: {shown[-1 if full else 0]}" if shown else "; a shape is written like 1x64x56x56"


def _answer(found: Operator, priced: Priced) -> OperatorAnswer:
    row, graph, call = priced.row, priced.graph, priced.call
    node, values = graph.nodes[0], graph.values
    macs, ops, reads, writes = (exact(row, figure) for figure in ("macs", "ops", "reads", "writes"))
    flops = flops_of(macs, ops)
    steps = derivation(node, values, found.rules, row) if not row.why else ()
    steps = (*steps, *flops_step(macs, ops))
    steps = (*steps, *weights_step(_weights(call), priced.params), *moved_steps(node, values, found.rules, row))
    return OperatorAnswer(
        operator=found.op,
        domain=found.domain or "ai.onnx",
        kind=_kind(found) if row.kind == UNPRICED else row.kind,
        inputs=tuple(_tensor(name, values[name], _role(operand)) for name, operand in call.inputs.items()),
        attributes={name: attribute_text(value) for name, value in call.attrs.items()},
        outputs=tuple(_tensor(name, values[name], "output") for name in node.outputs),
        params=as_count(priced.params),
        macs=as_count(macs),
        ops=as_count(ops),
        flops=as_count(flops),
        read_bytes=as_count(reads),
        write_bytes=as_count(writes),
        intensity=intensity_of(flops, reads, writes),
        derivation=steps,
        unpriced=row.why or None,
        notes=_notes(call, row.kind),
    )


def _weights(call: Call) -> dict[str, Operand]:
    return {name: operand for name, operand in call.inputs.items() if operand.weight}


def _notes(call: Call, kind: str) -> tuple[str, ...]:
    """A product of two inputs, or rows picked from one: only the person knows whether one of them is a weight."""
    held = any(operand.weight for operand in call.inputs.values())
    if call.notes or held or not (kind == "gemm" or call.op == "Gather"):
        return call.notes
    return ("no input counts as a weight; :weight behind a shape makes it one",)


def _role(operand: Operand) -> str:
    return "values" if operand.data is not None else "weight" if operand.weight else "input"


def _tensor(name: str, value: Value, role: str) -> Tensor:
    return Tensor(name, value.encoding.dtype, as_shape(value.shape), as_count(nbytes(value)), role)


def _kind(found: Operator) -> str:
    if not found.domain and found.op in CONTROL:
        return "control"
    return found.rules.kind if isinstance(found.rules.kind, str) else _SHARED_KIND


def cost_text(found: Operator) -> str:
    """What an operator costs, in words, or why it has no price."""
    if found.rules.unpriced:
        return f"unpriced: {found.rules.unpriced}"
    if not found.domain and found.op in CONTROL:
        return f"through its bodies: {_CONTROL_COST[found.op]}"
    return formula_text(found.rules)


def _attributes(rules: Rules, takes: Names) -> tuple[AttributeCard, ...]:
    stated: dict[str, str] = {}
    for rule in (rules.cost, rules.shape):
        stated.update(getattr(rule, "__annotations__", None) or {})
    known: dict[str, Any] = defaults(rules)
    cards = []
    for name in takes.attributes:
        text = "" if known.get(name) is None else attribute_text(known[name])
        cards.append(AttributeCard(name, stated.get(name, "").removesuffix(" | None"), name in takes.needed, text))
    return tuple(cards)


def _storage(rules: Rules, takes: Names) -> str:
    if rules.view:
        return "its output is its first input's bytes (a view)"
    if not rules.overwrites:
        return "its output needs bytes of its own"
    if len(rules.overwrites) > len(takes.inputs) and takes.variadic:
        return "its output may take the place of any input that dies here and is as large"
    names = [takes.inputs[i] if i < len(takes.inputs) else f"input {i}" for i in rules.overwrites]
    return f"its output may take the place of {' or '.join(names)}, where that dies here and is as large"


def _specification(found: Operator) -> str:
    """The address of the operator's page, as its shape rule or its definition states it."""
    if isinstance(found.rules, Definition):
        return found.rules.source
    urls = re.findall(r"https://[^\s,()]+", getattr(found.rules.shape, "__doc__", None) or "")
    own = [url for url in urls if re.search(rf"[_.]{re.escape(found.op)}(\.html)?$", url)]
    return own[0] if own else urls[0] if urls else ""
