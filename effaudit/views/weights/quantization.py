"""Scales and zero points that no quantizer could have meant."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from effaudit.graph import INTEGERS, Constant
from effaudit.views.weights.types import TensorWeights
from effaudit.views.weights.uses import Use
from effaudit.weights import QUANTIZATION


class BadQuantization(msgspec.Struct, frozen=True):
    """One tensor of scales or zero points, and what is wrong with it."""

    name: str
    what: str


def bad_scale(tensor: TensorWeights) -> BadQuantization | None:
    """A scale that is zero, negative or not finite: the numbers it scales are lost."""
    values = tensor.values
    if tensor.role != QUANTIZATION or values is None or not _is_scale(tensor):
        return None
    wrong = []
    if values.zeros:
        wrong.append(f"{values.zeros:,} zero(s)")
    if values.min is not None and values.min < 0:
        wrong.append("negative numbers")
    if values.nan or values.infinite:
        wrong.append(f"{values.nan + values.infinite:,} NaN or infinite")
    return BadQuantization(tensor.name, ", ".join(wrong)) if wrong else None


def _is_scale(tensor: TensorWeights) -> bool:
    name = tensor.input or ""
    return ("scale" in name or name == "absmax") and not tensor.dtype.startswith(("int", "uint"))


def bad_zero_point(
    tensor: TensorWeights, uses: Sequence[Use], coded: Sequence[Constant | None]
) -> BadQuantization | None:
    """A zero point outside the type that it belongs to; of 32-bit codes (biases) it must be 0.

    `coded` holds, for each use, the constant whose zero point this is, None where that is no constant.
    https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html
    """
    values = tensor.values
    if values is None or values.min is None or values.max is None or tensor.dtype not in INTEGERS:
        return None
    for use, constant in zip(uses, coded, strict=True):
        if "zero_point" not in use.input or constant is None or constant.encoding.dtype not in INTEGERS:
            continue
        low, high = _range(constant.encoding.dtype, constant.encoding.bits)
        if values.min < low or values.max > high:
            return BadQuantization(
                tensor.name, f"{values.min}..{values.max} for {constant.encoding.dtype} of {use.node.label}"
            )
    return None


def _range(dtype: str, bits: int) -> tuple[int, int]:
    """The zero points that codes of a type may have."""
    if bits >= 32:
        return 0, 0
    return (0, 2**bits - 1) if dtype.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def coded_input(use: Use) -> int | None:
    """The place of the input whose zero point an input holds: `w` for `w_zero_point`; None where there is none."""
    wanted = use.input.removesuffix("_zero_point")
    return use.names.index(wanted) if wanted != use.input and wanted in use.names else None
