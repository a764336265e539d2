"""Charts: the longest bar is the largest share, and the shares printed are the report's."""

from __future__ import annotations

import re

import pytest

from effaudit.errors import UsageError
from effaudit.render.chart import chart
from effaudit.report import Asked, audit


def bars(text: str) -> list[tuple[str, float, int]]:
    """(label, percent, length) of every bar."""
    found = re.findall(r"^(.{24}) +([\d.]+) %  (#+)$", text, re.MULTILINE)
    return [(label.strip(), float(share), len(bar)) for label, share, bar in found]


@pytest.mark.parametrize("figure", ["macs", "params", "bytes", "activation_bytes", "ops"])
def test_by_kind(figure: str) -> None:
    model = audit("sample:mobilenetv2")
    found = bars("".join(chart(model, figure, 80)))
    kinds = next(hot.kinds for hot in model.hot if hot.figure == figure)
    assert [(label, share) for label, share, _ in found] == [(k, round(100 * v, 1)) for k, v in kinds.items()]
    lengths = [length for _, _, length in found]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] == 80 - 48


@pytest.mark.parametrize("figure", ["macs", "params", "bytes", "ops"])
def test_by_group(figure: str) -> None:
    model = audit("sample:ic", asked=Asked(group_by=("op", "kernel")))
    found = bars("".join(chart(model, figure, 100)))
    assert sum(share for _, share, _ in found) == pytest.approx(100, abs=1)
    assert {"macs": "Conv 3x3", "params": "Conv 3x3"}.get(figure, found[0][0]) == found[0][0]


def test_groups_have_no_activations() -> None:
    with pytest.raises(UsageError, match="leave --group-by out"):
        list(chart(audit("sample:ic", asked=Asked(group_by=("op",))), "activation_bytes", 80))
