"""The devices there are, as a table."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.device.document import DevicesDocument
from effaudit.tables.table import BYTES, NONE, Cell, Column, Table

COLUMNS = (
    Column("name", "device", width=40),  # to be copied: never cut
    Column("class", "class", width=5),
    Column("activation_contiguous_bytes", "arena", BYTES),
    Column("weight_bytes", "weights", BYTES),
    Column("runtime", "runtime", width=20),
    Column("aliases", "also called"),
    Column("title", "title", width=20, spare=True),
    Column("activation_bytes", "activations in all", BYTES),
    Column("origin", "origin"),
    Column("abstract", "abstract"),
    Column("path", "path"),
    Column("problem", "problem"),
)
BRIEF = ("name", "class", "activation_contiguous_bytes", "weight_bytes", "runtime", "title", "aliases")


def devices(document: DevicesDocument, *, broken: bool = True) -> Table:
    """A row per device, without numbers where it is broken. The arena is the largest region without a gap that may hold
    activations."""

    def rows() -> Iterator[tuple[Cell, ...]]:
        for one in document.devices:
            if one.problem and not broken:
                continue
            sizes = [one.activation_contiguous_bytes, one.weight_bytes, one.activation_bytes]
            contiguous, weights, total = [
                NONE if one.problem or (one.abstract and size is None) else size for size in sizes
            ]
            abstract = "yes" if one.abstract else ""
            names = ", ".join(one.aliases)
            yield (
                *(one.name, one.kind, contiguous, weights, one.runtime, names, one.title),
                *(total, one.origin, abstract, one.path, one.problem),
            )

    return Table("devices", "", COLUMNS, rows, brief=BRIEF)
