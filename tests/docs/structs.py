"""The structs of a document as tables of fields, from the code: `docs/json.md` takes those of the views."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

import effaudit.memory.types as memory_types
import effaudit.report.types as report_types
from effaudit.before_after.types import WhatIfDocument
from effaudit.fit.types import FitDocument
from effaudit.fit.view import DeviceView
from effaudit.memory.kernels import KernelReport
from effaudit.memory.sequences import CacheReport, ScoresReport
from effaudit.memory.training import TrainingReport
from effaudit.plan.patches import Parts
from effaudit.search.sweep.types import SweepDocument
from effaudit.serving.types import BatchRow as ServingBatchRow
from effaudit.timing.types import TimeDocument
from effaudit.views.against import Against
from effaudit.views.groups import Groups
from effaudit.views.movement import Movement
from effaudit.views.pareto import Pareto
from effaudit.views.published.architectures import Architecture
from effaudit.views.receptive_field import ReceptiveFields
from effaudit.views.transformer import Transformer
from effaudit.views.weights import WeightsReport
from effaudit.views.winograd import Winograd

VIEWS = (Groups, Movement, Transformer, ReceptiveFields, Winograd, WeightsReport, Against, Architecture, Pareto)
# Names that types.py knows to the type checker only.
NAMES = {kind.__name__: kind for kind in (*VIEWS, CacheReport, KernelReport, ScoresReport, TrainingReport, Parts)}
# Structs whose name another struct of the same page has.
TITLES: dict[type, str] = {ServingBatchRow: "ServingBatchRow"}
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null", Any: "any"}


def hints(kind: type) -> dict[str, Any]:
    """The annotations of a struct, resolved."""
    found: dict[str, Any] = get_type_hints(kind, localns={**vars(report_types), **vars(memory_types), **NAMES})
    return {name: found[name] for name in kind.__struct_fields__}


def structs(kind: Any, seen: list[type], hints: Callable[[type], dict[str, Any]] = hints) -> Iterator[type]:
    """A struct and those in its fields, in order, each once; `hints` are the annotations of one."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        if kind in seen:
            return
        seen.append(kind)
        yield kind
        for field in hints(kind).values():
            yield from structs(field, seen, hints)
    else:
        for part in get_args(kind):
            yield from structs(part, seen, hints)


def words(kind: Any) -> str:
    """A type as the documentation names it."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    origin, args = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        return " or ".join(words(part) for part in args)
    if origin is Literal:
        return ", ".join(f'`"{word}"`' for word in args)
    if origin in (tuple, list):
        inner = list(dict.fromkeys(words(part) for part in args if part is not Ellipsis))
        return f"array of {', '.join(inner)}"
    if origin is not None:
        return "object"
    return f"[{title(kind)}](#{title(kind).lower()})" if hasattr(kind, "__struct_fields__") else "object"


def title(kind: type) -> str:
    """The heading of a struct."""
    return TITLES.get(kind, kind.__name__)


def sections() -> str:
    """One section per struct of the views."""
    seen: list[type] = []
    return "\n\n".join(_section(kind) for view in VIEWS for kind in structs(view, seen))


def memory_sections() -> str:
    """One section per struct of the document of `effaudit memory`."""
    return "\n\n".join(map(_section, structs(memory_types.MemoryDocument, [])))


def fit_sections() -> str:
    """One section per struct of the document of `effaudit fit`, and of what a report says of a device."""
    seen: list[type] = []
    return "\n\n".join(_section(kind) for root in (FitDocument, DeviceView) for kind in structs(root, seen))


def whatif_sections() -> str:
    """One section per struct of the document of `effaudit whatif`."""
    return "\n\n".join(map(_section, structs(WhatIfDocument, [])))


def sweep_sections() -> str:
    """One section per struct of the document of `effaudit sweep`, as far down as a what-if's."""
    return "\n\n".join(map(_section, structs(SweepDocument, [])))


def time_sections() -> str:
    """One section per struct of the document of `effaudit time`."""
    return "\n\n".join(map(_section, structs(TimeDocument, [])))


def _section(kind: type) -> str:
    text = inspect.cleandoc(kind.__doc__ or "")
    rows = [
        f"| `{name}` | {words(hint)} |"
        for name, hint in hints(kind).items()
        if not (kind is Transformer and name == "part_of")
    ]
    prose = re.sub(r"\s*\n(?!\n)", " ", text.replace("\n\n", "\0")).replace("\0", "\n\n")
    return "\n".join([f"### {title(kind)}", "", prose, "", "| Field | Type |", "|---|---|", *rows])
