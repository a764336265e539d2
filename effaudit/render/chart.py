"""A bar chart of shares for a terminal, in ASCII."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.errors import UsageError
from effaudit.printable import printable
from effaudit.report import ModelReport
from effaudit.tables.hot import TITLES
from effaudit.units import human, human_bytes
from effaudit.views.groups import Group
from effaudit.views.hot import IN_BYTES

LABEL = 24
REST = 24  # what stands between the label and the bar, and its end


def chart(model: ModelReport, figure: str, width: int) -> Iterator[str]:
    """The shares of one cost: of the groups that were asked for, or else of the kinds of node, largest first.

    Ranges count with their lower end. Raises UsageError for a cost that groups do not have.
    """
    hot = next(hot for hot in model.hot if hot.figure == figure)
    by = "kind" if model.groups is None else ", ".join(model.groups.by)
    show = human_bytes if figure in IN_BYTES else human
    least = "at least " if hot.least else ""
    yield f"\n{TITLES[figure]} by {printable(by, 40)}, {least}{show(hot.total)} in all\n"
    shares = hot.kinds if model.groups is None else _of_groups(model, figure, hot.total)
    greatest = max(shares.values(), default=1.0)
    for label, share in shares.items():
        bar = "#" * max(1, round((width - LABEL - REST) * share / greatest))
        yield f"{printable(label, LABEL):<{LABEL}} {100 * share:5.1f} %  {bar}\n"
    if not shares:
        yield "  none\n"


def _of_groups(model: ModelReport, figure: str, total: int) -> dict[str, float]:
    if figure == "activation_bytes":
        raise UsageError("--chart activation_bytes: groups have macs, params, bytes and ops; leave --group-by out")
    groups = model.groups.groups if model.groups is not None else ()
    sums = {" ".join(group.key): _value(group, figure) for group in groups}
    ranked = sorted(sums.items(), key=lambda item: -item[1])
    return {label: value / total for label, value in ranked if value}


def _value(group: Group, figure: str) -> int:
    if figure == "params":
        return group.params
    if figure == "bytes":
        return (group.read_bounds[0] or 0) + (group.write_bounds[0] or 0)
    return (group.macs_bounds if figure == "macs" else group.ops_bounds)[0] or 0
