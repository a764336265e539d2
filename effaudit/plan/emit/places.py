"""Where each tensor of a plan lies."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from effaudit.plan.lifetimes import Lifetime
from effaudit.plan.problem import Buffer, Plan


class Place(msgspec.Struct, frozen=True, gc=False):
    """A tensor, its offset in bytes, and the buffer whose bytes it lies in."""

    tensor: str
    offset: int
    buffer: Buffer


def places(plan: Plan, storages: Iterable[Lifetime] = ()) -> Iterator[Place]:
    """Every tensor, in the order of the plan's buffers. `storages` say which further tensors lie in the bytes of a
    buffer: these follow it."""
    others = {one.name: one.others for one in storages}
    for buffer, offset in zip(plan.problem.buffers, plan.offsets, strict=True):
        for tensor in (buffer.name, *others.get(buffer.name, ())):
            yield Place(tensor, offset, buffer)
