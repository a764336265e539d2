"""Padding that a runtime's kernels do not have, as a Pad of its own before them.

TensorFlow knows no padding ("VALID") and "SAME": as much as an output of ceil(size / stride) needs, half of it before,
the larger half behind (https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2). PyTorch pads both sides
alike, which is neither at stride 2 on an even size: such a model has PAD operators after its conversion, and their
output is a tensor of its own. An AveragePool that leaves its padding out of the average can have no Pad, and stays.
"""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.dims import Dim
from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import rebuilt, whole_numbers


def before(graph: Graph) -> Graph:
    """The graph with a Pad before each Conv and pool whose padding is neither none nor SAME."""
    nodes: list[Node] = []
    values: dict[str, Value] = dict(graph.values)
    for node in graph.nodes:
        amounts = _amounts(graph, node) if _pads(node) else None
        if amounts is None:
            nodes.append(node)
            continue
        source, padded = node.inputs[0], f"{node.outputs[0]}/padded_input"
        value = graph.values[source]
        pads = (0, 0, *amounts[: len(amounts) // 2], 0, 0, *amounts[len(amounts) // 2 :])
        values[padded] = replace(value, shape=_wider(value, pads), content=None)
        nodes.append(Node(f"{node.label}/pad", "", "Pad", (source,), (padded,), {"pads": pads}))
        attrs = {**node.attrs, "pads": (0,) * len(amounts), "auto_pad": "NOTSET"}
        nodes.append(replace(node, inputs=(padded, *node.inputs[1:]), attrs=attrs))
    return graph if len(nodes) == len(graph.nodes) else rebuilt(graph, nodes, values)


def _pads(node: Node) -> bool:
    """True for an operator that may pad, with what a Pad can write."""
    averages = node.op == "AveragePool" and bool(node.attrs.get("count_include_pad", 0))
    return not node.domain and (node.op in ("Conv", "MaxPool") or averages)


def _wider(value: Value, pads: tuple[int, ...]) -> tuple[Dim, ...]:
    assert value.shape is not None
    rank = len(value.shape)
    return tuple(dim + pads[i] + pads[rank + i] for i, dim in enumerate(value.shape))


def _amounts(graph: Graph, node: Node) -> tuple[int, ...] | None:
    """The padding (all begins, all ends) that takes a Pad; None where there is none to take or shapes are open."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    stated = whole_numbers(node, "pads")
    if stated is None or not (node.inputs and node.outputs):
        return None
    if mode in ("VALID", "SAME_UPPER") or (mode == "NOTSET" and not any(stated)):
        return None
    needed = _needed(graph, node)
    if needed is None:
        return None
    same = (*(total // 2 for total in needed), *(total - total // 2 for total in needed))
    lower = (*(total - total // 2 for total in needed), *(total // 2 for total in needed))
    amounts = stated if mode == "NOTSET" else lower
    return None if amounts == same or len(amounts) != len(same) or min(amounts) < 0 else amounts


def _needed(graph: Graph, node: Node) -> list[int] | None:
    """What SAME would add to each spatial axis, in numbers."""
    names = (node.inputs[0], node.outputs[0], node.inputs[1] if node.op == "Conv" and len(node.inputs) > 1 else "")
    x, y, w = (_numbers(graph, name) for name in names)
    kernel = whole_numbers(node, "kernel_shape") or (w or ())[2:]
    if x is None or y is None or len(x) != len(y) or not kernel or len(kernel) != len(x) - 2:
        return None
    axes = len(kernel)
    strides, dilations = (whole_numbers(node, name) or (1,) * axes for name in ("strides", "dilations"))
    if len(strides) != axes or len(dilations) != axes or min(strides) < 1:
        return None
    return [
        max((-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
        for size, stride, taps, dilation in zip(x[2:], strides, kernel, dilations, strict=True)
    ]


def _numbers(graph: Graph, name: str) -> tuple[int, ...] | None:
    value = graph.values.get(name)
    if value is None or value.shape is None:
        return None
    found = tuple(dim for dim in value.shape if type(dim) is int)
    return found if len(found) == len(value.shape) else None
