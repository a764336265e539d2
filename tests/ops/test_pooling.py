"""Pooling against runs, drawn at random as well, and its counts against loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from effaudit.errors import Undecided

from . import oracle
from .oracle import check, ints, random

IMAGE = random(2, 3, 11, 9)


@pytest.mark.parametrize(
    ("op", "opset"),
    [
        ("MaxPool", 7),
        ("MaxPool", 8),
        ("MaxPool", 10),
        ("MaxPool", 12),
        ("MaxPool", 22),
        ("AveragePool", 7),
        ("AveragePool", 10),
        ("AveragePool", 19),
        ("LpPool", 7),
        ("LpPool", 11),
        ("LpPool", 18),
        ("LpPool", 22),
    ],
)
def test_every_version(op: str, opset: int) -> None:
    attrs: dict[str, Any] = {"kernel_shape": [3, 2], "strides": [2, 3], "pads": [1, 0, 0, 1]}
    check(op, [IMAGE], attrs, opset=opset)


@pytest.mark.parametrize("shape", [(1, 2, 7), (1, 2, 7, 6), (2, 1, 5, 6, 7)])
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool", "LpPool"])
def test_any_rank(op: str, shape: tuple[int, ...]) -> None:
    check(op, [random(*shape)], {"kernel_shape": [2] * (len(shape) - 2)}, opset=22)


def test_indices() -> None:
    check("MaxPool", [IMAGE], {"kernel_shape": [2, 2], "storage_order": 1}, opset=12, outputs=2)
    check("MaxPool", [IMAGE], {"kernel_shape": [2, 2]}, opset=8, outputs=(False, True))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_max_pool_of_bytes(dtype: Any) -> None:
    check("MaxPool", [random(1, 2, 6, 6, dtype=dtype)], {"kernel_shape": [2, 2]}, opset=12)


@st.composite
def pools(draw: st.DrawFn) -> tuple[str, tuple[int, ...], dict[str, Any]]:
    """Operator, input shape and attributes of a pool whose first window fits."""
    op = draw(st.sampled_from(["MaxPool", "AveragePool", "LpPool"]))
    rank = draw(st.integers(1, 2))
    each = st.lists(st.integers(1, 4), min_size=rank, max_size=rank)
    kernel, strides = draw(each), draw(each)
    auto_pad = draw(st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"]))
    attrs: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "ceil_mode": draw(st.integers(0, 1))}
    dilations, pads = [1] * rank, [0] * (2 * rank)
    if auto_pad in ("NOTSET", "VALID"):
        dilations = attrs["dilations"] = draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    if auto_pad == "NOTSET":
        pads = attrs["pads"] = [draw(st.integers(0, k - 1)) for k in (*kernel, *kernel)]
    else:
        attrs["auto_pad"] = auto_pad
    reach = [d * (k - 1) + 1 - pads[i] - pads[i + rank] for i, (k, d) in enumerate(zip(kernel, dilations, strict=True))]
    sizes = [draw(st.integers(max(1, r), max(1, r) + 12)) for r in reach]
    return op, (1, 2, *sizes), attrs


@settings(max_examples=150, deadline=None)
@given(pools())
def test_random_windows(pool: tuple[str, tuple[int, ...], dict[str, Any]]) -> None:
    op, shape, attrs = pool
    x = random(*shape)
    assume(oracle.runs(oracle.single_node(op, [x], attrs, opset=22), {"in0": x}))
    check(op, [x], attrs, opset=22)


def test_dilated_same_padding_follows_the_specification() -> None:
    """SAME gives ceil(input / stride); ONNX Runtime 1.31 pads a dilated pooling window as if it were not dilated."""
    attrs = {"kernel_shape": [3], "strides": [2], "dilations": [2], "auto_pad": "SAME_UPPER"}
    check("MaxPool", [random(1, 1, 9)], attrs, opset=12, expected=[random(1, 1, 5)])


@pytest.mark.parametrize("opset", [7, 22])
@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
def test_global_pools(op: str, opset: int) -> None:
    graph = check(op, [IMAGE], opset=opset, run_as=7)
    wanted = {"GlobalAveragePool": IMAGE.size, "GlobalMaxPool": IMAGE.size - 6, "GlobalLpPool": 2 * IMAGE.size}
    assert oracle.cost(graph).ops == wanted[op]
    check(op, [random(2, 3, 7)], opset=opset, run_as=7)


def test_counts_what_loops_do() -> None:
    """Comparisons of MaxPool, additions and divisions of AveragePool, powers, additions and roots of LpPool."""
    x, kernel, stride = random(1, 2, 7, 7), 3, 2
    compared = averaged = raised = 0
    for channel in x[0]:
        for i in range(0, 7 - kernel + 1, stride):
            for j in range(0, 7 - kernel + 1, stride):
                window = list(channel[i : i + kernel, j : j + kernel].flat)
                compared += len(window[1:])
                averaged += len(window[1:]) + 1
                raised += len(window) + len(window[1:]) + 1
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2]}
    for op, ops in (("MaxPool", compared), ("AveragePool", averaged), ("LpPool", raised)):
        assert oracle.cost(check(op, [x], attrs, opset=22)).ops == ops


@pytest.mark.parametrize("opset", [9, 11, 22])
def test_max_unpool(opset: int) -> None:
    x, places = random(1, 1, 2, 2), np.array([[[[5, 7], [13, 15]]]], np.int64)
    attrs = {"kernel_shape": [2, 2], "strides": [2, 2]}
    check("MaxUnpool", [x, places], attrs, opset=opset)
    check("MaxUnpool", [x, places, ints(1, 1, 5, 5)], attrs, opset=opset, constant=[2])
    check("MaxUnpool", [x, places, ints(1, 1, 5, 5)], attrs, opset=opset, unknown=oracle.ALWAYS)
    check("MaxUnpool", [x, places], attrs | {"pads": [0, 0, 0, 1], "kernel_shape": [2, 3]}, opset=opset)


@pytest.mark.parametrize("opset", [7, 22])
def test_max_roi_pool(opset: int) -> None:
    rois = np.array([[0, 0, 0, 4, 4], [1, 1, 1, 5, 5], [0, 2, 2, 8, 8]], np.float32)
    check("MaxRoiPool", [IMAGE, rois], {"pooled_shape": [2, 3]}, opset=opset, run_as=7)


@pytest.mark.parametrize("opset", [10, 16, 22])
@pytest.mark.parametrize("attrs", [{}, {"output_height": 4, "output_width": 5, "sampling_ratio": 2, "mode": "max"}])
def test_roi_align(opset: int, attrs: dict[str, Any]) -> None:
    rois = np.array([[0, 0, 4, 4], [1, 1, 5, 5]], np.float32)
    graph = check("RoiAlign", [IMAGE, rois, ints(0, 1)], attrs, opset=opset)
    if attrs:
        assert oracle.cost(graph).ops == 2 * 3 * 4 * 5 * 4 * 12
    else:
        with pytest.raises(Undecided, match="sampling_ratio is 0"):
            oracle.cost(graph)


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("MaxPool", [IMAGE], {"kernel_shape": [13, 1]}),
        ("MaxPool", [IMAGE], {"kernel_shape": [2]}),
        ("MaxPool", [IMAGE], {"kernel_shape": [2, 2], "strides": [0, 1]}),
        ("MaxPool", [IMAGE], {"kernel_shape": [2, 2], "auto_pad": "sideways"}),
        ("AveragePool", [random(3, 4)], {"auto_pad": "VALID"}),
        ("GlobalMaxPool", [random(3, 4)], {}),
        ("MaxRoiPool", [IMAGE, random(3, 4)], {"pooled_shape": [2, 2]}),
        ("RoiAlign", [IMAGE, random(3, 5), ints(0, 1, 0)], {}),
        ("MaxUnpool", [IMAGE, IMAGE.astype(np.int64), ints(1)], {"kernel_shape": [2, 2]}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node(op, inputs, attrs, opset=22))
    assert oracle.value(graph).shape is None
    assert oracle.value(graph).why.startswith(f"invalid {op}")
