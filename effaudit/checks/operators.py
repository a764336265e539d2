"""Operators and element types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from math import ceil

from effaudit.checks.subject import Subject
from effaudit.checks.types import Result
from effaudit.device.peaks import peak_of
from effaudit.estimate.rates import engine_of, known, padding, value
from effaudit.ops._registry import rules_for

NAMED = 3
WASTED = 1.25  # times the work, from which on a layer is named


def check(subject: Subject) -> Iterator[Result]:
    """Every operator that runs, against those that the runtime's engine takes: what it does not take runs on the
    fallback (a warning, with the partitions and the bytes that cross), or, where there is none, cannot run. An operator
    that nothing is known of is not known to run. Element types without kernels of their own on the engine are named,
    and layers whose channels fill the groups that the engine works on so badly that they take a quarter longer."""
    yield from _known(subject)
    yield from _taken(subject)
    yield from _types(subject)
    yield from _aligned(subject)


def _known(subject: Subject) -> Iterator[Result]:
    """Operators of which nothing is known: the runtime may have them, or not."""
    rules = rules_for(subject.audited.graph)
    steps = zip(subject.audited.graph.nodes, subject.audited.flow.live, strict=True)
    strange = [n for n, runs in steps if runs and not n.bodies and (n.domain, n.op) not in rules]
    if strange:
        names = sorted({f"{node.domain or 'ai.onnx'}:{node.op}" for node in strange})
        count = len(strange)
        message = f"nothing is known of {', '.join(names[:NAMED])}: whether {subject.runtime.name} runs it is not known"
        yield Result("operators", "unknown", count, (0, count), 0, "nodes", subject.runtime.engine, message)


def _taken(subject: Subject) -> Iterator[Result]:
    placement, runtime = subject.placement, subject.runtime
    if placement is None:
        message = f"the profile names no operators that {runtime.name} takes"
        yield Result("operators", "skipped", None, (None, None), None, "nodes", runtime.engine, message)
        return
    left = {i: why for i, why in placement.why.items() if why}
    count = len(placement.why)
    if not left:
        message = f"all {count:,} nodes run on {runtime.engine}"
        yield Result("operators", "pass", 0, (0, 0), 0, "nodes", runtime.engine, message)
        return
    named = _reasons(subject, left)
    if runtime.fallback:
        moved = placement.moved()
        size = "unknown" if moved.value is None else f"{moved.value:,}"
        message = (
            f"{len(left):,} of {count:,} nodes run on {runtime.fallback}, in {len(placement.partitions)} partitions"
        )
        message += f" with {placement.crossings()} transfers of {size} bytes: {named}"
        yield Result("operators", "warn", len(left), (len(left), len(left)), 0, "nodes", runtime.engine, message)
        return
    if _nothing_known(subject, left):
        return
    message = f"{len(left):,} of {count:,} nodes cannot run under {runtime.name}, which has no fallback: {named}"
    yield Result("operators", "fail", len(left), (len(left), len(left)), 0, "nodes", runtime.engine, message)


def _aligned(subject: Subject) -> Iterator[Result]:
    """Layers that take as long as larger ones."""
    engine = engine_of(subject.device, subject.runtime.engine)
    if engine is None or engine.alignment is None:
        return
    groups = (engine.alignment.input_channels, engine.alignment.output_channels)
    found = [kernel for kernel in subject.kernels if kernel.macs.low and padding(kernel, engine) >= WASTED]
    if not found:
        return
    worst = max(found, key=lambda kernel: (padding(kernel, engine), kernel.node))
    said = [
        f"{channels} to {ceil(channels / value(group)) * value(group):g} {side} channels"
        for channels, group, side in zip(worst.channels, groups, ("input", "output"), strict=True)
        if channels and known(group) and channels % value(group)
    ]
    message = f"{len(found):,} layers are padded to whole groups of channels on {engine.name}: {worst.node} from "
    message += f"{' and '.join(said)}, {padding(worst, engine):.3g} times the work"
    yield Result("operators", "warn", len(found), (len(found), len(found)), 0, "nodes", engine.name, message)


def _reasons(subject: Subject, left: dict[int, str]) -> str:
    """One reason for each operator, those of most nodes first."""
    nodes = subject.placed.nodes
    counts = Counter(nodes[i].op for i in left)
    first = {nodes[i].op: why for i, why in reversed(left.items())}
    said = [
        why if count == 1 else f"{count:,} x {why}" for op, count in counts.most_common(NAMED) for why in [first[op]]
    ]
    more = len(counts) - NAMED
    return "; ".join(said) + (f"; and {more} more operators" if more > 0 else "")


def _nothing_known(subject: Subject, left: dict[int, str]) -> bool:
    """True where every operator that is not taken is one that no rule knows: the runtime may have it registered."""
    graph = subject.placed
    rules = rules_for(graph)
    return all((graph.nodes[i].domain, graph.nodes[i].op) not in rules for i in left)


def _types(subject: Subject) -> Iterator[Result]:
    found: dict[tuple[str, str], int] = {}
    for kernel in subject.kernels:
        if kernel.macs.high == 0:
            continue
        name = subject.where.elsewhere.get(kernel.index, subject.runtime.engine)
        engine = engine_of(subject.device, name)
        if engine is not None and engine.peaks and peak_of(engine, kernel.dtype) is None:
            found[name, kernel.dtype] = found.get((name, kernel.dtype), 0) + 1
    for (name, dtype), count in found.items():
        message = f"{count:,} products are in {dtype}, of which the profile states no kernels on {name}"
        yield Result("operators", "warn", count, (count, count), 0, "nodes", name, message)
