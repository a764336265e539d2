"""An audited model and what-ifs -> every figure as given and after each step."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import msgspec

from effaudit import __version__
from effaudit.audited import Audited
from effaudit.before_after.asked import StepsAsked
from effaudit.before_after.device import on_device
from effaudit.before_after.types import SCHEMA, Executed, ModelSteps, StepMemory, StepRow, WhatIfDocument
from effaudit.errors import EffauditError, UsageError
from effaudit.fit.patching import patched
from effaudit.graph import Constant, Graph
from effaudit.memory.planned import Planned, planned
from effaudit.memory.types import PatchReport
from effaudit.quantity import Quantity
from effaudit.report import LiveTensor
from effaudit.report.model import dims_of, totals_of
from effaudit.report.nodes import tensor_type
from effaudit.table import COUNTING, price
from effaudit.whatif import apply, find, text
from effaudit.whatif.constants import missing
from effaudit.whatif.types import Change, Step

NOTHING_ASKED = StepsAsked()


def document(models: Sequence[ModelSteps]) -> WhatIfDocument:
    """The document over models."""
    return WhatIfDocument(SCHEMA, __version__, COUNTING, tuple(models))


def before_after(
    audited: Audited,
    steps: Sequence[Step],
    asked: StepsAsked = NOTHING_ASKED,
    each: Callable[[int], None] = lambda done: None,
) -> tuple[ModelSteps, Audited]:
    """A model as given and after each of the steps, one after the other; also the model after the last.

    `each` is told how many rows are done. Raises UsageError naming the step where one cannot be made, and for what a
    device does not have.
    """
    rows, last = [], audited
    for number, (step, change, made) in enumerate(_made(audited, steps)):
        rows.append(row_of(step, change, made, asked if number == len(steps) else asked.before(made.graph)))
        last = made
        each(number + 1)
    given: dict[str, dict[str, Any]] = {
        "dims": dict(audited.given.dims),
        "shapes": {name: list(shape) for name, shape in audited.given.shapes.items()},
    }
    return ModelSteps(audited.name, given, asked.options(), missing_of(audited.raw), None, tuple(rows)), last


def _made(audited: Audited, steps: Sequence[Step]) -> Iterator[tuple[Step | None, Change, Audited]]:
    """The model as given, then after each step."""
    yield None, Change(audited.raw), audited
    for number, step in enumerate(steps, 1):
        try:
            change, audited = apply(audited, step)
        except EffauditError as error:
            said = str(error).removeprefix(f"{audited.name}: ").removeprefix(f"--{step.name}: ")
            raise UsageError(f"{audited.name}: step {number} ({text(step)}): {said}") from None
        yield step, change, audited


def row_of(step: Step | None, change: Change, audited: Audited, asked: StepsAsked = NOTHING_ASKED) -> StepRow:
    """The figures of a model after a step (None: as given). Raises UsageError for what a device does not have."""
    values = audited.symbolic.values
    placed = [on_device(audited, device, asked.fit) for device in asked.devices]
    made = placed[0][1].planned if placed else planned(audited.graph, asked.plan())
    patch = placed[0][1].patch if placed else patched(audited, made)
    return StepRow(
        whatif=None if step is None else step.name,
        arguments={} if step is None else arguments_of(step),
        option="" if step is None else option_of(step),
        inputs=tuple(tensor_type(name, values[name]) for name in audited.raw.inputs),
        outputs=tuple(tensor_type(name, values[name]) for name in audited.raw.outputs),
        dims=dims_of(audited.graph, audited.symbolic),
        totals=totals_of(audited),
        executed=_executed(audited, made, patch),
        memory=_memory(made, patch),
        devices=tuple(report for report, _ in placed),
        loss=change.loss,
        retrain=change.retrain,
        table=change.table or None,
        notes=change.notes,
        blocked=change.blocked,
        details=change.details,
    )


def option_of(step: Step) -> str:
    """The words of the command line that ask for the step, ready to paste."""
    return f"--{step.name} {shlex.quote(find(step.name).text(step.arguments))}"


def arguments_of(step: Step) -> dict[str, Any]:
    """The arguments as plain values, as a file of steps has them; a share in percent."""
    found: dict[str, Any] = msgspec.to_builtins(step.arguments, enc_hook=_plain)
    return found


def _plain(value: object) -> object:
    if isinstance(value, Fraction):
        return f"{(Decimal(100 * value.numerator) / value.denominator).normalize():f}%"
    if isinstance(value, Mapping):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def _memory(made: Planned, patch: PatchReport | None) -> StepMemory:
    live = made.liveness
    steps = [node for node, runs in zip(made.graph.nodes, made.flow.live, strict=True) if runs]
    peak = live.peak
    arena = made.arena if patch is None else Quantity(patch.patched_bytes, patch.patched_bytes)
    return StepMemory(
        runtime=made.runtime.name,
        planner=made.asked.planner or made.runtime.planner if made.plan is None else made.plan.planner,
        sum_bytes=live.sum_bytes.value,
        max_in_out_bytes=live.max_in_out_bytes.value,
        live_bytes=live.live_bytes.value,
        live_bounds=live.live_bytes.bounds,
        inplace_bytes=live.inplace_bytes.value,
        inplace_bounds=live.inplace_bytes.bounds,
        arena_bytes=arena.value,
        arena_bounds=arena.bounds,
        floor_bytes=None
        if patch is not None
        else made.plan.floor
        if made.plan is not None and made.need.exact
        else made.need.least.floor,
        peak_node=steps[peak.step].label if peak is not None and peak.step < len(steps) else None,
        live_set=() if peak is None else tuple(LiveTensor(name, size) for name, size in peak.alive),
        why=live.live_bytes.why or arena.why or None,
    )


def _executed(audited: Audited, made: Planned, patch: PatchReport | None) -> Executed:
    table = audited.table if made.graph is audited.graph else price(made.graph, made.flow)
    macs, ops, read, written = (table.total(figure) for figure in ("macs", "ops", "reads", "writes"))
    if patch is not None:  # halos are computed again: exactly these MACs, and more of all else
        macs = Quantity(macs.low + patch.extra_macs, None if macs.high is None else macs.high + patch.extra_macs)
        ops, read, written = (Quantity(one.low, None, "what halos repeat of it") for one in (ops, read, written))
    return Executed(
        nodes=made.flow.running,
        macs=macs.value,
        macs_bounds=macs.bounds,
        ops=ops.value,
        ops_bounds=ops.bounds,
        read_bytes=read.value,
        read_bounds=read.bounds,
        write_bytes=written.value,
        write_bounds=written.bounds,
    )


def missing_of(graph: Graph) -> str | None:
    """Why a model has not all of its weights; None where it has."""
    held = (node.attrs.get("value") for node in graph.nodes if node.op == "Constant" and not node.domain)
    for constant in (*graph.constants.values(), *held):
        if isinstance(constant, Constant) and (why := missing(constant)):
            return why
    return None
