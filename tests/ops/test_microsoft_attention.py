"""com.microsoft attention: shapes against ONNX Runtime, MACs against counted products."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit.dims import evaluate
from effaudit.errors import Undecided
from tests.ops.microsoft_oracle import MS, schema_shapes
from tests.ops.oracle import ALWAYS, Array, check, compare, cost, infer, random, scalar, single_node, symbolised, value
from tests.ops.test_attention import linear_attention_products, multiplications

I32 = np.int32
F32, F16, S8 = "float32", "float16", "int8"


def i32(*values: int) -> Array:
    return np.array(values, I32)


def product_macs(*shapes: tuple[int, int, int]) -> int:
    """The multiplications of matrix products (m, k, n)."""
    return sum(m * k * n for m, k, n in shapes)


@pytest.mark.parametrize("past", [0, 7])
@pytest.mark.parametrize("masked", [False, True])
def test_attention(past: int, masked: bool) -> None:
    cache = random(2, 2, 4, past, 4) if past else None
    mask = np.ones((2, 3 + past), I32) if masked else None
    inputs = [random(2, 3, 10), random(10, 48), random(48), mask, cache]
    graph = check("Attention", inputs, {"num_heads": 4, "unidirectional": 1}, domain=MS, outputs=2 if past else 1)
    expected = product_macs((2 * 3, 10, 48)) + multiplications(2, 4, 3, 3 + past, 4, 4)
    assert cost(graph).macs == expected
    assert cost(graph).ops == 2 * 4 * 3 * (3 + past) * (6 + masked) + 2 * 3 * 48


def test_attention_with_its_own_hidden_sizes() -> None:
    attrs = {"num_heads": 4, "qkv_hidden_sizes": [16, 16, 24]}
    graph = check("Attention", [random(2, 3, 10), random(10, 56), random(56)], attrs, domain=MS)
    assert cost(graph).macs == product_macs((6, 10, 56)) + multiplications(2, 4, 3, 3, 4, 6)
    broken = infer(single_node("Attention", [random(2, 3, 10), random(10, 48), random(48)], attrs, 17, MS))
    assert "do not add up to the 48 columns" in value(broken).why


def test_quantized_attention() -> None:
    u8 = np.uint8
    inputs = [random(2, 3, 8, dtype=u8), random(8, 24, dtype=u8), random(24), scalar(0.1, np.float32)]
    inputs += [scalar(0.1, np.float32), None, scalar(0, u8), scalar(0, u8), random(2, 2, 2, 5, 4)]
    graph = check("QAttention", inputs, {"num_heads": 2, "unidirectional": 1}, domain=MS, outputs=2)
    assert cost(graph).macs == product_macs((6, 8, 24)) + multiplications(2, 2, 3, 8, 4, 4)


@pytest.mark.parametrize(("past", "v_head"), [(0, 6), (7, 4)])
def test_multi_head_attention(past: int, v_head: int) -> None:
    cache = [random(2, 4, past, 4), random(2, 4, past, v_head)] if past else []
    width = 4 * v_head
    inputs = [random(2, 3, 16), random(2, 5, 16), random(2, 5, width), random(32 + width), None]
    inputs += [random(2, 4, 3, 5 + past), *cache]
    graph = check("MultiHeadAttention", inputs, {"num_heads": 4}, domain=MS, outputs=3 if past else 1)
    assert cost(graph).macs == multiplications(2, 4, 3, 5 + past, 4, v_head)
    assert cost(graph).ops == 2 * 4 * 3 * (5 + past) * 7 + 2 * (3 * 16 + 5 * (16 + width))


def test_multi_head_attention_packed_and_crossed() -> None:
    attrs = {"num_heads": 4}
    found, graph = schema_shapes("MultiHeadAttention", [(F32, (2, 3, 4, 3, 8))], attrs)
    assert found["out0"] == graph.values["out0"].shape == (2, 3, 32)
    assert cost(graph).macs == multiplications(2, 4, 3, 3, 8, 8)
    found, graph = schema_shapes("MultiHeadAttention", [(F32, (2, 3, 32)), (F32, (2, 5, 4, 2, 8))], attrs)
    assert found["out0"] == graph.values["out0"].shape == (2, 3, 32)
    assert cost(graph).macs == multiplications(2, 4, 3, 5, 8, 8)
    cached = [random(2, 3, 32), random(2, 4, 5, 8), random(2, 4, 5, 8)]
    graph = check("MultiHeadAttention", cached, attrs, domain=MS)
    assert cost(graph).macs == multiplications(2, 4, 3, 5, 8, 8)


def test_multi_head_attention_gives_its_scores() -> None:
    feeds = {"in0": random(2, 3, 16), "in1": random(2, 5, 16), "in2": random(2, 5, 24)}
    model = single_node("MultiHeadAttention", [*feeds.values()], {"num_heads": 4}, 17, MS, [True, False, False, True])
    model.graph.output[1].type.tensor_type.elem_type = TensorProto.FLOAT
    compare(model, feeds)


def test_decoder_masked_multi_head_attention() -> None:
    inputs = [random(2, 1, 16), random(2, 1, 16), random(2, 1, 16), None, None, random(2, 4, 9, 4), random(2, 4, 9, 4)]
    attrs = {"num_heads": 4, "past_present_share_buffer": 1}
    graph = check("DecoderMaskedMultiHeadAttention", [*inputs, i32(6)], attrs, domain=MS, outputs=3, constant=[7])
    assert cost(graph).macs == multiplications(2, 4, 1, 7, 4, 4)
    fed = infer(single_node("DecoderMaskedMultiHeadAttention", [*inputs, i32(6)], attrs, 17, MS, 3))
    with pytest.raises(Undecided, match="fed at run time"):
        cost(fed)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("past", [0, 5, 12])
def test_group_query_attention(packed: bool, past: int) -> None:
    total = 4 if not past else 6
    new = 4 if not past else 1
    query = random(1, new, 32) if not packed else random(1, new, 64)
    sides = [None, None] if packed else [random(1, new, 16), random(1, new, 16)]
    cache = [random(1, 2, past, 8), random(1, 2, past, 8)] if past else [None, None]
    inputs = [query, *sides, *cache, i32(total - 1), np.array(total, I32)]
    attrs = {"num_heads": 4, "kv_num_heads": 2}
    graph = check("GroupQueryAttention", inputs, attrs, domain=MS, outputs=3, constant=[6])
    assert graph.values["out1"].shape == (1, 2, max(past, total), 8)
    assert cost(graph).macs == multiplications(1, 4, new, total, 8, 8)
    assert cost(graph).ops == 4 * new * total * 6


def test_group_query_attention_whose_length_is_fed() -> None:
    inputs = [random(1, 1, 32), random(1, 1, 16), random(1, 1, 16), random(1, 2, 12, 8), random(1, 2, 12, 8)]
    inputs += [i32(5), np.array(6, I32)]
    attrs = {"num_heads": 4, "kv_num_heads": 2}
    graph = check("GroupQueryAttention", inputs, attrs, domain=MS, outputs=3, unknown=ALWAYS)
    present = graph.values["out1"].shape
    assert present is not None
    named = next(name for name, info in graph.dims.items() if info.origin == "data")
    assert evaluate(present[2], {named: 6}) == 12
    assert evaluate(present[2], {named: 13}) == 13
    assert evaluate(cost(graph).macs, {named: 6}) == multiplications(1, 4, 1, 6, 8, 8)


def test_group_query_attention_with_rotary_and_bias() -> None:
    cache, past = random(16, 8), random(1, 2, 0, 16)
    inputs = [random(1, 3, 64), random(1, 3, 32), random(1, 3, 32), past, past, i32(2)]
    inputs += [np.array(3, I32), cache, cache, None, random(1, 4, 3, 3)]
    attrs = {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "softcap": 3.0}
    graph = check("GroupQueryAttention", inputs, attrs, domain=MS, outputs=3, constant=[6])
    assert cost(graph).ops == 4 * 3 * 3 * (6 + 1 + 3) + 3 * 3 * 16 * (4 + 2)


def test_group_query_attention_over_a_window_cache() -> None:
    inputs = [random(1, 1, 32), random(1, 1, 16), random(1, 1, 16), random(1, 2, 6, 8), random(1, 2, 6, 8), i32(10)]
    inputs += [np.array(11, I32)]
    attrs = {"num_heads": 4, "kv_num_heads": 2, "sliding_window_cache": 1, "local_window_size": 4}
    graph = check("GroupQueryAttention", inputs, attrs, domain=MS, outputs=3, constant=[6])
    assert graph.values["out1"].shape == (1, 2, 6, 8)
    # 10 positions before: 6, then three at a time give way (G = 3): L(10) = 10 - 3 * ceil(4 / 3) = 4; and the new one.
    assert cost(graph).macs == multiplications(1, 4, 1, 5, 8, 8)


def test_the_total_length_may_come_from_a_mask() -> None:
    inputs = [random(1, 1, 32), random(1, 1, 16), random(1, 1, 16), random(1, 2, 5, 8), random(1, 2, 5, 8)]
    inputs += [i32(5), np.array(6, I32)]
    model = single_node("GroupQueryAttention", inputs, {"num_heads": 4, "kv_num_heads": 2}, 17, MS, 3, [6])
    opened, sizes = symbolised(model)
    graph = infer(opened)
    assert evaluate(cost(graph).macs, sizes) == multiplications(1, 4, 1, 6, 8, 8)


def test_sparse_attention_counts_as_if_dense() -> None:
    rows, columns = np.array([[0, 1]], I32), np.array([[0]], I32)
    cache = [random(1, 2, 16, 8), random(1, 2, 16, 8)]
    inputs = [random(1, 4, 32), random(1, 4, 16), random(1, 4, 16), *cache, rows, columns, np.array([4], I32), i32(4)]
    attrs = {"num_heads": 4, "kv_num_heads": 2, "sparse_block_size": 16}
    graph = infer(single_node("SparseAttention", inputs, attrs, 17, MS, 3, [7]))
    assert [graph.values[f"out{i}"].shape for i in range(3)] == [(1, 4, 32), (1, 2, 16, 8), (1, 2, 16, 8)]
    assert cost(graph).macs == multiplications(1, 4, 4, 4, 8, 8)


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
def test_linear_attention(rule: str) -> None:
    decay = random(2, 5, 2) if "gated" in rule else None
    beta = random(2, 5, 2) if "delta" in rule else None
    inputs = [random(2, 5, 16), random(2, 5, 8), random(2, 5, 6), random(2, 2, 4, 3), decay, beta]
    attrs = {"q_num_heads": 4, "kv_num_heads": 2, "update_rule": rule}
    graph = check("LinearAttention", inputs, attrs, domain=MS, outputs=2)
    assert cost(graph).macs == linear_attention_products(2, 5, (4, 2), (4, 3), rule)


def test_linear_attention_with_more_key_heads_and_a_window() -> None:
    inputs = [(F32, (2, 5, 8)), (F32, (2, 5, 8)), (F32, (2, 5, 12)), None, (F32, (2, 5, 4))]
    attrs = {"q_num_heads": 2, "kv_num_heads": 4, "update_rule": "gated", "state_window": 3}
    found, graph = schema_shapes("LinearAttention", inputs, attrs, 2)
    assert found["out0"] == graph.values["out0"].shape == (2, 5, 12)
    assert found["out1"] == graph.values["out1"].shape == (3, 2, 4, 4, 3)
    check("LinearAttentionGate", [random(2, 5, 4), random(4), random(4), random(2, 5, 4)], domain=MS, outputs=2)


@pytest.mark.parametrize("shape", [(2, 3, 5, 8), (2, 5, 24)])
def test_rotary_embeddings(shape: tuple[int, ...]) -> None:
    positions = np.tile(np.arange(5), (2, 1))
    attrs = {"num_heads": 3, "rotary_embedding_dim": 4}
    graph = check("RotaryEmbedding", [random(*shape), positions, random(20, 2), random(20, 2)], attrs, domain=MS)
    assert cost(graph).ops == 3 * 2 * 3 * 5 * 4
    streams = np.tile(positions, (3, 1, 1))
    attrs = {"num_heads": 3, "mrope_section": [2, 1, 1]}
    check("MRotaryEmbedding", [random(*shape), streams, random(20, 4), random(20, 4)], attrs, domain=MS)


PAST = ("float32", (2, 2, 4, 7, 4))
CACHE = ("float16", (9, 16, 2, 16))
# op, inputs, attributes, outputs: operators without a CPU kernel, against ONNX Runtime's own shape inference
INFERRED = [
    ("DecoderMaskedSelfAttention", [(F32, (2, 1, 16)), (F32, (16, 48)), (F32, (48,)), None, PAST, None,
                                    ("int32", (1,))],
     {"num_heads": 4}, 2),
    ("PackedAttention", [(F32, (7, 16)), (F32, (16, 48)), (F32, (48,)), ("int32", (2, 5)), ("int32", (3,))],
     {"num_heads": 4}, 1),
    ("PackedMultiHeadAttention", [(F32, (7, 16)), (F32, (7, 16)), (F32, (7, 24)), None, ("int32", (2, 5)),
                                  ("int32", (3,))],
     {"num_heads": 4}, 1),
    ("PackedMultiHeadAttention", [(F32, (7, 4, 3, 8)), None, None, None, ("int32", (2, 5)), ("int32", (3,))],
     {"num_heads": 4}, 1),
    ("QOrderedAttention", [(S8, (1, 64, 32)), *[(F32, ())] * 4, *[(S8, (32, 32))] * 3, *[(F32, ())] * 3,
                           *[(F32, (32,))] * 3, *[(F32, ())] * 3],
     {"num_heads": 2, "order_input": 1, "order_output": 1, "order_weight": 0}, 1),
    ("PagedAttention", [(F16, (7, 64)), (F16, (7, 32)), (F16, (7, 32)), CACHE, CACHE, ("int32", (3,)), ("int32", (2,)),
                        ("int32", (2, 4))], {"num_heads": 4, "kv_num_heads": 2}, 3),
    ("PagedAttention", [(F16, (7, 128)), None, None, CACHE, CACHE, ("int32", (3,)), ("int32", (2,)), ("int32", (2, 4))],
     {"num_heads": 4, "kv_num_heads": 2}, 3),
    ("SparsePagedAttention", [(F16, (7, 64)), (F16, (7, 32)), (F16, (7, 32)), CACHE, CACHE, ("int32", (3,)),
                              ("int32", (2,)), ("int32", (2, 4)), None, ("int32", (7, 4)), ("int32", (7,))],
     {"num_heads": 4, "kv_num_heads": 2}, 3),
    ("GatedDeltaNet", [(F16, (3, 2, 2, 4)), (F16, (3, 2, 2, 4)), (F16, (3, 2, 4, 8)), None, (F32, (3, 2, 4)),
                       (F32, (3, 2, 4)), (F32, (3, 4, 8, 4))], {"state_update_capacity": 2}, 3),
    ("GatedDeltaNet", [(F16, (6, 48)), None, None, ("int32", (3,)), (F32, (6, 4)), (F32, (6, 4)), (F32, (2, 4, 8, 4))],
     {}, 2),
    ("GatedRelativePositionBias", [(F32, (2, 3, 16)), (F32, (16,)), (F32, (1, 4, 3, 3)), (F32, (4, 8)), (F32, (8,)),
                                   (F32, (1, 4, 1, 1))], {"num_heads": 4}, 1),
    ("GemmaRotaryEmbedding", [(F32, (2, 3, 8)), *[(F16, (2, 4, 3, 8))] * 4], {}, 2),
    ("LongformerAttention", [(F32, (2, 32, 16)), (F32, (16, 48)), (F32, (48,)), (F32, (2, 32)), (F32, (16, 48)),
                             (F32, (48,)), ("int32", (2, 32))], {"num_heads": 4, "window": 8}, 1),
    ("SparseAttentionIndexer", [(F32, (2, 5, 16)), (F32, (2, 5, 8)), (F32, (8,)), (F32, (8,)), (F32, (64, 4)),
                                (F32, (64, 4)), None, (F32, (2, 11, 8))],
     {"compress_ratio": 4, "policy_mode": "qsa", "token_budget": 8}, 2),
]  # fmt: skip


@pytest.mark.parametrize(("op", "inputs", "attrs", "outputs"), INFERRED, ids=[case[0] for case in INFERRED])
def test_shapes_agree_with_the_schemas_own_inference(op, inputs, attrs, outputs) -> None:  # type: ignore[no-untyped-def]
    found, graph = schema_shapes(op, inputs, attrs, outputs)
    for name, stated in found.items():
        shape = graph.values[name].shape
        assert shape is not None, graph.values[name].why
        assert len(shape) == len(stated)
        assert all(s in (-1, d) for d, s in zip(shape, stated, strict=True)), (name, shape, stated)


@pytest.mark.parametrize(
    ("buffered", "steps", "closed", "stay"), [(6, 5, 1, 7), (2, 5, 1, 7), (2, 1, 0, 3), (0, 8, 2, 4)]
)
def test_windows_of_the_indexer(buffered: int, steps: int, closed: int, stay: int) -> None:
    f, wide = F32, (2, steps, 16)
    inputs = [(f, wide), (f, wide), (f, (8,)), (f, (8,)), (f, (64, 4)), (f, (64, 4)), None, (f, (2, 11, 8)), (f, wide)]
    inputs += [(f, (4, 16)), (f, (2, steps, 2)), ("int64", (2, steps)), None, (f, (2, 2, buffered, 16))]
    attrs = {"compress_ratio": 4, "policy_mode": "csa", "index_topk": 3}
    found, graph = schema_shapes("SparseAttentionIndexer", inputs, attrs, 3)
    assert found["out1"] == graph.values["out1"].shape == (2, 11 + closed, 8)
    assert found["out2"] == graph.values["out2"].shape == (2, 2, stay, 16)


@pytest.mark.parametrize(
    ("flags", "keys", "projected"),
    [((0, 0, 0), 3, 3), ((1, 0, 0), 5, 5), ((0, 1, 1), 10, 3), ((1, 1, 1), 7, 0)],
)
def test_decoder_attention_follows_its_flags(flags: tuple[int, int, int], keys: int, projected: int) -> None:
    inputs = [random(3, 2, 16), random(5, 2, 16), random(16, 16), random(16, 32), random(48), None]
    inputs += [random(2, 4, 7, 4), random(2, 4, 7, 4), *(np.array(bool(f)) for f in (*flags, 0))]
    places = [8, 9, 10, 11]
    graph = infer(single_node("DecoderAttention", inputs, {"num_heads": 4}, 17, MS, 3, places))
    assert graph.values["out0"].shape == (3, 2, 16)
    assert graph.values["out1"].shape == (2, 4, keys, 4)
    projections = product_macs((2 * 3, 16, 16), (2 * projected, 16, 32))
    assert cost(graph).macs == projections + multiplications(2, 4, 3, keys, 4, 4)


def test_relative_position_bias_takes_its_lengths_from_values() -> None:
    inputs = [random(32, 4), np.array([3], np.int64), np.array([5], np.int64)]
    graph = infer(single_node("RelativePositionBias", inputs, {"max_distance": 128}, 17, MS, 1, [1, 2]))
    assert value(graph).shape == (1, 4, 3, 5)
    assert cost(graph).ops == 9 * 3 * 5


def test_packed_sparse_attention_indexer_keeps_its_state() -> None:
    f = random
    inputs = [f(7, 16), f(7, 8), f(8), f(8), f(64, 4), f(64, 4), i32(0, 3, 7), i32(0, 0), None, None, None, None]
    inputs += [f(2, 20, 8), f(2, 7, 8), None, np.zeros((2, 2), I32)]
    attrs = {"compress_ratio": 4, "policy_mode": "qsa", "token_budget": 8, "state_capacity": 20}
    graph = infer(single_node("PackedSparseAttentionIndexer", inputs, attrs, 17, MS, 6))
    shapes = [graph.values[f"out{i}"].shape for i in range(6)]
    assert shapes == [(7, 11), (7,), (2, 20, 8), (2, 7, 8), (2, 7, 8), (2, 2)]


def test_a_decoder_step_follows_its_attention_mask() -> None:
    """As exporters write it: the total length is the width of the attention mask."""
    feeds = {
        "mask": np.ones((1, 9), np.int64),
        "query": random(1, 1, 32),
        "key": random(1, 1, 16),
        "past": random(1, 2, 8, 8),
        "seqlens": i32(8),
    }
    fed = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
        for name, x in feeds.items()
    ]
    attrs = {"num_heads": 4, "kv_num_heads": 2}
    inputs = ["query", "key", "key", "past", "past", "seqlens", "total"]
    outputs = ["y", "present_key", "present_value"]
    nodes = [
        helper.make_node("Shape", ["mask"], ["sizes"]),
        helper.make_node("Gather", ["sizes", "one"], ["width"]),
        helper.make_node("Cast", ["width"], ["total"], to=TensorProto.INT32),
        helper.make_node("GroupQueryAttention", inputs, outputs, domain=MS, **attrs),
    ]
    made = [onnx.ValueInfoProto(name=name) for name in outputs]
    one = helper.make_tensor("one", TensorProto.INT64, [], [1])
    graph = helper.make_graph(nodes, "step", fed, made, [one])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    compare(model, feeds)
    opened, sizes = symbolised(model)
    inferred = infer(opened)
    assert str(inferred.values["present_key"].shape[2]) == "max(d1, d10)"  # the mask's width and the past's length
    assert evaluate(cost(inferred, 3).macs, sizes) == multiplications(1, 4, 1, 9, 8, 8)
