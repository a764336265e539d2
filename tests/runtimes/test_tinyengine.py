"""TinyEngine: published peaks of MobileNets, workspaces as its scheduler computes them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import NodeProto

from effaudit.graph import Graph
from effaudit.lower.as_if import as_if
from effaudit.plan.liveness import analyse
from effaudit.quantity import Quantity
from effaudit.runtimes import find
from effaudit.runtimes.tinyengine import column_bytes, kernel_bytes
from tests.lower.graphs import graph, n, ops
from tests.runtimes.planning import lowered, problem, tflm_arena

TINYENGINE = find("tinyengine")
# Strides and output channels of MobileNet v1's 13 blocks, https://arxiv.org/abs/1704.04861 table 1
BLOCKS = [(1, 64), (2, 128), (1, 128), (2, 256), (1, 256), (2, 512), *[(1, 512)] * 5, (2, 1024), (1, 1024)]


def mobilenet_v1() -> Graph:
    """MobileNet v1 1.0 at 224x224, with batch norms and Relu6."""
    nodes: list[NodeProto] = []
    weights: dict[str, np.ndarray] = {}
    last, channels = "x", 3

    def conv(out: int, kernel: int, stride: int, group: int = 1) -> None:
        nonlocal last, channels
        i = len(weights)
        weights[f"k{i}"] = np.ones((out, channels // group, kernel, kernel), np.float32)
        weights[f"v{i}"] = np.ones(out, np.float32)
        same = [0, 0, 1, 1] if stride == 2 else [kernel // 2] * 4
        sizes = {"strides": [stride] * 2, "pads": same, "group": group}
        nodes.append(n("Conv", f"{last} k{i}", f"c{i}_", **sizes))
        nodes.append(n("BatchNormalization", f"c{i}_ v{i} v{i} v{i} v{i}", f"n{i}"))
        nodes.append(n("Clip", f"n{i} zero six", f"r{i}"))
        last, channels = f"r{i}", out

    conv(32, 3, 2)
    for stride, out in BLOCKS:
        conv(channels, 3, stride, channels)
        conv(out, 1, 1)
    weights["fc"] = np.ones((1024, 1000), np.float32)
    nodes += [n("GlobalAveragePool", last, "p"), n("Flatten", "p", "f"), n("Gemm", "f fc", "g"), n("Softmax", "g", "y")]
    return graph(*nodes, inputs={"x": (1, 3, 224, 224)}, weights=weights)


def test_mobilenet_v1_as_published() -> None:
    """1,204,224 bytes at int8, https://github.com/petewarden/ml_memory_analyser; in place the pointwise 32 -> 64 is
    the peak all the same."""
    given = as_if(mobilenet_v1(), "int8")
    assert analyse(find("tflm").lower(given)).live_bytes.value == 1_204_224
    found = TINYENGINE.lower(given)
    assert ops(found) == [*["Conv"] * 27, "GlobalAveragePool", "Flatten", "Gemm", "Softmax"]
    assert problem(found, TINYENGINE).floor == 112 * 112 * (32 + 64)


def test_mobilenet_v2_as_published() -> None:
    """At int8: 1,505,280 bytes with its activations fused (https://github.com/petewarden/ml_memory_analyser), 1,372 KiB
    with depthwise convolutions in place."""
    given = as_if(lowered("mobilenetv2", "as-written"), "int8")
    assert analyse(find("ideal").lower(given)).live_bytes.value == 1_505_280
    need = problem(TINYENGINE.lower(given), TINYENGINE)
    assert need.floor == 1_404_928 == 1372 * 1024
    assert tflm_arena(need) == need.floor


def test_a_depthwise_convolution_of_any_stride_takes_its_inputs_bytes() -> None:
    weights = {"a": np.ones((4, 4, 1, 1), np.float32), "d": np.ones((4, 1, 3, 3), np.float32)}
    nodes = (
        n("Conv", "x a", "t"),
        n("Conv", "t d", "u", group=4, strides=[2, 2], pads=[1, 1, 1, 1]),
        n("Conv", "u a", "y"),
    )
    found = TINYENGINE.lower(as_if(graph(*nodes, weights=weights), "int8"))
    sizes = {b.name: b.size for b in problem(found, TINYENGINE).buffers}
    assert sizes == {"x": 144, "t": 144, "y": 36}


def test_workspaces_of_the_scheduler() -> None:
    """operators/conv2d.py and depthwiseConv2d.py: get_sbuf_size, get_kbuf_size."""
    weights = {"a": np.ones((8, 4, 1, 1), np.float32), "d": np.ones((8, 1, 3, 3), np.float32)}
    weights["e"] = np.ones((8, 8, 3, 3), np.float32)
    nodes = (
        n("Conv", "x a", "t"),
        n("Conv", "t d", "u", group=8, pads=[1, 1, 1, 1]),
        n("Conv", "u e", "v"),
        n("Softmax", "v", "y"),
    )
    found = TINYENGINE.lower(as_if(graph(*nodes, weights=weights), "int8"))
    columns = [column_bytes(found, node).value for node in found.nodes]
    kernels = [kernel_bytes(found, node).value for node in found.nodes]
    assert columns == [4 * 2 * 2, 2 * 8 * 8, 9 * 8 * 2 * 2, 0]
    assert kernels == [0, 0, 2 * 8 * 8 * 9, 0]
    assert TINYENGINE.persistent(found) == Quantity(288 + 1152, 288 + 1152)


def test_floating_convolutions_reserve_no_columns() -> None:
    found = TINYENGINE.lower(graph(n("Conv", "x w", "y")))
    assert column_bytes(found, found.nodes[0]).value == 0


@pytest.mark.parametrize("name", ["vww-int8", "kws-int8"])
def test_no_more_than_tflm(name: str) -> None:
    tflm = find("tflm")
    assert problem(lowered(name, "tinyengine"), TINYENGINE).floor <= problem(lowered(name, "tflm"), tflm).floor
