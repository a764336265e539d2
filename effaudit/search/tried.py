"""One sequence of what-ifs, really made, on one device."""

from __future__ import annotations

import shlex

import msgspec

from effaudit.audited import Audited
from effaudit.checks import results
from effaudit.checks.subject import Subject
from effaudit.device.types import Device
from effaudit.errors import EffauditError
from effaudit.estimate.demand import ARENA
from effaudit.fit.asked import FitAsked
from effaudit.fit.knobs import GOOD, asked_with, holds, of_memory
from effaudit.fit.subject import subject_of
from effaudit.memory.searched import searched
from effaudit.quantity import Quantity
from effaudit.weights import BUFFER, PARAM, QUANTIZATION
from effaudit.whatif import apply, text
from effaudit.whatif.types import Step


class Made(msgspec.Struct, frozen=True):
    """A model after some what-ifs. `survives` is 1 minus the loss: the shares that every step leaves, multiplied. Of a
    step whose loss takes weights to tell (`told` is then False), the share of the parameters that it leaves stands in:
    it ranks, and is not shown."""

    audited: Audited
    steps: tuple[Step, ...] = ()
    survives: float = 1.0
    told: bool = True
    retrain: bool = False
    notes: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True):
    """A model after some what-ifs, judged. `options` are those of the plan under which it fits."""

    made: Made
    fits: bool
    options: tuple[str, ...]
    why: str
    params: int
    weight_bytes: int
    macs: int | None
    arena: Quantity
    latency_s: float | None

    @property
    def rank(self) -> float:
        """The loss, or what stands in for it: 0 to 1."""
        return 1.0 - self.made.survives

    @property
    def loss(self) -> float | None:
        """0 to 1; None where it is not known."""
        return self.rank if self.made.told else None


def with_step(made: Made, step: Step) -> Made | str:
    """The model after one more step; the reason where that cannot be made."""
    try:
        change, audited = apply(made.audited, step)
    except EffauditError as error:
        return f"{text(step)}: {error}"
    if any(value.invalid for value in audited.graph.values.values()):
        return f"{text(step)}: an operator refuses its inputs after it"
    before = made.audited.weights.params or 1
    return Made(
        audited,
        (*made.steps, step),
        made.survives * (audited.weights.params / before if change.loss is None else 1.0 - change.loss),
        made.told and change.loss is not None,
        made.retrain or change.retrain,
        (*made.notes, *change.notes),
    )


def judged(made: Made, device: Device, asked: FitAsked, failed: frozenset[str]) -> Tried:
    """The model against every check; where only the arena is too large, under the plans that lower it as well. `failed`
    are the checks that the model failed as it was given: they have to be held again, not skipped."""
    subject = subject_of(made.audited, device, asked)
    found = results(subject)
    if holds(found, failed):
        return _tried(made, subject, True, (), "")
    bad = [one for one in found if one.status not in GOOD]
    if all(one.check == "ram" for one in bad):
        search = searched(made.audited, subject.planned)
        for knob in sorted(of_memory(subject, asked, search, found), key=lambda one: one.need_bytes):
            changed = asked_with(knob.option, asked)
            if knob.fits and changed is not None:
                other = subject_of(made.audited, device, changed)
                noted = msgspec.structs.replace(made, notes=(*made.notes, f"{knob.what}, at the cost of {knob.cost}"))
                return _tried(noted, other, True, tuple(shlex.split(knob.option)), "")
    return _tried(made, subject, False, (), bad[0].message if bad else "a check that failed before is skipped")


def _tried(made: Made, subject: Subject, fits: bool, options: tuple[str, ...], why: str) -> Tried:
    weights, table = made.audited.weights, made.audited.table
    macs, patch = table.total("macs").value, subject.patch
    items = (item.bytes for demand in subject.demands for item in demand.items if item.what == ARENA)
    return Tried(
        made=made,
        fits=fits,
        options=options,
        why=why,
        params=weights.params,
        weight_bytes=weights.bytes_of(PARAM, BUFFER, QUANTIZATION),
        macs=macs if macs is None or patch is None else macs + patch.extra_macs,
        arena=next(items, subject.planned.arena),
        latency_s=subject.latency.total.value,
    )
