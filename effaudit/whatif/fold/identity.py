"""Nodes that change nothing: Identity, Dropout that does not train, casts to the type there is, reshapes and slices
that leave the shape, additions of 0 and products with 1. Only what is proven, for every size that the file admits.

Their readers read what they read. What makes an output of the model, or what a body captures, keeps its name: the node
before writes it, where nothing else needs that one's own name.

https://onnx.ai/onnx/operators/
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.graph import STRING, Node, Value
from effaudit.load.values import values as read
from effaudit.whatif.constants import missing
from effaudit.whatif.fold._model import Folded, Model, grouped

MAX_READ: Final = 1 << 16  # elements of a constant that are looked at, whether all are 0 or 1
_SHAPES_ONLY: Final = frozenset("Reshape Flatten Squeeze Unsqueeze Expand Tile".split())
_ONE_INPUT: Final = frozenset("Concat Sum Max Min Mean".split())
_NEUTRAL: Final = {"Add": 0, "Sub": 0, "Mul": 1, "Div": 1, "Pow": 1}
_COMMUTATIVE: Final = frozenset(("Add", "Mul"))
_INPUT_MODE: Final = 7  # before this version, a Dropout trained unless `is_test` said otherwise


def fold(audited: Audited, values: Mapping[str, Value]) -> Folded:
    """The model without nodes that change nothing. Raises LoadError where a constant cannot be read."""
    model = Model(audited, values)
    aliases: dict[str, str] = {}
    refused: list[tuple[Node, str]] = []
    gone = 0
    for i, node in enumerate(model.raw.nodes):
        source = unchanged(model, node)
        if source is None:
            continue
        source, out = _final(aliases, source), node.outputs[0]
        if out not in model.wiring.pinned:
            aliases[out] = source
            model.draft.rename(out, source)
        elif (maker := model.wiring.maker.get(source)) is not None and source not in model.wiring.pinned:
            aliases[source] = out
            model.draft.rename(source, out)
            (before,) = model.draft.at(maker)
            outputs = tuple(out if name == source else name for name in before.outputs)
            model.draft.put(maker, replace(before, outputs=outputs))
        else:
            refused.append((node, "an output, or what a body reads, would have to take the name of another tensor"))
            continue
        model.draft.put(i)
        gone += 1
    return Folded(model.graph(), f"{gone} nodes that change nothing removed", grouped(refused))


def _final(aliases: Mapping[str, str], name: str) -> str:
    while name in aliases:
        name = aliases[name]
    return name


def unchanged(model: Model, node: Node) -> str | None:
    """The input that the one output of a node equals; None where that is not proven."""
    if node.domain or not any(node.inputs[:1]) or not node.outputs or not node.outputs[0] or node.bodies:
        return None
    if any(name in model.wiring.readers or name in model.wiring.pinned for name in node.outputs[1:] if name):
        return None
    if node.op in _NEUTRAL:
        return _neutral(model, node)
    proof = _PROOFS.get(node.op)
    if proof is None or not model.alike(node.inputs[0], node.outputs[0]) or not proof(model, node):
        return None
    return node.inputs[0]


def _neutral(model: Model, node: Node) -> str | None:
    """The input beside a 0 that is added, or a 1 that is multiplied by."""
    if len(node.inputs) != 2:
        return None
    places = ((0, 1), (1, 0)) if node.op in _COMMUTATIVE else ((0, 1),)
    for place, other in places:
        name, constant = node.inputs[place], node.inputs[other]
        if name != constant and model.alike(name, node.outputs[0]) and _is_all(model, constant, _NEUTRAL[node.op]):
            return name
    return None


def _is_all(model: Model, name: str, number: int) -> bool:
    data = model.data(name)
    if data is not None:
        return all(one == number for one in data)
    constant = model.draft.constant(name)
    if constant is None or constant.encoding is STRING or missing(constant) or constant.numel > MAX_READ:
        return False
    return bool((read(constant) == number).all())


def _always(model: Model, node: Node) -> bool:
    return True


def _alone(model: Model, node: Node) -> bool:
    return len(node.inputs) == 1


def _does_not_train(model: Model, node: Node) -> bool:
    """https://onnx.ai/onnx/operators/onnx__Dropout.html"""
    if model.opset < _INPUT_MODE:
        return bool(node.attrs.get("is_test", 0))
    mode = node.inputs[2] if len(node.inputs) > 2 else ""
    return not mode or model.data(mode) in ((False,), (0,))


def _goes_forward(model: Model, node: Node) -> bool:
    """A Slice that leaves the shape and does not turn an axis around."""
    steps = node.inputs[4] if len(node.inputs) > 4 else ""
    data = model.data(steps) if steps else ()
    return data is not None and all(step > 0 for step in data)


def _pads_nothing(model: Model, node: Node) -> bool:
    stated = node.attrs.get("pads", node.attrs.get("paddings"))
    data = model.data(node.inputs[1]) if len(node.inputs) > 1 else stated
    return type(data) is tuple and not any(data)


def _keeps_order(model: Model, node: Node) -> bool:
    """A Transpose that moves only axes of one element."""
    shape = model.shape(node.inputs[0])
    perm = node.attrs.get("perm")
    if shape is None:
        return False
    order = perm if type(perm) is tuple else tuple(range(len(shape)))[::-1]
    long = [axis for axis in order if not (type(shape[axis]) is int and shape[axis] == 1)]
    return long == sorted(long)


def _sees_one(model: Model, node: Node) -> bool:
    """A pooling over one element at a time."""
    kernel = node.attrs.get("kernel_shape")
    steps, pads = node.attrs.get("strides", ()), node.attrs.get("pads", ())
    return type(kernel) is tuple and set(kernel) | set(steps) <= {1} and not any(pads)


_PROOFS: Final[Mapping[str, Callable[[Model, Node], bool]]] = {
    "Identity": _always,
    "Cast": _always,
    "CastLike": _always,
    "Dropout": _does_not_train,
    "Slice": _goes_forward,
    "Pad": _pads_nothing,
    "Transpose": _keeps_order,
    "MaxPool": _sees_one,
    "AveragePool": _sees_one,
    **dict.fromkeys(_SHAPES_ONLY, _always),
    **dict.fromkeys(_ONE_INPUT, _alone),
}
