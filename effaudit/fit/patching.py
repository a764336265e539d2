"""A model whose first nodes run patch by patch: less is alive, some rows are computed twice."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import msgspec

from effaudit.audited import Audited
from effaudit.errors import UsageError
from effaudit.estimate.types import Kernel
from effaudit.memory.planned import Planned
from effaudit.memory.searched import searched
from effaudit.memory.types import PatchReport
from effaudit.quantity import Quantity


def patched(audited: Audited, made: Planned) -> PatchReport | None:
    """The patches that were asked for; None where nobody asked. Raises UsageError where they cannot be."""
    if made.asked.patch is None:
        return None
    found = searched(audited, made).patched
    if found is None:
        raise UsageError("--patch: no patches of this model lower what is alive")
    return found


def repeated(kernels: Iterable[Kernel], patch: PatchReport | None) -> tuple[Kernel, ...]:
    """The kernels with the work of the patched stage: what lies in the halos is computed again."""
    if patch is None or not patch.stage_macs:
        return tuple(kernels)
    ratio, inside = Fraction(patch.patched_macs, patch.stage_macs), frozenset(patch.nodes)
    return tuple(_times(kernel, ratio) if kernel.node in inside else kernel for kernel in kernels)


def _times(kernel: Kernel, ratio: Fraction) -> Kernel:
    names = ("macs", "ops", "read_bytes", "write_bytes", "outputs")
    return msgspec.structs.replace(kernel, **{name: _scaled(getattr(kernel, name), ratio) for name in names})


def _scaled(size: Quantity, ratio: Fraction) -> Quantity:
    return Quantity(round(size.low * ratio), None if size.high is None else round(size.high * ratio), size.why)
