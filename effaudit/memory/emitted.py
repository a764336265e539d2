"""The offsets of a plan for programs: TFLM's offline planner, or a C header."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.load import NOTHING_GIVEN, Given
from effaudit.memory.asked import NOTHING_ASKED, Asked
from effaudit.memory.planned import planned
from effaudit.plan.emit import c, tflm


def emitted(
    form: str,
    name: str | os.PathLike[str],
    given: Given = NOTHING_GIVEN,
    asked: Asked = NOTHING_ASKED,
    operators: Mapping[tuple[str, str], Any] | None = None,
) -> str:
    """The plan of a model as "tflm" or "c". Raises LoadError, LimitError, UsageError."""
    audited = examine(name, given, operators)
    made = planned(audited.graph, asked)
    if made.plan is None or not made.need.exact:
        raise UsageError(f"{name}: offsets need sizes that are known: {made.need.why}; give them with --dim or --shape")
    storages = made.need.storages
    if form == "tflm":
        return tflm.emit_tflm_json(made.plan, storages)
    return c.emit_c(made.plan, PurePath(audited.name.removeprefix("sample:")).stem, storages)
