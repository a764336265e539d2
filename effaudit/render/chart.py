"""A bar chart of shares for a terminal, in ASCII."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.printable import printable
from effaudit.report import ModelReport
from effaudit.tables.hot import TITLES
from effaudit.units import human, human_bytes

BAR = 40
LABEL = 20


def chart(model: ModelReport, figure: str) -> Iterator[str]:
    """The shares of one cost: by the groups that were asked for, or else by kind of node."""
    found = next(hot for hot in model.hot if hot.figure == figure)
    show = human_bytes if figure in ("bytes", "activations") else human
    yield f"\n{TITLES[figure]} by kind, {show(found.total)} in all\n"
    greatest = max(found.kinds.values(), default=1.0)
    for kind, share in found.kinds.items():
        bar = "#" * max(1, round(BAR * share / greatest))
        yield f"{printable(kind, LABEL):<{LABEL}} {100 * share:5.1f} %  {bar}\n"
    if not found.kinds:
        yield "  none\n"
