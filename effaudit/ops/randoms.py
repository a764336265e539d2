"""Random tensors. Drawing a number counts as one operation."""

from __future__ import annotations

from collections.abc import Sequence

from effaudit.graph import ENCODINGS, Encoding, Value
from effaudit.ops._inputs import ranked
from effaudit.ops._registry import Cost, cost
from effaudit.ops._registry import shape as shape_rule


def _encoding(dtype: int | None, otherwise: Encoding) -> Encoding:
    """The type an attribute names. Raises ValueError on a number that names none."""
    if not dtype:
        return otherwise
    if dtype not in ENCODINGS:
        raise ValueError(f"dtype {dtype} is no data type")
    return ENCODINGS[dtype]


@shape_rule("RandomNormal", "RandomUniform")
def random(*, dtype: int = 1, shape: Sequence[int] = ()) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RandomNormal.html, https://onnx.ai/onnx/operators/onnx__RandomUniform.html"""
    if any(not isinstance(dim, int) or dim < 0 for dim in shape):
        raise ValueError(f"an impossible shape {list(shape)[:8]}")
    return Value(_encoding(dtype, ENCODINGS[1]), tuple(shape))


@cost("RandomNormal", "RandomUniform", kind="random")
def random_cost(*, out: Value) -> Cost:
    """ops = numel(out) x 3 (draw; multiply; add)"""
    return Cost(0, 3 * out.numel)


@shape_rule("RandomNormalLike", "RandomUniformLike")
def random_like(input: Value, *, dtype: int | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__RandomNormalLike.html,
    https://onnx.ai/onnx/operators/onnx__RandomUniformLike.html"""
    return Value(_encoding(dtype, input.encoding), input.shape)


@cost("RandomNormalLike", "RandomUniformLike", kind="random")
def random_like_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 3 (draw; multiply; add)"""
    return Cost(0, 3 * out.numel)


@shape_rule("Bernoulli")
def bernoulli(input: Value, *, dtype: int | None = None) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Bernoulli.html"""
    return Value(_encoding(dtype, input.encoding), input.shape)


@cost("Bernoulli", kind="random")
def bernoulli_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(out) x 2 (draw; compare)"""
    return Cost(0, 2 * out.numel)


@shape_rule("Multinomial")
def multinomial(input: Value, *, dtype: int = 6, sample_size: int = 1) -> Value:
    """https://onnx.ai/onnx/operators/onnx__Multinomial.html"""
    batch, _ = ranked(input, "input", 2)
    return Value(_encoding(dtype, ENCODINGS[6]), (batch, sample_size))


@cost("Multinomial", kind="random")
def multinomial_cost(input: Value, *, out: Value) -> Cost:
    """ops = numel(input) x 2 (exp; running sum) + numel(out) (draw; finding its class is left out)"""
    return Cost(0, 2 * input.numel + out.numel)
