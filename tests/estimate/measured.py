"""Kernels and profiles of hosts that were measured by kinds, in round numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec.structs import replace

from effaudit.device.types import Device, OpClass
from effaudit.estimate.types import NOTHING, Kernel, Pattern, Touch
from effaudit.quantity import Quantity
from tests.profiles import MIB, device, document

ERROR = {
    "median_ratio": 0.1,
    "interval_factor": 1.5,
    "coverage_ratio": 0.9,
    "rows_count": 10,
    "dataset": "test rows",
    "date": "2026-01-01",
}


def exact(n: int) -> Quantity:
    return Quantity(n, n)


def kernel(
    kind: str = "conv",
    *,
    macs: int = 0,
    ops: int = 0,
    outputs: int = 0,
    dtype: str = "float32",
    op_class: OpClass = "conv",
    like: tuple[str, ...] = (),
    touches: tuple[Touch, ...] = (),
    index: int = 0,
    **pattern: int,
) -> Kernel:
    """One with a pattern; what is not given is 1 of what is at least 1, and 0 of the rest."""
    blank = Pattern(kind, like, columns=1, runs=0, scratch=0, batches=1, steps=1, fed=0, touches=touches)
    figures = (exact(macs), exact(ops), NOTHING, NOTHING, NOTHING, exact(outputs))
    made = Kernel(index, f"node{index}", "Conv", op_class, dtype, *figures)
    return replace(made, pattern=replace(blank, **pattern))


def entry(*costs: dict[str, Any], dtype: str = "float32", **more: Any) -> dict[str, Any]:
    return {"engine": "cpu", "dtype": dtype, "runtime": "bare", "costs": list(costs), **more}


def host(folder: Path, *entries: dict[str, Any], near: int = 0, far: int = 0, **parts: Any) -> Device:
    """A host of one engine, with caches of so many bytes where they are given."""
    dram = {"name": "dram", "kind": "dram", "size_bytes": 1024 * MIB, "holds": ["weights", "activations", "code"]}
    caches = [{"name": name, "kind": "cache", "size_bytes": size} for name, size in (("l2", near), ("l3", far)) if size]
    engines = [{"name": "cpu", "kind": "simd", "cores": 1}]
    whole = {"engines": engines, "memories": [dram, *caches], "performance": list(entries), **parts}
    return device(folder, {**document("host", **whole), "class": "cpu"})
