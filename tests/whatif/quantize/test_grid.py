"""Number grids and rounding to them, against ml_dtypes, onnxruntime's own arithmetic and loops."""

from __future__ import annotations

import math
from typing import Any

import hypothesis.strategies as st
import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from onnx import TensorProto
from onnxruntime.quantization.quant_utils import compute_scale_zp, get_qmin_qmax_for_qType, quantize_nparray

from effaudit.whatif.quantize import grid as grids
from effaudit.whatif.quantize.grid import (
    Error,
    decode,
    difference,
    encode,
    error,
    grid,
    halved,
    integers,
    pieces,
    ranges,
    scales,
)

Array = np.ndarray[Any, Any]
MINIFLOATS = {
    "float8e4m3fn": ml_dtypes.float8_e4m3fn,
    "float8e5m2": ml_dtypes.float8_e5m2,
    "float4e2m1": ml_dtypes.float4_e2m1fn,
}
INTEGERS = ("int8", "uint8", "int16", "uint16")


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("dtype", MINIFLOATS)
def test_minifloats_round_as_ml_dtypes_does(dtype: str) -> None:
    to = grid(dtype)
    levels = np.array(to.levels, np.float64)
    halfway = (levels[1:] + levels[:-1]) / 2
    drawn = np.clip(normal(1, 4000) * to.levels[-1] / 3, to.levels[0], to.levels[-1])
    every = np.concatenate([drawn[0], levels, halfway]).astype(np.float32)[None]
    found = encode(every, np.ones(1, np.float32), np.zeros(1, np.int32), to)
    np.testing.assert_array_equal(found, every.astype(MINIFLOATS[dtype]).astype(np.float32))


def test_halves_round_as_numpy_and_ml_dtypes_do() -> None:
    x = np.concatenate([normal(4000) * 10.0**power for power in range(-9, 5)]).astype(np.float32)
    np.testing.assert_array_equal(halved(x, "bfloat16"), x.astype(ml_dtypes.bfloat16).astype(np.float32))
    np.testing.assert_array_equal(halved(np.clip(x, -65504, 65504), "float16"), np.clip(x, -65504, 65504).astype("f2"))
    beyond = np.array([1e30, -1e30, np.inf, 3.4028235e38], np.float32)
    assert halved(beyond, "float16").tolist() == [65504, -65504, 65504, 65504]
    assert halved(beyond, "bfloat16").tolist() == [
        float(np.float32(1e30).astype(ml_dtypes.bfloat16)),
        float(np.float32(-1e30).astype(ml_dtypes.bfloat16)),
        math.inf,
        float(ml_dtypes.finfo(ml_dtypes.bfloat16).max),
    ]


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("dtype", INTEGERS)
def test_scales_and_codes_are_those_of_onnxruntime(dtype: str, symmetric: bool) -> None:
    kind = getattr(TensorProto, dtype.upper())
    rows = np.stack([normal(300), normal(300, seed=1) + 3, -np.abs(normal(300, seed=2)), np.zeros(300)]).astype("f4")
    to = grid(dtype, symmetric=symmetric)
    low, high = ranges(rows, to, symmetric=symmetric)
    scale, zero = scales(low, high, to, symmetric=symmetric)
    codes = encode(rows, scale, zero, to)
    least, most = get_qmin_qmax_for_qType(kind, False, symmetric=symmetric)
    for i, row in enumerate(rows):
        wanted_zero, wanted = compute_scale_zp(row.min(), row.max(), least, most, symmetric)
        assert (scale[i], zero[i]) == (wanted, wanted_zero)
        np.testing.assert_array_equal(codes[i], quantize_nparray(kind, row, wanted, wanted_zero))


FLOATS = st.floats(-1e4, 1e4, width=32).filter(lambda x: x == 0 or abs(x) > 1e-20)


@given(st.lists(FLOATS, min_size=1, max_size=30), st.integers(2, 16), st.booleans(), st.booleans())
def test_laws_of_integer_grids(drawn: list[float], bits: int, signed: bool, symmetric: bool) -> None:
    """Inside the range nothing is farther off than half a step, zero is exact, and twice is as once."""
    rows = np.array([drawn], np.float32)
    to = integers(bits, signed=signed, symmetric=symmetric)
    low, high = ranges(rows, to, symmetric=symmetric)
    scale, zero = scales(low, high, to, symmetric=symmetric)
    codes = encode(rows, scale, zero, to)
    assert to.low <= zero[0] <= to.high and codes.min() >= to.low and codes.max() <= to.high
    back = decode(codes, scale, zero, to)
    # An unsigned grid has no middle, so that one end of a symmetric range is half a step short, as with onnxruntime;
    # a rounded zero point of an affine one shifts the range by as much.
    room = 0.5 if signed and symmetric else 1.0
    slack = 1e-5 * max(map(abs, drawn)) + 1e-30
    assert np.abs(back - rows).max() <= room * float(scale[0]) + slack
    assert (back[rows == 0] == 0).all()
    np.testing.assert_array_equal(encode(back, scale, zero, to), codes)


@given(st.lists(FLOATS, min_size=1, max_size=30), st.sampled_from(["nf4", *MINIFLOATS]))
def test_laws_of_float_grids(drawn: list[float], dtype: str) -> None:
    rows, to = np.array([drawn], np.float32), grid(dtype)
    low, high = ranges(rows, to, symmetric=True)
    scale, zero = scales(low, high, to, symmetric=True)
    back = decode(encode(rows, scale, zero, to), scale, zero, to)
    levels = np.array(to.levels) * float(scale[0])
    nearest = np.abs(rows[0][:, None].astype(np.float64) - levels).min(axis=1)
    np.testing.assert_allclose(np.abs(rows[0] - back[0]), nearest, atol=2e-6 * float(np.abs(rows).max()))
    assert (back[rows == 0] == 0).all()


def test_counts_of_levels() -> None:
    assert [grid(f"int{bits}", symmetric=False).steps for bits in (8, 4)] == [255, 15]
    assert grid("int4", symmetric=False).count == 16 and grid("int4").count == 15 and grid("uint4").count == 16
    assert grid("nf4").count == 16 and 0.0 in grid("nf4").levels


def test_affine_scale_of_a_stated_range() -> None:
    """The numbers of a course: [-2, 6] in 8 bits, 1.5 and 0 there and back."""
    to = integers(8, signed=False, symmetric=False)
    scale, zero = scales(np.array([-2.0]), np.array([6.0]), to, symmetric=False)
    assert scale[0] == pytest.approx(0.03137254901960784) and zero[0] == 64
    codes = encode(np.array([[1.5, 0.0]], np.float32), scale, zero, to)
    assert codes.tolist() == [[112, 64]]
    back = decode(codes, scale, zero, to)
    assert abs(back[0, 0] - 1.5) == pytest.approx(0.0059, abs=5e-5) and back[0, 1] == 0
    assert scale[0] / 2 == pytest.approx(0.01568627450980392)


def test_the_error_is_that_of_a_loop() -> None:
    rows, to = normal(3, 50), grid("int5")
    scale, zero = scales(*ranges(rows, to, symmetric=True), to, symmetric=True)
    codes = encode(rows, scale, zero, to)
    lost = error(rows, codes, scale, zero, to)
    differences = [float(rows[i, j]) - float(np.float32(codes[i, j]) * scale[i]) for i in range(3) for j in range(50)]
    signal = sum(float(x) ** 2 for x in rows.ravel())
    noise = sum(d * d for d in differences)
    assert lost.max_abs == pytest.approx(max(map(abs, differences)))
    assert lost.mse == pytest.approx(noise / 150)
    assert lost.sqnr_db == pytest.approx(10 * math.log10(signal / noise))
    assert Error().sqnr_db is None and difference(rows, rows).sqnr_db is None


def test_percentile_keeps_the_share_and_mse_is_never_worse() -> None:
    rows = np.random.default_rng(0).standard_t(2, size=(4, 2000)).astype(np.float32)
    for symmetric in (True, False):
        for dtype in ("int8", "int4", "int2"):
            to = grid(dtype, symmetric=symmetric)
            low, high = ranges(rows, to, symmetric=symmetric, clip="percentile", percentile=99)
            inside = ((rows >= low[:, None]) & (rows <= high[:, None])).mean(axis=1)
            assert np.abs(inside - 0.99).max() < 2e-3
            noise = {}
            for clip in ("minmax", "mse"):
                scale, zero = scales(*ranges(rows, to, symmetric=symmetric, clip=clip), to, symmetric=symmetric)
                noise[clip] = error(rows, encode(rows, scale, zero, to), scale, zero, to).noise
            assert noise["mse"] <= noise["minmax"]
            if dtype != "int8":
                assert noise["mse"] < 0.9 * noise["minmax"]


def test_what_is_rounded_in_pieces_is_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, to = normal(7, 90), grid("int4")
    whole = ranges(rows, to, symmetric=True, clip="mse")
    scale, zero = scales(*whole, to, symmetric=True)
    codes = encode(rows, scale, zero, to)
    lost = error(rows, codes, scale, zero, to)
    for size in (16, 100, 200):
        monkeypatch.setattr(grids, "PIECE", size)
        assert max((rows[at].size) for at in pieces(rows.shape)) <= size
        np.testing.assert_array_equal(ranges(rows, to, symmetric=True, clip="mse"), whole)
        np.testing.assert_array_equal(encode(rows, scale, zero, to), codes)
        parts = error(rows, codes, scale, zero, to)
        assert parts.noise == pytest.approx(lost.noise) and parts.max_abs == lost.max_abs and parts.count == rows.size
