"""Totals as formulas of the open dims, each checked against the number it stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.plan.liveness import live_formula
from effaudit.quantity import Quantity, add
from effaudit.table import CostTable
from effaudit.views.crossovers import Crossover, between, by_degree


def formulas(audited: Audited) -> dict[str, str | None] | None:
    """Totals as expressions of the open dims: each None where it cannot be told or disagrees with the number; None
    altogether where no dim is open."""
    if audited.formulas is None:
        return None
    at, table, live = sizes_used(audited), audited.table, live_formula(audited.symbolic)
    exact = _exact(audited.formulas)
    found = {
        name: _checked(exact[figure], table.total(figure), at) if figure in exact else None
        for figure, name in _FIGURES.items()
    }
    flops = _sum_of(exact.get("macs"), exact.get("macs"), exact.get("ops"))
    numbers = add((table.total("macs"), table.total("macs"), table.total("ops")))
    found["flops"] = None if flops is None else _checked(flops, numbers, at)
    found["live_bytes"] = None if live is None else _checked(live, audited.memory.live_bytes, at)
    return found


def crossovers(audited: Audited, parts: Mapping[str, Dim] | None) -> tuple[Crossover, ...]:
    """Sizes from which the terms of a higher degree lead, and from which attention outweighs the rest of its layers."""
    if audited.formulas is None:
        return ()
    macs, at = _exact(audited.formulas).get("macs"), sizes_used(audited)
    if macs is None or any(s.origin != "input" for s in dims.symbols(macs)):
        return ()
    found = list(by_degree(macs, "macs", at))
    if parts:
        attention = _sum_of(parts.get("scores", 0), parts.get("values", 0))
        projections = _sum_of(*(parts.get(name, 0) for name in ("qkv", "output", "ffn")))
        for others, what in ((parts.get("ffn"), "ffn"), (projections, "qkv + output + ffn")):
            if attention is not None and others is not None:
                found.extend(between(attention, others, ("scores + values", what), at))
    return tuple(found)


def sizes_used(audited: Audited) -> dict[str, int]:
    """The number of every dim that has one."""
    return {name: info.value for name, info in audited.graph.dims.items() if info.value is not None}


def _exact(costs: CostTable) -> dict[str, Dim]:
    low, high = costs.low, costs.high
    return {figure: getattr(low, figure) for figure in _FIGURES if getattr(low, figure) == getattr(high, figure)}


def _sum_of(*parts: Dim | None) -> Dim | None:
    """The sum of expressions, None where one is not known or they are too many to add up."""
    known = [part for part in parts if part is not None]
    try:
        return dims.total(known) if len(known) == len(parts) else None
    except Undecided:
        return None


_FIGURES: Final = {"macs": "macs", "ops": "ops", "reads": "read_bytes", "writes": "write_bytes"}


def _checked(formula: Dim, number: Quantity, at: dict[str, int]) -> str | None:
    if any(s.origin != "input" for s in dims.symbols(formula)):
        return None
    return dims.text(formula) if dims.evaluate(formula, at) == number.value else None
