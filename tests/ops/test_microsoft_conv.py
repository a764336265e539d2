"""com.microsoft convolutions and pools in every layout, against ONNX Runtime."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from effaudit import dims
from effaudit.ops._registry import find
from tests.ops.microsoft_oracle import MS, schema_shapes
from tests.ops.oracle import ALWAYS, SYMBOLIC, Array, check, compare, cost, infer, random, scalar, single_node, value

U8, F32 = np.uint8, np.float32
NCHWC, NHWC = "com.microsoft.nchwc", "com.ms.internal.nhwc"


def convolved(x: Array, w: Array, out: tuple[int, ...]) -> int:
    """The multiplications of a convolution with padding counted as data, output element by output element."""
    return sum(int(np.prod(w.shape[1:])) for _ in product(*map(range, out)))


@pytest.mark.parametrize("activation", [None, "Relu", "Tanh"])
def test_fused_conv(activation: str | None) -> None:
    x, w = random(1, 4, 9, 8), random(6, 2, 3, 3)
    attrs: dict[str, Any] = {"group": 2, "pads": [1, 0, 1, 1], "strides": [2, 1]}
    if activation:
        attrs["activation"] = activation
    inputs = [x, w, random(6), random(1, 6, 5, 7)]
    graph = check("FusedConv", inputs, attrs, domain=MS, constant=[1])
    out = value(graph).shape
    assert out == (1, 6, 5, 7)
    assert cost(graph).macs == convolved(x, w, out)
    assert cost(graph).ops == 210 * (2 + (1 if activation else 0))


@pytest.mark.parametrize("op", ["NhwcConv", "NhwcFusedConv"])
def test_channels_last_keep_the_layout_of_their_weights(op: str) -> None:
    typed = "float32" if op == "NhwcConv" else "float16"
    inputs = [(typed, (1, 9, 10, 4)), (typed, (8, 2, 3, 2))]
    found, graph = schema_shapes(op, inputs, {"group": 2, "strides": [2, 1], "kernel_shape": [3, 2]})
    assert found["out0"] == graph.values["out0"].shape == (1, 4, 9, 8)
    assert cost(graph).macs == 4 * 9 * 8 * (2 * 3 * 2)
    rules = find(MS, op)
    assert rules is not None and callable(rules.kind)
    x, w = (graph.values[name] for name in ("in0", "in1"))
    assert rules.kind(x, w, group=2) == "grouped"


@pytest.mark.parametrize("last", [0, 1])
def test_quantized_conv(last: int) -> None:
    x = random(1, 9, 8, 4, dtype=U8) if last else random(1, 4, 9, 8, dtype=U8)
    s, z = scalar(0.1, F32), scalar(1, U8)
    inputs = [x, s, z, random(6, 4, 3, 3, dtype=U8), s, z, s, z, np.zeros(6, np.int32)]
    graph = check("QLinearConv", inputs, {"channels_last": last}, domain=MS, constant=range(1, 9))
    assert value(graph).shape == ((1, 7, 6, 6) if last else (1, 6, 7, 6))
    assert cost(graph).macs == 7 * 6 * 6 * 4 * 9


@pytest.mark.parametrize("known", [True, False])
def test_conv_transpose_with_dynamic_pads(known: bool) -> None:
    inputs = [random(1, 4, 5, 6), random(4, 2, 3, 3), np.array([1, 0, 1, 2], np.int64), random(2)]
    attrs = {"strides": [2, 1], "output_padding": [1, 0]}
    constant = [1, 2] if known else [1]
    op = "ConvTransposeWithDynamicPads"
    graph = check(op, inputs, attrs, domain=MS, constant=constant, unknown="never" if known else ALWAYS)
    assert cost(graph).macs == 4 * 5 * 6 * 2 * 9


@pytest.mark.parametrize("activation", ["none", "silu"])
def test_causal_conv(activation: str) -> None:
    inputs = [random(2, 4, 7), random(4, 1, 3), random(4), random(2, 4, 2)]
    graph = check("CausalConvWithState", inputs, {"activation": activation}, domain=MS, outputs=2)
    assert cost(graph).macs == 2 * 4 * 7 * 3
    assert cost(graph).ops == 2 * 4 * 7 * (1 + (5 if activation == "silu" else 0))


@pytest.mark.parametrize(
    ("inputs", "attrs", "state"),
    [
        ([("float32", (2, 4, 7, 9)), ("float32", (4, 1, 3, 5))], {"ndim": 2}, (2, 4, 7, 4)),
        ([("float32", (2, 4, 7)), ("float32", (4, 1, 3))], {"dilation": 2, "state_window": 3}, (3, 2, 4, 4)),
        ([("float32", (2, 7, 2, 2)), ("float32", (4, 1, 3))], {"channels_last": 1}, (2, 2, 2, 2)),
    ],
)
def test_causal_conv_states(inputs: Any, attrs: dict[str, int], state: tuple[int, ...]) -> None:
    found, graph = schema_shapes("CausalConvWithState", inputs, attrs, 2)
    assert found["out0"] == graph.values["out0"].shape
    assert found["out1"] == graph.values["out1"].shape == state


def test_packed_causal_conv() -> None:
    f = "float32"
    inputs = [(f, (7, 4)), (f, (4, 1, 3)), ("int32", (3,)), None, (f, (2, 4, 2)), ("int32", (2,))]
    found, graph = schema_shapes("VarlenCausalConvWithState", inputs, {"state_update_capacity": 2}, 3)
    assert all(graph.values[name].shape == stated for name, stated in found.items())
    assert cost(graph).macs == 7 * 4 * 3


def test_word_conv_embedding() -> None:
    words = np.array([[3, 4, 5, 0], [1, 2, 3, 4]], np.int32)
    graph = check("WordConvEmbedding", [words, random(6, 1, 2, 5), random(6), random(9, 5)], domain=MS)
    assert cost(graph).macs == 2 * 3 * (6 * 2 * 5)


@pytest.mark.parametrize("ceil", [0, 1])
def test_quantized_pools(ceil: int) -> None:
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": ceil}
    graph = check("NhwcMaxPool", [random(1, 8, 7, 4, dtype=U8)], attrs, domain=MS)
    out = value(graph)
    assert cost(graph).ops == out.numel * 8
    s, z = scalar(0.1, F32), scalar(1, U8)
    for last in (0, 1):
        attrs["channels_last"] = last
        x = random(1, 8, 7, 4, dtype=U8) if last else random(1, 4, 8, 7, dtype=U8)
        graph = check("QLinearAveragePool", [x, s, z, s, z], attrs, domain=MS, constant=range(1, 5))
        assert cost(graph).ops == 2 * 224 + value(graph).numel * 12
        graph = check("QLinearGlobalAveragePool", [x, s, z, s, z], {"channels_last": last}, domain=MS)
        assert cost(graph).ops == 3 * 224 + 3 * 4


def test_masked_max_pool() -> None:
    x, mask = random(1, 2, 8, 8), np.ones((1, 2, 8, 8), np.int32)
    graph = check("MaxpoolWithMask", [x, mask], {"kernel_shape": [2, 2], "strides": [2, 2]}, domain=MS)
    assert cost(graph).ops == 32 * 7


# --- channels in blocks ---


@pytest.mark.parametrize("last", [0, 1])
def test_reordering_pads_channels_to_blocks(last: int) -> None:
    x = random(1, 5, 6, 16) if last else random(1, 16, 5, 6)
    graph = check("ReorderInput", [x], {"channels_last": last}, domain=NCHWC, unknown=SYMBOLIC)
    assert value(graph).shape == (1, 16, 5, 6)
    open_ended = infer(single_node("ReorderInput", [random(1, 20, 5, 6)], {}, 17, NCHWC))
    channels = value(open_ended).shape[1]  # type: ignore[index]
    assert dims.bounds(channels) == (24, 32)
    check("ReorderInput", [random(1, 20, 5, 6)], {}, domain=NCHWC, unknown=ALWAYS)
    check("ReorderOutput", [random(1, 16, 5, 6)], {"channels": 13, "channels_last": last}, domain=NCHWC)


def test_blocked_conv_and_pools() -> None:
    x, w = random(1, 16, 9, 9), random(32, 16, 3, 3)
    attrs = {"activation": "Relu", "pads": [1, 1, 1, 1], "strides": [2, 2]}
    graph = check("Conv", [x, w, random(32), random(1, 32, 5, 5)], attrs, domain=NCHWC, constant=[1, 2])
    assert cost(graph).macs == convolved(x, w, (1, 32, 5, 5))
    assert cost(graph).ops == 3 * 32 * 25
    pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
    assert cost(check("MaxPool", [x], pool, domain=NCHWC)).ops == 16 * 25 * 8
    assert cost(check("AveragePool", [x], pool, domain=NCHWC)).ops == 16 * 25 * 9
    assert cost(check("GlobalAveragePool", [x], domain=NCHWC)).ops == 16 * 81
    assert cost(check("GlobalMaxPool", [x], domain=NCHWC)).ops == 16 * 80
    assert value(check("Upsample", [x], {"scales": [1, 1, 2, 3]}, domain=NCHWC)).shape == (1, 16, 18, 27)


def test_an_optimised_file_reads_as_it_runs(tmp_path: Any) -> None:
    """A convolution as ONNX Runtime itself rewrites it for this machine."""
    model = single_node("Conv", [random(1, 32, 9, 9), random(64, 32, 3, 3)], {"pads": [1, 1, 1, 1]}, 17, "", 1, [1])
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 4
    ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    rewritten = onnx.load(options.optimized_model_filepath)
    rewritten.ir_version = 10
    graph = compare(rewritten, {"in0": random(1, 32, 9, 9)}, symbolic=False)
    at = [i for i, node in enumerate(graph.nodes) if node.op == "Conv"]
    assert cost(graph, at[0]).macs == 81 * 64 * 32 * 9


# --- channels last, inside an execution provider's graph ---

_X = ("float32", (1, 9, 8, 4))
INTERNAL = [
    ("Conv", [_X, ("float32", (6, 4, 3, 3))], {"strides": [2, 1]}, (1, 4, 6, 6)),
    ("ConvTranspose", [_X, ("float32", (4, 6, 3, 3))], {"strides": [2, 1]}, (1, 19, 10, 6)),
    ("MaxPool", [_X], {"kernel_shape": [3, 3]}, (1, 7, 6, 4)),
    ("AveragePool", [_X], {"kernel_shape": [3, 3], "ceil_mode": 1, "strides": [2, 2]}, (1, 4, 4, 4)),
    ("GlobalAveragePool", [_X], {}, (1, 1, 1, 4)),
    ("GlobalMaxPool", [_X], {}, (1, 1, 1, 4)),
    ("LRN", [_X], {"size": 3}, (1, 9, 8, 4)),
    ("InstanceNormalization", [_X, ("float32", (4,)), ("float32", (4,))], {}, (1, 9, 8, 4)),
    ("BatchNormalization", [_X, *[("float32", (4,))] * 4], {}, (1, 9, 8, 4)),
    ("DepthToSpace", [_X], {"blocksize": 2}, (1, 18, 16, 1)),
    ("SpaceToDepth", [("float32", (1, 8, 8, 4))], {"blocksize": 2}, (1, 4, 4, 16)),
    ("GridSample", [_X, ("float32", (1, 5, 6, 2))], {}, (1, 5, 6, 4)),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "expected"), INTERNAL, ids=[case[0] for case in INTERNAL])
def test_internal_channels_last(op: str, inputs: Any, attrs: dict[str, Any], expected: tuple[int, ...]) -> None:
    fed = [random(*shape) for _, shape in inputs]
    model = single_node(op, fed, attrs, 17, NHWC)
    model.opset_import[1].version = 17
    graph = infer(model)
    assert value(graph).shape == expected, value(graph).why
    plain = [np.moveaxis(fed[0], -1, 1).copy(), *fed[1:]]
    first = infer(single_node(op, plain, attrs, 20 if op == "GridSample" else 17))
    assert cost(graph) == cost(first)


def test_internal_conv_counts_its_activation() -> None:
    model = single_node("Conv", [random(1, 9, 8, 4), random(6, 4, 3, 3)], {"activation": "Relu"}, 17, NHWC)
    graph = infer(model)
    assert cost(graph).ops == 7 * 6 * 6
