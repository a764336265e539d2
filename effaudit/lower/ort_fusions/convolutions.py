"""What goes into a convolution before it runs: norms, constant scales and shifts, an activation.

`ConvBNFusion`, `ConvMulFusion`, `ConvAddFusion` and `ConvActivationFusion` (onnxruntime/core/optimizer, held against
what 1.31.1 saves).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.graph import Graph, Node
from effaudit.lower.ort_fusions.draft import Draft
from effaudit.ops._registry import MICROSOFT

_UNARY: Final = frozenset("Relu Sigmoid Tanh LeakyRelu Clip HardSigmoid".split())
_PARAMETERS: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    "LeakyRelu": (("alpha", 0.01),),
    "HardSigmoid": (("alpha", 0.2), ("beta", 0.5)),
}


def folded(graph: Graph) -> Graph:
    """Norms, and constants per channel that are multiplied or added, in the weights and biases before them."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op in ("Conv", "ConvTranspose") and not node.domain and draft.is_constant(node.inputs[1]):
            _fold(draft, i)
    return draft.graph()


def _fold(draft: Draft, i: int) -> None:
    while True:
        node = draft.nodes[i]
        behind = ("BatchNormalization", "Mul", "Add")[: 3 if node.op == "Conv" else 1]
        j = draft.reader(node.outputs[0], *behind)
        bias = None if j is None else _bias(draft, node, draft.nodes[j])
        if j is None or bias is None:
            return
        inputs = (*node.inputs[:2], bias) if bias else node.inputs
        i = draft.fuse((i, j), replace(node, inputs=inputs, outputs=draft.nodes[j].outputs[:1]))


def _bias(draft: Draft, node: Node, after: Node) -> str | None:
    """The bias of a convolution with the node behind it folded in ("": still none); None where it does not fold."""
    own = node.inputs[2] if len(node.inputs) > 2 else ""
    weights = draft.shape(node.inputs[1])
    if weights is None or (own and not draft.is_constant(own)):
        return None
    if after.op == "BatchNormalization":
        constant = all(map(draft.is_constant, after.inputs[1:5])) and len(after.inputs) == 5
        fits = constant and after.inputs[0] == node.outputs[0] and not after.attrs.get("training_mode", 0)
        wide = draft.shape(node.outputs[0]) or draft.dims(node.outputs[0]) or (0, 0)
        return (own or after.inputs[2]) if fits and draft.shape(after.inputs[2]) == wide[1:2] else None
    other = next((name for name in after.inputs if name != node.outputs[0]), "")
    if not draft.is_constant(other) or draft.dtype(other) != draft.dtype(node.outputs[0]):
        return None
    shape = draft.shape(other)
    rank = len(weights)
    if shape is None or shape not in ((weights[0], *(1,) * (rank - 2)), (1, weights[0], *(1,) * (rank - 2))):
        # a scale may be one number, a shift may not
        if after.op == "Add" or shape is None or any(dim != 1 for dim in shape) or len(shape) > rank:
            return None
        return own
    if after.op == "Mul":
        return own
    return own or draft.stored(f"{node.outputs[0]}/bias", draft.values[other].encoding, (weights[0],))


def activated(graph: Graph) -> Graph:
    """Activations in the convolutions before them, which are com.microsoft's FusedConv then."""
    draft = Draft(graph)
    for i in draft.indices():
        node = draft.nodes[i]
        if node.op != "Conv" or node.domain or draft.dtype(node.outputs[0]) != "float32":
            continue
        j = draft.reader(node.outputs[0], *_UNARY)
        found = None if j is None else activation(draft, draft.nodes[j])
        if j is not None and found is not None:
            after = draft.nodes[j]
            attrs = {**node.attrs, **found}
            draft.fuse((i, j), replace(node, domain=MICROSOFT, op="FusedConv", outputs=after.outputs, attrs=attrs))
    return draft.graph()


def activation(draft: Draft, node: Node) -> Mapping[str, object] | None:
    """The attributes of a kernel that also does this; None for a Clip whose bounds are not constant."""
    if node.op == "Clip":
        if not all(map(draft.is_constant, filter(None, node.inputs[1:]))):
            return None
        return {"activation": "Clip"}
    parameters = tuple(float(node.attrs.get(name, default)) for name, default in _PARAMETERS.get(node.op, ()))
    return {"activation": node.op, **({"activation_params": parameters} if parameters else {})}
