"""Nodes that compute nothing and still move bytes: 0 MACs and 0 ops are not 0 cost.

Transposes, joins, slices, pads, gathers: channel shuffles, temporal shifts and window partitions are made of them
(Lin, Gan, Han: TSM, ICCV 2019, https://arxiv.org/abs/1811.08383: no parameters, no MACs, bytes all the same). Views
(Reshape, Squeeze, ...) rename their input and move nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf

import msgspec

from effaudit.audited import Audited
from effaudit.quantity import Quantity, add
from effaudit.table import Row


class Moved(msgspec.Struct, frozen=True):
    """One node that computes nothing, and what one execution of the model moves through it.

    `bytes` is what it reads and writes; None where that is not exact: `bytes_bounds` then hold it (None: nothing bounds
    it) and `why` says why. `share` is that of all bytes the model moves. `ahead`: it depends on no graph input, so that
    it can be done once, before the model runs.
    """

    node: int
    label: str
    op: str
    kind: str
    read_bytes: int | None
    write_bytes: int | None
    bytes: int | None
    bytes_bounds: list[int | None]
    share: float | None
    ahead: bool
    why: str = ""


class MovedBy(msgspec.Struct, frozen=True):
    """All nodes of one operator: their number, and their bytes as in `Moved`."""

    op: str
    nodes: int
    bytes: int | None
    bytes_bounds: list[int | None]


class Undetermined(msgspec.Struct, frozen=True):
    """A node of which it is not known whether it computes, and why."""

    node: int
    label: str
    op: str
    why: str


class Movement(msgspec.Struct, frozen=True):
    """The nodes that run and compute nothing (0 MACs, 0 ops).

    `rows` move bytes, most first; `by_op` sums them up, most first; `views` is the number of nodes that move none.
    `bytes` are those of `rows`, `share` their part of all bytes the model moves: None where not exact, the bounds then
    hold what is known. `unknown` are nodes in none of these: whether they compute is not known.
    """

    rows: tuple[Moved, ...]
    by_op: tuple[MovedBy, ...]
    views: int
    bytes: int | None
    bytes_bounds: list[int | None]
    share: float | None
    share_bounds: list[float]
    why: str
    unknown: tuple[Undetermined, ...]


def movement(audited: Audited) -> Movement:
    """What moves without computing. Linear in the nodes but for sorting."""
    model = add((audited.table.total("reads"), audited.table.total("writes")))
    found: list[tuple[Quantity, int, Moved]] = []
    unknown: list[Undetermined] = []
    views = 0
    for i, row in enumerate(audited.table.rows):
        computes = _computes(row) if row.live else True
        if computes is None:
            unknown.append(Undetermined(i, row.node.label, row.node.op, row.doubt))
        elif not computes:
            read, written = row.quantity("reads"), row.quantity("writes")
            both = add((read, written))
            if both.high == 0:
                views += 1
            else:
                found.append((both, i, _moved(i, row, audited, (read, written, both, model))))
    found.sort(key=lambda item: (*_weight(item[0]), -item[1]), reverse=True)
    total = add(both for both, _, _ in found)
    return Movement(
        rows=tuple(row for _, _, row in found),
        by_op=_by_op((row.op, both) for both, _, row in found),
        views=views,
        bytes=total.value,
        bytes_bounds=total.bounds,
        share=_share(total, model),
        share_bounds=_bounds(total, model),
        why=total.why,
        unknown=tuple(unknown),
    )


def _computes(row: Row) -> bool | None:
    """Whether a node multiplies or computes at all; None where it may or may not."""
    low = row.low
    if (isinstance(low.macs, int) and low.macs > 0) or (isinstance(low.ops, int) and low.ops > 0):  # nearly always
        return True
    figures = row.quantity("macs"), row.quantity("ops")
    if any(figure.low for figure in figures):
        return True
    return False if all(figure.value == 0 for figure in figures) else None


def _moved(i: int, row: Row, audited: Audited, figures: tuple[Quantity, Quantity, Quantity, Quantity]) -> Moved:
    read, written, both, model = figures
    return Moved(
        node=i,
        label=row.node.label,
        op=row.node.op,
        kind=audited.kind(i),
        read_bytes=read.value,
        write_bytes=written.value,
        bytes=both.value,
        bytes_bounds=both.bounds,
        share=_share(both, model),
        ahead=audited.flow.varying.isdisjoint(row.node.outputs),
        why=both.why,
    )


def _weight(total: Quantity) -> tuple[int, float]:
    return total.low, inf if total.high is None else total.high


def _by_op(moved: Iterable[tuple[str, Quantity]]) -> tuple[MovedBy, ...]:
    parts: dict[str, list[Quantity]] = {}
    for op, both in moved:
        parts.setdefault(op, []).append(both)
    sums = sorted(((add(each), op) for op, each in parts.items()), key=lambda s: (_weight(s[0]), s[1]), reverse=True)
    return tuple(MovedBy(op, len(parts[op]), total.value, total.bounds) for total, op in sums)


def _share(part: Quantity, whole: Quantity) -> float | None:
    """The ratio of two exact numbers of bytes; None where they are not, or there is nothing to share."""
    if part.value is None or not whole.value:
        return None
    return part.value / whole.value


def _bounds(part: Quantity, whole: Quantity) -> list[float]:
    """The least and greatest share of a part: least where the rest is most, and the other way round."""
    most = None if whole.high is None else max(whole.high, part.low)
    least_rest = max(whole.low - (whole.low if part.high is None else part.high), 0)
    least = part.low / most if part.low and most is not None else 0.0
    if part.high is None:
        return [least, 1.0]
    return [least, part.high / (part.high + least_rest) if part.high else 0.0]
