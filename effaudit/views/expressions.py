"""Expressions of a model's open dims: sums that may not be known, and whether one agrees with the number beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.errors import Undecided


def sizes_used(audited: Audited) -> dict[str, int]:
    """The number of every dim that has one."""
    return {name: info.value for name, info in audited.graph.dims.items() if info.value is not None}


def total_or_none(parts: Sequence[Dim | None]) -> Dim | None:
    """The sum of expressions; None where one is not known, or where they are too many to add up."""
    known = [part for part in parts if part is not None]
    try:
        return dims.total(known) if len(known) == len(parts) else None
    except Undecided:
        return None


def agrees(formula: Dim, number: int | None, at: Mapping[str, int]) -> bool:
    """True where an expression of the dims of graph inputs alone gives the number at these sizes."""
    if any(symbol.origin != "input" for symbol in dims.symbols(formula)):
        return False
    return dims.evaluate(formula, at) == number
