"""One model on one device, judged as it is."""

from __future__ import annotations

from effaudit.audited import Audited
from effaudit.before_after.types import StepOnDevice
from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.device.types import Device
from effaudit.estimate.demand import ARENA
from effaudit.fit.asked import FitAsked
from effaudit.fit.described import joules_of, seconds_of
from effaudit.fit.judge import bottleneck, verdict
from effaudit.fit.memory import row_of
from effaudit.fit.subject import assumed, redeployed, subject_of, without_sizes
from effaudit.fit.types import Verdict
from effaudit.quantity import Quantity


def on_device(audited: Audited, device: Device, asked: FitAsked) -> tuple[StepOnDevice, Subject]:
    """The verdict, and what it was made of. What the open sizes cannot change is decided; else a verdict that hangs on
    them is not known. Raises UsageError for what the device does not have."""
    deployed, filled = redeployed(audited, device)
    subject = subject_of(deployed, device, asked)
    left = assumed(deployed)
    judged = without_sizes(subject) if left else subject
    found = results(judged)
    status: Verdict = verdict(found, ())
    if left and status != "does-not-fit":
        status = "unknown"
    why = f"{', '.join(left)}: not given; --dim {left[0]}=N" if left and status == "unknown" else None
    arena = _arena(judged)
    report = StepOnDevice(
        device=device.name,
        title=device.title,
        runtime=subject.runtime.name,
        rules=subject.planned.runtime.name,
        filled=tuple(sorted(filled)),
        status=status,
        bottleneck=bottleneck(found),
        rows=tuple(map(row_of, judged.demands)),
        arena_bytes=arena.value,
        arena_bounds=(arena.low, arena.high),
        latency_s=seconds_of(judged.latency.total),
        energy_j=joules_of(judged),
        why=why or (None if judged.latency.total.value is not None else judged.latency.total.basis or None),
    )
    return report, subject


def _arena(subject: Subject) -> Quantity:
    """As the memories hold it: of a model that runs in patches, theirs."""
    items = (item.bytes for demand in subject.demands for item in demand.items if item.what == ARENA)
    return next(items, subject.planned.arena)
