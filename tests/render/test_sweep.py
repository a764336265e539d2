"""A sweep in every format: names are untrusted, numbers may be large, rows may have no figures."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from effaudit.render.sweep import render
from effaudit.search.sweep.points import document
from effaudit.search.sweep.types import Axis, Point, SweepDocument
from effaudit.tables.table import Shown
from tests.hostile.harmless import RULES

from .before_after.goldens import made

NASTY = "<script>alert(1)</script>|`=1+2`\x1b[31m\u202e&lt;\n\x9b0m"
FORMATS = ("text", "json", "markdown", "csv")


@cache
def sweep(*, name: str, size: int | None = None) -> SweepDocument:
    """Two points with figures, on a device, and one without."""
    (model,) = made("devices").models
    axes = (Axis(f"dim {name}", ("1", "2")), Axis("prune", (name, "none")), Axis(f"set {name}", (name,)))
    values = {axis.name: axis.values[0] for axis in axes}
    found = [
        Point(
            model=name,
            values=values,
            totals=row.totals if size is None else replace(row.totals, macs=size, params=size, why=name),
            executed=row.executed if size is None else replace(row.executed, macs=size),
            memory=row.memory if size is None else replace(row.memory, arena_bytes=None, why=name),
            device=row.devices[0],
            loss=0.5,
            retrain=True,
            notes=(name,),
            command=f"effaudit whatif {name}",
            error=None,
        )
        for row in model.steps
    ]
    return document((name,), axes, [*found, Point(name, values, None, None, None, None, None, False, (), "", name)])


@pytest.mark.parametrize("size", [None, 10**40])
@pytest.mark.parametrize("name", [NASTY, "a/very/long/name/" * 40, "=cmd|' /C calc'!A0", "--", "'"])
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_breaks(form: str, name: str, size: int | None) -> None:
    text = "".join(render(form, sweep(name=name, size=size), Shown()))
    RULES[form](text)
    assert "".join(render(form, replace(sweep(name=name), points=sweep(name=name).points[-1:]), Shown()))


def test_lines_keep_to_80_columns() -> None:
    lines = "".join(render("text", sweep(name="model"), Shown())).splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("error  model") for line in lines)
    assert lines[-1] == "next   effaudit whatif model"
