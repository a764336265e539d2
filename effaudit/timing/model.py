"""An audited model -> the times of its runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from time import get_clock_info
from typing import Any

import msgspec

from effaudit import __version__
from effaudit.audited import Audited
from effaudit.fit.subject import inferences
from effaudit.report.model import dims_of
from effaudit.report.nodes import tensor_type
from effaudit.run.guard import free_bytes, guard, needed_bytes
from effaudit.run.host import host
from effaudit.run.process import workplace
from effaudit.run.timed import timed
from effaudit.run.timed_types import Timed
from effaudit.run.usage import Usage, between, look
from effaudit.table import COUNTING
from effaudit.timing.asked import NOTHING_ASKED, TimeAsked
from effaudit.timing.fed import Fed, assumptions, fed
from effaudit.timing.held import graph_made, memory
from effaudit.timing.host import host_of
from effaudit.timing.plainly import Plain, plainly
from effaudit.timing.statistics import runs_of, warnings_of
from effaudit.timing.sweep import static
from effaudit.timing.told import Told, told
from effaudit.timing.types import SCHEMA, Host, ModelTime, SweepPoint, SweepTurn, TimeDocument, Versus, WarmUp


class Ran(msgspec.Struct, frozen=True):
    """The times of a model, and of which machine they are."""

    model: ModelTime
    host: Host


def time_model(audited: Audited, asked: TimeAsked = NOTHING_ASKED, each: Callable[[int], None] | None = None) -> Ran:
    """A model run at the sizes it was audited with, in processes of its own; `each` is told how many of `asked.steps`
    runs are done.

    Raises RunError where it does not run or needs more memory than is free, UsageError for inputs it does not take and
    a model that lies on no disk or without its weights, LoadError.
    """
    guard(audited.name, needed_bytes(audited.graph, audited.memory.live_bytes), asked.limits, free_bytes())
    given, batch = fed(audited, asked.inputs), inferences(audited)

    before = look()
    with workplace() as folder:
        found = timed(
            audited.name,
            given.arrays,
            asked.schedule,
            folder=folder,
            limits=asked.limits,
            provider=asked.provider,
            optimize=asked.optimize,
            each=each,
        )
        usage = between(before, look())
        runs = runs_of(found.seconds, batch)
        optimized, why = graph_made(found, audited)
        split = told(audited, optimized, found, runs.p50_s, asked.device, asked.threads)
        held = memory(found, optimized)
    plain = plainly(audited.name, given.arrays, asked, batch, run_s=runs.p50_s, session_s=found.session_s)
    machine = host_of(host(), found.version, found.providers)
    made = _model(audited, asked, given, found, split, plain)
    untold = (f"no node and no kernel is told: {why}",) if why and asked.profile else ()
    warned = (*assumptions(audited), *_doubts(found, asked, machine, usage))
    return Ran(msgspec.structs.replace(made, memory=held, warnings=(*warned, *untold)), machine)


def _model(audited: Audited, asked: TimeAsked, given: Fed, found: Timed, split: Told, plain: Plain) -> ModelTime:
    graph, costs = audited.graph, static(audited, asked.device)
    profile = found.profile
    runs = runs_of(found.seconds, inferences(audited))
    return ModelTime(
        path=audited.name,
        given=given_of(audited),
        dims=dims_of(graph, audited.symbolic),
        inputs=tuple(tensor_type(name, graph.values[name]) for name in graph.inputs),
        inputs_from=given.origin,
        provider=asked.provider,
        threads=asked.threads,
        optimize=asked.optimize,
        runs=runs,
        warmup=_warmup(found, asked),
        session_s=found.session_s,
        first_s=found.first_s,
        rss_bytes=found.rss_bytes,
        plain=plain.runs,
        slower_optimized=plain.faster,
        memory=None,
        attribution=split.attribution,
        nodes=split.nodes,
        kernels=split.kernels,
        unattributed_s=split.unattributed_s,
        profiled_ratio=profile.seconds / runs.p50_s if profile is not None else None,
        predicted_s=None if split.prediction is None else split.prediction.total.value,
        prediction=split.prediction,
        macs=costs.macs,
        intensity=costs.intensity,
        regime=costs.regime,
        warnings=(),
        notes=tuple(note for note in (*split.notes, plain.note) if note),
        weight_intensity=costs.weight_intensity,
        plain_ratio=plain.ratio,
    )


def given_of(audited: Audited) -> dict[str, dict[str, Any]]:
    """The sizes that were given, as options take them."""
    shapes = {name: list(shape) for name, shape in audited.given.shapes.items()}
    return {"dims": dict(audited.given.dims), "shapes": shapes}


def _warmup(found: Timed, asked: TimeAsked) -> WarmUp:
    n = len(found.warmup_s)
    if found.steady:
        return WarmUp(n, steady=True, why="")
    if asked.warmup is not None and n >= asked.warmup:
        return WarmUp(n, steady=False, why="as many as were asked for, whether times had settled or not")
    return WarmUp(n, steady=False, why="its share of the time was used up before times had settled")


def _doubts(found: Timed, asked: TimeAsked, machine: Host, usage: Usage) -> tuple[str, ...]:
    return warnings_of(
        found.seconds,
        asked=asked.schedule.runs,
        threads=asked.threads,
        host=machine,
        usage=usage,
        clock_s=get_clock_info("perf_counter").resolution,
    )


def document(
    host: Host,
    models: Iterable[ModelTime] = (),
    versus: Iterable[Versus] = (),
    sweep: Iterable[SweepPoint] = (),
    turns: Iterable[SweepTurn] = (),
) -> TimeDocument:
    """The document over models, sizes and pairs that ran on one machine."""
    return TimeDocument(SCHEMA, __version__, COUNTING, host, tuple(models), tuple(versus), tuple(sweep), tuple(turns))
