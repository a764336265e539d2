"""CSV: a row per model, step and device, exact; with `--details` a row per figure of each tensor or group."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.before_after.types import WhatIfDocument
from effaudit.render.csv import line
from effaudit.tables.before_after import every_detail, every_step
from effaudit.tables.table import Shown, arranged


def render(document: WhatIfDocument, shown: Shown) -> Iterator[str]:
    """Unknown numbers are empty cells, ranges two numbers "LOW..HIGH"."""
    made = arranged(every_detail(document), Shown(top=shown.top)) if shown.tables else every_step(document)
    yield line([column.key for column in made.columns])
    yield from map(line, made.rows())
