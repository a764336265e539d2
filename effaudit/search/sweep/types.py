"""What a renderer may see of a sweep. Field by field: docs/json-sweep.md. Bytes and seconds; None is unknown."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.before_after.types import Executed, StepMemory, StepOnDevice
from effaudit.report import Totals

SCHEMA: Final = "effaudit.sweep/1"


class Axis(msgspec.Struct, frozen=True):
    """Something that varies, and its values in the order of the points: "dim seq", "shape", the name of a what-if,
    "device", "set sram", "runtime". "none" of a what-if is the model without it."""

    name: str
    values: tuple[str, ...]


class Point(msgspec.Struct, frozen=True):
    """One combination: `values` has that of every axis. `totals`, `executed`, `memory` and `device` are those of
    `effaudit whatif` after the last what-if, `loss` is of all of them together; None where it is not known, or `error`
    says why there is nothing. `command` are the words of a command line that shows the point ("": a size that was set
    is in no profile)."""

    model: str
    values: dict[str, str]
    totals: Totals | None
    executed: Executed | None
    memory: StepMemory | None
    device: StepOnDevice | None
    loss: float | None
    retrain: bool
    notes: tuple[str, ...]
    command: str
    error: str | None


class SweepDocument(msgspec.Struct, frozen=True):
    """The document of `effaudit sweep`: the points are every combination of a model and a value of each axis, the last
    axis varying fastest."""

    schema: str
    version: str
    counting: str
    models: tuple[str, ...]
    axes: tuple[Axis, ...]
    points: tuple[Point, ...]
