"""The kernels of a host that was measured kernel by kernel: those of the graph as ONNX Runtime's optimizer makes it.

The rules of `effaudit memory --runtime ort` give a range, since fusions and layouts depend on version and processor.
A measured profile names the processor, so its times can be those of one graph (`effaudit.lower.ort_fusions`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.dataflow import flow
from effaudit.device.types import Device, DeviceRuntime
from effaudit.estimate.costs import measured_by_kind
from effaudit.estimate.pattern import patterned
from effaudit.estimate.rates import engine_of
from effaudit.estimate.types import Kernel
from effaudit.estimate.work import kernels
from effaudit.graph import Graph
from effaudit.lower.ort_fusions import Machine, optimized
from effaudit.ops.microsoft_nchwc import LARGE, SMALL
from effaudit.plan.liveness import analyse

NOTE: Final = (
    "times are of the graph as the optimizer of ONNX Runtime 1.31 is known to make it; effaudit time --predict takes "
    "the very graph that it saves"
)
OPTIMIZED: Final = "ort"  # the rules of ONNX Runtime at its defaults, which do not say which kernels there are
PLAIN: Final = "ort-plain"  # and without optimizations, which do
_BLOCKED: Final = " blocked"  # what kinds of kernels on blocks of channels end with
_SMALL: Final = "avx"  # without AVX-512, processors with AVX have blocks of 8 channels, others of 16
_LARGE: Final = "avx512f"


class Executed(msgspec.Struct, frozen=True):
    """The kernels of a graph as it runs, with their patterns, and how many of its nodes only rename bytes. `notes` are
    what a reader of their times must know."""

    graph: Graph
    kernels: tuple[Kernel, ...]
    renaming: int
    notes: tuple[str, ...] = ()


def executed(graph: Graph, lowered: Graph, device: Device, runtime: DeviceRuntime) -> Executed | None:
    """A graph with inferred shapes, and the same as its runtime lowers it, as a host that was measured kernel by kernel
    runs it; None of any other device."""
    if not measured_by_kind(device, runtime):
        return None
    fused = runtime.rules == OPTIMIZED
    made = optimized(graph, machine_of(device, runtime)) if fused else lowered
    known = flow(made)
    found = kernels(made, known)
    live = analyse(made, known).live_bytes
    exact = fused or runtime.rules == PLAIN
    return Executed(
        graph=made,
        kernels=patterned(made, found, live.low, exact=exact),
        renaming=known.running - len(found),
        notes=(NOTE,) if fused else (),
    )


def machine_of(device: Device, runtime: DeviceRuntime) -> Machine:
    """What the profile of a host says of its processor: its instructions, and whether kernels in blocks were seen."""
    engine = engine_of(device, runtime.engine)
    isa = frozenset(() if engine is None else engine.isa.split())
    entries = [entry for entry in device.performance if entry.runtime == runtime.name]
    blocked = any(cost.kind.endswith(_BLOCKED) for entry in entries for cost in entry.costs)
    size = SMALL if _SMALL in isa and _LARGE not in isa else LARGE
    return Machine(size if blocked else None, signed=not any(name.startswith(("avx", "sse")) for name in isa))
