"""Names of a model and words of a what-if are untrusted, and numbers may be large: no format breaks on them."""

from __future__ import annotations

from functools import cache

import pytest
from msgspec.structs import replace

from effaudit.before_after.types import ModelSteps, WhatIfDocument
from effaudit.render.before_after import render
from effaudit.tables.table import Shown
from effaudit.whatif.types import Blocked, Detail
from tests.hostile.harmless import RULES

from .goldens import FORMATS, made

NASTY = "<script>alert(1)</script>|`=1+2`\x1b[31m\u202e&lt;\n\x9b0m"
LONG = "a/very/long/name/" * 40
HUGE = 10**40


@cache
def document(*, name: str, size: int | None = None) -> WhatIfDocument:
    """Every text of a document is the name; every number of a step, where one is given, that size."""
    (model,) = made("devices").models
    steps = tuple(
        replace(
            step,
            option=f"--bind {name}" if step.whatif else "",
            notes=(name,) * 9,
            blocked=tuple(Blocked(name, name) for _ in range(9)),
            details=tuple(Detail(name, name, {"sqnr_db": 1.5, "words": name, "few_bytes": None}) for _ in range(9)),
            totals=step.totals if size is None else replace(step.totals, macs=size, params=size, why=name),
            memory=step.memory if size is None else replace(step.memory, live_bytes=size, arena_bytes=None, why=name),
            devices=tuple(replace(one, device=name, why=name) for one in step.devices),
        )
        for step in model.steps
    )
    return WhatIfDocument("s", "v", "c", (ModelSteps(name, model.given, ("--device", name), name, None, steps),))


@pytest.mark.parametrize("size", [None, HUGE])
@pytest.mark.parametrize("name", [NASTY, LONG, "=cmd|' /C calc'!A0", "--", "'"])
@pytest.mark.parametrize("details", [(), ("details",)])
@pytest.mark.parametrize("form", FORMATS)
def test_no_format_breaks(form: str, details: tuple[str, ...], name: str, size: int | None) -> None:
    found = document(name=name, size=size)
    for whole in (found, replace(found, models=found.models * 2)):
        text = "".join(render(form, whole, Shown(details)))
        RULES[form](text)
        if form == "text" and not details and size is None and len(whole.models) == 1:
            lines = [line for line in text.splitlines() if not line.startswith(("next ", name[:10]))]
            assert max(map(len, lines)) <= 80
            assert len(lines) <= 40
