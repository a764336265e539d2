"""What a published figure may count: a name, a value, and the rows that are in it or left out."""

from __future__ import annotations

import msgspec

from effaudit.views.published.parts import Part

FIGURE = "figure"
CONVENTION = "convention"
VARIANT = "variant"
SUBSET = "subset"


class Count(msgspec.Struct, frozen=True):
    """One thing that can be counted.

    `group` is "figure" (a total of this program), "convention" (another way to count the same graph), "variant"
    (another graph) or "subset" (some of the rows). `counts` is "compute", "params", "bytes" or "elements". `rows` are
    those summed over (empty where the count is of no rows), `left_out` the ones among them that are not in it.
    """

    name: str
    group: str
    counts: str
    value: int
    formula: str
    rows: tuple[Part, ...] = ()
    left_out: tuple[Part, ...] = ()


def doubled(count: Count) -> Count:
    """The same count with a multiply and an add as two operations."""
    name = f"2 x ({count.name})"
    return msgspec.structs.replace(count, name=name, value=2 * count.value, formula=f"2 x ({count.formula})")
