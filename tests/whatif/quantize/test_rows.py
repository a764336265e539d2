"""Which elements share a scale, against loops over tensors."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from effaudit.whatif.quantize.grid import encode, error, grid, ranges, scales
from effaudit.whatif.quantize.rows import Layout, coded, layout, rounded
from effaudit.whatif.quantize.types import Rule

Array = np.ndarray[Any, Any]
SHAPES = ((4, 6), (3, 2, 5, 2), (5,))


def weights(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(len(shape)).normal(size=shape).astype(np.float32)


def one(x: Array, rule: Rule) -> tuple[Array, float, int]:
    """Codes, scale and zero point of elements that share them."""
    to = grid(rule.weights, symmetric=rule.symmetric)
    rows = x.reshape(1, -1)
    low, high = ranges(rows, to, symmetric=rule.symmetric, clip=rule.clip, percentile=rule.percentile)
    scale, zero = scales(low, high, to, symmetric=rule.symmetric)
    return encode(rows, scale, zero, to).reshape(x.shape), float(scale[0]), int(zero[0])


@pytest.mark.parametrize("clip", ["minmax", "percentile", "mse"])
@pytest.mark.parametrize("shape", SHAPES)
def test_channels_and_blocks_are_those_of_a_loop(shape: tuple[int, ...], clip: str) -> None:
    x = weights(shape)
    for axis, group, symmetric in product(range(len(shape)), (0, 4, 100), (True, False)):
        rule = Rule(
            "int4", granularity="block" if group else "per-channel", group=group, symmetric=symmetric, clip=clip
        )
        where = layout(shape, rule, channels=axis, inner=axis)
        found = rounded(x, grid("int4", symmetric=symmetric), rule, where)
        codes = np.empty(shape, np.int8)
        scale, zero = np.empty(where.scale_shape, np.float32), np.empty(where.scale_shape, np.int32)
        assert found.scale.shape == found.zero.shape == where.scale_shape and found.codes.shape == shape
        for at in np.ndindex(where.scale_shape):
            if group:
                part = [slice(i, i + 1) for i in at]
                part[axis] = slice(at[axis] * group, (at[axis] + 1) * group)
            else:
                part = [slice(None)] * len(shape)
                part[axis] = slice(at[0], at[0] + 1)
            codes[tuple(part)], scale[at], zero[at] = one(x[tuple(part)], rule)
        np.testing.assert_array_equal(found.codes, codes)
        again = coded(x, grid("int4", symmetric=symmetric), where, found.scale, found.zero)
        np.testing.assert_array_equal(again, codes)
        np.testing.assert_array_equal(found.scale, scale)
        np.testing.assert_array_equal(found.zero, zero)


def test_one_scale_for_all() -> None:
    x = weights((3, 2, 5, 2))
    rule = Rule("int8", granularity="per-tensor")
    found = rounded(x, grid("int8"), rule, layout(x.shape, rule, channels=0, inner=1))
    assert found.scale.shape == () and found.scale == np.float32(np.abs(x).max() / 127)
    rows = x.reshape(1, -1)
    alone = error(rows, found.codes.reshape(1, -1), found.scale.reshape(1), found.zero.reshape(1), grid("int8"))
    assert found.error == alone


def test_without_a_known_axis_there_is_one_scale() -> None:
    for rule in (Rule("int8", granularity="per-channel"), Rule("int4", granularity="block", group=4)):
        assert layout((3, 4), rule, channels=None, inner=None) == Layout((3, 4))


def test_scales_of_halves_are_halves() -> None:
    x = weights((4, 6)).astype(np.float16)
    x[0] = 0
    x[1] *= np.float16(1e-6)
    rule = Rule("int8", granularity="per-channel")
    found = rounded(x, grid("int8"), rule, layout(x.shape, rule, channels=0, inner=1))
    assert (found.scale == found.scale.astype(np.float16)).all() and (found.scale > 0).all()
    assert np.abs(found.codes * found.scale[:, None] - x)[2:].max() <= found.scale[2:].max() * 0.51
