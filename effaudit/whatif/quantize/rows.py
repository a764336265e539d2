"""A tensor as rows that share a scale each, rounded to a grid: per tensor, per index of an axis, or in blocks.

The scales of blocks have the tensor's shape with ceil(size / group) along the axis, the last block being what is left:
https://onnx.ai/onnx/operators/onnx__DequantizeLinear.html (blocked quantization, opset 21).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from effaudit.whatif.quantize.grid import Error, Grid, encode, error, ranges, scales
from effaudit.whatif.quantize.types import BLOCK, PER_CHANNEL, Rule

if TYPE_CHECKING:
    import numpy as np


class Layout(msgspec.Struct, frozen=True):
    """Which elements share a scale: all (`axis` None), those of an index of `axis`, or `group` neighbours along it."""

    shape: tuple[int, ...]
    axis: int | None = None
    group: int = 0

    @property
    def scale_shape(self) -> tuple[int, ...]:
        """The shape of the scales."""
        if self.axis is None:
            return ()
        if not self.group:
            return (self.shape[self.axis],)
        blocks = -(-self.shape[self.axis] // self.group)
        return (*self.shape[: self.axis], blocks, *self.shape[self.axis + 1 :])


class Rounded(msgspec.Struct, frozen=True):
    """A tensor on a grid: codes in its shape, float32 scales and int32 zero points in that of the layout."""

    codes: np.ndarray
    scale: np.ndarray
    zero: np.ndarray
    error: Error


def layout(shape: tuple[int, ...], rule: Rule, *, channels: int | None, inner: int | None) -> Layout:
    """The layout that a rule asks for: `channels` is the axis of output channels, `inner` that which is summed over;
    without them the tensor has one scale."""
    if rule.granularity == PER_CHANNEL and channels is not None:
        return Layout(shape, channels % len(shape))
    if rule.granularity == BLOCK and inner is not None:
        return Layout(shape, inner % len(shape), rule.group)
    return Layout(shape)


def rounded(array: np.ndarray, to: Grid, rule: Rule, where: Layout, least: np.ndarray | float = 0.0) -> Rounded:
    """The elements rounded to the grid, each row with its own scale, at least that of `least`. Scales are as precise as
    the elements are."""
    import numpy as np

    parts = _split(array, where)
    codes, all_scales, zeros, lost = [], [], [], Error()
    for rows in parts:
        low, high = ranges(rows, to, symmetric=rule.symmetric, clip=rule.clip, percentile=rule.percentile)
        scale, zero = scales(low, high, to, symmetric=rule.symmetric)
        scale = _precise(np.maximum(scale, np.asarray(least, scale.dtype)), array.dtype)
        found = encode(rows, scale, zero, to)
        lost += error(rows, found, scale, zero, to)
        codes.append(found)
        all_scales.append(scale)
        zeros.append(zero)
    one_scale, one_zero = (np.copy(_scales_joined(found, where), order="C") for found in (all_scales, zeros))
    return Rounded(_joined(codes, where), one_scale, one_zero, lost)


def coded(array: np.ndarray, to: Grid, where: Layout, scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """The codes of the elements under scales and zero points that are known, both in the shape of the layout's."""
    scales_of, zeros = _scales_split(scale, where), _scales_split(zero, where)
    parts = zip(_split(array, where), scales_of, zeros, strict=True)
    return _joined([encode(rows, one, other, to) for rows, one, other in parts], where)


def _precise(scale: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The scales as float16 can hold them where the elements are float16, never zero."""
    import numpy as np

    if dtype != np.float16:
        return scale
    least = np.finfo(np.float16).smallest_subnormal
    return np.maximum(scale.astype(np.float16), least).astype(np.float32)


def _moved(array: np.ndarray, where: Layout) -> np.ndarray:
    """(everything else, axis), a row per line along the axis of blocks."""
    import numpy as np

    assert where.axis is not None
    return np.moveaxis(array, where.axis, -1).reshape(-1, where.shape[where.axis])


def _split(array: np.ndarray, where: Layout) -> list[np.ndarray]:
    """Matrices with a row per scale; blocks come as the whole ones, then the last of each line where it is shorter."""
    import numpy as np

    if where.axis is None:
        return [array.reshape(1, -1)]
    if not where.group:
        return [np.moveaxis(array, where.axis, 0).reshape(where.shape[where.axis], -1)]
    lines = _moved(array, where)
    whole = lines.shape[1] // where.group * where.group
    parts = [lines[:, :whole].reshape(-1, where.group)] if whole else []
    return [*parts, lines[:, whole:]] if whole < lines.shape[1] else parts


def _joined(parts: list[np.ndarray], where: Layout) -> np.ndarray:
    """The tensor of the matrices that `_split` gives."""
    import numpy as np

    if where.axis is None:
        return parts[0].reshape(where.shape)
    if not where.group:
        rest = (*where.shape[: where.axis], *where.shape[where.axis + 1 :])
        return np.moveaxis(parts[0].reshape(where.shape[where.axis], *rest), 0, where.axis)
    return _lines_joined(parts, where, where.shape[where.axis])


def _scales_joined(parts: list[np.ndarray], where: Layout) -> np.ndarray:
    if where.axis is None or not where.group:
        return parts[0].reshape(where.scale_shape)
    return _lines_joined(parts, where, where.scale_shape[where.axis])


def _scales_split(scales: np.ndarray, where: Layout) -> list[np.ndarray]:
    """What `_scales_joined` joins, from it."""
    import numpy as np

    if where.axis is None or not where.group:
        return [scales.reshape(-1)]
    lines = np.moveaxis(scales, where.axis, -1).reshape(-1, where.scale_shape[where.axis])
    whole = where.shape[where.axis] // where.group
    parts = [lines[:, :whole].reshape(-1)] if whole else []
    return [*parts, lines[:, whole:].reshape(-1)] if whole < lines.shape[1] else parts


def _lines_joined(parts: list[np.ndarray], where: Layout, length: int) -> np.ndarray:
    """The whole blocks and the shorter ones of each line, side by side, with the axis back in its place."""
    import numpy as np

    assert where.axis is not None
    rest = (*where.shape[: where.axis], *where.shape[where.axis + 1 :])
    lines = int(np.prod(rest, dtype=np.int64))
    joined = np.concatenate([part.reshape(lines, -1) for part in parts], axis=1)
    return np.moveaxis(joined.reshape(*rest, length), -1, where.axis)
