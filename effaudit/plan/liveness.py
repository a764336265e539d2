"""Liveness: which activations exist at each step, and how many bytes that is.

An activation is a tensor that depends on a graph input or on chance; what depends on neither is computed ahead and
stored with the weights. It lives from its producer (a graph input: from the start) to its last reader (a graph
output: to the end); both ends included, so a node's inputs and outputs coexist. Nodes that no output depends on never
run. The body of If, Loop, Scan or a function is one opaque node; what it captures it reads.

Figures: `sum_bytes` all activations without reuse; `max_in_out_bytes` the largest inputs + outputs of one node;
`live_bytes` the largest sum of live activations in execution order, no views, nothing in place; `inplace_bytes` the
same where views share storage and an elementwise node may write over an input that dies there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from operator import le

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, STRING, Graph, Node, Value
from effaudit.ops._registry import registered
from effaudit.quantity import Quantity

MAX_CANDIDATES = 12


class Buffer(msgspec.Struct, frozen=True, gc=False):
    """A tensor's storage: alive from step `start` up to and including step `end` (a step is a node's place)."""

    name: str
    start: int
    end: int
    size: Dim | None
    why: str = ""


class Peak(msgspec.Struct, frozen=True):
    """The step where most is alive, and what is alive there, largest first."""

    step: int
    alive: tuple[tuple[str, int], ...]


class Liveness(msgspec.Struct, frozen=True):
    """Every figure of a graph, in bytes."""

    sum_bytes: Quantity
    max_in_out_bytes: Quantity
    live_bytes: Quantity
    inplace_bytes: Quantity
    body_live_bytes: Quantity
    peak: Peak | None


def analyse(graph: Graph, known: Flow | None = None) -> Liveness:
    """The liveness of a graph with inferred shapes; `known` is its data flow, where the caller has it."""
    known = known or flow(graph)
    steps = known.running
    found = buffers(graph, known)
    live = _extent(found, steps)
    return Liveness(
        sum_bytes=_both(found, lambda size: sum(map(size, found))),
        max_in_out_bytes=_widest(graph, known, found),
        live_bytes=live,
        inplace_bytes=_extent(_shared(graph, known, found), steps),
        body_live_bytes=_bodies(graph, known, {}),
        peak=_peak(found, steps) if live.value is not None else None,
    )


def live_formula(graph: Graph) -> Dim | None:
    """`live_bytes` as an expression of the symbolic dims: the greatest of the steps that no other step dominates.

    None where it cannot be told, or too many steps are left.
    """
    known = flow(graph)
    try:
        return _formula(buffers(graph, known), known.running)
    except Undecided:  # more open dims than a formula can hold
        return None


def buffers(graph: Graph, known: Flow) -> list[Buffer]:
    """Every activation of the nodes that run, with its lifetime in steps (indices into the nodes that run)."""
    born: dict[str, int] = {}
    dies: dict[str, int] = {}
    step = 0
    for node, read, runs in zip(graph.nodes, known.reads, known.live, strict=True):
        if not runs:
            continue
        for name in read:
            dies[name] = step
        for name in node.outputs:
            if name in known.varying:
                born[name] = step
        step += 1
    last = max(step - 1, 0)
    outside = set(graph.inputs)
    for name in graph.outputs:
        if name in born or name in outside:
            dies[name] = last
    values = graph.values
    found = [_buffer(name, 0, dies[name], values[name]) for name in graph.inputs if name in dies]
    found.extend(_buffer(name, start, max(dies.get(name, start), start), values[name]) for name, start in born.items())
    return found


def _buffer(name: str, start: int, end: int, value: Value) -> Buffer:
    if value.encoding == SEQUENCE:
        items = value.content if type(value.content) is tuple else None
        if items is None or any(v.shape is None for v in items):
            return Buffer(name, start, end, None, f"{name} is a sequence: {value.why or 'its items are not known'}")
        return _sized(name, start, end, lambda: dims.total(v.nbytes for v in items))
    if value.shape is None and value.extent is None:
        return Buffer(name, start, end, None, f"{name}: {value.why}")
    if value.encoding.bits == 0:
        what = "strings have no fixed size" if value.encoding == STRING else "its element type is not known"
        return Buffer(name, start, end, None, f"{name}: {what}")
    return _sized(name, start, end, lambda: value.nbytes)


def _sized(name: str, start: int, end: int, size: Callable[[], Dim]) -> Buffer:
    try:
        return Buffer(name, start, end, size())
    except Undecided as doubt:
        return Buffer(name, start, end, None, f"{name}: {doubt}")


Size = Callable[["Buffer"], int]


def _extent(found: list[Buffer], steps: int) -> Quantity:
    return _both(found, lambda size: max(_profile(found, size, steps), default=0))


def _both(found: list[Buffer], figure: Callable[[Size], int]) -> Quantity:
    """A figure that grows with every size, at the least and at the greatest size of each buffer."""
    if all(type(b.size) is int for b in found):
        exact = figure(lambda b: b.size)  # type: ignore[arg-type,return-value]
        return Quantity(exact, exact)
    low = figure(_low)
    if any(_high(b) is None for b in found):
        return Quantity(low, None, _why(found))
    high = figure(lambda b: _high(b) or 0)
    return Quantity(low, high, "" if low == high else _why(found))


def _low(buffer: Buffer) -> int:
    return 0 if buffer.size is None else max(dims.bounds(buffer.size)[0] or 0, 0)


def _high(buffer: Buffer) -> int | None:
    return None if buffer.size is None else dims.bounds(buffer.size)[1]


def _why(found: Iterable[Buffer]) -> str:
    for buffer in found:
        if buffer.size is None:
            return buffer.why
        if isinstance(buffer.size, Expr):
            reasons = sorted({s.reason or f"dim {s.name} is not given" for s in dims.symbols(buffer.size)})
            return f"{buffer.name}: {reasons[0]}"
    return ""


def _profile(found: list[Buffer], size: Size, steps: int) -> list[int]:
    """Live bytes at every step."""
    change = [0] * (steps + 2)
    for b in found:
        n = size(b)
        change[b.start] += n
        change[b.end + 1] -= n
    return list(accumulate(change[: max(steps, 1)]))


def _peak(found: list[Buffer], steps: int) -> Peak:
    profile = _profile(found, _low, steps)
    step = max(range(len(profile)), key=profile.__getitem__)
    alive = sorted(((b.name, _low(b)) for b in found if b.start <= step <= b.end), key=lambda item: (-item[1], item[0]))
    return Peak(step, tuple(alive))


def _widest(graph: Graph, known: Flow, found: list[Buffer]) -> Quantity:
    """The largest sum of the activations one running node touches."""
    by_name = {b.name: b for b in found}
    touched = [
        [by_name[name] for name in dict.fromkeys((*read, *node.outputs)) if name in by_name]
        for node, read, runs in zip(graph.nodes, known.reads, known.live, strict=True)
        if runs
    ]
    return _both(found, lambda size: max((sum(map(size, row)) for row in touched), default=0))


def _shared(graph: Graph, flowing: Flow, found: list[Buffer]) -> list[Buffer]:
    """The buffers left when views and in-place outputs share their input's storage."""
    storage = _Storage(found, graph.inputs, graph.outputs)
    rules = registered()
    step = 0
    for node, runs in zip(graph.nodes, flowing.live, strict=True):
        if not runs:
            continue
        known = rules.get((node.domain, node.op))
        if known is not None and node.outputs and node.outputs[0] in storage.sizes and not node.bodies:
            if known.view and node.inputs and node.inputs[0] in storage.sizes:
                storage.join(node.outputs[0], node.inputs[0])
            else:
                for place in known.overwrites:
                    if place < len(node.inputs) and storage.may_overwrite(node.inputs[place], node.outputs[0], step):
                        storage.join(node.outputs[0], node.inputs[place])
                        break
        step += 1
    return storage.merged()


class _Storage:
    """Storage classes: tensors that share bytes, with the span of the whole class."""

    def __init__(self, found: list[Buffer], inputs: Iterable[str], outputs: Iterable[str]) -> None:
        self.buffers = {b.name: b for b in found}
        self.sizes = {b.name: b.size for b in found}
        self.root = {b.name: b.name for b in found}
        self.span: dict[str, tuple[int, int]] = {b.name: (b.start, b.end) for b in found}
        self.pinned = {*inputs, *outputs}
        self.fixed = {name for name in self.pinned if name in self.root}

    def may_overwrite(self, source: str, target: str, step: int) -> bool:
        """`source` dies at this step, belongs to nobody outside, and is exactly as large as `target`."""
        if source not in self.root:
            return False
        root = self.root[source]
        size = self.sizes[target]
        return size is not None and self.span[root][1] == step and root not in self.fixed and self.sizes[root] == size

    def join(self, target: str, source: str) -> None:
        root = self.root[source]
        self.root[target] = root
        start, end = self.span[root]
        self.span[root] = (start, max(end, self.buffers[target].end))
        if target in self.pinned:
            self.fixed.add(root)

    def merged(self) -> list[Buffer]:
        return [
            Buffer(name, *self.span[name], self.sizes[name], self.buffers[name].why)
            for name, root in self.root.items()
            if name == root
        ]


def _bodies(graph: Graph, known: Flow, seen: dict[tuple[int, tuple[str, ...]], Quantity]) -> Quantity:
    """The largest `live_bytes` inside one body (bodies of one node never run at the same time)."""
    worst = Quantity(0, 0)
    for node in graph.nodes:
        for body in filter(lambda b: b.runs, node.bodies.values()):
            outside = tuple(_varying_from_outside(node, body, known))
            key = (id(body), outside)
            if key not in seen:
                seen[key] = _body_live(body, outside, seen)
            inner = seen[key]
            high = None if inner.high is None or worst.high is None else max(inner.high, worst.high)
            worst = Quantity(max(inner.low, worst.low), high, inner.why or worst.why)
    return worst


def _varying_from_outside(node: Node, body: Graph, known: Flow) -> Iterator[str]:
    """The names a body gets from outside that depend on the model's inputs, a loop's own state included."""
    yield from (name for name in body.captured if name in known.varying)
    if "function" in node.bodies:
        yield from (inner for inner, name in zip(body.inputs, node.inputs, strict=False) if name in known.varying)
    else:
        yield from body.inputs


def _body_live(body: Graph, outside: tuple[str, ...], seen: dict[tuple[int, tuple[str, ...]], Quantity]) -> Quantity:
    known = flow(body, outside)
    held = set(body.inputs) - set(outside)  # weights handed in
    found = [b for b in buffers(body, known) if b.name not in body.captured and b.name not in held]
    own = _extent(found, known.running)
    inner = _bodies(body, known, seen)
    high = None if own.high is None or inner.high is None else own.high + inner.high
    return Quantity(own.low + inner.low, high, own.why or inner.why)


def _formula(found: list[Buffer], steps: int) -> Dim | None:
    if any(b.size is None for b in found):
        return None
    change: list[Dim] = [0] * (steps + 2)
    for b in found:
        assert b.size is not None
        change[b.start] = change[b.start] + b.size
        change[b.end + 1] = change[b.end + 1] - b.size
    total: Dim = 0
    distinct: dict[Dim, None] = {}
    for step in range(max(steps, 1)):
        total = total + change[step]
        distinct[total] = None
    return _greatest(list(distinct))


def _greatest(candidates: list[Dim]) -> Dim | None:
    """The maximum of expressions, None where too many remain undominated to be worth reading."""
    names = sorted({s.name for c in candidates for s in dims.symbols(c)})
    tried = [dict.fromkeys(names, scale) for scale in (1, 16, 256, 4096, 65536)]
    tried += [dict.fromkeys(names, 1) | {name: 4096} for name in names[:MAX_CANDIDATES]]
    values = {c: tuple(dims.evaluate(c, at) or 0 for at in tried) for c in candidates}
    # Those that win somewhere come first: they dominate most of the others.
    best = [max(column) for column in zip(*values.values(), strict=True)]
    leaders = [next(c for c in candidates if values[c][i] == most) for i, most in enumerate(best)]
    kept: list[Dim] = []

    def dominated(dim: Dim, by: Dim) -> bool:
        return all(map(le, values[dim], values[by])) and dims.lower(by - dim) >= 0

    for candidate in dict.fromkeys((*leaders, *candidates)):
        if not any(dominated(candidate, other) for other in kept):
            kept = [other for other in kept if not dominated(other, candidate)]
            kept.append(candidate)
        if len(kept) > MAX_CANDIDATES:
            return None
    return dims.maximum(*kept)
