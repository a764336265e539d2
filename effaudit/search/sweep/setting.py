"""A device with another size of one of its memories."""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.device.types import Device, Fact, Memory
from effaudit.errors import UsageError
from effaudit.estimate.demand import place_named


def with_size(device: Device, name: str, size: int) -> Device:
    """The device with `size` bytes in the memory, or the region, of a name, as `place_named` finds it; a memory of
    several regions is then one. Raises UsageError where the device has none of it."""
    try:
        memory, _ = place_named(device, name)
    except UsageError as error:
        raise UsageError(str(error).replace("--reserve", "--set", 1)) from None
    changed = _region(memory, name, size) or replace(memory, size_bytes=_fact(memory.size_bytes, size), regions=())
    return replace(device, memories=tuple(changed if one is memory else one for one in device.memories))


def _region(memory: Memory, name: str, size: int) -> Memory | None:
    """The memory with another size of one of its regions; None where the name is not one of theirs."""
    wanted = name.lower()
    if memory.name.lower() == wanted or all(one.name.lower() != wanted for one in memory.regions):
        return None
    regions = tuple(
        replace(one, size_bytes=_fact(one.size_bytes, size)) if one.name.lower() == wanted else one
        for one in memory.regions
    )
    return replace(memory, size_bytes=None, regions=regions)


def _fact(known: Fact | None, size: int) -> Fact:
    base = known or Fact(None, "byte", "", "assumed")
    return replace(base, value=size, low=None, high=None, status="assumed", note="set by --set")
