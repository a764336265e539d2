"""A subject that is judged -> its report."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Final

import msgspec

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result
from effaudit.device.types import Device
from effaudit.estimate.roofline import Point, Roofline, roofline
from effaudit.estimate.types import Seconds, Timed
from effaudit.fit.asked import FitAsked
from effaudit.fit.judge import bottleneck, exit_code
from effaudit.fit.memory import memory_of
from effaudit.fit.proof import proof
from effaudit.fit.types import (
    BatchRow,
    FitReport,
    KernelRow,
    Knob,
    PlacementReport,
    RooflineReport,
    SecondsReport,
    Verdict,
)
from effaudit.plan.floor import Floor
from effaudit.report import DimReport
from effaudit.report.model import dims_of

PROFILE: Final = "profile"  # the origin of a dim that the device's deployment gives


class Judged(msgspec.Struct, frozen=True):
    """What was found of a subject."""

    findings: tuple[Result, ...]
    knobs: tuple[Knob, ...]
    status: Verdict
    floor: Floor
    batches: tuple[BatchRow, ...]
    compute_bound_from: int | None


def described(subject: Subject, asked: FitAsked, judged: Judged, filled: frozenset[str], times: int) -> FitReport:
    """The report of one model on one device; `filled` are the dims that the device's deployment gave."""
    device, runtime, audited = subject.device, subject.runtime, subject.audited
    found = roofline(subject.latency, subject.where)
    total = subject.latency.total
    return FitReport(
        model=audited.name,
        times=times,
        device=device.name,
        title=device.title,
        options=options_of(device, asked),
        given=_given(subject, filled),
        dims=_dims(subject, filled),
        status=judged.status,
        exit_code=exit_code(judged.status),
        bottleneck=bottleneck(judged.findings),
        proof=proof(subject, judged.floor) if judged.status == "does-not-fit" and subject.serving is None else None,
        runtime=runtime.name + (f"@{runtime.version}" if runtime.version else ""),
        runtime_title=runtime.title or subject.planned.runtime.title,
        quantize=asked.quantize,
        findings=judged.findings,
        memory=memory_of(subject, judged.floor),
        counts="inferences" if subject.serving is None else "tokens",
        per_run=subject.inferences,
        latency_s=seconds_of(total),
        throughput_per_s=subject.inferences / total.value if total.value else None,
        energy_j=joules_of(subject),
        energy=subject.energy,
        roofline=_roofline(found),
        placement=_placement(subject),
        rows=tuple(map(_row, subject.latency.kernels, found.points)),
        batches=judged.batches,
        compute_bound_from=judged.compute_bound_from,
        serving=subject.serving,
        knobs=judged.knobs,
        rewrites=subject.planned.graph.history,
        notes=(*subject.latency.notes, *subject.energy.notes, *subject.planned.runtime.notes, *device.notes),
    )


def _given(subject: Subject, filled: frozenset[str]) -> dict[str, dict[str, Any]]:
    given = subject.audited.given
    made = filled | subject.origins.keys()
    return {
        "dims": {name: size for name, size in given.dims.items() if name not in made},
        "shapes": {name: list(shape) for name, shape in given.shapes.items()},
    }


def options_of(device: Device, asked: FitAsked) -> tuple[str, ...]:
    """The words of the command line that ask for the device and all that is asked of it but sizes and limits."""
    name = device.name
    options = ["--device", asked.called.get(name, name)]
    for option, said in (("--runtime", asked.runtime), ("--quantize", asked.quantize)):
        options += [option, said] if said else []
    options += plan_of(asked)
    wanted = asked.sequences
    sizes = (("--batch-size", wanted.batch), ("--context", wanted.context), ("--prompt", wanted.prompt))
    for option, size in (*sizes, ("--kv-dtype", wanted.kv_dtype)):
        options += [] if size is None else [option, str(size)]
    for name, amount in asked.reserve.items():
        options += [
            "--reserve",
            f"{name}={float(100 * amount):g}%" if isinstance(amount, Fraction) else f"{name}={amount}",
        ]
    return tuple(options)


def plan_of(asked: FitAsked) -> list[str]:
    """The words of the command line that ask for the same planner, order and patches."""
    options = ["--planner", asked.planner] if asked.planner else []
    options += ["--reorder"] if asked.reorder else []
    if asked.patch is not None:
        stage = asked.patch
        options += ["--patch", stage if isinstance(stage, str) else f"{stage.tensor}:{'x'.join(map(str, stage.grid))}"]
    return options


def _dims(subject: Subject, filled: frozenset[str]) -> dict[str, DimReport]:
    found = dims_of(subject.audited.graph, subject.audited.symbolic)
    origins = {**subject.origins, **dict.fromkeys(filled, PROFILE)}
    return {name: msgspec.structs.replace(info, origin=origins.get(name, info.origin)) for name, info in found.items()}


def seconds_of(total: Seconds) -> SecondsReport:
    """As it is reported."""
    return SecondsReport(total.value, total.low, total.high, total.basis)


def joules_of(subject: Subject) -> SecondsReport | None:
    """The energy of the best basis; None where there is none."""
    best = subject.energy.best
    if best is None:
        return None
    return SecondsReport(best.value, best.low or 0.0, best.high, f"{best.basis}: {best.how}")


def bound_of(found: Roofline) -> str | None:
    """What most of the estimated time goes to; None where it is not known."""
    shares = {"compute": found.compute_share, "memory": found.memory_share, "overhead": found.overhead_share}
    known = {name: share for name, share in shares.items() if share is not None}
    return max(known, key=lambda name: known[name], default=None)


def _roofline(found: Roofline) -> RooflineReport:
    return RooflineReport(
        ridges=found.ridges,
        intensity=found.intensity,
        regime=found.regime,
        bound=bound_of(found),
        compute_share=found.compute_share,
        memory_share=found.memory_share,
        overhead_share=found.overhead_share,
        memories=found.memories,
    )


def _placement(subject: Subject) -> PlacementReport | None:
    placement, runtime = subject.placement, subject.runtime
    if placement is None:
        return None
    nodes = subject.placed.nodes
    return PlacementReport(
        engine=runtime.engine,
        fallback=runtime.fallback,
        nodes=len(placement.why),
        taken=placement.taken,
        partitions=placement.sizes,
        transfers=placement.crossings(),
        transfer_bytes=placement.moved().value,
        left=tuple((nodes[i].label, why) for i, why in placement.why.items() if why),
    )


def _row(timed: Timed, point: Point) -> KernelRow:
    kernel = timed.kernel
    return KernelRow(
        node=kernel.node,
        op=kernel.op,
        op_class=kernel.op_class,
        dtype=kernel.dtype,
        engine=timed.engine,
        macs=kernel.macs.value,
        bytes=kernel.moved.value,
        intensity=point.intensity,
        regime=point.regime,
        attainable_flop_per_s=point.attainable_flop_per_s,
        compute_s=timed.compute_s,
        memory_s=timed.memory_s,
        overhead_s=timed.overhead_s,
        seconds=timed.seconds,
        limiter=timed.limiter,
        memory=timed.memory or point.memory,
    )
