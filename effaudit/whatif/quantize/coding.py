"""Constants in integers: scales and zero points that are found when their elements are first read, and the codes.

As onnxruntime's quantizer stores them: one scale and one zero point per tensor, or one per channel along an axis; a
bias is int32 with the scale of its node's input times that of its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec

from effaudit.graph import FLOAT16, INT32, Constant, Encoding
from effaudit.load.values import values
from effaudit.whatif.constants import BY_NAME, missing, sized
from effaudit.whatif.quantize.grid import Grid, encode, grid, ranges, scales
from effaudit.whatif.quantize.types import Rule, bits_of

if TYPE_CHECKING:
    import numpy as np

# A bias code larger than int32 would be clipped: its weight's scale is raised instead, by a little more than needed.
# https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/optimize/quantization_utils.cc
_BIAS_ROOM: Final = 1.0001 / (2**31 - 1)


Span: TypeAlias = tuple[float, float] | str  # lowest and highest number of a tensor, or why they are not known


class Scale(msgspec.Struct, frozen=True):
    """The scale and the zero point of a tensor of a type: one of each, or one per channel along `axis`.

    `find` gives both as arrays of one dimension (of one element where `axis` is None); `missing` says why it cannot.
    `real` is the type of the scale.
    """

    dtype: str
    real: Encoding
    find: Callable[[], tuple[np.ndarray, np.ndarray]]
    missing: str = ""
    axis: int | None = None
    channels: int = 1
    symmetric: bool = False

    @property
    def grid(self) -> Grid:
        return grid(self.dtype, symmetric=self.symmetric)

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the scale and of the zero point."""
        return () if self.axis is None else (self.channels,)


def encoding_of(dtype: str) -> Encoding:
    """How elements of a type are stored, packed; also of one that ONNX does not have, such as int3."""
    return BY_NAME.get(dtype) or Encoding(dtype, bits_of(dtype))


def of_range(span: Span, dtype: str, real: Encoding, *, symmetric: bool = False) -> Scale:
    """The scale that maps a range of numbers onto a type; a text says why the range is not known."""
    if isinstance(span, str):
        return Scale(dtype, real, _never, missing=span, symmetric=symmetric)

    def find() -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        low, high = (np.array([end], np.float32) for end in span)
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        return scales(low, high, grid(dtype, symmetric=symmetric), symmetric=symmetric)

    return Scale(dtype, real, cache(find), symmetric=symmetric)


def of_constant(
    constant: Constant,
    rule: Rule,
    dtype: str,
    *,
    axis: int | None = None,
    symmetric: bool = False,
    least: Sequence[Callable[[], np.ndarray]] = (),
) -> Scale:
    """The scale of a constant's own elements, clipped as the rule says and at least what each of `least` gives."""
    to = grid(dtype, symmetric=symmetric)

    def find() -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        rows = _rows(values(constant), axis)
        low, high = ranges(rows, to, symmetric=symmetric, clip=rule.clip, percentile=rule.percentile)
        scale, zero = scales(low, high, to, symmetric=symmetric)
        for floor in least:
            room = floor().astype(scale.dtype)
            scale = np.maximum(scale, room if room.shape == scale.shape else room.max(initial=0))
        return scale, zero

    channels = 1 if axis is None else constant.shape[axis]
    return Scale(dtype, constant.encoding, cache(find), missing(constant), axis, channels, symmetric)


def least_for(bias: Constant, source: Scale) -> Callable[[], np.ndarray]:
    """The smallest scale a weight may have for its bias to fit int32; `source` is the scale of the node's input."""

    def find() -> np.ndarray:
        import numpy as np

        most = np.abs(values(bias).astype(np.float64)).ravel()
        return most * _BIAS_ROOM / source.find()[0].astype(np.float64)

    return find


def scale_constant(scale: Scale, name: str = "scale") -> Constant:
    """The scale as a tensor."""

    def read() -> np.ndarray:
        return scale.find()[0].astype("float16" if scale.real == FLOAT16 else "float32").reshape(scale.shape)

    return _made(name, scale.shape, scale.real, read, scale.missing)


def zero_constant(scale: Scale, name: str = "zero_point") -> Constant:
    """The zero point as a tensor of the type's elements."""

    def read() -> np.ndarray:
        return scale.find()[1].astype(scale.grid.storage).reshape(scale.shape)

    return _made(name, scale.shape, encoding_of(scale.dtype), read, scale.missing)


def codes(constant: Constant, scale: Scale, name: str = "codes") -> Constant:
    """The elements of a constant in a scale's type."""

    def read() -> np.ndarray:
        import numpy as np

        array = values(constant)
        scale_, zero = scale.find()
        rows = encode(_rows(array, scale.axis), scale_, zero, scale.grid)
        if scale.axis is None:
            return rows.reshape(array.shape)
        moved = np.moveaxis(array, scale.axis, 0).shape
        return np.ascontiguousarray(np.moveaxis(rows.reshape(moved), 0, scale.axis))

    why = missing(constant) or scale.missing
    return _made(name, constant.shape, encoding_of(scale.dtype), read, why)


class Bias(msgspec.Struct, frozen=True):
    """A bias in int32: its codes, scale and zero point."""

    codes: Constant
    scale: Constant
    zero: Constant


def bias_of(constant: Constant, source: Scale, weight: Scale, beta: float = 1.0) -> Bias:
    """A bias whose scale is that of the input times that of the weight; its codes stand for `beta` times it."""
    why = missing(constant) or source.missing or weight.missing
    channels = weight.channels if weight.axis is not None else 1
    many = channels > 1

    def scale() -> np.ndarray:
        import numpy as np

        product = source.find()[0].astype(np.float32) * weight.find()[0].astype(np.float32)
        return product.astype("float16" if constant.encoding == FLOAT16 else "float32")

    def read() -> np.ndarray:
        import numpy as np

        found = np.round(values(constant).astype(np.float64) * beta / scale().astype(np.float64))
        return np.clip(found, -(2**31), 2**31 - 1).astype(np.int32)

    def zero() -> np.ndarray:
        import numpy as np

        return np.zeros((channels,) if many else (), np.int32)

    return Bias(
        _made("bias", constant.shape, INT32, read, why),
        _made("scale", (channels,), constant.encoding, scale, why),
        _made("zero_point", (channels,) if many else (), INT32, zero, ""),
    )


def _rows(array: np.ndarray, axis: int | None) -> np.ndarray:
    """One row per scale."""
    import numpy as np

    if axis is None:
        return array.reshape(1, -1)
    return np.moveaxis(array, axis, 0).reshape(array.shape[axis], -1)


def _made(
    name: str, shape: tuple[int, ...], encoding: Encoding, read: Callable[[], np.ndarray], why: str = ""
) -> Constant:
    one = Constant(name, encoding, shape, "initializer", 0, 0, missing=why, read=None if why else read)
    return sized(one, shape, encoding)


def _never() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("a scale without a range is never read")
