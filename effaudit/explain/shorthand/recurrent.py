"""Recurrent layers by input size, hidden size and steps. One node is one layer."""

from __future__ import annotations

from effaudit.explain.call import Call
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short

_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def _layer(found: Operator, given: Given) -> Call:
    gates, hidden, inner = _GATES[found.op], given.size("hidden"), given.size("input")
    both = given.flag("bidirectional")
    directions = 2 if both else 1
    inputs = {
        "x": given.data(given.size("steps"), given.size("batch"), inner),
        "w": given.weight(directions, hidden * gates, inner),
        "r": given.weight(directions, hidden * gates, hidden),
    }
    if given.flag("bias", default=True):
        inputs["b"] = given.weight(directions, hidden * (2 * gates))
    attrs = {"direction": "bidirectional"} if both else {}
    return Call(found.domain, found.op, inputs, {**attrs, **given.attrs})


RECURRENT = Short(
    frozenset(_GATES),
    {
        "input": "input size",
        "hidden": "hidden size",
        "steps": "length of the sequence",
        "batch": "sequences (1)",
        "bidirectional": "yes or no (no)",
        "bias": "yes or no (yes)",
        "dtype": "element type (float32)",
    },
    (("input",), ("hidden",), ("steps",)),
    "input=128 hidden=256 steps=100",
    _layer,
)
