"""The runtime of a device that is asked for."""

from __future__ import annotations

from effaudit import runtimes
from effaudit.device.types import Device, DeviceRuntime
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean


def runtime_of(device: Device, name: str) -> DeviceRuntime:
    """ "" is the device's first; NAME or NAME@VERSION one of its own. A name of `effaudit memory --runtime` that the
    profile does not have runs on its first engine, with no sizes or speeds of its own. Raises UsageError."""
    if not name:
        return device.runtimes[0]
    wanted, _, version = name.lower().partition("@")
    same = [runtime for runtime in device.runtimes if runtime.name == wanted]
    for runtime in same:
        if not version or runtime.version == version:
            return runtime
    if same:  # a version that the profile does not list: what it says of any version
        from msgspec.structs import replace

        return replace(same[0], version=version)
    if not version and wanted in runtimes.names():
        return DeviceRuntime(name=wanted, rules=wanted, engine=device.runtimes[0].engine, title=f"rules {wanted}")
    known = [runtime.name for runtime in device.runtimes]
    listed = ", ".join(dict.fromkeys(known))
    raise UsageError(f"--runtime {name}: {device.name} has {listed}{did_you_mean(wanted, known)}")
