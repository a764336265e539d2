"""Which activations exist, how large they are, and for how long.

An activation is a tensor that depends on a graph input or on chance; what depends on neither is computed ahead and
stored with the weights. It lives from its producer (a graph input: from the start) to its last reader (a graph
output: to the end), both steps included: a node's inputs and outputs coexist. A step is the place of a node among
those that run; nodes that no output depends on never do. The body of If, Loop, Scan or a function is one opaque node;
what it captures it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow
from effaudit.dims import Dim, Expr
from effaudit.errors import Undecided
from effaudit.graph import SEQUENCE, STRING, Graph, Value


class Lifetime(msgspec.Struct, frozen=True, gc=False):
    """A tensor's storage, alive in the steps [start, end). `size` in bytes is None where it cannot be told: `why` says
    why. `others` are further tensors that lie in the same bytes."""

    name: str
    start: int
    end: int
    size: Dim | None
    why: str = ""
    others: tuple[str, ...] = ()


def lifetimes(graph: Graph, known: Flow) -> list[Lifetime]:
    """Every activation of the nodes that run: the graph's inputs that are read, then the others as they are made."""
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
    found = [_lifetime(name, 0, dies[name] + 1, values[name]) for name in graph.inputs if name in dies]
    found.extend(
        _lifetime(name, start, max(dies.get(name, start), start) + 1, values[name]) for name, start in born.items()
    )
    return found


def _lifetime(name: str, start: int, end: int, value: Value) -> Lifetime:
    if value.encoding == SEQUENCE:
        items = value.content if type(value.content) is tuple else None
        if items is None or any(v.shape is None for v in items):
            return Lifetime(name, start, end, None, f"{name} is a sequence: {value.why or 'its items are not known'}")
        return _sized(name, start, end, lambda: dims.total(v.nbytes for v in items))
    if value.shape is None and value.extent is None:
        return Lifetime(name, start, end, None, f"{name}: {value.why}")
    if value.encoding.bits == 0:
        what = "strings have no fixed size" if value.encoding == STRING else "its element type is not known"
        return Lifetime(name, start, end, None, f"{name}: {what}")
    return _sized(name, start, end, lambda: value.nbytes)


def _sized(name: str, start: int, end: int, size: Callable[[], Dim]) -> Lifetime:
    try:
        return Lifetime(name, start, end, size())
    except Undecided as doubt:
        return Lifetime(name, start, end, None, f"{name}: {doubt}")


def low(one: Lifetime) -> int:
    """The least bytes it can have."""
    return 0 if one.size is None else max(dims.bounds(one.size)[0] or 0, 0)


def high(one: Lifetime) -> int | None:
    """The most bytes it can have; None where nothing bounds them."""
    return None if one.size is None else dims.bounds(one.size)[1]


def reason(found: Iterable[Lifetime]) -> str:
    """Why a size is open: of the first whose is."""
    for one in found:
        if one.size is None:
            return one.why
        if isinstance(one.size, Expr):
            reasons = sorted({s.reason or f"dim {s.name} is not given" for s in dims.symbols(one.size)})
            return f"{one.name}: {reasons[0]}"
    return ""
