"""Constants in integers beside activations of a known scale: scales and zero points of both, codes, and biases.

As onnxruntime's quantizer stores them: one scale and one zero point per tensor, or one per channel along an axis; a
bias is int32 with the scale of its node's input times that of its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Final, TypeAlias

import msgspec
from msgspec.structs import replace

from effaudit.graph import FLOAT16, INT32, Constant, Encoding
from effaudit.load.values import blocks, values
from effaudit.whatif.constants import missing, sized
from effaudit.whatif.quantize.grid import Grid, encode, grid, scales
from effaudit.whatif.quantize.rows import layout
from effaudit.whatif.quantize.stored import Stored, encoding_of, store, unsaved
from effaudit.whatif.quantize.types import Rule

if TYPE_CHECKING:
    import numpy as np

# A bias code larger than int32 would be clipped: its weight's scale is raised instead, by a little more than needed.
# https://github.com/tensorflow/tensorflow/blob/master/tensorflow/lite/tools/optimize/quantization_utils.cc
_BIAS_ROOM: Final = 1.0001 / (2**31 - 1)

Span: TypeAlias = tuple[float, float] | str  # lowest and highest number of a tensor, or why they are not known


class Scale(msgspec.Struct, frozen=True):
    """The scale and the zero point of a tensor of a type: one of each, or several along `axis`.

    `find` gives both as arrays of one dimension; `missing` says why it cannot. `real` is the type of the scale, `shape`
    that of both; `group` is the number of elements along the axis that share one, 0: all of an index.
    """

    dtype: str
    real: Encoding
    find: Callable[[], tuple[np.ndarray, np.ndarray]]
    missing: str = ""
    symmetric: bool = False
    shape: tuple[int, ...] = ()
    axis: int | None = None
    group: int = 0

    @property
    def grid(self) -> Grid:
        return grid(self.dtype, symmetric=self.symmetric)

    @property
    def attrs(self) -> dict[str, int]:
        """What a QuantizeLinear or DequantizeLinear says of it."""
        if self.axis is None:
            return {}
        return {"axis": self.axis, **({"block_size": self.group} if self.group else {})}


def of_range(span: Span, dtype: str, real: Encoding, *, symmetric: bool = False) -> Scale:
    """The scale that maps a range of numbers onto a type; a text says why the range is not known."""
    if isinstance(span, str):
        return Scale(dtype, real, _never, span, symmetric)

    def find() -> tuple[np.ndarray, np.ndarray]:
        import numpy as np

        low, high = (np.array([end], np.float32) for end in span)
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        return scales(low, high, grid(dtype, symmetric=symmetric), symmetric=symmetric)

    return Scale(dtype, real, cache(find), "", symmetric)


def weight_of(
    constant: Constant, rule: Rule, *, channels: int | None, inner: int | None = None, bias: np.ndarray | None = None
) -> tuple[Stored, Scale]:
    """A weight stored by a rule, and its scale. `channels` and `inner` are its axes, as `rows.layout` takes them;
    `bias` the least scales that its bias needs, one per channel."""
    where = layout(constant.shape, rule, channels=channels, inner=inner)
    least: np.ndarray | float = 0.0
    if bias is not None and not where.group:
        least = bias if where.axis is not None and bias.shape == where.scale_shape else float(bias.max(initial=0.0))
    made = store(constant, rule, where, least)
    return made, scale_of(made, constant, rule)


def like_activation(constant: Constant, rule: Rule) -> tuple[Stored, Scale]:
    """A constant that an operator takes beside activations, stored as these are: in their type, with one scale. Every
    element counts: there are no outliers to leave out."""
    own = replace(rule, weights=rule.activations, symmetric=rule.symmetric_activations, clip="minmax")
    return weight_of(constant, own, channels=None)


def finite(constant: Constant) -> bool:
    """False for a constant that is known to hold an infinity or what is no number, as masks do."""
    if missing(constant):
        return True
    import numpy as np

    return all(bool(np.isfinite(block).all()) for block in blocks(constant))


def scale_of(made: Stored, constant: Constant, rule: Rule) -> Scale:
    """The scale of a stored constant."""
    scale, zero = made.scale_values, made.zero_values

    def find() -> tuple[np.ndarray, np.ndarray]:
        assert scale is not None and zero is not None
        return scale.reshape(-1), zero.reshape(-1)

    assert made.scale is not None, "a type without scales"
    where = made.where
    real = made.scale.encoding
    why = missing(constant)
    return Scale(rule.weights, real, find, why, rule.symmetric, where.scale_shape, where.axis, where.group)


def least_scale(bias: Constant, source: Scale) -> np.ndarray | None:
    """The smallest scales a weight may have for its bias to fit int32; `source` is the scale of the node's input. None
    where it cannot be told."""
    if source.missing or missing(bias):
        return None
    import numpy as np

    found: np.ndarray = np.abs(values(bias).astype(np.float64)).ravel() * _BIAS_ROOM
    return found / source.find()[0].astype(np.float64)


def scale_constant(scale: Scale) -> Constant:
    """The scale as a tensor."""

    def read() -> np.ndarray:
        return scale.find()[0].astype("float16" if scale.real == FLOAT16 else "float32").reshape(scale.shape)

    return _made(scale.shape, scale.real, read, scale.missing)


def zero_constant(scale: Scale) -> Constant:
    """The zero point as a tensor of the type's elements."""

    def read() -> np.ndarray:
        return scale.find()[1].astype(scale.grid.storage).reshape(scale.shape)

    return _made(scale.shape, encoding_of(scale.dtype), read, scale.missing or unsaved(scale.dtype))


def codes(constant: Constant, scale: Scale) -> Constant:
    """The elements of a constant under another tensor's one scale."""

    def read() -> np.ndarray:
        array = values(constant)
        return encode(array.reshape(1, -1), *scale.find(), scale.grid).reshape(array.shape)

    return _made(constant.shape, encoding_of(scale.dtype), read, missing(constant) or scale.missing)


class Bias(msgspec.Struct, frozen=True):
    """A bias in int32: its codes, scale and zero point."""

    codes: Constant
    scale: Constant
    zero: Constant


def bias_of(constant: Constant, source: Scale, weight: Scale, beta: float = 1.0) -> Bias:
    """A bias whose scale is that of the input times that of the weight; its codes stand for `beta` times it."""
    why = missing(constant) or source.missing or weight.missing
    channels = weight.shape[0] if weight.shape else 1
    many = (channels,) if channels > 1 else ()

    def scale() -> np.ndarray:
        import numpy as np

        product: np.ndarray = source.find()[0].astype(np.float32) * weight.find()[0].astype(np.float32)
        return product.astype("float16" if constant.encoding == FLOAT16 else "float32")

    def read() -> np.ndarray:
        import numpy as np

        found = np.round(values(constant).astype(np.float64) * beta / scale().astype(np.float64))
        return np.clip(found, -(2**31), 2**31 - 1).astype(np.int32)

    def zero() -> np.ndarray:
        import numpy as np

        return np.zeros(many, np.int32)

    return Bias(
        _made(constant.shape, INT32, read, why),
        _made((channels,), constant.encoding, scale, why),
        _made(many, INT32, zero, ""),
    )


def _made(shape: tuple[int, ...], encoding: Encoding, read: Callable[[], np.ndarray], why: str) -> Constant:
    one = Constant("", encoding, shape, "initializer", 0, 0, missing=why, read=None if why else read)
    return sized(one, shape, encoding)


def _never() -> tuple[np.ndarray, np.ndarray]:
    raise AssertionError("a scale without a range is never read")
