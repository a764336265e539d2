"""Totals as formulas of the open dims, each checked against the number it stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.plan.liveness import live_formula
from effaudit.quantity import Quantity, add
from effaudit.table import CostTable
from effaudit.views.crossovers import Crossover, between, by_degree
from effaudit.views.expressions import agrees, sizes_used, total_or_none


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
    flops = total_or_none((exact.get("macs"), exact.get("macs"), exact.get("ops")))
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
        attention = total_or_none((parts.get("scores", 0), parts.get("values", 0)))
        projections = total_or_none([parts.get(name, 0) for name in ("qkv", "output", "ffn")])
        for others, what in ((parts.get("ffn"), "ffn"), (projections, "qkv + output + ffn")):
            if attention is not None and others is not None:
                found.extend(between(attention, others, ("scores + values", what), at))
    return tuple(found)


def _exact(costs: CostTable) -> dict[str, Dim]:
    low, high = costs.low, costs.high
    return {figure: getattr(low, figure) for figure in _FIGURES if getattr(low, figure) == getattr(high, figure)}


_FIGURES: Final = {"macs": "macs", "ops": "ops", "reads": "read_bytes", "writes": "write_bytes"}


def _checked(formula: Dim, number: Quantity, at: dict[str, int]) -> str | None:
    return dims.text(formula) if agrees(formula, number.value, at) else None
