"""What a check sees: one model on one device, under one runtime."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from effaudit.audited import Audited
from effaudit.device.types import Device, DeviceRuntime
from effaudit.energy.types import EnergyReport
from effaudit.estimate.demand import Demand
from effaudit.estimate.latency import Setting
from effaudit.estimate.types import Kernel, Latency
from effaudit.graph import Graph
from effaudit.memory.planned import Planned
from effaudit.memory.types import PatchReport
from effaudit.serving.types import Serving
from effaudit.support.partition import Placement


class Limits(msgspec.Struct, frozen=True):
    """What the user sets; None: nothing. Seconds and joules of one inference; inferences per second."""

    latency_s: float | None = None
    energy_j: float | None = None
    throughput_per_s: float | None = None


class Subject(msgspec.Struct, frozen=True):
    """`planned` is the lowered graph with its arena; `kernels`, `latency` and `energy` are of that graph. `inferences`
    is how many of what the user counts one run makes (the batch). `placement`, of the graph `placed`, is None where the
    runtime states no operators, `serving` where the model holds no sequences or nobody asked.
    `patch` is the stage that runs in patches, None where nobody asked. `origins` says of dims that an option of serving
    set, or its default: "asked", "default"."""

    audited: Audited
    device: Device
    runtime: DeviceRuntime
    planned: Planned
    kernels: tuple[Kernel, ...]
    where: Setting
    latency: Latency
    energy: EnergyReport
    demands: tuple[Demand, ...]
    placed: Graph
    placement: Placement | None
    serving: Serving | None
    limits: Limits
    inferences: int
    origins: Mapping[str, str] = {}
    patch: PatchReport | None = None
