"""Which nodes of the original graph each node of an optimized graph computes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from effaudit.graph import Graph, Node, Shape
from effaudit.ops._registry import NCHWC
from effaudit.timing.attribute.anchors import anchors
from effaudit.timing.attribute.families import LAYOUT, Layout, blocked_tensors
from effaudit.timing.attribute.matching import Shared, shared
from effaudit.timing.attribute.regions import Region, regions
from effaudit.timing.attribute.shapes import agree
from effaudit.timing.attribute.side import Side, side_of
from effaudit.timing.attribute.types import Attributed

RESHAPES: Final = frozenset("Reshape Squeeze Unsqueeze Flatten".split())
INSERTED: Final = "changes the layout, type or shape of their tensors"
VAGUE: Final = "computes a part of these nodes"
NOTHING: Final = "no node of the model has its outputs"


def attribute(original: Graph, optimized: Graph, shapes: Mapping[str, Shape] | None = None) -> tuple[Attributed, ...]:
    """For each node of `optimized`, in order, the nodes of `original` that it computes.

    `optimized` is the graph that a runtime made of `original` and saved, both with inferred shapes. Tensors whose names
    are in both cut them into regions that belong together; where several kernels share a region, names of nodes,
    families of operators and weights tell them apart. `shapes` are measured shapes of tensors of `optimized`: they go
    before inferred ones.
    """
    return _attribute(side_of(original), side_of(optimized), shapes or {})


def _attribute(original: Side, optimized: Side, shapes: Mapping[str, Shape]) -> tuple[Attributed, ...]:
    stands = anchors(original, optimized)
    blocked = blocked_tensors(optimized.graph.nodes)
    found: dict[int, Attributed] = {}
    inserted: dict[int, bool] = {}
    for region in regions(original, optimized, stands):
        work = shared(region, original, optimized)
        layout = _layout(region, original, optimized)
        called = any("function" in original.graph.nodes[n].bodies for n in region.original)  # may be cut anywhere
        for i, nodes in work.computes.items():
            told = () if i in work.vague or called else nodes
            pairs = _outputs(i, told, original, optimized, stands)
            agreed = _consistent(pairs, original, optimized, shapes, layout, blocked)
            why = NOTHING if not nodes else VAGUE if i in work.vague else ""
            inner = _bodies(optimized.graph.nodes[i], nodes, original, shapes)
            found[i] = Attributed(nodes, "computes" if nodes else "unknown", pairs, agreed, why, inner)
        inserted.update(_served(region, work, optimized, stands))
    for i in sorted(inserted):
        found[i] = _insert(i, original, optimized, stands, found, shapes, blocked, producer=inserted[i])
    return tuple(found[i] for i in range(len(optimized.graph.nodes)))


def _layout(region: Region, original: Side, optimized: Side) -> Layout:
    """How tensors inside a region may be laid out: as the changes of layout in it, on either side, allow."""
    if len(region.optimized) == 1:
        return Layout()
    nodes = [optimized.graph.nodes[i] for i in region.optimized] + [original.graph.nodes[n] for n in region.original]
    ops = {node.op for node in nodes}
    turned = any(node.domain == NCHWC and node.attrs.get("channels_last") for node in nodes)
    return Layout(permuted="Transpose" in ops or turned, reshaped=not RESHAPES.isdisjoint(ops))


def _outputs(
    i: int, nodes: tuple[int, ...], original: Side, optimized: Side, stands: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """The outputs of a kernel and the tensors they stand for: by name, else what leaves its nodes."""
    outputs = [o for o in optimized.graph.nodes[i].outputs if o and (o in optimized.readers or o in optimized.outputs)]
    pairs = tuple((o, stands[o]) for o in outputs if o in stands)
    if pairs or not nodes:
        return pairs
    inside = set(nodes)
    leaving = [
        o
        for n in nodes
        for o in original.graph.nodes[n].outputs
        if o in original.outputs or not inside.issuperset(original.readers.get(o, (n,)))
    ]
    return tuple(zip(outputs, leaving, strict=True)) if len(outputs) == len(leaving) else ()


def _consistent(
    pairs: Iterable[tuple[str, str]],
    original: Side,
    optimized: Side,
    shapes: Mapping[str, Shape],
    layout: Layout,
    blocked: frozenset[str],
) -> bool | None:
    verdicts = []
    for mine, theirs in pairs:
        a, b = optimized.graph.values.get(mine), original.graph.values.get(theirs)
        shape = shapes.get(mine, None if a is None else a.shape)
        named = mine == theirs  # a tensor that kept its name kept its layout
        allowed = Layout(mine in blocked, layout.permuted and not named, layout.reshaped and not named)
        verdicts.append(agree(shape, None if b is None else b.shape, allowed))
    known = [v for v in verdicts if v is not None]
    return all(known) if known else None


def _served(region: Region, work: Shared, optimized: Side, stands: Mapping[str, str]) -> dict[int, bool]:
    """Inserted nodes, and whether they serve what makes their tensor (else what reads it)."""
    found = {}
    for i in work.inserted:
        node = optimized.graph.nodes[i]
        named = any(o in stands and stands[o] == o for o in node.outputs)
        turned = any(_channels_last(optimized, name) for name in optimized.flow.reads[i])
        found[i] = node.op == "ReorderOutput" or ((named or turned) and node.op != "ReorderInput")
    return found


def _channels_last(side: Side, name: str) -> bool:
    """Whether a tensor comes from a kernel that wants channels last, and so needs its output turned back."""
    maker = side.maker.get(name)
    return maker is not None and bool(side.graph.nodes[maker].attrs.get("channels_last"))


def _insert(
    i: int,
    original: Side,
    optimized: Side,
    stands: Mapping[str, str],
    found: Mapping[int, Attributed],
    shapes: Mapping[str, Shape],
    blocked: frozenset[str],
    *,
    producer: bool,
) -> Attributed:
    nodes = _neighbours(i, optimized, found, back=producer) or _neighbours(i, optimized, found, back=not producer)
    mine = [(o, stands[o]) for o in optimized.graph.nodes[i].outputs if o in stands]
    agreed = _consistent(mine, original, optimized, shapes, Layout(), blocked)
    if not nodes:
        return Attributed((), "unknown", tuple(mine), agreed, NOTHING)
    return Attributed(nodes, "inserted", tuple(mine), agreed, INSERTED)


def _neighbours(i: int, side: Side, found: Mapping[int, Attributed], *, back: bool) -> tuple[int, ...]:
    """The nodes of the nearest kernels before or after a node that compute something."""
    waiting, seen = [i], {i}
    nodes: set[int] = set()
    while waiting:
        at = waiting.pop()
        if back:
            near = [side.maker[name] for name in side.flow.reads[at] if name in side.maker]
        else:
            near = [r for o in side.graph.nodes[at].outputs for r in side.readers.get(o, ())]
        for other in near:
            if other in seen:
                continue
            seen.add(other)
            known = found.get(other)
            if known is not None and known.role == "computes":
                nodes.update(known.nodes)
            elif side.graph.nodes[other].op in LAYOUT:
                waiting.append(other)
    return tuple(sorted(nodes))


def _bodies(
    node: Node, nodes: tuple[int, ...], original: Side, shapes: Mapping[str, Shape]
) -> dict[str, tuple[Attributed, ...]]:
    """What is known of the nodes in the bodies of a kernel, where one node of the model has the same bodies."""
    twins = [original.graph.nodes[n] for n in nodes if original.graph.nodes[n].op == node.op]
    if not node.bodies or len(twins) != 1:
        return {}
    found = {}
    for name, body in node.bodies.items():
        other = twins[0].bodies.get(name)
        if other is not None:
            one = side_of(other, (*other.inputs, *other.captured))
            two = side_of(body, (*body.inputs, *body.captured))
            found[name] = _attribute(one, two, shapes)
    return found
