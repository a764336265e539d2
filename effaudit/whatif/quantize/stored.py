"""One weight tensor in its new type: constants of codes, scales and zero points, and what became of its elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.graph import FLOAT, FLOAT16, UINT8, Constant, Encoding
from effaudit.load.values import values
from effaudit.whatif.constants import BY_NAME, missing, sized
from effaudit.whatif.quantize.grid import Error, difference, grid, halved
from effaudit.whatif.quantize.rows import Layout, coded, rounded
from effaudit.whatif.quantize.types import BLOCK, HALVES, PER_CHANNEL, PER_TENSOR, Rule, bits_of
from effaudit.whatif.types import Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "weights"
SAVED: Final = (2, 4, 8, 16)  # widths of ONNX's integers


class Stored(msgspec.Struct, frozen=True):
    """A tensor in its new type. `scale` and `zero` are None for types without; `lost` is None where the weights are
    missing, as are `scale_values` and `zero_values`."""

    codes: Constant
    scale: Constant | None
    zero: Constant | None
    where: Layout
    lost: Error | None
    scale_values: np.ndarray | None = None
    zero_values: np.ndarray | None = None

    @property
    def overhead(self) -> int:
        """Bytes of scales and zero points."""
        return sum(one.nbytes for one in (self.scale, self.zero) if one is not None)


def encoding_of(dtype: str) -> Encoding:
    """The encoding of a type that a rule names, ONNX's own where it has one."""
    return BY_NAME.get(dtype) or Encoding(dtype, bits_of(dtype))


def unsaved(dtype: str) -> str:
    """Why a tensor of the type cannot be saved; "" where it can."""
    if dtype in BY_NAME:
        return ""
    if dtype == "nf4":
        return "ONNX has no type nf4, only com.microsoft.MatMulBnb4 reads it; int4 can be saved"
    bits = bits_of(dtype)
    kind = dtype.removesuffix(str(bits))
    following = next(width for width in SAVED if width >= bits)
    return f"no ONNX type of {bits} bits; {kind}{following} is the next that can be saved"


def store(source: Constant, rule: Rule, where: Layout, least: np.ndarray | float = 0.0) -> Stored:
    """A floating tensor stored by a rule: codes under the name of the source with `_quantized`, `_scale` and
    `_zero_point`, as onnxruntime calls them. Elements are rounded when they are read; scales are at least `least`."""
    if rule.weights in HALVES:
        return _half(source, rule.weights)
    to = grid(rule.weights, symmetric=rule.symmetric)
    why = missing(source)

    def elements() -> np.ndarray:
        return values(source).reshape(where.shape)

    first = None if why else rounded(elements(), to, rule, where, least)
    lost, scale_values, zero_values = (None, None, None) if first is None else (first.error, first.scale, first.zero)
    precise = source.encoding if source.encoding in (FLOAT, FLOAT16) else FLOAT
    encoding = encoding_of(rule.weights)
    codes = _made(source, "_quantized", where.shape, encoding, None)
    if scale_values is not None and zero_values is not None:
        known = scale_values, zero_values  # the search for them is not made again
        codes = replace(codes, missing="", read=lambda: coded(elements(), to, where, *known))
    scale = _made(source, "_scale", where.scale_shape, precise, _given(scale_values, precise.dtype))
    zero = None
    if not to.levels:
        zero = _made(source, "_zero_point", where.scale_shape, encoding, _given(zero_values, to.storage))
    if reason := unsaved(rule.weights):
        codes = replace(codes, missing=reason)
    return Stored(codes, scale, zero, where, lost, scale_values, zero_values)


def _half(source: Constant, dtype: str) -> Stored:
    why = missing(source)

    def compute() -> np.ndarray:
        return halved(values(source), dtype)

    lost = None
    if not why:
        array = values(source)
        lost = difference(array, halved(array, dtype))
    codes = _made(source, f"_{dtype}", source.shape, BY_NAME[dtype], None if why else compute)
    return Stored(codes, None, None, Layout(source.shape), lost)


def _made(
    source: Constant,
    suffix: str,
    shape: tuple[int, ...],
    encoding: Encoding,
    read: Callable[[], np.ndarray] | None,
) -> Constant:
    why = missing(source) if read is None else ""
    named = replace(source, name=source.name + suffix, read=read, missing=why, place="initializer")
    return sized(named, shape, encoding)


def _given(array: np.ndarray | None, dtype: str) -> Callable[[], np.ndarray] | None:
    if array is None:
        return None
    held = array.astype(dtype)
    return lambda: held


def detail(source: Constant, name: str, rule: Rule, made: Stored) -> Detail:
    """The row of a tensor: its type, scales, errors and bytes. Errors and the scale are None where the weights are
    missing; scale and zero point also where there are several."""
    one = made.scale_values if made.scale_values is not None and made.scale_values.size == 1 else None
    zero = made.zero_values if one is not None and made.zero is not None else None
    lost = made.lost
    return Detail(
        TABLE,
        name,
        {
            "dtype": made.codes.encoding.dtype if made.codes.encoding is not UINT8 else rule.weights,
            "granularity": granularity(made),
            "scales": 0 if made.scale is None else made.scale.numel,
            "scale": None if one is None else float(one.reshape(-1)[0]),
            "zero_point": None if zero is None else int(zero.reshape(-1)[0]),
            "max_abs_error": None if lost is None else lost.max_abs,
            "mse": None if lost is None else lost.mse,
            "sqnr_db": None if lost is None else lost.sqnr_db,
            "before_bytes": source.nbytes,
            "data_bytes": made.codes.nbytes,
            "scale_bytes": 0 if made.scale is None else made.scale.nbytes,
            "zero_point_bytes": 0 if made.zero is None else made.zero.nbytes,
            "overhead_bytes": made.overhead,
        },
    )


def granularity(made: Stored) -> str:
    """`per-tensor`, `per-channel`, `block 32`; "" for a type without scales."""
    if made.scale is None:
        return ""
    if made.where.axis is None:
        return PER_TENSOR
    several = 0 < made.where.group < made.where.shape[made.where.axis]
    return f"{BLOCK} {made.where.group}" if several else PER_CHANNEL
