"""Which row shows a constant: that of the node which reads it first. The nodes of a body stand in every row that runs
it, and count in the first."""

from __future__ import annotations

from collections.abc import Mapping

from effaudit.table import CostTable, Row

Own = Mapping[int, tuple[int, int]]  # identity of a reading node -> (params, weight bytes)


def owners(table: CostTable) -> dict[int, int]:
    """Identity of a node -> the row it first stands in."""
    found: dict[int, int] = {}
    seen: set[int] = set()

    def visit(row: Row, place: int) -> None:
        found.setdefault(id(row.node), place)
        for inner in row.bodies.values():
            if id(inner) not in seen:
                seen.add(id(inner))
                for r in inner.rows:
                    visit(r, place)

    for i, row in enumerate(table.rows):
        visit(row, i)
    return found


def by_row(table: CostTable, own: Own, places: Mapping[int, int]) -> list[tuple[int, int]]:
    """(params, weight bytes) of each row, those of its bodies included; each tensor once. `places` are `owners`."""
    found = [(0, 0)] * len(table.rows)
    for reader, (params, size) in own.items():
        place = places.get(reader)
        if place is not None:
            found[place] = (found[place][0] + params, found[place][1] + size)
    return found


class Claims:
    """Hands out the constants of one row: each to the node that reads it, once."""

    def __init__(self, own: Own, places: Mapping[int, int], row: int) -> None:
        self._own = own
        self._places = places
        self._row = row
        self._shown: set[int] = set()

    def take(self, key: int) -> tuple[int, int]:
        """(params, weight bytes) of a reader."""
        if key in self._shown or self._places.get(key) != self._row:
            return 0, 0
        self._shown.add(key)
        return self._own.get(key, (0, 0))

    def first(self, key: int) -> bool:
        """True the first time: a body that several nodes of a row share is spelled out once."""
        fresh = key not in self._shown
        self._shown.add(key)
        return fresh
