"""A model on a device as `effaudit report --device` shows it: time, roofline and energy, and no verdict."""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.device.types import Device
from effaudit.energy.types import EnergyReport
from effaudit.fit.asked import FitAsked
from effaudit.fit.described import Judged, described
from effaudit.fit.subject import assumed, subject_of
from effaudit.fit.types import KernelRow, RooflineReport, SecondsReport
from effaudit.plan.floor import Floor
from effaudit.report import ModelReport

NOT_JUDGED: Final = Judged((), (), "unknown", Floor(0, "", ""), (), None)


class DeviceView(msgspec.Struct, frozen=True):
    """One model on one device, as its runtime executes it: `rewrites` are what it does to the graph before. `assumed`
    are the dims that nobody gave: every figure holds for the sizes that the report assumed. `kernels` are the nodes
    that run; their names are those of the file's nodes where one of these became the kernel."""

    device: str
    title: str
    runtime: str
    runtime_title: str
    quantize: str | None
    assumed: tuple[str, ...]
    counts: str
    per_run: int
    latency_s: SecondsReport
    throughput_per_s: float | None
    energy_j: SecondsReport | None
    energy: EnergyReport
    roofline: RooflineReport
    rewrites: tuple[str, ...]
    notes: tuple[str, ...]
    kernels: tuple[KernelRow, ...]


class OnDevice(ModelReport, frozen=True):
    """The report of one model, and the same model on a device."""

    device: DeviceView


def device_view(audited: Audited, device: Device, asked: FitAsked) -> DeviceView:
    """The model under the sizes it was audited with. Raises UsageError for what the device does not have."""
    found = described(subject_of(audited, device, asked), asked, NOT_JUDGED, frozenset(), 1)
    return DeviceView(
        device=found.device,
        title=found.title,
        runtime=found.runtime,
        runtime_title=found.runtime_title,
        quantize=found.quantize,
        assumed=assumed(audited),
        latency_s=found.latency_s,
        counts=found.counts,
        per_run=found.per_run,
        throughput_per_s=found.throughput_per_s,
        energy_j=found.energy_j,
        energy=found.energy,
        roofline=found.roofline,
        rewrites=found.rewrites,
        notes=found.notes,
        kernels=found.rows,
    )


def on_device(model: ModelReport, view: DeviceView) -> OnDevice:
    """The report with the device added."""
    return OnDevice(**{field: getattr(model, field) for field in model.__struct_fields__}, device=view)
