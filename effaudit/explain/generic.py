"""The generic form of a call: every input by the schema's name as a shape, every attribute by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from effaudit.errors import UsageError
from effaudit.explain.arguments import attribute, operand, values, whole
from effaudit.explain.call import Call, Operand
from effaudit.explain.element_types import PACKED, default_encoding, fixed_encoding, takes_list, takes_number
from effaudit.explain.lookup import Operator
from effaudit.explain.takes import Names, names_of
from effaudit.graph import FLOAT, INT64, Constant, Node
from effaudit.nearest import nearest
from effaudit.operators.rules import Definition
from effaudit.weights import PARAM, role

OUTPUTS: Final = "outputs"
MAX_OUTPUTS: Final = 1_000
# Inputs of these names hold weights unless an argument says otherwise; `b` does so except in sums and products.
_WEIGHTS: Final = frozenset(
    """w r p weight weights bias scale gamma beta slope q_weight k_weight v_weight kv_weight word_embedding
    position_embedding segment_embedding fc1_experts_weights fc2_experts_weights fc3_experts_weights fc1_experts_bias
    fc2_experts_bias fc3_experts_bias q_norm_weight k_norm_weight q_bias k_bias v_bias""".split()
)
_B_IS_WEIGHT: Final = frozenset("conv grouped depthwise pointwise transposed norm recurrent".split())
# How many outputs an operator always has, where it is more than one.
_OUTPUTS: Final = {"TopK": 2, "DynamicQuantizeLinear": 3, "GroupQueryAttention": 3, "SparseAttention": 3}


def matched(name: str, takes: Names) -> str | None:
    """The input or attribute an argument means, whatever its case; None where there is none, or only one much like
    it."""
    known = (*takes.inputs, *takes.attributes)
    if name in known:
        return name
    same = [k for k in known if k.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    if takes.variadic and re.fullmatch(rf"{re.escape(takes.variadic)}_?[0-9]{{1,3}}", name):
        return name
    if takes.free and name.isidentifier() and name != OUTPUTS and not nearest(name, known, alike=0.8):
        return name
    return None


def is_attribute(name: str, takes: Names) -> bool:
    """Whether a name that `matched` gave is an attribute's, not an input's."""
    if name in takes.attributes:
        return True
    return takes.free and name not in takes.inputs and not (takes.variadic and name.startswith(takes.variadic))


def call_of(found: Operator, arguments: Mapping[str, str]) -> Call:
    """The call that generic arguments describe; their names must be known. Raises UsageError."""
    takes = names_of(found.rules)
    read: dict[str, tuple[Operand, bool]] = {}
    attrs: dict[str, Any] = {}
    outputs = _OUTPUTS.get(found.op, 1)
    for given, text in arguments.items():
        name = matched(given, takes)
        if name is None and given == OUTPUTS:
            outputs = whole(text, OUTPUTS)
            if not 1 <= outputs <= MAX_OUTPUTS:
                raise UsageError(f"{OUTPUTS}: expected 1 to {MAX_OUTPUTS}, not {outputs}")
            continue
        assert name is not None
        if name in (read.keys() | attrs.keys()):
            raise UsageError(f"{found.op}: {name} is given twice")
        if is_attribute(name, takes):
            attrs[name] = attribute(text, given, takes.attributes.get(name, ()))
        else:
            read[name] = _input(found, name, given, text)
    ordered = {name: read[name] for name in takes.inputs if name in read}
    ordered.update(sorted(((n, v) for n, v in read.items() if n not in ordered), key=lambda item: _place(item[0])))
    return Call(found.domain, found.op, _settled(found, ordered), attrs, outputs)


def _input(found: Operator, name: str, given: str, text: str) -> tuple[Operand, bool]:
    """An input, and whether its element type was stated; plain numbers are values where the operator wants these."""
    typed = default_encoding(found.domain, found.op, name)
    plain = ":" not in text and not text.strip().startswith("[")
    if plain and not isinstance(found.rules, Definition):  # the names in a definition mean nothing
        scalar = takes_number(found.domain, found.op, name)
        if scalar or takes_list(found.domain, found.op, name):
            return values(text, given, typed, scalar=scalar), False
    return operand(text, given, Operand(typed, (), is_weight(found, name)))


def missing(found: Operator, arguments: Mapping[str, str]) -> list[str]:
    """The inputs and attributes an operator cannot do without and that are not given."""
    takes = names_of(found.rules)
    given = {matched(name, takes) for name in arguments}
    lacking = [name for name in (*takes.inputs[: takes.required], *takes.needed) if name not in given]
    if takes.variadic and not takes.inputs and not any(n for n in given if n and not is_attribute(n, takes)):
        lacking.append(f"{takes.variadic}0")
    return lacking


def _place(name: str) -> int:
    digits = re.search(r"[0-9]+$", name)
    return int(digits[0]) if digits else 0


def _settled(found: Operator, read: Mapping[str, tuple[Operand, bool]]) -> dict[str, Operand]:
    """The inputs, values without a stated type in the type that the operator wants.

    Where the schema leaves it open, that is the type of the first such input; where all of them are values, int64, or
    float32 if one has a point.
    """
    open_ = [name for name in read if fixed_encoding(found.domain, found.op, name) is None]
    lead = next((read[name][0] for name in open_ if read[name][1] or read[name][0].data is None), None)
    points = any(isinstance(value, float) for name in open_ for value in read[name][0].data or ())
    encoding = lead.encoding if lead is not None else FLOAT if points else INT64
    return {
        name: msgspec.structs.replace(one, encoding=encoding)
        if one.data is not None and not typed and name in open_
        else one
        for name, (one, typed) in read.items()
    }


def is_weight(found: Operator, name: str) -> bool:
    """Whether an input counts as parameters unless its argument says otherwise."""
    if isinstance(found.rules, Definition):  # the names in a definition mean nothing
        return False
    takes = found.rules.shape_takes
    if takes is None or name not in takes.inputs[1:]:
        return False
    lower = name.lower()
    kind = found.rules.kind if isinstance(found.rules.kind, str) else "conv"
    holds = lower in _WEIGHTS or (lower == "b" and (kind in _B_IS_WEIGHT or found.op in PACKED))
    if not holds or kind == "quantize":
        return False
    place = takes.inputs.index(name)
    node = Node("", found.domain, found.op, (), (), {})
    return role(node, place, Constant(name, FLOAT, (2, 2), "initializer", 4, 16)) == PARAM
