"""com.microsoft fusions, norms and 8-bit arithmetic against ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.microsoft_oracle import MS, schema_shapes
from tests.ops.oracle import check, cost, infer, random, scalar, single_node, value

U8, I8, I32, F32 = np.uint8, np.int8, np.int32, np.float32
X = random(2, 3, 8)
N = X.size
ELEMENTWISE = [
    ("Gelu", [X], {}, 5 * N),
    ("BiasGelu", [X, random(8)], {}, 6 * N),
    ("FastGelu", [X], {}, 9 * N),
    ("FastGelu", [X, random(8)], {}, 10 * N),
    ("QuickGelu", [X], {}, 6 * N),
    ("ScaledSiLU", [X], {"alpha": 2.0}, 6 * N),
    ("GatedAdd", [X, X, random(2, 3, 1)], {}, 2 * N),
    ("GatedRMSNorm", [X, random(4), X], {}, 9 * N),
    ("BranchwiseRMSNorm", [X, random(8)], {"num_branches": 2}, 3 * N),
    ("BranchwiseRMSNorm", [random(2, 3, 2, 4)], {}, 2 * N),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "ops"), ELEMENTWISE)
def test_elementwise(op: str, inputs: Any, attrs: dict[str, Any], ops: int) -> None:
    graph = check(op, inputs, attrs, domain=MS)
    assert (cost(graph).macs, cost(graph).ops) == (0, ops)


@pytest.mark.parametrize("skip", [(2, 3, 8), (1, 3, 8), (3, 8)])
def test_skip_layer_normalization(skip: tuple[int, ...]) -> None:
    wanted = [True, False, False, True]
    graph = check("SkipLayerNormalization", [X, random(*skip), *[random(8)] * 3], domain=MS, outputs=wanted)
    assert cost(graph).ops == 7 * N


def test_skip_simplified_layer_normalization() -> None:
    wanted = [True, False, False, True]
    graph = check("SkipSimplifiedLayerNormalization", [X, X, random(8), random(8)], domain=MS, outputs=wanted)
    assert cost(graph).ops == 5 * N
    graph = check("SkipSimplifiedLayerNormalization", [random(6, 8), random(6, 8), random(8)], domain=MS)
    assert cost(graph).ops == 4 * N


@pytest.mark.parametrize("segments", [False, True])
def test_embed_layer_normalization(segments: bool) -> None:
    ids = random(2, 3, dtype=I32)
    extra = [ids, random(9, 8)] if segments else [None, None]
    inputs = [ids, extra[0], random(9, 8), random(9, 8), extra[1], random(8), random(8), np.ones((2, 3), I32)]
    graph = check("EmbedLayerNormalization", inputs, domain=MS, outputs=3, constant=[2, 3])
    assert cost(graph).ops == N * (7 if segments else 6) + 6
    tables = 3 if segments else 2
    assert cost(graph).reads == tables * N * 4 + (tables - 1) * 24 + 2 * 8 * 4 + 24


def test_quantized_embed_layer_normalization() -> None:
    ids, table, row = random(2, 3, dtype=I32), random(9, 8, dtype=U8), random(8, dtype=U8)
    s, z = scalar(0.1, F32), scalar(1, U8)
    inputs = [ids, ids, table, table, table, row, row, None, s, s, s, s, s, z, z, z, z, z]
    graph = check("QEmbedLayerNormalization", inputs, domain=MS, outputs=2)
    assert cost(graph).ops == N * (3 * 2 + 2 + 5)


def test_engram_gate() -> None:
    inputs = [random(2, 3, 4, 8), random(2, 3, 4, 8), random(2, 3, 8), *[random(4, 8)] * 3]
    graph = check("EngramGate", inputs, domain=MS, outputs=2)
    assert cost(graph).ops == 12 * 192 + 10 * 24


@pytest.mark.parametrize("flat", [False, True])
def test_hyper_connections(flat: bool) -> None:
    streams = random(2, 3, 32) if flat else random(2, 3, 4, 8)
    attrs = {"num_branches": 4} if flat else {}
    graph = check("HyperConnectionPreMix", [streams, random(2, 3, 4)], attrs, domain=MS)
    assert cost(graph).ops == 2 * 192
    inputs = [streams, random(2, 3, 8), random(2, 3, 4), random(2, 3, 4, 4)]
    graph = check("HyperConnectionPostMix", inputs, attrs, domain=MS)
    assert cost(graph).macs == 6 * (4 * 4 * 8)


# op, inputs, attributes, outputs, ops: no CPU kernel, so against ONNX Runtime's own shape inference
T = ("float32", (2, 3, 8))
B = ("float32", (8,))
IMAGE = ("float32", (2, 3, 4, 8))
S = ("float32", ())
Q = ("int8", (1, 64, 32))
INFERRED = [
    ("BiasSplitGelu", [T, B], {}, 1, N + 6 * N // 2),
    ("BiasSoftmax", [T, B], {"axis": -1, "is_inner_broadcast": 1}, 1, 6 * N),
    ("BiasDropout", [T, B, T], {}, 2, 2 * N),
    ("BitmaskDropout", [T], {}, 2, 0),
    ("BitmaskBiasDropout", [T, B], {}, 2, N),
    ("GroupNorm", [IMAGE, B, B], {"activation": 1, "groups": 2}, 1, 10 * 192),
    ("SkipGroupNorm", [IMAGE, B, B, ("float32", (2, 8)), B], {"activation": 0, "groups": 2}, 2, 7 * 192),
    ("QOrderedGelu", [Q, S, S], {}, 1, 10 * 2048),
    ("QOrderedLayerNormalization", [Q, S, ("float32", (32,)), None, S], {}, 1, 9 * 2048),
    ("QLinearReduceMean", [("uint8", (2, 3, 8)), S, ("uint8", ()), S, ("uint8", ())], {"axes": [1], "keepdims": 0}, 1,
     3 * N + 3 * 16),
    ("QuantizeWithOrder", [("float32", (1, 64, 32)), S], {"order_input": 1, "order_output": 2}, 1, 3 * 2048),
    ("DequantizeWithOrder", [Q, S], {"order_input": 2, "order_output": 1, "to": 10}, 1, 2048),
]  # fmt: skip


@pytest.mark.parametrize(("op", "inputs", "attrs", "outputs", "ops"), INFERRED, ids=[case[0] for case in INFERRED])
def test_fusions_without_a_kernel(op, inputs, attrs, outputs, ops) -> None:  # type: ignore[no-untyped-def]
    found, graph = schema_shapes(op, inputs, attrs, outputs)
    for name, stated in found.items():
        assert graph.values[name].shape == stated
    assert (cost(graph).macs, cost(graph).ops) == (0, ops)


def test_without_any_inference_to_ask() -> None:
    made = infer(single_node("BiasAdd", [X, random(8), X], {}, 17, MS))
    assert (value(made).shape, cost(made).ops) == ((2, 3, 8), 2 * N)
    made = infer(single_node("MulInteger", [random(2, 1, 8, dtype=U8), None, random(3, 8, dtype=U8)], {}, 17, MS))
    assert (value(made).shape, value(made).encoding.dtype, cost(made).ops) == ((2, 3, 8), "int32", N)
    attrs = {"axes": [-1], "keepdims": 1}
    made = infer(single_node("ReduceSumInteger", [random(2, 3, 8, dtype=U8)], attrs, 17, MS))
    assert (value(made).shape, value(made).encoding.dtype, cost(made).ops) == ((2, 3, 1), "uint32", N - 6)


def test_dropout_that_may_train_is_counted() -> None:
    feeds = [X, random(8), None, scalar(0.5, F32), scalar(1, np.bool_)]
    assert cost(infer(single_node("BiasDropout", feeds, {}, 17, MS))).ops == 4 * N
    assert cost(infer(single_node("BiasDropout", [*feeds[:4], scalar(0, np.bool_)], {}, 17, MS, 1, [4]))).ops == N


# --- 8-bit arithmetic ---

SCALE, ZERO = scalar(0.1, F32), scalar(1, U8)


@pytest.mark.parametrize("op", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize("other", [(2, 3, 8), (8,), (3, 1)])
def test_qlinear_binary(op: str, other: tuple[int, ...]) -> None:
    a, b = random(2, 3, 8, dtype=U8), random(*other, dtype=U8)
    graph = check(op, [a, SCALE, ZERO, b, SCALE, ZERO, SCALE, ZERO], domain=MS, constant=[1, 2, 4, 5, 6, 7])
    assert cost(graph).ops == 2 * (N + b.size) + 4 * N


def test_qlinear_unary() -> None:
    inputs = [random(2, 3, 8, dtype=U8), SCALE, ZERO, SCALE, ZERO]
    constant = [1, 2, 3, 4]
    assert cost(check("QLinearLeakyRelu", inputs, {"alpha": 0.1}, domain=MS, constant=constant)).ops == 7 * N
    assert cost(check("QLinearSigmoid", inputs, domain=MS, constant=constant)).ops == 9 * N
    attrs = {"axis": -1, "opset": 13}
    assert cost(check("QLinearSoftmax", inputs, attrs, domain=MS, constant=constant)).ops == 10 * N


def test_qlinear_concat() -> None:
    parts = [random(2, 3, 8, dtype=U8), SCALE, ZERO, random(2, 5, 8, dtype=U8), SCALE, ZERO]
    graph = check("QLinearConcat", [SCALE, ZERO, *parts], {"axis": 1}, domain=MS, constant=[0, 1, 3, 4, 6, 7])
    assert cost(graph).ops == 5 * 2 * 8 * 8


def test_qlinear_where() -> None:
    inputs = [np.ones((3, 1), np.bool_), random(2, 3, 8, dtype=U8), SCALE, ZERO, random(8, dtype=U8), SCALE, ZERO]
    graph = check("QLinearWhere", [*inputs, SCALE, ZERO], domain=MS, constant=[2, 3, 5, 6, 7, 8])
    assert cost(graph).ops == 6 * N


@pytest.mark.parametrize(
    ("op", "inputs", "attrs", "message"),
    [
        ("QLinearAdd", [random(2, dtype=U8), SCALE, ZERO], {}, "input B is missing"),
        (
            "QLinearAdd",
            [random(2, dtype=U8), SCALE, ZERO, random(3, dtype=U8), SCALE, ZERO, SCALE, ZERO],
            {},
            "broadcast",
        ),
        ("QLinearConcat", [SCALE, ZERO, random(2, dtype=U8), SCALE], {"axis": 0}, "its scale and its zero point"),
        (
            "GroupNorm",
            [random(2, 3, 4, 8), random(8), random(8)],
            {"activation": 0, "groups": 3},
            "do not divide into 3",
        ),
        ("BiasSplitGelu", [random(2, 3), random(3)], {}, "X has rank 2 instead of 3"),
        ("HyperConnectionPreMix", [random(4), random(4)], {}, "grouped streams of rank 1"),
    ],
)
def test_broken_nodes_say_why(op: str, inputs: Any, attrs: dict[str, Any], message: str) -> None:
    made = value(infer(single_node(op, inputs, attrs, 17, MS)))
    assert made.shape is None
    assert message in made.why
