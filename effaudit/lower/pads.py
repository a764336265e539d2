"""A Pad of zeros in the convolution behind it, which pads anyway."""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower._rewrite import Wiring, fused_with, merged, whole_numbers


def fold(graph: Graph) -> Graph:
    """The graph with zero padding of spatial axes taken into the Conv that alone reads it."""
    if not any(node.op == "Pad" for node in graph.nodes):
        return graph
    wiring = Wiring(graph)
    owners: dict[int, Node] = {}
    gone: set[int] = set()
    for i, pad in enumerate(graph.nodes):
        is_pad = pad.op == "Pad" and not pad.domain and bool(pad.inputs and pad.outputs)
        found = wiring.only_reader(pad.outputs[0]) if is_pad else None
        amounts = None if found is None else _spatial(graph, pad)
        if found is None or amounts is None:
            continue
        conv = graph.nodes[found]
        if conv.op != "Conv" or conv.domain or conv.inputs[0] != pad.outputs[0] or found in owners:
            continue
        if conv.attrs.get("auto_pad", "NOTSET") != "NOTSET":
            continue
        stated = whole_numbers(conv, "pads")
        own = (0,) * len(amounts) if stated == () else stated
        if own is None or len(own) != len(amounts):  # an invalid convolution
            continue
        attrs = {**fused_with(conv, pad.label), "pads": tuple(a + b for a, b in zip(own, amounts, strict=True))}
        owners[found] = replace(conv, inputs=(pad.inputs[0], *conv.inputs[1:]), attrs=attrs)
        gone.add(i)
    return merged(graph, owners, gone)


def _spatial(graph: Graph, pad: Node) -> tuple[int, ...] | None:
    """The amounts (all begins, all ends) of the axes behind batch and channels; None where the Pad is anything else."""
    value = graph.values.get(pad.inputs[0])
    if value is None or value.shape is None or pad.attrs.get("mode", "constant") != "constant":
        return None
    rank = len(value.shape)
    if not _fills_with_zero(graph, pad) or (len(pad.inputs) > 3 and pad.inputs[3]):
        return None
    stated = whole_numbers(pad, "pads") if len(pad.inputs) < 2 else _data(graph, pad.inputs[1])
    amounts = tuple(a for a in stated or () if type(a) is int and a >= 0)
    if stated is None or len(stated) != 2 * rank or len(amounts) != len(stated):
        return None
    begins, ends = amounts[:rank], amounts[rank:]
    if any((*begins[:2], *ends[:2])):
        return None
    return (*begins[2:], *ends[2:])


def _fills_with_zero(graph: Graph, pad: Node) -> bool:
    if len(pad.inputs) > 2 and pad.inputs[2]:
        return _data(graph, pad.inputs[2]) == (0,)
    return not pad.attrs.get("value", 0)


def _data(graph: Graph, name: str) -> tuple[object, ...] | None:
    value = graph.values.get(name)
    return None if value is None else value.data
