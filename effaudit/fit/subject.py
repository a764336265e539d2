"""One model on one device: every stage, put together for the checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Final

import msgspec

from effaudit.assume import batch_dims
from effaudit.audited import Audited, examined
from effaudit.checks.subject import Subject
from effaudit.dataflow import flow
from effaudit.device.contiguous import total_size
from effaudit.device.types import Device, DeviceRuntime
from effaudit.energy.estimate import energy
from effaudit.energy.types import EnergyReport, Joules
from effaudit.errors import UsageError
from effaudit.estimate.demand import ARENA, STORED, Demand, Item, demands, place_named, with_arena
from effaudit.estimate.executed import executed
from effaudit.estimate.latency import Setting, latency
from effaudit.estimate.memories import Share
from effaudit.estimate.reading import unique_reads
from effaudit.estimate.types import Kernel, Latency, Seconds
from effaudit.estimate.work import kernels
from effaudit.fit.asked import FitAsked
from effaudit.fit.patching import patched, repeated
from effaudit.fit.runtime import runtime_of
from effaudit.graph import Graph, Node
from effaudit.load import Given
from effaudit.lower.ort_folded import folded
from effaudit.memory import Asked
from effaudit.memory.planned import Planned, planned
from effaudit.memory.types import PatchReport
from effaudit.quantity import Quantity
from effaudit.support import SupportSet, judging, partition
from effaudit.support import find as find_operators
from effaudit.support.partition import Placement
from effaudit.table import price
from effaudit.weights import QUANTIZATION, classify

BATCHED: Final = (2, 4, 5)  # ranks of rows, images and volumes; of three, time may come first


def deployed(raw: Graph, given: Given, device: Device, batch: int | None) -> tuple[Audited, frozenset[str]]:
    """The model under the sizes given, and under `batch` where that is given too; else its batch is that of the
    device's deployment. Also the dims that the deployment filled in."""
    return redeployed(examined(raw, given), device, batch)


def redeployed(audited: Audited, device: Device, batch: int | None = None) -> tuple[Audited, frozenset[str]]:
    """`deployed` of a model that is audited already."""
    raw, given = audited.raw, audited.given
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
    table = price(made.graph, made.flow)
    ran = executed(_as_asked(audited.graph, asked), made.graph, device, runtime)
    work = repeated(kernels(made.graph, made.flow, table) if ran is None else ran.kernels, patch)
    placed, placement = placement_of(audited, made, runtime)
    elsewhere = _elsewhere(work, placed, placement, runtime)
    scales = 0 if asked.quantize else audited.weights.bytes_of(QUANTIZATION)
    wanted = _demands(device, runtime, made, asked, scales, patch)
    read = unique_reads(made.graph, made.flow, table, runtime.computes, classify(made.graph, made.flow))
    where = _setting(device, runtime, wanted, read, elsewhere, placement)
    where = where if ran is None else msgspec.structs.replace(where, renaming=ran.renaming)
    timed = latency(work, where)
    if ran is not None:
        timed = msgspec.structs.replace(timed, notes=(*timed.notes, *ran.notes))
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
        demands=wanted,
        placed=placed,
        placement=placement,
        serving=None,
        limits=asked.limits,
        inferences=count,
        patch=patch,
    )


def _as_asked(graph: Graph, asked: FitAsked) -> Graph:
    """The graph as if quantized, where that is asked."""
    if asked.quantize is None:
        return graph
    from effaudit.lower.as_if import as_if

    return as_if(graph, asked.quantize)


def _setting(
    device: Device,
    runtime: DeviceRuntime,
    wanted: Sequence[Demand],
    read: int,
    elsewhere: Mapping[int, str],
    placement: Placement | None,
) -> Setting:
    """Where weights and activations lie, as the memories were filled; `read` are the bytes of weights once a run."""
    held = {demand.memory.name: demand.bytes_of(*STORED) for demand in wanted}
    total = sum(held.values())
    shares = tuple(Share(d.memory, held[d.memory.name] / total) for d in wanted if total and held[d.memory.name])
    home = next((demand.memory for demand in wanted if demand.has(ARENA)), None)
    seconds, why = _transfers(runtime, placement)
    return Setting(
        device,
        runtime,
        shares,
        home,
        weight_bytes=total,
        unique_bytes=read,
        elsewhere=elsewhere,
        transfer_s=seconds,
        transfer_why=why,
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
        kernels=(),
        latency=Latency(unknown, 0.0, 0.0, (), (why,)),
        energy=EnergyReport(
            (Joules("power", None, None, None, "", why),), None, None, None, None, None, None, None, ()
        ),
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
    takes = _with_bodies(graph, support, judging(graph, support, known))
    return graph, partition(graph, known, takes, most=support.limits.max_partitions)


def _with_bodies(graph: Graph, support: SupportSet, takes: Callable[[Node], str]) -> Callable[[Node], str]:
    """A node with bodies is taken where every node in them is, however deep."""

    def judge(node: Node) -> str:
        why = takes(node)
        for name, body in node.bodies.items() if not why else ():
            inside = _with_bodies(body, support, judging(body, support, flow(body)))
            found = next((said for inner in body.nodes if (said := inside(inner))), "")
            if found:
                return f"{node.op}: in its {name}: {found}"
        return why

    return judge


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


def _transfers(runtime: DeviceRuntime, placement: Placement | None) -> tuple[float, str]:
    """Seconds that tensors take between the engine and the fallback as far as the profile tells, and what it does
    not."""
    if placement is None or not runtime.fallback or not placement.crossings() or not any(placement.why.values()):
        return 0.0, ""
    seconds = 0.0
    moved, speed, start = placement.moved(), runtime.transfer_bandwidth_byte_per_s, runtime.transfer_latency_s
    if speed is not None and speed.value:
        seconds += (moved.high if moved.high is not None else moved.low) / speed.value
    if start is not None and start.value is not None:
        seconds += placement.crossings() * start.value
    known = speed is not None and bool(speed.value)
    why = "" if known else f"how fast tensors cross between {runtime.engine} and {runtime.fallback} is not stated"
    return seconds, why


def inferences(audited: Audited) -> int:
    """How many inputs one run takes: the size of the batch dim. Where the file fixes it: the first size of every input,
    of inputs that are rows or images; else 1."""
    for name in batch_dims(audited.raw):
        info = audited.graph.dims.get(name)
        if info is not None and info.value:
            return info.value
    shapes = [audited.raw.declared[name].shape for name in audited.raw.inputs]
    first = {shape[0] if shape and len(shape) in BATCHED else 1 for shape in shapes}
    fixed = first.pop() if len(first) == 1 else 1
    return fixed if type(fixed) is int and fixed > 1 else 1
