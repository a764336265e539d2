"""One model on one device: every stage, put together for the checks."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil

import msgspec

from effaudit.assume import batch_dims
from effaudit.audited import Audited, examined
from effaudit.checks.subject import Subject
from effaudit.dataflow import flow
from effaudit.device.contiguous import total_size
from effaudit.device.types import Device, DeviceRuntime
from effaudit.energy.estimate import energy
from effaudit.errors import UsageError
from effaudit.estimate.demand import ARENA, Demand, Item, demands, place_named, weight_items, with_arena
from effaudit.estimate.latency import latency, setting
from effaudit.estimate.types import Kernel, Latency, Seconds
from effaudit.estimate.work import kernels
from effaudit.fit.asked import FitAsked
from effaudit.fit.patching import patched, repeated
from effaudit.fit.runtime import runtime_of
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.lower.ort_folded import folded
from effaudit.memory import Asked
from effaudit.memory.planned import Planned, planned
from effaudit.memory.types import PatchReport
from effaudit.quantity import Quantity
from effaudit.support import SupportSet, judging, partition
from effaudit.support import find as find_operators
from effaudit.support.partition import Placement
from effaudit.weights import QUANTIZATION


def deployed(raw: Graph, given: Given, device: Device, batch: int | None) -> tuple[Audited, frozenset[str]]:
    """The model under the sizes given, and under `batch` where that is given too; else its batch is that of the
    device's deployment. Also the dims that the deployment filled in."""
    audited = examined(raw, given)
    open_dims = set(assumed(audited))
    filled = frozenset(name for name in batch_dims(audited.symbolic) if name in open_dims)
    size = batch if batch is not None else device.batch
    if not filled or size is None:
        return audited, frozenset()
    dims = {**given.dims, **dict.fromkeys(filled, size)}
    bound = examined(raw, msgspec.structs.replace(given, dims=dims))
    return bound, filled if batch is None else frozenset()


def assumed(audited: Audited) -> tuple[str, ...]:
    """The dims that nobody gave."""
    return tuple(name for name, info in audited.graph.dims.items() if info.origin == "assumed")


def subject_of(audited: Audited, device: Device, asked: FitAsked) -> Subject:
    """Everything the checks see. Raises UsageError for what the device does not have."""
    runtime = runtime_of(device, asked.runtime)
    made = planned(audited.graph, _memory_asked(runtime, asked))
    patch = patched(audited, made)
    work = repeated(kernels(made.graph, made.flow), patch)
    placed, placement = placement_of(audited, made, runtime)
    elsewhere = _elsewhere(work, placed, placement, runtime)
    scales = 0 if asked.quantize else audited.weights.bytes_of(QUANTIZATION)
    weights = sum(item.bytes.low for item in weight_items(made.graph, scales))
    arena = made.with_workspaces or made.arena
    size = arena.low if arena.high is None else arena.high
    size = size if patch is None else patch.patched_bytes
    where = setting(device, runtime, weights, size, elsewhere, _transfer_s(runtime, placement))
    timed = latency(work, where)
    found, count = tuple(one.kernel for one in timed.kernels), inferences(audited)
    return Subject(
        audited=audited,
        device=device,
        runtime=runtime,
        planned=made,
        kernels=found,
        where=where,
        latency=timed,
        energy=energy(device, found, timed.total, where.weights, where.activations, asked.around, count),
        demands=_demands(device, runtime, made, asked, scales, patch),
        placed=placed,
        placement=placement,
        serving=None,
        limits=asked.limits,
        inferences=count,
    )


def _demands(
    device: Device, runtime: DeviceRuntime, made: Planned, asked: FitAsked, scales: int, patch: PatchReport | None
) -> tuple[Demand, ...]:
    found = demands(device, runtime, made, reserved(device, asked.reserve), scales)
    return found if patch is None else tuple(with_arena(one, patch.patched_bytes, made) for one in found)


def without_sizes(subject: Subject) -> Subject:
    """The subject as far as it does not depend on dims that nobody gave: weights, code, operators."""
    names = ", ".join(assumed(subject.audited))
    why = f"dim {names} is not given"
    unknown = Seconds(None, 0.0, None, why)
    return msgspec.structs.replace(
        subject,
        demands=tuple(_without_arena(demand, why) for demand in subject.demands),
        latency=Latency(unknown, 0.0, 0.0, (), (why,)),
    )


def _without_arena(demand: Demand, why: str) -> Demand:
    items = tuple(
        msgspec.structs.replace(item, bytes=Quantity(0, None, why)) if item.what in (ARENA, "persistent") else item
        for item in demand.items
    )
    return msgspec.structs.replace(demand, items=items)


def _memory_asked(runtime: DeviceRuntime, asked: FitAsked) -> Asked:
    align = runtime.alignment_bytes
    return Asked(
        runtime=runtime.rules,
        planner=asked.planner or runtime.planner or None,
        align=None if align is None or align.value is None else int(align.value),
        effort=asked.effort,
        quantize=asked.quantize,
        reorder=asked.reorder,
        patch=asked.patch,
    )


def reserved(device: Device, wanted: Mapping[str, int | Fraction]) -> list[tuple[str, Item]]:
    """What the user keeps, with the name of its memory; a fraction is of that memory's size. Raises UsageError."""
    found = []
    for name, amount in wanted.items():
        memory, place = place_named(device, name)
        whole = total_size(memory)
        if isinstance(amount, Fraction) and whole is None:
            raise UsageError(f"--reserve {name}: the size of {memory.name} is not known; give bytes")
        size = ceil(amount * (whole or 0)) if isinstance(amount, Fraction) else amount
        what = "reserved by --reserve" if name.lower() == memory.name.lower() else f"reserved by --reserve {name}"
        found.append((memory.name, Item(what, Quantity(size, size), place)))
    return found


def placement_of(audited: Audited, made: Planned, runtime: DeviceRuntime) -> tuple[Graph, Placement | None]:
    """(the graph that is placed, where its nodes run): with constants folded, as ONNX Runtime gives it its providers,
    where the operators are stated of ONNX graphs; else as the runtime lowers it."""
    if not runtime.supports:
        return made.graph, None
    support = find_operators(runtime.supports)
    graph = folded(audited.graph) if of_onnx(support) else made.graph
    known = flow(graph)
    return graph, partition(graph, known, judging(graph, support, known), most=support.limits.max_partitions)


def of_onnx(support: SupportSet) -> bool:
    """True where a set is stated of ONNX operators, not of those that a converter makes of them."""
    return support.name.startswith(("onnxruntime-", "tensorrt"))


def _elsewhere(
    found: tuple[Kernel, ...], placed: Graph, placement: Placement | None, runtime: DeviceRuntime
) -> dict[int, str]:
    """The kernels that run on the fallback: those of nodes that are not taken, by their name."""
    if placement is None or not runtime.fallback:
        return {}
    left = {placed.nodes[i].label for i, why in placement.why.items() if why}
    return {kernel.index: runtime.fallback for kernel in found if kernel.node in left}


def _transfer_s(runtime: DeviceRuntime, placement: Placement | None) -> float:
    """Seconds that tensors take between the engine and the fallback, where the profile tells."""
    if placement is None or not any(placement.why.values()):
        return 0.0
    seconds = 0.0
    moved, speed, start = placement.moved(), runtime.transfer_bandwidth_byte_per_s, runtime.transfer_latency_s
    if speed is not None and speed.value:
        seconds += (moved.high if moved.high is not None else moved.low) / speed.value
    if start is not None and start.value is not None:
        seconds += placement.crossings() * start.value
    return seconds


def inferences(audited: Audited) -> int:
    """How many inputs one run takes: the size of the batch dim, 1 where the file names none."""
    for name in batch_dims(audited.raw):
        info = audited.graph.dims.get(name)
        if info is not None and info.value:
            return info.value
    return 1
