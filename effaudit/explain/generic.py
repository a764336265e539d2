"""The generic form of a call: every input by the schema's name as a shape, every attribute by its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from effaudit.errors import UsageError
from effaudit.explain.arguments import attribute, operand, whole
from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.graph import BOOL, FLOAT, INT8, INT32, INT64, UINT8, Constant, Encoding, Node
from effaudit.ops._registry import Rules
from effaudit.weights import PARAM, role

OUTPUTS: Final = "outputs"
MAX_OUTPUTS: Final = 1_000
MAX_INPUTS: Final = 1_000  # of a variadic operator
# Inputs of these names hold weights unless an argument says otherwise; `b` does so except in sums and products.
_WEIGHTS: Final = frozenset(
    """w r p weight weights bias scale gamma beta slope q_weight k_weight v_weight kv_weight word_embedding
    position_embedding segment_embedding fc1_experts_weights fc2_experts_weights fc3_experts_weights fc1_experts_bias
    fc2_experts_bias fc3_experts_bias q_norm_weight k_norm_weight q_bias k_bias v_bias""".split()
)
_B_IS_WEIGHT: Final = frozenset("conv grouped depthwise pointwise transposed norm recurrent".split())
_PACKED: Final = frozenset(("MatMulNBits", "MatMulBnb4", "MatMulNBitsMlp", "MatMulNBitsQkv", "MatMulFpQ4"))
_INT64: Final = frozenset(
    """indices shape axes repeats pads split starts ends steps k depth sizes target_shape position_ids position
    input_ids segment_ids past_seqlens""".split()
)
_INT32: Final = frozenset(
    """sequence_lens seqlens_k total_sequence_length past_sequence_length mask_index cumulative_sequence_length
    token_offset""".split()
)
_BOOL: Final = frozenset(("condition", "cond", "training_mode"))
_QUANTIZED: Final = re.compile(r"QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|DequantizeLinear")
# How many outputs an operator always has, where it is more than one.
_OUTPUTS: Final = {"TopK": 2, "DynamicQuantizeLinear": 3, "GroupQueryAttention": 3, "SparseAttention": 3}


class Names(msgspec.Struct, frozen=True):
    """What an operator takes: `inputs` (the first `required` are needed), the stem of numbered variadic ones, and
    `attributes` with the types their rule states (none: anything)."""

    inputs: tuple[str, ...]
    required: int
    variadic: str
    attributes: Mapping[str, tuple[type, ...]]
    needed: tuple[str, ...]


def names_of(rules: Rules) -> Names:
    """What the rules of an operator take."""
    takes = rules.shape_takes or rules.cost_takes
    if takes is None:
        return Names((), 0, "", {}, ())
    attributes = {name: takes.types.get(name, ()) for name in sorted(takes.keywords)}
    if rules.cost_takes is not None:
        for name in sorted(rules.cost_takes.keywords - attributes.keys()):
            attributes[name] = rules.cost_takes.types.get(name, ())
    rule = rules.shape or rules.cost
    code = rule.__code__  # type: ignore[union-attr]
    stem = code.co_varnames[code.co_argcount + code.co_kwonlyargcount] if takes.variadic else ""
    stated = getattr(rule, "__kwdefaults__", None) or {}
    needed = tuple(name for name in sorted(takes.keywords) if name not in stated)
    return Names(takes.inputs, takes.required, stem, attributes, needed)


def matched(name: str, takes: Names) -> str | None:
    """The input or attribute an argument means, whatever its case; None where there is none."""
    known = (*takes.inputs, *takes.attributes)
    if name in known:
        return name
    same = [k for k in known if k.lower() == name.lower()]
    if len(same) == 1:
        return same[0]
    if takes.variadic and re.fullmatch(rf"{re.escape(takes.variadic)}_?[0-9]{{1,3}}", name):
        return name
    return None


def call_of(found: Operator, arguments: Mapping[str, str]) -> Call:
    """The call that generic arguments describe; their names must be known. Raises UsageError."""
    takes = names_of(found.rules)
    inputs: dict[str, Operand] = {}
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
        if name in (inputs.keys() | attrs.keys()):
            raise UsageError(f"{found.op}: {name} is given twice")
        if name in takes.attributes:
            attrs[name] = attribute(text, given, takes.attributes[name])
        else:
            inputs[name] = operand(text, given, default_encoding(found.op, name), is_weight(found, name))
    ordered = {name: inputs[name] for name in takes.inputs if name in inputs}
    ordered.update(sorted(((n, v) for n, v in inputs.items() if n not in ordered), key=lambda item: _place(item[0])))
    return Call(found.domain, found.op, ordered, attrs, outputs)


def missing(found: Operator, arguments: Mapping[str, str]) -> list[str]:
    """The inputs and attributes an operator cannot do without and that are not given."""
    takes = names_of(found.rules)
    given = {matched(name, takes) for name in arguments}
    lacking = [name for name in (*takes.inputs[: takes.required], *takes.needed) if name not in given]
    if takes.variadic and not takes.inputs and not any(n for n in given if n and n not in takes.attributes):
        lacking.append(f"{takes.variadic}0")
    return lacking


def _place(name: str) -> int:
    digits = re.search(r"[0-9]+$", name)
    return int(digits[0]) if digits else 0


def default_encoding(op: str, name: str) -> Encoding:
    """The element type of an input unless its argument says otherwise."""
    lower = name.lower()
    if lower in _INT64:
        return INT64
    if lower in _INT32:
        return INT32
    if lower in _BOOL:
        return BOOL
    if "zero_point" in lower and "scale" not in lower:
        return UINT8
    if op in _PACKED and lower == "b":
        return UINT8
    if _QUANTIZED.match(op) and lower in ("x", "a", "w", "b", "input", "weight"):
        return INT32 if "Conv" in op and lower == "b" else INT8 if lower in ("w", "b", "weight") else UINT8
    return FLOAT


def is_weight(found: Operator, name: str) -> bool:
    """Whether an input counts as parameters unless its argument says otherwise."""
    takes = found.rules.shape_takes
    if takes is None or name not in takes.inputs[1:]:
        return False
    lower = name.lower()
    kind = found.rules.kind if isinstance(found.rules.kind, str) else "conv"
    holds = lower in _WEIGHTS or (lower == "b" and (kind in _B_IS_WEIGHT or found.op in _PACKED))
    if not holds or kind == "quantize":
        return False
    place = takes.inputs.index(name)
    node = Node("", found.domain, found.op, (), (), {})
    return role(node, place, Constant(name, FLOAT, (2, 2), "initializer", 4, 16)) == PARAM
