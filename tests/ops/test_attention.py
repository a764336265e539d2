"""Attention of ai.onnx: shapes against ONNX Runtime, MACs against loops that multiply one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit.errors import Undecided
from tests.ops.oracle import check, cost, infer, ints, random, single_node


def multiplications(batch: int, heads: int, queries: int, keys: int, head: int, v_head: int) -> int:
    """Counts every product of QK^T and of AV, one at a time."""
    count = 0
    for _ in product(range(batch), range(heads), range(queries), range(keys)):
        count += sum(1 for _ in range(head))
    for _ in product(range(batch), range(heads), range(queries), range(v_head)):
        count += sum(1 for _ in range(keys))
    return count


@pytest.mark.parametrize("outputs", [1, 3, 4])
@pytest.mark.parametrize("opset", [23, 24])
def test_attention_of_rank_4(opset: int, outputs: int) -> None:
    q, k, v = random(2, 4, 3, 8), random(2, 2, 5, 8), random(2, 2, 5, 6)
    past = [None, random(2, 2, 7, 8), random(2, 2, 7, 6)] if outputs > 1 else []
    graph = check("Attention", [q, k, v, *past], {}, opset=opset, outputs=outputs)
    keys = 5 + (7 if past else 0)
    assert cost(graph).macs == multiplications(2, 4, 3, keys, 8, 6)
    assert cost(graph).ops == 2 * 4 * 3 * keys * 6


@pytest.mark.parametrize("past", [0, 4])
def test_attention_of_rank_3(past: int) -> None:
    cache = [random(2, 2, past, 4), random(2, 2, past, 3)] if past else []
    mask = random(3, 5 + past)
    graph = check(
        "Attention",
        [random(2, 3, 16), random(2, 5, 8), random(2, 5, 6), mask, *cache],
        {"q_num_heads": 4, "kv_num_heads": 2, "softcap": 2.0, "is_causal": 1},
        opset=23,
        outputs=3 if past else 1,
    )
    assert cost(graph).macs == multiplications(2, 4, 3, 5 + past, 4, 3)
    assert cost(graph).ops == 2 * 4 * 3 * (5 + past) * (6 + 1 + 3)


def test_attention_over_an_outer_cache_counts_its_padding() -> None:
    graph = check(
        "Attention",
        [random(2, 2, 1, 4), random(2, 2, 9, 4), random(2, 2, 9, 4), None, None, None, ints(3, 9)],
        {"is_causal": 1},
        opset=24,
    )
    assert cost(graph).macs == multiplications(2, 2, 1, 9, 4, 4)


@pytest.mark.parametrize("rotary", [0, 4])
@pytest.mark.parametrize("shape", [(2, 3, 5, 8), (2, 5, 24)])
def test_rotary_embedding(shape: tuple[int, ...], rotary: int) -> None:
    half = (rotary or 8) // 2
    x, cache = random(*shape), random(20, half)
    positions = np.tile(np.arange(5), (2, 1))
    attrs = {"num_heads": 3, "rotary_embedding_dim": rotary}
    graph = check("RotaryEmbedding", [x, cache, cache, positions], attrs, opset=23)
    assert cost(graph).ops == 3 * 2 * 3 * 5 * (rotary or 8)


def linear_attention_products(batch: int, steps: int, heads: tuple[int, int], sizes: tuple[int, int], rule: str) -> int:
    """Runs the recurrence of the specification and counts its products of vectors and states."""
    count = 0
    for _ in range(batch * steps):
        for _ in range(heads[1]):
            state = np.zeros(sizes)
            count += np.outer(np.zeros(sizes[0]), np.zeros(sizes[1])).size
            if "delta" in rule:
                count += state.T.size  # S^T k
        count += heads[0] * sizes[0] * sizes[1]  # q^T S
    return count


@pytest.mark.parametrize("rule", ["linear", "gated", "delta", "gated_delta"])
def test_linear_attention(rule: str) -> None:
    decay = random(2, 5, 2) if "gated" in rule else None
    beta = random(2, 5, 2) if "delta" in rule else None
    inputs = [random(2, 5, 16), random(2, 5, 8), random(2, 5, 6), None, decay, beta]
    attrs = {"q_num_heads": 4, "kv_num_heads": 2, "update_rule": rule}
    graph = check("LinearAttention", inputs, attrs, opset=27, outputs=2)
    assert cost(graph).macs == linear_attention_products(2, 5, (4, 2), (4, 3), rule)


def test_flex_attention_runs_its_bodies() -> None:
    score = helper.make_tensor_value_info("s", TensorProto.FLOAT, None)
    body = helper.make_graph([helper.make_node("Neg", ["s"], ["t"])], "mod", [score], [onnx.ValueInfoProto(name="t")])
    q, k = random(2, 4, 3, 8), random(2, 2, 5, 8)
    model = single_node("FlexAttention", [q, k, random(2, 2, 5, 6)], {"score_mod": body}, 26, "ai.onnx.preview")
    graph = infer(model)
    assert graph.values["out0"].shape == (2, 4, 3, 6)
    (node,) = graph.nodes
    assert node.bodies["score_mod"].values["t"].shape == (2, 4, 3, 5)
    with pytest.raises(Undecided, match="score_mod"):
        cost(graph)
    plain = infer(single_node("FlexAttention", [q, k, random(2, 2, 5, 6)], {}, 26, "ai.onnx.preview"))
    assert cost(plain).macs == multiplications(2, 4, 3, 5, 8, 6)


@pytest.mark.parametrize(
    ("inputs", "attrs", "message"),
    [
        ([random(2, 3, 16), random(2, 5, 16), random(2, 5, 16)], {}, "inputs of rank 3 need q_num_heads"),
        ([random(2, 3, 5, 8), random(2, 2, 5, 8), random(2, 2, 5, 8)], {}, "3 query heads do not divide into 2"),
        ([random(2, 2, 5, 8), random(2, 2, 5, 4), random(2, 2, 5, 4)], {}, "the head size is 4 and 8 at once"),
        ([random(2, 5), random(2, 2, 5, 4), random(2, 2, 5, 4)], {}, "Q has rank 2 instead of 3 or 4"),
    ],
)
def test_broken_attention_says_why(inputs: list[np.ndarray], attrs: dict[str, int], message: str) -> None:
    value = infer(single_node("Attention", inputs, attrs, 23)).values["out0"]
    assert value.shape is None
    assert message in value.why
