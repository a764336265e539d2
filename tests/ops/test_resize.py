"""Resize and Upsample against runs: single-precision sizes, every version, policies and axes."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from effaudit import dims
from effaudit.ops._data import to_float32

from . import oracle
from .oracle import ALWAYS, NEVER, SYMBOLIC, Array, check, ints, random

IMAGE = random(1, 2, 7, 10)
NOTHING = np.zeros(0, np.float32)


def floats(*values: float) -> Array:
    return np.array(values, np.float32)


@pytest.mark.parametrize("scales", [(1, 1, 2, 2), (1, 1, 0.5, 0.25), (1, 1, 1.5, 3), (1, 1, 0.1, 0.7), (2, 3, 1, 1)])
def test_scales_of_every_version(scales: tuple[float, ...]) -> None:
    by = floats(*scales)
    check("Resize", [IMAGE, by], opset=10, constant=[1])
    check("Resize", [IMAGE, NOTHING, by], opset=11, constant=[1, 2])
    check("Resize", [IMAGE, NOTHING, by], opset=11, constant=[2])
    check("Resize", [IMAGE, None, by], opset=13, constant=[2])
    check("Resize", [IMAGE, None, by], opset=19, constant=[2])
    check("Resize", [IMAGE, None, by], opset=19, unknown=ALWAYS)
    if min(scales) >= 1:
        check("Upsample", [IMAGE], {"scales": list(map(float, scales))}, opset=7)
        check("Upsample", [IMAGE, by], opset=9, constant=[1])
        check("Upsample", [IMAGE, by], opset=9, unknown=ALWAYS)


def test_sizes() -> None:
    wanted = ints(1, 2, 20, 13)
    check("Resize", [IMAGE, NOTHING, NOTHING, wanted], opset=11, constant=[1, 2, 3])
    check("Resize", [IMAGE, None, None, wanted], opset=13, constant=[3])
    check("Resize", [IMAGE, None, None, wanted], opset=19, unknown=ALWAYS)
    check("Resize", [IMAGE, None, NOTHING, wanted], opset=13, constant=[3])


@pytest.mark.parametrize("axes", [[2, 3], [3, 2], [-1], [-2, -1]])
def test_axes(axes: list[int]) -> None:
    check("Resize", [IMAGE, None, floats(*[2.5, 0.5][: len(axes)])], {"axes": axes}, opset=18, constant=[2])
    check("Resize", [IMAGE, None, None, ints(*[5, 30][: len(axes)])], {"axes": axes}, opset=19, constant=[3])


@pytest.mark.parametrize("mode", ["linear", "cubic", "nearest"])
@pytest.mark.parametrize("rule", ["half_pixel", "align_corners", "tf_crop_and_resize"])
def test_modes(mode: str, rule: str) -> None:
    """The region of tf_crop_and_resize leaves the shape alone in ONNX Runtime."""
    attrs = {"mode": mode, "coordinate_transformation_mode": rule}
    region = floats(0, 0, 0.2, 0.3, 1, 1, 0.7, 0.9)
    check("Resize", [IMAGE, region, floats(1, 1, 2, 3)], attrs, opset=13, constant=[1, 2])


def scale_strategy() -> st.SearchStrategy[float]:
    ratios = st.builds(lambda p, q: p / q, st.integers(1, 40), st.integers(1, 20))
    return st.one_of(st.floats(0.25, 4, width=32), ratios, st.builds(lambda n: n / 10, st.integers(2, 40)))


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 300), st.integers(1, 20), scale_strategy(), scale_strategy())
def test_random_scales(height: int, width: int, high: float, wide: float) -> None:
    """Symbolic sizes may be unknown where rounding is not predictable, but never wrong."""
    by = floats(1, 1, high, wide)
    if any(to_float32(float(s) * n) < 1 for s, n in zip(by[2:], (height, width), strict=True)):
        return  # an empty image, which the runtime refuses
    check("Resize", [random(1, 1, height, width), None, by], opset=19, constant=[2], unknown=SYMBOLIC)


@pytest.mark.parametrize("scale", [2, 3, 0.5, 0.25, 1.5, 0.75, 1 / 3, 2 / 3, 4 / 3, 0.1, 0.7, 0.9, 1.2, 1.4, 8 / 7])
def test_the_usual_scales_give_expressions(scale: float) -> None:
    model = oracle.single_node("Resize", [random(1, 1, 9, 9), None, floats(1, 1, scale, 1)], opset=19, constant=[2])
    symbolic, _ = oracle.symbolised(model)
    shape = oracle.value(oracle.infer(symbolic)).shape
    assert shape is not None
    for size in range(1, 5000):
        assert dims.evaluate(shape[2], {"d2": size}) == math.floor(to_float32(to_float32(scale) * size))


def test_a_scale_whose_rounding_has_no_pattern_is_bounded() -> None:
    model = oracle.single_node("Resize", [random(1, 1, 9, 9), None, floats(1, 1, 5.2, 1.2345)], opset=19, constant=[2])
    shape = oracle.value(oracle.infer(oracle.symbolised(model)[0])).shape
    assert shape is not None
    (high,) = dims.symbols(shape[2])
    assert high.origin == "unknown" and high.hi is not None and dims.evaluate(high.hi, {"d2": 7}) == 36
    (wide,) = dims.symbols(shape[3])
    assert wide.origin == "unknown"


@settings(max_examples=100, deadline=None)
@given(*[st.integers(1, 60)] * 4, st.sampled_from(["not_larger", "not_smaller"]))
def test_kept_aspect_ratio(height: int, width: int, high: int, wide: int, policy: str) -> None:
    scale = (min if policy == "not_larger" else max)(Fraction(high, height), Fraction(wide, width))
    if scale * min(height, width) < Fraction(1, 2):
        return  # an empty image
    attrs = {"axes": [2, 3], "keep_aspect_ratio_policy": policy}
    inputs = [random(1, 1, height, width), None, None, ints(high, wide)]
    check("Resize", inputs, attrs, opset=19, constant=[3], unknown=SYMBOLIC)


def test_kept_aspect_ratio_of_one_axis_is_the_size() -> None:
    attrs = {"axes": [3], "keep_aspect_ratio_policy": "not_larger"}
    check("Resize", [IMAGE, None, None, ints(23)], attrs, opset=19, constant=[3], unknown=NEVER)


@pytest.mark.parametrize(
    ("attrs", "ops"),
    [
        ({"mode": "nearest"}, 0),
        ({"mode": "linear"}, 11),
        ({"mode": "cubic"}, 47),
    ],
)
def test_counts(attrs: dict[str, Any], ops: int) -> None:
    graph = check("Resize", [IMAGE, None, floats(1, 1, 2, 3)], attrs, opset=19, constant=[2])
    assert oracle.cost(graph).ops == 2 * 14 * 30 * ops
    graph = check("Resize", [IMAGE, None, floats(1, 1, 1, 3)], attrs, opset=19, constant=[2])
    assert oracle.cost(graph).ops == 2 * 7 * 30 * {0: 0, 11: 5, 47: 11}[ops]


def test_counts_of_antialiasing() -> None:
    """Halving by a stretched linear filter takes twice the taps."""
    attrs = {"mode": "linear", "antialias": 1}
    graph = check("Resize", [random(1, 1, 8, 8), None, floats(1, 1, 0.5, 2)], attrs, opset=19, constant=[2])
    assert oracle.cost(graph).ops == 4 * 16 * (3 * 4 * 2 - 1)


def test_counts_what_a_bilinear_loop_does() -> None:
    """Per output pixel and neighbour a weight and a product, and the sums between them."""
    ops = 0
    for _ in range(2 * 14 * 20):
        total = None
        for dy in (0.25, 0.75):
            for dx in (0.25, 0.75):
                weight = dy * dx
                term = weight * 1.0
                ops += 2
                if total is None:
                    total = term
                else:
                    total, ops = total + term, ops + 1
    graph = check("Resize", [IMAGE, None, floats(1, 1, 2, 2)], {"mode": "linear"}, opset=13, constant=[2])
    assert oracle.cost(graph).ops == ops


@pytest.mark.parametrize(
    ("inputs", "attrs"),
    [
        ([IMAGE, None, floats(1, 1, 2)], {}),
        ([IMAGE, None, floats(1, 1, 0, 2)], {}),
        ([IMAGE, None, floats(1, 1, np.nan, 2)], {}),
        ([IMAGE, None, floats(1, 1, np.inf, 2)], {}),
        ([IMAGE, None, None, ints(1, 2)], {}),
        ([IMAGE, None, None, ints(3, 4)], {"axes": [2, 4]}),
        ([IMAGE, None, None, ints(1, 2, 3, 4)], {"keep_aspect_ratio_policy": "none"}),
        ([IMAGE], {}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node("Resize", inputs, attrs, opset=19, constant=range(1, len(inputs))))
    assert oracle.value(graph).why.startswith("invalid Resize")
