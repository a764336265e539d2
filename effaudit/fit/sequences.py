"""A decoder that is served: its dims bound by their roles."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from effaudit.audited import Audited, examined
from effaudit.checks.subject import Subject
from effaudit.device.types import Device, DeviceRuntime
from effaudit.energy.estimate import energy
from effaudit.estimate.demand import CODE, STATE, WEIGHTS, Demand, Item, kept
from effaudit.fit.asked import FitAsked
from effaudit.fit.subject import reserved
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.serving.roles import given_for
from effaudit.serving.serve import served
from effaudit.serving.types import Roles, Serving, ServingAsked, Use

CACHE: Final = "key/value cache"
ACTIVATIONS: Final = "activations"


def serving_of(
    raw: Graph, given: Given, device: Device, runtime: DeviceRuntime, asked: FitAsked
) -> tuple[Serving, Audited]:
    """(what serving takes, the model at one decode step of it; of a model without a cache, at its prompt).

    Raises UsageError where the model holds no attention, or its dims have no clear role.
    """
    wanted = asked.sequences
    reserve: dict[str, int] = {}
    for memory, item in reserved(device, asked.reserve):
        reserve[memory] = reserve.get(memory, 0) + item.bytes.low
    found = served(
        examined(raw, given),
        ServingAsked(
            batch=wanted.batch,
            context=wanted.context,
            prompt=wanted.prompt,
            kv_dtype=wanted.kv_dtype,
            reserve=reserve,
            quantize=asked.quantize,
            planner=asked.planner,
            given=given,
            effort=asked.effort,
        ),
        device,
        runtime,
    )
    phase = found.decode or found.prefill
    if phase is None:
        return found, examined(raw, given)
    roles = Roles(found.roles, found.decode is not None)
    return found, examined(raw, given_for(roles, given, phase.batch, phase.new, phase.past))


def with_serving(subject: Subject, serving: Serving, asked: FitAsked) -> Subject:
    """The subject as it is served: its time and energy are those of the step, with the whole cache read."""
    phase = serving.decode or serving.prefill
    serving = msgspec.structs.replace(serving, notes=(*serving.notes, *_elsewhere(subject)))
    origins = {dim: row.origin for row in serving.roles for dim in row.dims if row.origin}
    subject = msgspec.structs.replace(
        subject, serving=serving, origins=origins, demands=_demands(subject, serving, asked)
    )
    if phase is None:
        return subject
    where = subject.where
    # The step is timed as if all of it ran on the engine: where nodes leave it, the graph's own time counts.
    total = subject.latency.total if where.elsewhere else phase.latency
    timed = msgspec.structs.replace(subject.latency, total=total)
    tokens = phase.batch * phase.new
    joules = energy(subject.device, subject.kernels, total, where.weights, where.activations, asked.around, tokens)
    return msgspec.structs.replace(subject, latency=timed, energy=joules, inferences=tokens)


def _demands(subject: Subject, serving: Serving, asked: FitAsked) -> tuple[Demand, ...]:
    """What lies in each memory while the model is served: the cache once, and the larger arena of both phases."""
    memories = {memory.name: memory for memory in subject.device.memories}
    items = list(kept(subject.device, reserved(subject.device, asked.reserve)))
    return tuple(Demand(memories[use.memory], tuple(_items(use, items))) for use in serving.memory.uses)


def _items(use: Use, around: Iterable[tuple[str, Item]]) -> Iterator[Item]:
    parts = (
        (WEIGHTS, use.weights),
        (CACHE, use.cache),
        (ACTIVATIONS, use.activations),
        (STATE, use.runtime),
        (CODE, use.code),
    )
    for what, size in parts:
        if size.high != 0:
            yield Item(what, size, "piece" if what == ACTIVATIONS else "anywhere")
    yield from (item for memory, item in around if memory == use.memory)


def _elsewhere(subject: Subject) -> Iterator[str]:
    """Kernels that the engine does not run."""
    engine, elsewhere = subject.runtime.engine, subject.where.elsewhere
    if elsewhere:
        where = ", ".join(sorted(set(elsewhere.values())))
        count = f"{len(elsewhere):,} of {len(subject.kernels):,} kernels"
        yield f"{count} run on {where}: not modelled here, prompts and tokens are timed as if all ran on {engine}"
