"""A plan as the metadata entry "OfflineMemoryAllocation" of a .tflite file.

TensorFlow Lite Micro then places these tensors where the plan says, and what else it needs (a kernel's workspace)
around them. It checks no overlap: the plan must be of the very graph that the file holds.
https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/lite/micro/docs/memory_management.md
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Sequence
from typing import Final

from effaudit.errors import UsageError
from effaudit.plan.emit.places import places
from effaudit.plan.lifetimes import Lifetime
from effaudit.plan.problem import Plan
from effaudit.printable import printable

METADATA: Final = "OfflineMemoryAllocation"
VERSION: Final = 1
SUBGRAPHS: Final = 1
ALIGN: Final = 16  # MicroArenaBufferAlignment()
AT_RUN_TIME: Final = -1
LARGEST: Final = 2**31 - 1


def offline_plan(plan: Plan, tensors: Sequence[str], storages: Iterable[Lifetime] = ()) -> tuple[int, ...]:
    """The numbers of the entry: version, number of subgraphs, number of tensors, then an offset in bytes for each.

    `tensors` are all tensors of the file, by their index there, under the plan's names; those that are not in the plan
    (weights) get -1. `storages`: see `places`. Raises UsageError for a buffer that the file does not have, for offsets
    that the runtime cannot use, and for a name that stands twice.
    """
    found = _usable(plan, storages)
    known: set[str] = set()
    for name in tensors:
        if name in known:
            raise UsageError(f"offline plan: {printable(name)} names two tensors of the file; give each its own name")
        known.add(name)
    missing = [b.name for b in plan.problem.buffers if b.name not in known]
    if missing:
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        raise UsageError(
            f"offline plan: the file has no tensor {printable(missing[0])}{more}; "
            "give its tensors under the names of the plan"
        )
    return VERSION, SUBGRAPHS, len(tensors), *(found.get(name, AT_RUN_TIME) for name in tensors)


def emit_tflm(plan: Plan, tensors: Sequence[str], storages: Iterable[Lifetime] = ()) -> bytes:
    """The content of the entry's buffer: `offline_plan` as 32-bit integers, little endian."""
    numbers = offline_plan(plan, tensors, storages)
    return struct.pack(f"<{len(numbers)}i", *numbers)


def emit_tflm_json(plan: Plan, storages: Iterable[Lifetime] = ()) -> str:
    """The plan by tensor names, for a script that knows the indices of the file: JSON, in the order of the plan."""
    document = {
        "metadata": METADATA,
        "version": VERSION,
        "arena_bytes": plan.arena,
        "align": plan.problem.align,
        "planner": plan.planner,
        "offsets": _usable(plan, storages),
    }
    return json.dumps(document, indent=2) + "\n"


def _usable(plan: Plan, storages: Iterable[Lifetime]) -> dict[str, int]:
    found: dict[str, int] = {}
    for place in places(plan, storages):
        where = f"offline plan: {printable(place.tensor)} lies at {place.offset}"
        if place.offset % ALIGN:
            raise UsageError(f"{where}, no multiple of {ALIGN}; plan with --align {ALIGN}")
        if place.offset > LARGEST:
            raise UsageError(f"{where}; the format ends at {LARGEST} bytes")
        if place.tensor in found:
            raise UsageError(f"offline plan: two buffers are named {printable(place.tensor)}; names tell them apart")
        found[place.tensor] = place.offset
    return found
