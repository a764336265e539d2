"""Embeddings: rows of a table, picked by tokens."""

from __future__ import annotations

from effaudit.explain.call import Call, Operand
from effaudit.explain.lookup import Operator
from effaudit.explain.shorthand._arguments import Given, Short
from effaudit.graph import INT64


def _gather(found: Operator, given: Given) -> Call:
    indices = Operand(INT64, (given.size("batch"), given.size("tokens")))
    return Call(
        found.domain, found.op, {"data": given.weight(given.size("vocab"), given.size("d")), "indices": indices}
    )


EMBEDDING = Short(
    frozenset(("Gather",)),
    {
        "vocab": "rows of the table",
        "d": "width of a row",
        "tokens": "indices per sequence",
        "batch": "sequences (1)",
        "dtype": "element type of the table (float32)",
    },
    (("vocab",), ("d",), ("tokens",)),
    "vocab=30522 d=768 tokens=128",
    _gather,
)
