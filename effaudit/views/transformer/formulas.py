"""MACs per part as expressions of the open dims: where attention overtakes the projections, at what length."""

from __future__ import annotations

from math import gcd

from effaudit import dims
from effaudit.audited import Audited
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.table import CostTable
from effaudit.views.attends import is_fused
from effaudit.views.expressions import agrees, sizes_used, total_or_none
from effaudit.views.transformer.fused import Inside, projection
from effaudit.views.transformer.fused import inside as sizes_inside
from effaudit.views.transformer.signal import Signal, signal
from effaudit.views.transformer.types import PARTS, QKV, SCORES, VALUES, Transformer
from effaudit.views.transformer.view import transformer


def part_formulas(audited: Audited, view: Transformer | None = None) -> dict[str, Dim] | None:
    """MACs of the parts as expressions of the open dims, of those parts whose expression is known exactly.

    None where the model has no open dim or no attention. An expression is given only where it agrees with the numbers
    at the sizes assumed. `view` is the model's `transformer`, where the caller has it.
    """
    if audited.formulas is None:
        return None
    view = transformer(audited) if view is None else view
    if view is None:
        return None
    found = _by_part(audited, audited.formulas, view)
    at = sizes_used(audited)
    numbers = {part.name: part.macs.value for part in view.parts}
    return {part: value for part, value in found.items() if value is not None and agrees(value, numbers[part], at)}


def _by_part(audited: Audited, table: CostTable, view: Transformer) -> dict[str, Dim | None]:
    terms: dict[str, list[Dim | None]] = {part: [] for part in PARTS}
    numeric: Signal | None = None  # only fused operators need it
    for i, row in enumerate(table.rows):
        low, high = row.low.macs, row.high.macs
        if not row.live or high == 0:
            continue
        macs = low if low == high else None
        part = view.part_of[i]
        if row.bodies:
            for terms_of in terms.values():
                terms_of.append(None)  # which part of a body costs how much is known in numbers only
        elif part == SCORES and is_fused(row.node.op, row.node.domain):
            numeric = numeric or signal(audited.graph, audited.flow, audited.table)
            for name, value in _split(audited, numeric, i, macs).items():
                terms[name].append(value)
        else:
            terms[part].append(macs)
    return {part: total_or_none(values) for part, values in terms.items()}


def _split(audited: Audited, numeric: Signal, i: int, macs: Dim | None) -> dict[str, Dim | None]:
    """The parts of a fused operator: its projections, the rest by the sizes of its heads."""
    f: Inside = sizes_inside(numeric, i)
    qkv = projection(audited.symbolic, audited.symbolic.nodes[i]) if f.qkv else 0
    unknown: dict[str, Dim | None] = dict.fromkeys((QKV, SCORES, VALUES))
    if macs is None or qkv is None or f.scores is None or f.values is None:
        return unknown
    both = f.scores + f.values
    step = gcd(f.scores, both) or 1
    try:
        rest = macs - qkv
        scores = dims.floordiv(rest * (f.scores // step), both // step) if both else 0
        return {QKV: qkv, SCORES: scores, VALUES: rest - scores}
    except Undecided:  # more terms than an expression holds
        return unknown
