"""The nodes that scale and shift channels by constants."""

from __future__ import annotations

from typing import Final

from effaudit.graph import Constant, Node
from effaudit.whatif.fold._affine import NORM, Stage
from effaudit.whatif.fold._model import Model

EPSILON: Final = 1e-5  # https://onnx.ai/onnx/operators/onnx__BatchNormalization.html
_SHIFTS: Final = frozenset(("Add", "Sub"))
_SCALES: Final = frozenset(("Mul", "Div"))
_UNIDIRECTIONAL: Final = 7  # before this version, broadcasting followed an attribute
_STATED_TESTING: Final = 7  # before this version, a batch norm trained unless `is_test` said otherwise


class Refusal(Exception):
    """Why something stays as it is."""


def norm_stage(model: Model, node: Node, channels: int) -> Stage:
    """A batch norm over so many channels. Raises Refusal where it is no constant scale and shift."""
    if node.attrs.get("training_mode", 0) or (model.opset < _STATED_TESTING and not node.attrs.get("is_test", 0)):
        raise Refusal("it normalizes by the statistics of its input (training mode)")
    wiring = model.wiring
    if any(name in wiring.readers or name in wiring.pinned for name in node.outputs[1:] if name):
        raise Refusal("its statistics are read")
    constants = [model.draft.constant(name) for name in node.inputs[1:5]]
    held = tuple(one for one in constants if one is not None)
    if len(node.inputs) != 5 or len(held) != 4:
        raise Refusal("its scale, shift, mean or variance is no stored constant")
    if any(one.shape != (channels,) for one in held):
        raise Refusal(f"it has no one scale, shift, mean and variance for each of {channels} channels")
    epsilon = node.attrs.get("epsilon", EPSILON)
    if type(epsilon) is not float:
        raise Refusal("its epsilon is no number")
    return Stage(NORM, held, epsilon)


def elementwise_stage(model: Model, node: Node, source: str, channels: int, from_end: int) -> Stage:
    """An Add, Sub, Mul or Div of `source` and a constant of one element, or of one per channel, whose axis is the
    `from_end`-th from the end. Raises Refusal where it is anything else."""
    if node.op not in _SHIFTS | _SCALES or len(node.inputs) != 2 or model.opset < _UNIDIRECTIONAL:
        raise Refusal("it follows no product")
    if node.inputs[0] != source and node.op in ("Sub", "Div"):
        raise Refusal("the constant is divided or reduced by the tensor")
    other = node.inputs[1] if node.inputs[0] == source else node.inputs[0]
    constant = None if other == source else model.draft.constant(other)
    if constant is None or not _spreads(constant, model.shape(source), channels, from_end):
        raise Refusal("it has no one constant per channel")
    return Stage(node.op, (constant,))


def _spreads(constant: Constant, over: tuple[object, ...] | None, channels: int, from_end: int) -> bool:
    """True where a constant has one element, or one per channel, and broadcasting adds no dim to what it meets."""
    shape = constant.shape
    if over is None or len(shape) > len(over):
        return False
    places = range(-len(shape), 0)
    return all(d == 1 or (at == -from_end and d == channels) for at, d in zip(places, shape, strict=True))
