"""com.microsoft matrix products against ONNX Runtime; MACs against the products the shapes ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effaudit.ops.microsoft_matmul import activation_ops
from tests.ops.microsoft_oracle import MS, schema_shapes
from tests.ops.oracle import Array, check, cost, infer, random, scalar, single_node, value

U8, I8, I32, F32 = np.uint8, np.int8, np.int32, np.float32


def counted(a: Array, b: Array) -> int:
    """The multiplications of numpy.matmul, one at a time."""
    out = np.matmul(np.zeros_like(a, dtype=F32), np.zeros_like(b, dtype=F32))
    return sum(a.shape[-1] for _ in range(out.size))


@pytest.mark.parametrize("trans_a", [0, 1])
@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("op", ["FusedMatMul", "TransposeMatMul"])
def test_fused_matmul(op: str, trans_a: int, trans_b: int) -> None:
    a, b = random(2, 3, 4), random(2, 4, 5)
    left = a.swapaxes(1, 2) if trans_a else a
    right = b.swapaxes(1, 2) if trans_b else b
    inputs = [np.ascontiguousarray(left), np.ascontiguousarray(right)]
    graph = check(op, inputs, {"transA": trans_a, "transB": trans_b, "alpha": 2.0}, domain=MS)
    assert value(graph).shape == (2, 3, 5)
    assert cost(graph).macs == counted(a, b)
    assert cost(graph).ops == 2 * 3 * 5


@pytest.mark.parametrize("trans", [0, 1])
def test_fused_matmul_with_leading_axes_moved(trans: int) -> None:
    a, b = random(3, 2, 6, 4), random(2, 6, 4, 5)  # (M, batch.., K) under transBatchA
    if trans:
        a = random(4, 2, 6, 3)  # (K, batch.., M)
    graph = check("FusedMatMul", [a, b], {"transBatchA": 1, "transA": trans}, domain=MS)
    assert value(graph).shape == (2, 6, 3, 5)
    assert cost(graph).macs == 2 * 6 * 3 * 4 * 5
    check("FusedMatMul", [random(2, 6, 3, 4), random(4, 2, 6, 5)], {"transBatchB": 1}, domain=MS)
    check("FusedMatMul", [random(2, 6, 3, 4), random(5, 2, 6, 4)], {"transBatchB": 1, "transB": 1}, domain=MS)


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh"])
def test_fused_gemm(activation: str) -> None:
    attrs = {"transB": 1, "activation": activation}
    graph = check("FusedGemm", [random(3, 4), random(5, 4), random(5)], attrs, domain=MS)
    assert cost(graph).macs == 3 * 4 * 5
    assert cost(graph).ops == 15 * (1 + activation_ops(activation))


def test_fused_activations_by_name() -> None:
    assert activation_ops(b"silu") == activation_ops("swish") == 5
    assert activation_ops("") == activation_ops("NONE") == 0
    with pytest.raises(ValueError, match="activation 'Sparkle' is unknown"):
        activation_ops("Sparkle")


def test_integer_products() -> None:
    graph = check("MatMulInteger16", [random(3, 4, dtype=np.int16), random(4, 5, dtype=np.int16)], domain=MS)
    assert cost(graph).macs == 60
    a, b = random(2, 3, 4, dtype=U8), random(4, 5, dtype=I8)
    scales = [scalar(0.1, F32), random(5), scalar(0, U8), np.zeros(5, I8), random(5)]
    graph = check("MatMulIntegerToFloat", [a, b, *scales], domain=MS)
    assert cost(graph).macs == counted(a, b)
    assert cost(graph).ops == 2 * 30


def test_dynamic_quantize_matmul() -> None:
    a, b = random(2, 3, 4), random(4, 5, dtype=U8)
    inputs = [a, b, random(5), np.zeros(5, U8), random(5)]
    graph = check("DynamicQuantizeMatMul", inputs, domain=MS)
    assert cost(graph).macs == counted(a, b)
    assert cost(graph).ops == 5 * 24 + 2 * 30


@pytest.mark.parametrize("quantized", [False, True])
def test_qgemm(quantized: bool) -> None:
    inputs: list[Any] = [random(3, 4, dtype=U8), scalar(0.1, F32), scalar(0, U8), random(5, 4, dtype=U8)]
    inputs += [scalar(0.1, F32), scalar(0, U8), np.zeros(5, I32)]
    inputs += [scalar(0.1, F32), scalar(0, U8)] if quantized else []
    graph = check("QGemm", inputs, {"transB": 1}, domain=MS)
    assert value(graph).encoding.dtype == ("uint8" if quantized else "float32")
    assert cost(graph).macs == 60
    assert cost(graph).ops == 15 * (3 if quantized else 2)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("lead", [(3,), (2, 3)])
def test_matmul_nbits(bits: int, lead: tuple[int, ...]) -> None:
    inner, width, block = 40, 7, 16
    blocks = -(-inner // block)
    inputs = [random(*lead, inner), random(width, blocks, block * bits // 8, dtype=U8), random(width * blocks)]
    attrs = {"K": inner, "N": width, "bits": bits, "block_size": block}
    graph = check("MatMulNBits", inputs, attrs, domain=MS, constant=[1, 2])
    products = counted(random(*lead, inner), random(inner, width))
    assert cost(graph).macs == products
    assert cost(graph).ops == 2 * inner * width


def test_matmul_nbits_with_zero_points_and_bias() -> None:
    inputs = [random(2, 32), random(8, 2, 8, dtype=U8), random(16), random(8, dtype=U8), None, random(8)]
    attrs = {"K": 32, "N": 8, "block_size": 16}
    graph = check("MatMulNBits", inputs, attrs, domain=MS, constant=[1, 2, 3, 5])
    assert cost(graph).ops == 2 * 32 * 8 + 16
    wrong = infer(single_node("MatMulNBits", [random(2, 30), *inputs[1:]], attrs, 17, MS))
    assert "K is 30 and 32 at once" in value(wrong).why
    for broken, message in (
        ({"bits": 0}, "bits is 0"),
        ({"block_size": 24}, "block_size is 24"),
        ({"N": 9}, "N is 8 and 9"),
    ):
        made = infer(single_node("MatMulNBits", inputs, attrs | broken, 17, MS))
        assert message in value(made).why


def test_matmul_bnb4() -> None:
    inputs = [random(2, 3, 32), random(32 * 8 // 2, dtype=U8), random(32 * 8 // 16)]
    attrs = {"K": 32, "N": 8, "block_size": 16, "quant_type": 1}
    graph = check("MatMulBnb4", inputs, attrs, domain=MS, constant=[1, 2])
    assert cost(graph).macs == 6 * 32 * 8
    found, graph = schema_shapes(
        "MatMulBnb4", [("float32", (3, 8)), ("uint8", (128,)), ("float32", (16,))], {**attrs, "transB": 0}
    )
    assert found["out0"] == graph.values["out0"].shape == (3, 32)


def test_matmul_with_a_blob_takes_the_shape_from_its_values() -> None:
    inputs = [random(2, 3, 32), random(500, dtype=U8), np.array([32, 8], np.int64)]
    graph = infer(single_node("MatMulFpQ4", inputs, {"blk_quant_type": 0}, 17, MS, 1, [1, 2]))
    assert value(graph).shape == (2, 3, 8)
    assert (cost(graph).macs, cost(graph).ops) == (6 * 32 * 8, 32 * 8)


# op, inputs, attributes, outputs, macs: no CPU kernel, so against ONNX Runtime's own shape inference
T, U, H, F8 = "float32", "uint8", "float16", "float8e4m3fn"
INFERRED = [
    ("GemmFastGelu", [(T, (2, 3, 4)), (T, (4, 5)), (T, (5,))], {}, 1, 2 * 3 * 4 * 5),
    ("GemmFloat8", [(T, (4, 16)), (T, (8, 16))], {"transB": 1, "dtype": 10}, 1, 4 * 16 * 8),
    ("FusedMatMulActivation", [(T, (2, 4, 3)), (T, (2, 4, 5))], {"transA": 1, "activation": "Relu"}, 1, 2 * 3 * 4 * 5),
    ("QOrderedMatMul", [("int8", (1, 64, 32)), (T, ()), ("int8", (32, 96)), (T, ()), (T, ())],
     {"order_A": 1, "order_B": 0, "order_Y": 1}, 1, 64 * 32 * 96),
    ("MatMulBlockQuantizedFp4Weight", [(H, (2, 3, 32)), (U, (8, 16)), (U, (8, 2)), (T, ())], {}, 1, 6 * 32 * 8),
    ("MatMulBlockQuantizedFp8Weight", [(H, (2, 3, 32)), (F8, (8, 32)), (T, (8, 1))], {}, 1, 6 * 32 * 8),
    ("MatMulNBitsMlp", [(T, (2, 3, 64)), (T, (2, 3, 64)), (T, (64,)), (U, (32, 2, 16)), (T, (64,)), None,
                        (U, (32, 2, 16)), (T, (64,))],
     {"K": 64, "N": 32, "block_size": 32, "activation": "silu"}, 2, 2 * 6 * 64 * 32),
    ("MatMulNBitsQkv", [(T, (2, 3, 64)), (T, (2, 3, 64)), (T, (64,)), (U, (32, 2, 16)), (T, (64,)), None,
                        (U, (16, 2, 16)), (T, (32,)), None, (U, (16, 2, 16)), (T, (32,))],
     {"K": 64, "Nq": 32, "Nkv": 16, "block_size": 32}, 4, 6 * 64 * 64),
]  # fmt: skip


@pytest.mark.parametrize(("op", "inputs", "attrs", "outputs", "macs"), INFERRED, ids=[case[0] for case in INFERRED])
def test_products_without_a_kernel(op, inputs, attrs, outputs, macs) -> None:  # type: ignore[no-untyped-def]
    found, graph = schema_shapes(op, inputs, attrs, outputs)
    for name, stated in found.items():
        assert graph.values[name].shape == stated
    assert cost(graph).macs == macs


def experts(tokens: int, chosen: int, hidden: int, first: int, inner: int) -> int:
    """The multiplications of the chosen experts, token by token."""
    return sum(hidden * first + inner * hidden for _ in range(tokens) for _ in range(chosen))


@pytest.mark.parametrize("lead", [(6,), (2, 3)])
def test_mixture_of_experts(lead: tuple[int, ...]) -> None:
    inputs = [random(*lead, 8), random(6, 4), random(4, 16, 8), random(4, 16), random(4, 8, 16), random(4, 8)]
    attrs = {"k": 2, "activation_type": "relu"}
    found, graph = schema_shapes("MoE", [(T, x.shape) for x in inputs], attrs)
    assert found["out0"] == graph.values["out0"].shape == (*lead, 8)
    assert cost(graph).macs == experts(6, 2, 8, 16, 16)
    assert cost(graph).ops == 6 * 2 * (16 + 16 + 8 * 3) + 24 * 7


def test_mixture_of_experts_with_swiglu() -> None:
    inputs = [random(6, 8), random(6, 4), random(4, 32, 8), random(4, 32), random(4, 8, 16), random(4, 8)]
    attrs = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1, "normalize_routing_weights": 1}
    graph = check("MoE", inputs, attrs, domain=MS, constant=range(2, 6))
    assert cost(graph).macs == experts(6, 2, 8, 32, 16)


def test_quantized_mixture_of_experts_counts_what_the_weights_stand_for() -> None:
    inputs = [random(6, 32), random(6, 4), random(4, 64, 16, dtype=U8), random(4, 64), None]
    inputs += [random(4, 32, 16, dtype=U8), random(4, 32)]
    attrs = {"k": 2, "activation_type": "swiglu", "swiglu_fusion": 1, "expert_weight_bits": 4}
    graph = check("QMoE", inputs, attrs, domain=MS, constant=[2, 3, 5, 6])
    assert cost(graph).macs == experts(6, 2, 32, 64, 32)


def test_a_sparse_operand_is_not_priced() -> None:
    graph = infer(single_node("SparseToDenseMatMul", [random(3, 4), random(4, 5)], {}, 17, MS))
    assert value(graph).shape == (3, 5)
