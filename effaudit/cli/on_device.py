"""`effaudit report --device`: the audit of a model, and what it takes on a device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from effaudit.audited import examine
from effaudit.cli.fitting import chosen_devices
from effaudit.errors import UsageError
from effaudit.fit.asked import FitAsked
from effaudit.fit.runtime import runtime_of
from effaudit.fit.view import OnDevice, device_view, on_device
from effaudit.load.binding import Given
from effaudit.report import Asked, ModelReport, describe
from effaudit.report.compared import Estimate


def auditing(names: Sequence[str], runtime: str, quantize: str | None) -> Callable[..., OnDevice]:
    """`effaudit.report.audit` with the device. Raises UsageError for a device or runtime that there is not, and for
    several devices."""
    devices = chosen_devices(names, every=False, kinds=())
    if len(devices) != 1:
        raise UsageError("--device: report shows one device; `effaudit fit` compares several")
    (device,), wanted = devices.values(), FitAsked(runtime=runtime, quantize=quantize)
    runtime_of(device, runtime)

    def audit(
        name: str, sizes: Given, asked: Asked, operators: Mapping[tuple[str, str], Any] | None = None
    ) -> OnDevice:
        audited = examine(name, sizes, operators)
        return on_device(describe(audited, asked), device_view(audited, device, wanted))

    return audit


def latencies(models: Sequence[ModelReport]) -> tuple[list[Estimate], str]:
    """(the latency of each model, the device): as `effaudit.report.compared` takes them."""
    views = [model.device for model in models if isinstance(model, OnDevice)]
    times = [view.latency_s for view in views]
    return [(time.value, time.low, time.high) for time in times], views[0].device
