"""What is asked of a table of what-ifs."""

from __future__ import annotations

import msgspec

from effaudit.device.types import Device
from effaudit.fit.asked import FitAsked
from effaudit.fit.described import options_of, plan_of
from effaudit.fit.runtime import runtime_of
from effaudit.graph import Graph
from effaudit.memory.asked import Asked, Stage
from effaudit.runtimes import find


class StepsAsked(msgspec.Struct, frozen=True):
    """How every step is looked at: on the `devices`, as `fit` says; memory is that of the first device, or without one
    that of the runtime that `fit` names ("": as written)."""

    devices: tuple[Device, ...] = ()
    fit: FitAsked = FitAsked()

    def check(self) -> None:
        """Raises UsageError for a runtime that a device does not have, or that there is not: before any work."""
        for device in self.devices:
            runtime_of(device, self.fit.runtime)
        if not self.devices:
            self.plan()

    def plan(self) -> Asked:
        """The plan of memory where no device is named. Raises UsageError for a runtime that there is not."""
        fit = self.fit
        plan = Asked(planner=fit.planner, effort=fit.effort, reorder=fit.reorder, patch=fit.patch)
        return msgspec.structs.replace(plan, runtime=find(fit.runtime).name) if fit.runtime else plan

    def before(self, graph: Graph) -> StepsAsked:
        """What is asked of a model that has more steps before it: whole, where the tensor to run in patches up to is
        only made later."""
        stage = self.fit.patch
        if not isinstance(stage, Stage) or stage.tensor in graph.values:
            return self
        if any(node.name == stage.tensor for node in graph.nodes):
            return self
        return msgspec.structs.replace(self, fit=msgspec.structs.replace(self.fit, patch=None))

    def options(self) -> tuple[str, ...]:
        """The words of the command line that ask for this again, limits left out."""
        if self.devices:
            names = [self.fit.called.get(device.name, device.name) for device in self.devices]
            return ("--device", ",".join(names), *options_of(self.devices[0], self.fit)[2:])
        runtime = ["--runtime", self.fit.runtime] if self.fit.runtime else []
        return (*runtime, *plan_of(self.fit))
