"""What one node costs, in the parts it costs in: a fused operator and a body cost in several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from effaudit.graph import Node
from effaudit.quantity import Quantity, add
from effaudit.table import CostTable, Row
from effaudit.views.transformer.fused import inside
from effaudit.views.transformer.signal import Signal
from effaudit.views.transformer.types import QKV, SCORES, VALUES, Part

ZERO = Quantity(0, 0)


class Piece(msgspec.Struct, frozen=True):
    """A share of one node's cost."""

    part: str
    macs: Quantity
    ops: Quantity
    params: int = 0


class Params:
    """Parameters by the node that reads them first; each tensor is handed out once however many nodes run a body."""

    def __init__(self, by_reader: Mapping[int, tuple[int, int]]) -> None:
        self._left = {key: params for key, (params, _) in by_reader.items()}
        self._seen: set[int] = set()

    def peek(self, node: Node) -> int:
        return self._left.get(id(node), 0)

    def take(self, node: Node, bodies: Mapping[str, CostTable]) -> int:
        """The parameters of a node and of everything in its bodies."""
        total = self._left.pop(id(node), 0)
        pending = list(bodies.values())
        while pending:
            table = pending.pop()
            if id(table) in self._seen:
                continue
            self._seen.add(id(table))
            for row in table.rows:
                total += self._left.pop(id(row.node), 0)
                pending.extend(row.bodies.values())
        return total


def whole(row: Row, part: str, params: int) -> list[Piece]:
    """A node that costs in one part."""
    return [Piece(part, row.quantity("macs"), row.quantity("ops"), params)]


def operator(s: Signal, i: int, params: int) -> tuple[list[Piece], str]:
    """The pieces of a fused attention operator; and why it could not be split, if so."""
    row = s.table.rows[i]
    f = inside(s, i)
    if f.qkv is None or f.scores is None or f.values is None:
        why = f"{row.node.op} {row.node.label} is counted as scores: {row.why or 'its sizes are not known'}"
        return whole(row, SCORES, params), why
    found = [
        Piece(QKV, Quantity(f.qkv, f.qkv), ZERO, params),
        Piece(SCORES, Quantity(f.scores, f.scores), row.quantity("ops")),
        Piece(VALUES, Quantity(f.values, f.values), ZERO),
    ]
    return found, ""


def summed(found: Iterable[Piece]) -> tuple[Piece, ...]:
    """One piece per part."""
    by: dict[str, list[Piece]] = {}
    for piece in found:
        by.setdefault(piece.part, []).append(piece)
    return tuple(
        Piece(part, add(p.macs for p in own), add(p.ops for p in own), sum(p.params for p in own))
        for part, own in by.items()
    )


def times(pieces: Iterable[Piece], fewest: int, most: int | None, why: str) -> list[Piece]:
    """The pieces of so many runs; parameters are there once."""
    return [
        Piece(p.part, _times(p.macs, fewest, most, why), _times(p.ops, fewest, most, why), p.params) for p in pieces
    ]


def _times(q: Quantity, fewest: int, most: int | None, why: str) -> Quantity:
    low = q.low * fewest
    high = 0 if q.high == 0 else None if q.high is None or most is None else q.high * most
    return Quantity(low, high, "" if low == high else q.why or why)


def total(part: str, pieces: Iterable[Piece], nodes: int, macs: int | None = None, params: int = 0) -> Part:
    """The sum of pieces, with its share of `macs` and `params`, the model's."""
    pieces = list(pieces)
    summed = add(p.macs for p in pieces)
    held = sum(p.params for p in pieces)
    share = summed.value / macs if macs and summed.value is not None else None
    return Part(part, summed, add(p.ops for p in pieces), held, nodes, share, held / params if params else None)
