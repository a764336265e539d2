"""The transformer view: which node belongs to which part of which block, on graphs whose architecture is known."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper, save_model

from effaudit import dims
from effaudit.audited import Audited, examine
from effaudit.load import Given
from effaudit.views.transformer import PARTS, Block, Transformer, part_formulas, runs, transformer
from tests.corpus.score import folder
from tests.examples.blocks import block, encoder, gpt2
from tests.examples.graphs import Net

from . import transformers as spelled
from .transformers import HEADS, TOKENS, D, packed, post_norm

CORPUS = folder()
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")


def opened(model: ModelProto, tmp_path: Path) -> Audited:
    path = tmp_path / "model.onnx"
    save_model(model, path)
    return examine(path)


def found_in(model: ModelProto, tmp_path: Path) -> Transformer:
    return checked(opened(model, tmp_path))


def checked(audited: Audited) -> Transformer:
    """The view of a model that has attention, after the law that its parts are a partition of the model."""
    view = transformer(audited)
    assert view is not None
    assert [p.name for p in view.parts] == list(PARTS)
    for figure in ("macs", "ops"):
        whole = audited.table.total(figure)
        assert sum(getattr(p, figure).low for p in view.parts) == whole.low
        highs = [getattr(p, figure).high for p in view.parts]
        assert (None if None in highs else sum(highs)) == whole.high
    assert sum(p.params for p in view.parts) == audited.weights.params
    assert sum(p.nodes for p in view.parts) == audited.flow.running
    assert set(view.part_of) == set(range(len(audited.graph.nodes)))
    for name in PARTS:  # no block holds what the totals do not
        inside = [p for b in view.blocks for p in b.parts if p.name == name]
        (total,) = (p for p in view.parts if p.name == name)
        assert sum(p.macs.low for p in inside) <= total.macs.low
        assert sum(p.params for p in inside) <= total.params
    return view


def macs(found: Transformer | Block) -> dict[str, int | None]:
    return {p.name: p.macs.value for p in found.parts if p.macs.high != 0}


def params(found: Transformer | Block) -> dict[str, int]:
    return {p.name: p.params for p in found.parts if p.params}


# ---- BERT, however it is spelled: https://arxiv.org/abs/1810.04805, 12 layers of 768 over 512 tokens
BERT_BLOCK = {
    "qkv": 905_969_664,
    "scores": 201_326_592,
    "values": 201_326_592,
    "output": 301_989_888,
    "ffn": 2_415_919_104,
}


def test_bert_base() -> None:
    view = checked(examine("sample:bert-base", Given(dims={"batch": 1, "sequence": 512})))
    ((count, one),) = runs(view.blocks)
    assert count == len(view.blocks) == 12
    assert macs(one) == BERT_BLOCK
    assert (one.tokens, one.kv_tokens, one.windows, one.heads, one.kv_heads, one.head_size) == (512, 512, 1, 12, 12, 64)
    assert (one.width, one.ffn_width, one.attention, one.over, one.operator) == (768, 3072, "self", "tokens", "")
    assert params(one) == {"qkv": 1_771_776, "output": 590_592, "ffn": 4_722_432, "norm": 3072}
    assert params(view)["embedding"] == (30522 + 512 + 2) * 768
    assert params(view)["norm"] == 25 * 2 * 768
    assert macs(view)["head"] == 768 * 768  # the pooler
    assert view.why == "" and view.patches is None


SPELLINGS = {
    "onnx": (spelled.onnx_attention, "Attention"),
    "microsoft": (spelled.microsoft_attention, "Attention"),
    "multi-head": (spelled.multi_head, "MultiHeadAttention"),
    "packed": (packed, ""),
    "keys first": (spelled.keys_first, ""),
    "exponentials": (spelled.exponentials, ""),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_every_spelling_of_bert_base(name: str, tmp_path: Path) -> None:
    attend, operator = SPELLINGS[name]
    view = found_in(post_norm(attend, 12, 768, 12, 512), tmp_path)
    ((count, one),) = runs(view.blocks)
    assert count == 12 and macs(one) == BERT_BLOCK
    assert (one.tokens, one.kv_tokens, one.heads, one.kv_heads, one.head_size) == (512, 512, 12, 12, 64)
    assert (one.width, one.ffn_width, one.attention, one.operator) == (768, 3072, "self", operator)
    assert params(one) == {"qkv": 1_771_776, "output": 590_592, "ffn": 4_722_432, "norm": 3072}


@settings(max_examples=20, deadline=None)
@given(
    heads=st.integers(1, 4),
    size=st.sampled_from((8, 12)),
    n=st.integers(2, 40),
    layers=st.integers(1, 3),
    spelling=st.sampled_from(sorted(SPELLINGS)),
)
def test_sizes_by_hand(
    heads: int, size: int, n: int, layers: int, spelling: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """12 N d^2 + 2 N^2 d a layer, split as the textbooks do, whatever the sizes."""
    d = heads * size
    attend, _ = SPELLINGS[spelling]
    view = found_in(post_norm(attend, layers, d, heads, n), tmp_path_factory.mktemp("bert"))
    assert len(view.blocks) == layers
    for one in view.blocks:
        products = {"scores": n * n * d, "values": n * n * d}
        assert macs(one) == {"qkv": 3 * n * d * d, "output": n * d * d, "ffn": 8 * n * d * d, **products}
        assert (one.tokens, one.kv_tokens, one.heads, one.head_size, one.width) == (n, n, heads, size, d)


# ---- the worked examples of one block: N = 512, d = 768, no biases
def test_shares_of_a_block(tmp_path: Path) -> None:
    view = found_in(block(768, 12, 512), tmp_path)
    share = {p.name: p.macs_share for p in view.parts}
    assert share["qkv"] == 0.225 and share["output"] == 0.075 and share["ffn"] == 0.6
    assert share["scores"] == share["values"] == 0.05
    held = {p.name: p.params_share for p in view.parts}
    assert held["ffn"] == pytest.approx(2 / 3) and held["qkv"] == 0.25
    assert params(view) == {"qkv": 1_769_472, "output": 589_824, "ffn": 4_718_592}
    assert macs(view)["qkv"] == 905_969_664 and macs(view)["ffn"] == 2_415_919_104


def test_a_wider_block(tmp_path: Path) -> None:
    found = macs(found_in(block(1024, 16, 512), tmp_path))
    assert (found["scores"] or 0) + (found["values"] or 0) == 536_870_912
    assert sum(v or 0 for v in found.values()) == 6_979_321_856


def test_gpt2(tmp_path: Path) -> None:
    """124,439,808 parameters, the head tied to the embedding."""
    view = found_in(gpt2(768, 12, 12, 64), tmp_path)
    assert len(view.blocks) == 12
    assert {b.ffn_width for b in view.blocks} == {3072}
    assert macs(view)["head"] == 64 * 768 * 50257
    held = params(view)
    assert held["embedding"] == (50257 + 1024) * 768
    assert held["norm"] == 25 * 2 * 768


def test_formulas_cross_where_the_textbooks_say() -> None:
    """Attention overtakes the feed-forward part at N = 4 d and all projections at N = 6 d."""
    formulas = part_formulas(examine("sample:bert-base"))
    assert formulas is not None
    assert {part: dims.text(formulas[part]) for part in ("qkv", "scores", "values", "output", "ffn")} == {
        "qkv": "21233664*batch*sequence",
        "scores": "9216*batch*sequence**2",
        "values": "9216*batch*sequence**2",
        "output": "7077888*batch*sequence",
        "ffn": "56623104*batch*sequence",
    }

    def at(n: int, *parts: str) -> int:
        assert formulas is not None
        return sum(dims.evaluate(formulas[part], {"batch": 1, "sequence": n}) or 0 for part in parts)

    attention, weights = ("scores", "values"), ("qkv", "output", "ffn")
    assert at(4 * 768, *attention) == at(4 * 768, "ffn") and at(4 * 768 - 1, *attention) < at(4 * 768 - 1, "ffn")
    assert at(6 * 768, *attention) == at(6 * 768, *weights) and at(6 * 768 + 1, *attention) > at(6 * 768 + 1, *weights)


def test_formulas_of_a_fused_operator(tmp_path: Path) -> None:
    model = post_norm(spelled.microsoft_attention, 2, D, HEADS, TOKENS)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "n"
    formulas = part_formulas(opened(model, tmp_path))
    assert formulas is not None
    assert dims.text(formulas["qkv"]) == f"{2 * 3 * D * D}*n"
    assert dims.text(formulas["scores"]) == dims.text(formulas["values"]) == f"{2 * D}*n**2"


def test_no_formulas_without_open_dims(tmp_path: Path) -> None:
    assert part_formulas(opened(block(D, HEADS, TOKENS), tmp_path)) is None


# ---- other layers
def test_decoder_with_grouped_queries() -> None:
    view = checked(examine("sample:decoder-gqa"))
    ((count, one),) = runs(view.blocks)
    assert (count, one.heads, one.kv_heads, one.head_size, one.width, one.ffn_width) == (2, 4, 2, 16, 64, 172)
    assert one.tokens == 128 and one.kv_tokens == 256 and one.attention == "self"
    assert macs(one)["qkv"] == 128 * 64 * (64 + 2 * 32)
    assert macs(one)["ffn"] == 3 * 128 * 64 * 172
    assert macs(view)["head"] == 128 * 64 * 512
    assert params(one)["norm"] == 2 * 64 and params(view)["norm"] == 5 * 64


def test_decoder_7b() -> None:
    view = checked(examine("sample:decoder-7b"))
    ((count, one),) = runs(view.blocks)
    assert (count, one.heads, one.kv_heads, one.head_size, one.width, one.ffn_width) == (32, 32, 32, 128, 4096, 11008)
    held = params(view)
    assert held["embedding"] == held["head"] == 32000 * 4096
    assert held["norm"] == 65 * 4096
    assert held["ffn"] == 32 * 3 * 4096 * 11008


@pytest.mark.parametrize("kv_heads", (1, 2, 4))
def test_repeated_key_heads(kv_heads: int, tmp_path: Path) -> None:
    (one,) = found_in(spelled.grouped(kv_heads), tmp_path).blocks
    assert (one.heads, one.kv_heads, one.head_size, one.ffn_width) == (HEADS, kv_heads, D // HEADS, 3 * D)
    assert macs(one)["qkv"] == TOKENS * D * (D + 2 * kv_heads * D // HEADS)
    assert macs(one)["ffn"] == 9 * TOKENS * D * D
    assert params(one)["norm"] == 2 * D  # the third norm is behind the block


def test_parallel_layers(tmp_path: Path) -> None:
    view = found_in(spelled.parallel(), tmp_path)
    assert [macs(b)["ffn"] for b in view.blocks] == [8 * TOKENS * D * D] * 2
    assert macs(view)["qkv"] == 2 * 3 * TOKENS * D * D and "other" not in macs(view)


def test_cross_attention(tmp_path: Path) -> None:
    source = 33
    view = found_in(spelled.encoder_decoder(source), tmp_path)
    assert [(b.attention, b.tokens, b.kv_tokens) for b in view.blocks] == [
        ("self", source, source),
        ("self", TOKENS, TOKENS),
        ("cross", TOKENS, source),
    ]
    first, second, third = (macs(b) for b in view.blocks)
    assert third["qkv"] == (TOKENS + 2 * source) * D * D
    assert third["scores"] == third["values"] == TOKENS * source * D
    assert "ffn" not in second and first["ffn"] == 8 * source * D * D and third["ffn"] == 8 * TOKENS * D * D


def test_mixture_of_experts(tmp_path: Path) -> None:
    (one,) = found_in(spelled.experts(), tmp_path).blocks
    assert macs(one)["ffn"] == TOKENS * 2 * D * 4 * D + TOKENS * D * 8  # two experts of width 2 d, and the router
    assert one.ffn_width == 2 * D
    assert params(one)["ffn"] == 8 * 4 * D * D + 8 * D


def test_layers_in_functions(tmp_path: Path) -> None:
    plain = found_in(block(D, HEADS, TOKENS), tmp_path)
    view = found_in(spelled.in_functions(3), tmp_path)
    assert len(view.blocks) == 3
    assert [macs(b) for b in view.blocks] == [macs(plain)] * 3
    assert params(view)["ffn"] == 3 * 8 * D * D and params(view)["qkv"] == 3 * 3 * D * D
    assert {b.heads for b in view.blocks} == {HEADS}


def test_a_layer_in_a_loop(tmp_path: Path) -> None:
    """Costs as often as it runs; its parameters are there once; the view says so."""
    plain = found_in(block(D, HEADS, TOKENS), tmp_path)
    view = found_in(spelled.in_a_loop(5), tmp_path)
    assert macs(view) == {part: 5 * (n or 0) for part, n in macs(plain).items()}
    assert params(view)["ffn"] == 8 * D * D
    assert "run 5 times" in view.why


def test_attention_in_a_branch_is_not_split(tmp_path: Path) -> None:
    view = found_in(spelled.in_branches(), tmp_path)
    assert view.blocks == () and "is not split" in view.why
    (other,) = (p for p in view.parts if p.name == "other")
    assert other.macs.low == 0 and other.macs.high == 4 * TOKENS * D * D + 2 * TOKENS * TOKENS * D
    assert other.macs.why


def test_many_calls_of_one_function_stay_quick(tmp_path: Path) -> None:
    start = time.perf_counter()
    view = found_in(spelled.in_functions(400), tmp_path)
    assert len(view.blocks) == 400
    assert time.perf_counter() - start < 20


@pytest.mark.parametrize("kv_heads", (1, 2, 4))
def test_grouped_query_operator(kv_heads: int, tmp_path: Path) -> None:
    past, head = 30, D // HEADS
    (one,) = found_in(spelled.grouped_query(kv_heads, past), tmp_path).blocks
    assert (one.operator, one.heads, one.kv_heads, one.head_size) == ("GroupQueryAttention", HEADS, kv_heads, head)
    assert (one.tokens, one.kv_tokens) == (TOKENS, past + TOKENS)
    assert macs(one)["scores"] == macs(one)["values"] == TOKENS * (past + TOKENS) * D
    assert macs(one)["qkv"] == TOKENS * D * (D + 2 * kv_heads * head)


@pytest.mark.parametrize(("head", "v_head"), ((8, 8), (6, 15), (16, 4)))
def test_fused_projections_and_other_value_heads(head: int, v_head: int, tmp_path: Path) -> None:
    """Batch 2; the operator's MACs split exactly by its three weight blocks and its two head sizes."""
    (one,) = found_in(spelled.valued(head, v_head), tmp_path).blocks
    pairs = 2 * HEADS * TOKENS * TOKENS
    assert macs(one) == {
        "qkv": 2 * TOKENS * D * HEADS * (2 * head + v_head),
        "scores": pairs * head,
        "values": pairs * v_head,
        "output": 2 * TOKENS * HEADS * v_head * D,
    }
    assert (one.heads, one.head_size, one.tokens, one.kv_tokens, one.width) == (HEADS, head, TOKENS, TOKENS, D)
    assert params(one)["qkv"] == (D + 1) * HEADS * (2 * head + v_head)


# ---- what is no transformer
@pytest.mark.parametrize("name", ("resnet50", "mobilenetv2", "lstm", "unet", "kws-int8", "alexnet", "control-flow"))
def test_no_attention(name: str) -> None:
    assert transformer(examine(f"sample:{name}")) is None


def test_scores_that_are_no_product(tmp_path: Path) -> None:
    """Pooling by learned weights: a softmax over a projection weighs the values. Said, not counted as a block."""
    net = Net()
    x = net.input(1, TOKENS, D)
    scores = net.transpose(net.linear(x, 1), 0, 2, 1)
    pooled = net.matmul(net.unary("Softmax", scores, axis=-1), x)
    view = found_in(net.model(net.linear(pooled, 10)), tmp_path)
    assert view.blocks == ()
    assert "no product of two activations: 1" in view.why


def test_runs_keep_apart_what_differs(tmp_path: Path) -> None:
    view = found_in(encoder(3, D, HEADS, TOKENS), tmp_path)
    ((count, _),) = runs(view.blocks)
    assert count == 3
    wider = found_in(encoder(1, D, 2 * HEADS, TOKENS), tmp_path)
    assert [count for count, _ in runs((*view.blocks, *wider.blocks, *view.blocks))] == [3, 1, 3]
    assert runs(()) == []


def test_a_thousand_layers_take_seconds(tmp_path: Path) -> None:
    """Time grows with the nodes: ten times the layers, no more than some twenty times the time."""

    def seconds(layers: int) -> float:
        audited = opened(encoder(layers, 8, 2, 4), tmp_path)
        start = time.perf_counter()
        view = transformer(audited)
        assert view is not None and len(view.blocks) == layers
        return time.perf_counter() - start

    few, many = seconds(100), seconds(1000)
    assert many < max(20 * few, 10)


@pytest.mark.parametrize("sums", (3000,))
def test_long_branches_are_bounded(sums: int, tmp_path: Path) -> None:
    """Every sum reaches back to the first tensor: the search is given up, and the view says so."""
    net = Net()
    first = net.input(1, 4, 8)
    x = net.relu(net.linear(first, 8))
    x = skip = net.add(x, spelled.self_attention(net, x, 2))
    for _ in range(sums):
        x = net.add(net.relu(x), skip)
    start = time.perf_counter()
    view = found_in(net.model(x), tmp_path)
    assert "given up" in view.why and len(view.blocks) == 1
    assert time.perf_counter() - start < 30


NAMES = ("x", "y", "w", "c")
OPS = ("MatMul", "Softmax", "Add", "Mul", "Transpose", "Einsum", "Attention", "Div", "Exp", "Conv", "Gemm", "Sqrt")
FUSED_OPS = ("Attention", "MultiHeadAttention", "GroupQueryAttention", "QAttention", "MoE", "DecoderAttention")


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_the_graph(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random nodes on random inputs, most of them nonsense: nothing raises, and the parts stay a partition."""
    names, nodes = list(NAMES), []
    for i in range(data.draw(st.integers(1, 14))):
        foreign = data.draw(st.booleans())
        op = data.draw(st.sampled_from(FUSED_OPS if foreign else OPS))
        inputs = data.draw(st.lists(st.sampled_from((*names, "")), min_size=1, max_size=7))
        attrs = {"num_heads": data.draw(st.integers(0, 4))} if foreign else {}
        if op == "Einsum":
            attrs = {"equation": data.draw(st.sampled_from(("ij,jk->ik", "bij,bkj->bik", "...i,ij", "?")))}
        domain = "com.microsoft" if foreign else ""
        nodes.append(helper.make_node(op, inputs, [f"t{i}"], domain=domain, **attrs))
        names.append(f"t{i}")
    shapes = ([1, 8, 8], [8, 8], [8, 24], [2, 4, 8, 8])
    inputs = [helper.make_tensor_value_info(n, 1, data.draw(st.sampled_from(shapes))) for n in NAMES[:2]]
    weights = [helper.make_tensor(n, 1, [8, 8], [0.5] * 64) for n in NAMES[2:]]
    out = [helper.make_empty_tensor_value_info(n) for n in {names[-1], data.draw(st.sampled_from(names[4:]))}]
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "nonsense", inputs, out, weights)
    path = tmp_path_factory.mktemp("nonsense") / "model.onnx"
    save_model(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    audited = examine(path)
    if transformer(audited) is not None:
        checked(audited)


# ---- real graphs
MINI = {"qkv": 25_165_824, "scores": 4_194_304, "values": 4_194_304, "output": 8_388_608, "ffn": 67_108_864}


def corpus(pattern: str) -> list[Path]:
    return sorted((CORPUS / "models").glob(pattern)) if CORPUS is not None else []


@needs_corpus
@pytest.mark.parametrize("path", corpus("bert_mini_128*"), ids=lambda p: p.name)
def test_every_export_of_bert_mini(path: Path) -> None:
    """Two exporters, opsets 11 to 23, every quantization: the same four blocks."""
    view = checked(examine(path))
    ((count, one),) = runs(view.blocks)
    assert count == 4 and macs(one) == MINI
    assert (one.tokens, one.kv_tokens, one.heads, one.head_size, one.width, one.ffn_width) == (
        128,
        128,
        4,
        64,
        256,
        1024,
    )
    assert one.attention == "self" and params(one) == {"qkv": 197_376, "output": 65_792, "ffn": 525_568, "norm": 1024}
    assert 30522 * 256 <= params(view)["embedding"] <= (30522 + 512 + 2) * 256
    assert "other" not in macs(view) and "head" not in macs(view)


# published depth (class attention and fusion included), windows x tokens, keys, heads of the first and the last block
KNOWN: dict[str, tuple[int, tuple[int, int, int, int], tuple[int, int, int, int]]] = {
    "beit_base_patch16_224.ts.op17": (12, (1, 197, 197, 12), (1, 197, 197, 12)),
    "cait_xxs24_224.ts.op17": (26, (1, 196, 196, 4), (1, 1, 197, 4)),
    "clip_text_b32.dynamo.op18": (4, (1, 77, 77, 8), (1, 77, 77, 8)),
    "coatnet_0_rw_224.ts.op17": (9, (1, 196, 196, 6), (1, 49, 49, 24)),
    "crossvit_tiny_240.ts.op17": (21, (1, 401, 401, 3), (1, 1, 401, 3)),
    "deit_tiny_distilled_patch16_224.ts.op17": (12, (1, 198, 198, 3), (1, 198, 198, 3)),
    "efficientvit_m0.ts.op17": (6, (4, 49, 49, 4), (1, 16, 16, 4)),
    "einsum_attn.dynamo.op18": (1, (1, 50, 50, 4), (1, 50, 50, 4)),
    "einsum_attn.ts.op17": (1, (1, 50, 50, 4), (1, 50, 50, 4)),
    "eva02_tiny_patch14_224.ts.op17": (12, (1, 257, 257, 3), (1, 257, 257, 3)),
    "gpt2_mini_64.dynamo.op18": (4, (1, 64, 64, 3), (1, 64, 64, 3)),
    "gpt2_mini_64.dynamo.op18.dynseq": (4, (1, 128, 128, 3), (1, 128, 128, 3)),
    "gpt2_mini_past31.dynamo.op18": (4, (1, 1, 32, 3), (1, 1, 32, 3)),
    "gpt2_mini_past31.ts.op17": (4, (1, 1, 32, 3), (1, 1, 32, 3)),
    "gpt2_small_64.dynamo.op18": (12, (1, 64, 64, 12), (1, 64, 64, 12)),
    "hiera_tiny_224.ts.op17": (12, (49, 64, 64, 1), (1, 49, 49, 8)),
    "levit_128s.ts.op17": (11, (1, 196, 196, 4), (1, 16, 16, 8)),
    "mobilevit_s.ts.op17": (9, (4, 256, 256, 4), (4, 16, 16, 4)),
    "nest_tiny.ts.op17": (12, (16, 196, 196, 3), (1, 196, 196, 12)),
    "nextvit_small.ts.op17": (4, (1, 784, 49, 6), (1, 49, 49, 24)),
    "pvt_v2_b0.ts.op17": (8, (1, 3136, 49, 1), (1, 49, 49, 8)),
    "swin_tiny_patch4_window7_224.dynamo.op18": (12, (64, 49, 49, 3), (1, 49, 49, 24)),
    "swin_tiny_patch4_window7_224.ts.op17": (12, (64, 49, 49, 3), (1, 49, 49, 24)),
    "tnt_s_patch16_224.ts.op17": (24, (196, 16, 16, 4), (1, 197, 197, 6)),
    "twins_pcpvt_small.ts.op17": (16, (1, 3136, 49, 1), (1, 49, 49, 8)),
    "visformer_tiny.ts.op17": (8, (1, 196, 196, 3), (1, 49, 49, 3)),
    "whisper_tiny_encoder.dynamo.op18": (4, (1, 1500, 1500, 6), (1, 1500, 1500, 6)),
    "whisper_tiny_encoder.ts.op17": (4, (1, 1500, 1500, 6), (1, 1500, 1500, 6)),
}


@needs_corpus
@pytest.mark.parametrize("name", KNOWN)
def test_published_architectures(name: str) -> None:
    depth, first, last = KNOWN[name]
    assert CORPUS is not None
    view = checked(examine(CORPUS / "models" / f"{name}.onnx"))
    assert len(view.blocks) == depth
    for one, expected in ((view.blocks[0], first), (view.blocks[-1], last)):
        assert (one.windows, one.tokens, one.kv_tokens, one.heads) == expected
        assert one.over == "tokens" and one.attention == "self"
        assert {"qkv", "scores", "values", "output"} <= set(macs(one))


# patch, grid, extra tokens
PATCHES = {
    "beit_base_patch16_224.ts.op17": (16, 14, 1),
    "cait_xxs24_224.ts.op17": (16, 14, 0),
    "deit_tiny_distilled_patch16_224.ts.op17": (16, 14, 2),
    "eva02_tiny_patch14_224.ts.op17": (14, 16, 1),
    "swin_tiny_patch4_window7_224.ts.op17": (4, 56, 0),
    "twins_pcpvt_small.ts.op17": (4, 56, 0),
}


@needs_corpus
@pytest.mark.parametrize("name", PATCHES)
def test_patches(name: str) -> None:
    size, side, extra = PATCHES[name]
    assert CORPUS is not None
    cut = checked(examine(CORPUS / "models" / f"{name}.onnx")).patches
    assert cut is not None
    assert cut.kernel == cut.stride == (size, size) and cut.grid == (side, side) and cut.extra == extra
    assert cut.tokens == 224 * 224 // size**2 + extra


@needs_corpus
def test_channel_attention() -> None:
    """XCiT attends between the channels of a head (https://arxiv.org/abs/2106.09681); its last two blocks do not."""
    assert CORPUS is not None
    view = checked(examine(CORPUS / "models" / "xcit_nano_12_p8_224.ts.op17.onnx"))
    (n, one), (m, two) = runs(view.blocks)
    assert (n, one.over, one.heads, one.head_size, one.tokens) == (12, "channels", 4, 32, 784)
    assert macs(one)["scores"] == 4 * 32 * 32 * 784
    assert (m, two.over, two.tokens, two.kv_tokens) == (2, "tokens", 1, 785)


@needs_corpus
@pytest.mark.parametrize("path", corpus("*.onnx"), ids=lambda p: p.name)
def test_partition_of_every_graph(path: Path) -> None:
    """Whatever the graph: the parts add up to it, and only graphs with a softmax or attention have any."""
    audited = examine(path)
    view = transformer(audited)
    ops = {node.op for node in audited.graph.nodes}
    if view is not None:
        checked(audited)
        assert any("Softmax" in op or "Attention" in op for op in ops)
    elif any(kind == "attention-scores" for kind in audited.kinds.values()):
        pytest.fail("attention was seen by its products and not by the view")


Build = Callable[[], ModelProto]
FUSED: dict[str, Build] = {
    name: partial(post_norm, attend, 1, D, HEADS, TOKENS) for name, (attend, _) in SPELLINGS.items()
}


@pytest.mark.parametrize("name", FUSED)
def test_every_node_of_a_layer_has_its_part(name: str, tmp_path: Path) -> None:
    """Norms are norms, the softmax is scores, the activation is feed-forward; nothing is left over."""
    audited = opened(FUSED[name](), tmp_path)
    view = checked(audited)
    part = {i: view.part_of[i] for i in range(len(audited.graph.nodes))}
    expected = {"LayerNormalization": "norm", "Softmax": "scores", "Gelu": "ffn", "Gather": "embedding"}
    for i, node in enumerate(audited.graph.nodes):
        if node.op in expected:
            assert part[i] == expected[node.op], node.label
    assert "other" not in part.values() and "head" not in part.values()
