"""Channels in blocks, as the optimized graph itself shows how large a block is.

`ReorderInput` (domain com.microsoft.nchwc) fills channels up to whole blocks, of 16 on processors with AVX-512, else 8:
its node does not say which. The weights of the convolutions that read it do: their output channels are whole blocks.
https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/optimizer/nchwc_transformer.cc
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from effaudit import dims
from effaudit.graph import Graph, Shape, Value
from effaudit.ops._registry import NCHWC
from effaudit.ops.microsoft_nchwc import LARGE, SMALL

_IMAGE: Final = 4


def block_of(graph: Graph) -> int | None:
    """Channels in a block; None of a graph without blocked convolutions."""
    filters = [
        shape[0]
        for node in graph.nodes
        if node.domain == NCHWC and node.op == "Conv" and (shape := _shape(graph, node.inputs[1]))
    ]
    sizes = [size for size in filters if type(size) is int]
    if not sizes:
        return None
    return LARGE if all(size % LARGE == 0 for size in sizes) else SMALL


def settled(graph: Graph) -> Graph:
    """The graph with the channels of what `ReorderInput` makes, and of what is made of that, as numbers."""
    block = block_of(graph)
    if block is None:
        return graph
    at: dict[str, int] = {}
    for node in graph.nodes:
        if node.domain == NCHWC and node.op == "ReorderInput":
            made = _reordered(_shape(graph, node.inputs[0]), block, last=bool(node.attrs.get("channels_last", 0)))
            at.update(_found(_shape(graph, node.outputs[0]), made))
    return msgspec.structs.replace(graph, values={name: _at(value, at) for name, value in graph.values.items()})


def _found(inferred: Shape | None, made: Shape | None) -> Iterator[tuple[str, int]]:
    """What an inferred shape left open, as it was made."""
    for dim, number in zip(inferred or (), made or (), strict=False):
        if not isinstance(dim, int) and isinstance(number, int):
            names = [symbol.name for symbol in dims.symbols(dim)]
            if len(names) == 1 and dims.evaluate(dim, {names[0]: number}) == number:
                yield names[0], number


def _at(value: Value, at: Mapping[str, int]) -> Value:
    if value.shape is None or all(isinstance(dim, int) for dim in value.shape):
        return value
    shape = [(dim, dims.evaluate(dim, at)) for dim in value.shape]
    return Value(value.encoding, tuple(found if isinstance(found, int) else dim for dim, found in shape))


def _reordered(shape: Shape | None, block: int, *, last: bool) -> Shape | None:
    if shape is None or len(shape) != _IMAGE:
        return None
    batch, channels, height, width = (shape[0], shape[3], *shape[1:3]) if last else shape
    return (batch, -(-channels // block) * block, height, width) if type(channels) is int else None


def _shape(graph: Graph, name: str) -> Shape | None:
    value = graph.values.get(name)
    return None if value is None else value.shape
