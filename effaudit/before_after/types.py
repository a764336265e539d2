"""What a renderer may see of what-ifs. Field by field: docs/json-whatif.md. Bytes and seconds; None is unknown."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from effaudit.fit.types import Bottleneck, MemoryRow, SecondsReport, Verdict
from effaudit.report import DimReport, LiveTensor, TensorType, Totals
from effaudit.whatif.types import Blocked, Detail

SCHEMA: Final = "effaudit.whatif/1"


class StepMemory(msgspec.Struct, frozen=True):
    """Memory figures as `effaudit memory` names them, of the graph as `runtime` executes it. `why` says what keeps a
    figure from being exact; in patches, the arena is theirs and no floor is known."""

    runtime: str
    planner: str
    sum_bytes: int | None
    max_in_out_bytes: int | None
    live_bytes: int | None
    live_bounds: list[int | None]
    inplace_bytes: int | None
    inplace_bounds: list[int | None]
    arena_bytes: int | None
    arena_bounds: list[int | None]
    floor_bytes: int | None
    peak_node: str | None
    live_set: tuple[LiveTensor, ...]
    why: str | None


class Executed(msgspec.Struct, frozen=True):
    """What the graph costs as the runtime of `memory` executes it: pairs of QuantizeLinear and DequantizeLinear folded
    into integer operators, activations fused, where that runtime does so. Of no runtime, the graph as written."""

    nodes: int
    macs: int | None
    macs_bounds: list[int | None]
    ops: int | None
    ops_bounds: list[int | None]
    read_bytes: int | None
    read_bounds: list[int | None]
    write_bytes: int | None
    write_bounds: list[int | None]


class StepOnDevice(msgspec.Struct, frozen=True):
    """The model on a device, judged as it is: what `effaudit fit` might change to make it fit is not tried. `runtime`
    is the device's own, `rules` those of `effaudit memory`. `filled` are dims that the device's deployment gave. `why`
    says why the verdict or the time is not known, None where they are."""

    device: str
    title: str
    runtime: str
    rules: str
    filled: tuple[str, ...]
    status: Verdict
    bottleneck: Bottleneck
    rows: tuple[MemoryRow, ...]
    arena_bytes: int | None
    arena_bounds: tuple[int, int | None]
    latency_s: SecondsReport
    energy_j: SecondsReport | None
    why: str | None


class StepRow(msgspec.Struct, frozen=True):
    """The model after a what-if; the first is the model as given, and has no `whatif`. `option` is the words of the
    command line that ask for the step. `totals` are those of a report. `loss` stands for what the network may have lost
    in this step, 0 to 1 (None: it takes weights to tell), and `retrain` is true where nobody would ship the result
    without training it again. `blocked` is what the step had to leave as it was; `table` the mixed table that it found,
    as `--quantize table=FILE` reads it."""

    whatif: str | None
    arguments: dict[str, Any]
    option: str
    inputs: tuple[TensorType, ...]
    outputs: tuple[TensorType, ...]
    dims: dict[str, DimReport]
    totals: Totals
    executed: Executed
    memory: StepMemory
    devices: tuple[StepOnDevice, ...]
    loss: float | None
    retrain: bool
    table: str | None
    notes: tuple[str, ...]
    blocked: tuple[Blocked, ...]
    details: tuple[Detail, ...]


class ModelSteps(msgspec.Struct, frozen=True):
    """One model, as given and after every step. `options` are the words of the command line that name the devices and
    the runtime; `missing` says why the file has no weights, None where it has all of them; `saved` is where the model
    after the last step was written."""

    path: str
    given: dict[str, dict[str, Any]]
    options: tuple[str, ...]
    missing: str | None
    saved: str | None
    steps: tuple[StepRow, ...]


class WhatIfDocument(msgspec.Struct, frozen=True):
    """The document of `effaudit whatif`."""

    schema: str
    version: str
    counting: str
    models: tuple[ModelSteps, ...]
