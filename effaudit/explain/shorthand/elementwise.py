"""Elementwise operators, activations and softmax by one shape."""

from __future__ import annotations

from effaudit.explain.call import Call
from effaudit.explain.element_types import default_encoding
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.explain.takes import names_of
from effaudit.graph import FLOAT

KINDS = frozenset(("elementwise", "activation", "softmax"))
ONE_INPUT = frozenset(("Gelu", "FastGelu", "QuickGelu", "ScaledSiLU"))  # of com.microsoft
_TWO = frozenset(("Sum", "Max", "Min", "Mean"))


def _same(found: Operator, given: Given) -> Call:
    """Every input that is needed has the shape."""
    takes = names_of(found.rules)
    names = takes.inputs[: takes.required] or (f"{takes.variadic}0",)
    if found.op in _TWO:
        names = (f"{takes.variadic}0", f"{takes.variadic}1")
    shape = given.sizes("shape") or ()
    inputs = {}
    for name in names:
        typed = default_encoding(found.domain, found.op, name)
        inputs[name] = given.data(*shape)
        if typed is not FLOAT:
            inputs[name] = type(inputs[name])(typed, shape)
    return Call(found.domain, found.op, inputs, given.attrs)


ELEMENTWISE = Short(
    frozenset(),
    {"shape": "the shape of every input", "dtype": "element type (float32)"},
    (("shape",),),
    "shape=1x64x56x56",
    _same,
    {"Cast": "shape=1x64x56x56 to=10", "Softmax": "shape=1x12x128x128"},
)
