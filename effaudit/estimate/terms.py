"""What a kernel has of everything that costs time: the terms of `KernelCost`, to fit them and to estimate by them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from effaudit.device.types import Device, Engine
from effaudit.estimate.types import Kernel, What

WEIGHTS: Final[tuple[What, ...]] = ("weight", "again")
# Of a term: the field of `KernelCost` that says what one of it costs.
TERMS: Final = (
    "launch_s",
    "mac_s",
    "load_s",
    "op_s",
    "fed_s",
    "output_s",
    "run_s",
    "scratch_s",
    "batch_s",
    "step_s",
    "weight_byte_s",
    "near_weight_byte_s",
    "far_weight_byte_s",
    "near_byte_s",
    "far_byte_s",
)
COMPUTE: Final = frozenset(("mac_s", "load_s", "op_s", "fed_s", "output_s", "run_s", "scratch_s", "batch_s", "step_s"))
COLUMNS: Final = 64  # kernels of matrix products work on no more columns together
ELEMENT_BYTES: Final = 4  # of a recurrent matrix


class Caches(msgspec.Struct, frozen=True):
    """Bytes that tensors have of the caches of the cores at work (near), and of all caches (far)."""

    near_bytes: float
    far_bytes: float


NO_CACHES: Final = Caches(0.0, 0.0)


def caches_of(device: Device, engine: Engine) -> Caches:
    """Of a profile whose caches are named by their level: `l1` and `l2` are those of one core, the largest of all."""
    sizes = {
        memory.name: float(memory.size_bytes.value)
        for memory in device.memories
        if memory.kind == "cache" and memory.size_bytes is not None and memory.size_bytes.value
    }
    if not sizes:
        return NO_CACHES
    cores = 1.0 if engine.cores is None or engine.cores.value is None else float(engine.cores.value)
    largest = max(sizes.values())
    near = cores * max((size for name, size in sizes.items() if name in _OWN), default=largest)
    return Caches(near, max(largest, near))


_OWN: Final = ("l1", "l2")


def amounts(kernel: Kernel, caches: Caches) -> Mapping[str, float]:
    """How much a kernel has of every term. Raises AssertionError for one without a pattern."""
    pattern = kernel.pattern
    assert pattern is not None
    macs, outputs = float(kernel.macs.high or 0), float(kernel.outputs.high or 0)
    if kernel.op_class == "recurrent":  # one row times a matrix is bound by its bytes, which count in every step
        macs = max(macs - _moved(kernel, ("again",), 0.0) / ELEMENT_BYTES, 0.0)
    return {
        "launch_s": 1.0,
        "mac_s": macs,
        "load_s": macs / min(pattern.columns, COLUMNS),
        "op_s": 0.0 if macs else float(kernel.ops.high or 0),
        "fed_s": float(pattern.fed),
        "output_s": outputs,
        "run_s": float(pattern.runs),
        "scratch_s": float(pattern.scratch),
        "batch_s": float(pattern.batches),
        "step_s": float(pattern.steps),
        "weight_byte_s": _moved(kernel, WEIGHTS, 0.0),
        "near_weight_byte_s": _moved(kernel, WEIGHTS, caches.near_bytes),
        "far_weight_byte_s": _moved(kernel, WEIGHTS, caches.far_bytes),
        "near_byte_s": _moved(kernel, ("read", "write"), caches.near_bytes),
        "far_byte_s": _moved(kernel, ("read", "write"), caches.far_bytes),
    }


def _moved(kernel: Kernel, whats: tuple[What, ...], cache: float) -> float:
    """Bytes that come from beyond a cache: of a tensor whose reuse distance is d, the part that a cache of size c that
    evicts by chance has lost, 1 - c / d."""
    assert kernel.pattern is not None
    total = 0.0
    for touch in kernel.pattern.touches:
        if touch.what in whats:
            lost = 1.0 if touch.distance is None else max(0.0, 1.0 - cache / touch.distance) if touch.distance else 0.0
            total += touch.bytes * lost
    return total
