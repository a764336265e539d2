"""Batch norms and constant shifts and scales in the convolution or matrix product before them.

BatchNormalization in inference mode is a scale and a shift per channel; so is a Mul, Div, Add or Sub of a constant that
is one number or one per output channel. Behind a convolution or a matrix product with constant weights they go into its
weights and its bias, exactly but for rounding; an Add or Sub goes into the bias whatever the weights are. Only between
floating tensors: behind a quantized product the shift would have to be quantized anew. (A graph taken "as if" quantized
has no such boundary yet.) The constants stay in the graph's table.

https://www.tensorflow.org/model_optimization/guide/quantization/training_comprehensive_guide
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from effaudit.graph import Graph, Node, Value
from effaudit.lower._rewrite import ACTIVATION, Wiring, fused_with, is_floating, merged

AS_IF: Final = "as if "  # what the history of a graph "as if quantized" begins with
_CONVS: Final = frozenset(("Conv", "ConvTranspose"))
_PRODUCTS: Final = frozenset(("MatMul", "Gemm"))
_SHIFTS: Final = frozenset(("Add", "Sub"))
_SCALES: Final = frozenset(("Mul", "Div"))


def fold(graph: Graph) -> Graph:
    """The graph with norms and constant shifts and scales folded into the products before them."""
    if not any(node.op in _CONVS or node.op in _PRODUCTS for node in graph.nodes):
        return graph
    wiring = Wiring(graph)
    pretended = any(step.startswith(AS_IF) for step in graph.history)
    owners: dict[int, Node] = {}
    gone: set[int] = set()
    for i, node in enumerate(graph.nodes):
        if (
            node.domain
            or not (node.op in _CONVS or node.op in _PRODUCTS)
            or ACTIVATION in node.attrs
            or not node.outputs
        ):
            continue
        found = _chain(wiring, node, pretended=pretended)
        if found:
            behind = [graph.nodes[j] for j in found]
            gone.update(found)
            owners[i] = replace(
                node, outputs=behind[-1].outputs[:1], attrs=fused_with(node, *(n.label for n in behind))
            )
    return merged(graph, owners, gone)


def _chain(wiring: Wiring, node: Node, *, pretended: bool) -> list[int]:
    """The nodes behind a product that fold into it, in order."""
    found: list[int] = []
    out = node.outputs[0]
    while len(node.inputs) > 1 and (i := _foldable(wiring, node, out, pretended=pretended)) is not None:
        found.append(i)
        out = wiring.graph.nodes[i].outputs[0]
    return found


def _foldable(wiring: Wiring, node: Node, out: str, *, pretended: bool) -> int | None:
    """The node that alone reads `out` and only scales and shifts the channels of the product `node` by constants."""
    graph = wiring.graph
    i = wiring.only_reader(out)
    if i is None:
        return None
    after = graph.nodes[i]
    if not after.outputs:
        return None
    before, made = graph.values.get(out), graph.values.get(after.outputs[0])
    if before is None or made is None or before.shape is None or before.shape != made.shape:
        return None
    if before.encoding != made.encoding or not (pretended or is_floating(before)) or after.domain:
        return None
    constant = not any(map(wiring.varies, filter(None, node.inputs[1:])))
    if after.op == "BatchNormalization":
        fits = constant and node.op in _CONVS and _is_inference(wiring, after, out)
    elif after.op in _SHIFTS or after.op in _SCALES:
        fits = (constant or after.op in _SHIFTS) and _is_per_channel(wiring, node, after, out, before)
    else:
        return None
    return i if fits else None


def _is_inference(wiring: Wiring, norm: Node, out: str) -> bool:
    """True for a batch norm of given statistics that are constants."""
    if norm.inputs[0] != out or norm.attrs.get("training_mode", 0):
        return False
    unused = all(name not in wiring.readers and name not in wiring.pinned for name in norm.outputs[1:] if name)
    return unused and not any(map(wiring.varies, norm.inputs[1:]))


def _is_per_channel(wiring: Wiring, node: Node, after: Node, out: str, made: Value) -> bool:
    """True where the input beside `out` is a constant of one element, or of one per output channel."""
    if len(after.inputs) != 2 or (after.inputs[0] != out and after.op in ("Sub", "Div")):
        return False
    other = after.inputs[1] if after.inputs[0] == out else after.inputs[0]
    value = wiring.graph.values.get(other)
    if other == out or wiring.varies(other) or value is None or value.shape is None or made.shape is None:
        return False
    channel = 1 - len(made.shape) if node.op in _CONVS else -1  # from the end, as broadcasting counts
    return all(
        dim == 1 or place == channel for place, dim in zip(range(-len(value.shape), 0), value.shape, strict=True)
    )
