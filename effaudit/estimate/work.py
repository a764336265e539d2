"""A graph as a runtime executes it -> kernels: what each computes and moves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod
from typing import Final

from effaudit.dataflow import Flow, flow
from effaudit.device.types import OpClass
from effaudit.errors import Undecided
from effaudit.estimate.algorithms import saving_of
from effaudit.estimate.types import Kernel
from effaudit.graph import Graph, Node, Value
from effaudit.ops._registry import rules_for
from effaudit.quantity import Quantity, add, between
from effaudit.table import CostTable, Row, price

# kind of a row -> class of its kernel; what is not here is "other"
_CLASSES: Final[Mapping[str, OpClass]] = {
    "conv": "conv",
    "grouped": "grouped",
    "depthwise": "depthwise",
    "pointwise": "pointwise",
    "transposed": "transposed",
    "attention": "attention",
    "attention-scores": "matmul",
    "attention-values": "matmul",
    "recurrent": "recurrent",
    "activation": "elementwise",
    "elementwise": "elementwise",
    "quantize": "elementwise",
    "norm": "normalization",
    "softmax": "softmax",
    "pooling": "pooling",
    "reduction": "reduction",
    "movement": "movement",
    "embedding": "movement",
    "resize": "movement",
}
# Shapes and constants are worked out before the model runs; nothing is launched for them.
_NO_KERNEL: Final = frozenset(("constant", "shape"))
WINDOWS: Final = frozenset(("conv", "grouped", "depthwise", "pointwise", "transposed"))


def kernels(graph: Graph, known: Flow | None = None, table: CostTable | None = None) -> tuple[Kernel, ...]:
    """The kernels of a lowered graph with inferred shapes, in the order they run.

    What never runs, depends on no input, or only renames bytes (Reshape and the like) is no kernel.
    """
    known = known or flow(graph)
    table = table or price(graph, known)
    return tuple(_kernels(graph, known, table))


def _kernels(graph: Graph, known: Flow, table: CostTable) -> Iterator[Kernel]:
    rules = rules_for(graph)
    for i, (node, row) in enumerate(zip(graph.nodes, table.rows, strict=True)):
        rule = rules.get((node.domain, node.op))
        view = rule is not None and rule.view
        if not row.live or view or row.kind in _NO_KERNEL or known.varying.isdisjoint(node.outputs):
            continue
        yield _kernel(graph, i, node, row, known.reads[i])


def _kernel(graph: Graph, index: int, node: Node, row: Row, read: tuple[str, ...]) -> Kernel:
    moving = [name for name in read if name not in graph.constants]
    activations = add(_bytes(graph.values.get(name)) for name in moving)
    reads = row.quantity("reads")
    fed = Quantity(min(activations.low, reads.low), _least(activations.high, reads.high), activations.why)
    rest = None if reads.high is None else max(reads.high - fed.low, 0)
    held = Quantity(max(reads.low - (fed.high if fed.high is not None else reads.low), 0), rest, reads.why)
    return Kernel(
        index=index,
        node=node.label,
        op=node.op,
        op_class=_class(graph, node, row),
        dtype=_dtype(graph, node),
        macs=row.quantity("macs"),
        ops=row.quantity("ops"),
        weight_bytes=held,
        read_bytes=fed,
        write_bytes=row.quantity("writes"),
        outputs=add(_elements(graph.values.get(name)) for name in node.outputs if name),
        channels=_channels(graph, node, row.kind),
        why=row.why,
        saving=saving_of(graph, node, row.kind),
    )


def _class(graph: Graph, node: Node, row: Row) -> OpClass:
    if row.kind == "gemm":
        return "fully_connected" if any(name in graph.constants for name in node.inputs[:2]) else "matmul"
    return _CLASSES.get(row.kind, "other")


def _dtype(graph: Graph, node: Node) -> str:
    """The element type of the first tensor that is fed; of a product with narrower weights, it is still computed in
    that of the activations."""
    # what a body computes in shows in what comes out of it: its first input may be a condition or a number of trips
    names = node.outputs if node.bodies else (*node.inputs, *node.outputs)
    for name in names:
        value = graph.values.get(name) if name else None
        if value is not None and name not in graph.constants and value.encoding.bits:
            return value.encoding.dtype
    return "unknown"


def _channels(graph: Graph, node: Node, kind: str) -> tuple[int | None, int | None]:
    """Input and output channels of one group, of a product of activations with weights."""
    weights = graph.values.get(node.inputs[1]) if len(node.inputs) > 1 else None
    shape = None if weights is None or weights.shape is None else weights.shape
    if shape is None or not all(type(d) is int for d in shape) or len(shape) < 2:
        return (None, None)
    sizes = [d for d in shape if type(d) is int]
    if kind == "depthwise":  # each channel by itself: they are the outputs that are worked on together
        return (None, sizes[0])
    if kind in WINDOWS:
        group = node.attrs.get("group", 1)
        return (sizes[1], max(sizes[0] // group, 1)) if type(group) is int and group > 0 else (None, None)
    if kind == "gemm":
        turned = bool(node.attrs.get("transB", 0)) and node.op == "Gemm"
        return (sizes[-1], sizes[-2]) if turned else (sizes[-2], sizes[-1])
    return (None, None)


def _bytes(value: Value | None) -> Quantity:
    if value is None or value.shape is None or not value.encoding.bits:
        return Quantity(0, None, "a tensor whose size is not known")
    try:
        size = value.nbytes
    except Undecided as doubt:
        return Quantity(0, None, str(doubt))
    return between(size, size)


def _elements(value: Value | None) -> Quantity:
    if value is None or value.shape is None:
        return Quantity(0, None, "a tensor whose size is not known")
    try:
        count = prod(value.shape)
    except Undecided as doubt:
        return Quantity(0, None, str(doubt))
    return between(count, count)


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
