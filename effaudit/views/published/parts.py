"""The rows a published figure is made of: every node that runs, with its multiply-accumulates, params and sizes."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from effaudit.audited import Audited
from effaudit.graph import Node, Shape, Value
from effaudit.quantity import Quantity
from effaudit.views.extents import elements

ATTENTION = frozenset(("attention", "attention-scores", "attention-values"))
FULLY_CONNECTED = frozenset(("gemm",))


class Part(msgspec.Struct, frozen=True, gc=False):
    """A node that runs; `macs` and `ops` are the fewest where they are not exact, `elements` those of its outputs
    (None: not known)."""

    node: Node
    kind: str
    macs: int
    ops: int
    params: int
    elements: int | None


class Parts(msgspec.Struct, frozen=True):
    """The nodes that run, in execution order, and the totals that are not theirs alone.

    `macs` and `ops` are the exact totals or ranges; `batch` is the leading dim of the first input (1 where that is no
    number).
    """

    rows: tuple[Part, ...]
    macs: Quantity
    ops: Quantity
    batch: int
    audited: Audited

    @property
    def computing(self) -> tuple[Part, ...]:
        """The rows that multiply and accumulate."""
        return tuple(row for row in self.rows if row.macs)

    @property
    def holding(self) -> tuple[Part, ...]:
        """The rows that read parameters first."""
        return tuple(row for row in self.rows if row.params)

    def shape(self, name: str) -> Shape | None:
        """The shape of a tensor, None where it is not known."""
        value = self.audited.graph.values.get(name)
        return None if value is None else value.shape


def parts(audited: Audited) -> Parts:
    """The parts of a model."""
    held = audited.weights.by_reader()
    values = audited.graph.values
    rows = tuple(
        Part(
            row.node,
            audited.kind(i),
            row.quantity("macs").low,
            row.quantity("ops").low,
            held.get(id(row.node), (0, 0))[0],
            total(values.get(name) for name in row.node.outputs if name),
        )
        for i, row in enumerate(audited.table.rows)
        if row.live
    )
    first = values.get(audited.graph.inputs[0]) if audited.graph.inputs else None
    lead = first.shape[0] if first is not None and first.shape else 1
    batch = lead if isinstance(lead, int) else 1
    return Parts(rows, audited.table.total("macs"), audited.table.total("ops"), batch, audited)


def total(values: Iterable[Value | None]) -> int | None:
    """The elements of some values together; None where one is not known."""
    sizes = (elements(value) for value in values)
    return known_sum(*(size if isinstance(size, int) else None for size in sizes))


def known_sum(*counts: int | None) -> int | None:
    """The sum of counts; None where one is not known."""
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
