"""Sequences and optionals: containers of tensors. They hold references and move no bytes."""

from __future__ import annotations

from effaudit.dims import Dim
from effaudit.graph import BOOL, ENCODINGS, INT64, SEQUENCE, UNKNOWN, Value
from effaudit.ops._data import scalar
from effaudit.ops._registry import Context, Cost, cost, shape, storage
from effaudit.ops._shapes import axis_of, known_ints, length
from effaudit.ops.control import merge

MAX_ITEMS = 256


def _items(sequence: Value) -> tuple[Value, ...] | None:
    content = sequence.content
    return content if sequence.encoding == SEQUENCE and type(content) is tuple else None


def sequence_of(items: tuple[Value, ...] | None, why: str = "a sequence of unknown length") -> Value:
    """A sequence value; its items are kept where they are known and few."""
    if items is None or len(items) > MAX_ITEMS:
        return Value(SEQUENCE, None, None, why)
    return Value(SEQUENCE, (), items)


def _any_item(sequence: Value, ctx: Context) -> Value:
    """What is true of every item."""
    items = _items(sequence)
    if not items:
        return Value(UNKNOWN, None, why="an item of a sequence that is not known")
    result = items[0]
    for item in items[1:]:
        result = merge(result, item, ctx, "which item is taken decides it")
    return result


@shape("SequenceEmpty")
def sequence_empty(*, dtype: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceEmpty.html"""
    if dtype not in ENCODINGS:
        raise ValueError(f"data type {dtype} is unknown")
    return sequence_of(())


@shape("SequenceConstruct", partial=True)
def sequence_construct(*inputs: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceConstruct.html"""
    if None in inputs:
        raise ValueError("an omitted item")
    return sequence_of(inputs)


@shape("SequenceInsert", partial=True)
def sequence_insert(input_sequence: Value, tensor: Value, position: Value | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceInsert.html"""
    items = _items(input_sequence)
    at = scalar(position) if position is not None else len(items or ())
    if items is None or not isinstance(at, int):
        return sequence_of(None)
    at = at + len(items) if at < 0 else at
    return sequence_of((*items[:at], tensor, *items[at:]))


@shape("SequenceErase", partial=True)
def sequence_erase(input_sequence: Value, position: Value | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceErase.html"""
    items = _items(input_sequence)
    at = scalar(position) if position is not None else -1
    if not items or not isinstance(at, int):
        return sequence_of(None)
    at %= len(items)
    return sequence_of((*items[:at], *items[at + 1 :]))


@shape("SequenceAt", partial=True)
def sequence_at(input_sequence: Value, position: Value, *, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceAt.html"""
    items, at = _items(input_sequence), scalar(position)
    if items and isinstance(at, int):
        if not -len(items) <= at < len(items):
            raise ValueError(f"position {at} in a sequence of {len(items)}")
        return items[at]
    return _any_item(input_sequence, ctx)


@shape("SequenceLength", partial=True)
def sequence_length(input_sequence: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SequenceLength.html"""
    items = _items(input_sequence)
    return Value(INT64, (), None if items is None else (len(items),))


@shape("ConcatFromSequence", partial=True)
def concat_from_sequence(input_sequence: Value, *, axis: int = 0, new_axis: int = 0, ctx: Context) -> Value:
    """https://onnx.ai/onnx/operators/onnx__ConcatFromSequence.html"""
    items = _items(input_sequence)
    if not items or any(v.shape is None for v in items):
        return Value(UNKNOWN, None, why="it joins a sequence that is not known")
    one = _any_item(input_sequence, ctx)
    assert items[0].shape is not None
    if one.shape is None and not new_axis:
        return Value(items[0].encoding, None, why="the ranks of its items differ")
    rank = len(items[0].shape) + (1 if new_axis else 0)
    at = axis_of(axis, rank)
    base = one.shape or items[0].shape
    if new_axis:
        return Value(items[0].encoding, (*base[:at], len(items), *base[at:]))
    total: Dim = 0
    for item in items:
        assert item.shape is not None
        total = total + item.shape[at]
    return Value(items[0].encoding, (*base[:at], total, *base[at + 1 :]))


@shape("SplitToSequence")
def split_to_sequence(input: Value, split: Value | None = None, *, axis: int = 0, keepdims: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__SplitToSequence.html"""
    assert input.shape is not None
    at = axis_of(axis, len(input.shape))
    size = input.shape[at]
    before, after = input.shape[:at], input.shape[at + 1 :]
    if split is None:
        if not isinstance(size, int) or size > MAX_ITEMS:
            return sequence_of(None)
        part = Value(input.encoding, (*before, 1, *after) if keepdims else (*before, *after))
        return sequence_of((part,) * size)
    known = known_ints(split)
    if known is None:
        return sequence_of(None)
    if length(split) is not None:
        return sequence_of(tuple(Value(input.encoding, (*before, d, *after)) for d in known))
    each = known[0]
    if not isinstance(size, int) or not isinstance(each, int) or each < 1 or size // each > MAX_ITEMS:
        return sequence_of(None)
    sizes = [each] * (size // each) + ([size % each] if size % each else [])
    return sequence_of(tuple(Value(input.encoding, (*before, d, *after)) for d in sizes))


@shape("SequenceMap", partial=True)
def sequence_map(input_sequence: Value, *additional_inputs: Value, ctx: Context) -> tuple[Value, ...]:
    """https://onnx.ai/onnx/operators/onnx__SequenceMap.html"""
    one = [_any_item(v, ctx) if v.encoding == SEQUENCE else v for v in (input_sequence, *additional_inputs)]
    items = _items(input_sequence)
    outputs = ctx.bodies.run("body", one)
    ctx.bodies.repeat("body", len(items) if items is not None else 0, len(items) if items is not None else None)
    return tuple(sequence_of((v,) * len(items) if items is not None else None) for v in outputs)


@shape("Optional", partial=True)
def optional(input: Value | None = None, *, type: object = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Optional.html"""
    return input if input is not None else Value(UNKNOWN, None, why="an empty optional")


@shape("OptionalGetElement", partial=True)
def optional_get_element(input: Value) -> Value:
    """https://onnx.ai/onnx/operators/onnx__OptionalGetElement.html"""
    return input


@shape("OptionalHasElement", partial=True)
def optional_has_element(input: Value | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__OptionalHasElement.html"""
    return Value(BOOL, (), (False,) if input is None else None)


@cost(
    "SequenceEmpty",
    "SequenceConstruct",
    "SequenceInsert",
    "SequenceErase",
    "SequenceLength",
    "SequenceAt",
    "Optional",
    "OptionalGetElement",
    "OptionalHasElement",
    kind="movement",
)
def container_cost(*inputs: Value | None, out: Value) -> Cost:
    """free: holds references"""
    return Cost(0, 0, 0, 0)


@cost("ConcatFromSequence", kind="movement")
def concat_from_sequence_cost(input_sequence: Value, *, out: Value) -> Cost:
    """no arithmetic: reads and writes every element once"""
    return Cost(0, 0, out.nbytes, out.nbytes)


@cost("SplitToSequence", kind="movement")
def split_to_sequence_cost(input: Value, split: Value | None = None, *, out: Value) -> Cost:
    """no arithmetic: reads and writes every element once"""
    return Cost(0, 0, input.nbytes, input.nbytes)


storage("SequenceAt", "OptionalGetElement", "Optional", view=True)
