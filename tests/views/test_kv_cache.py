"""The cache of keys and values: what the view says against what ONNX Runtime hands back, on every layout."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, save_model

from effaudit import dims
from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.load import Given
from effaudit.views.kv_cache import KVCache, kv_cache
from effaudit.views.kv_cache.named import is_cache_name, is_cross_name
from tests.corpus.score import folder
from tests.examples.blocks import products

from . import caches
from .transformers import in_a_loop

CORPUS = folder()
needs_corpus = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
SIZES = {"batch": 2, "new": 3, "past": 5}


def opened(model: ModelProto, folder: Path, **sizes: int) -> Audited:
    path = folder / "model.onnx"
    save_model(model, path)
    return examine(path, Given(sizes))


def cache_of(model: ModelProto, folder: Path, sizes: dict[str, int] | None = None, **asked: Any) -> KVCache:
    found = kv_cache(opened(model, folder, **(SIZES if sizes is None else sizes)), **asked)
    assert found is not None
    return found


def exact(found: KVCache) -> tuple[int | None, ...]:
    past, present = found.past_bytes, found.present_bytes
    return found.token_bytes.value, past and past.value, present and present.value


# ---- what the runtime hands back
RUNNABLE: dict[str, tuple[Callable[[], ModelProto], int]] = {  # with bytes per token of one sequence
    "MHA": (partial(caches.decoder, heads=4, kv_heads=4), 2 * 2 * 4 * 8 * 4),
    "GQA": (partial(caches.decoder, heads=4, kv_heads=2), 2 * 2 * 2 * 8 * 4),
    "MQA": (partial(caches.decoder, heads=4, kv_heads=1), 2 * 2 * 1 * 8 * 4),
    "wider values": (partial(caches.decoder, v_size=16), 2 * 2 * (8 + 16) * 4),
    "turned after the cache": (partial(caches.decoder, rotated=True, names="in_{}_{}"), 2 * 2 * 2 * 8 * 4),
    "int8": (caches.eight_bits, 2 * 4 * 8 * 1),
    "keys transposed": (partial(caches.decoder, layout="bhds"), 2 * 2 * 2 * 8 * 4),
    "length before heads": (partial(caches.decoder, layout="bshd"), 2 * 2 * 2 * 8 * 4),
    "keys and values in one": (partial(caches.decoder, layout="combined"), 2 * 2 * 2 * 8 * 4),
    "all layers in one": (caches.stacked, 3 * 2 * 4 * 8 * 4),
    "two layers on one cache": (caches.shared_by_layers, 2 * 4 * 8 * 4),
    "no past": (partial(caches.decoder, layout="none"), 2 * 2 * 2 * 8 * 4),
    "in a function": (caches.called, 2 * 2 * 8 * 4),
    "no usual names": (partial(caches.decoder, names="in_{}_{}"), 2 * 2 * 2 * 8 * 4),
    "latents": (caches.latent, 16 * 4),
    "MultiHeadAttention": (partial(caches.fused, "MultiHeadAttention"), 2 * 4 * 8 * 4),
    "Attention with projections": (partial(caches.fused, "PackedAttention"), 2 * 4 * 8 * 4),
    "Attention": (partial(caches.fused, "Attention", kv_heads=2), 2 * 2 * 8 * 4),
    "ScatterND": (partial(caches.static, "ScatterND"), 2 * 4 * 8 * 4),
    "ScatterElements": (partial(caches.static, "ScatterElements"), 2 * 4 * 8 * 4),
}


def run(audited: Audited) -> tuple[int, int]:
    """Bytes of the caches fed and handed back in one real step."""
    ort = pytest.importorskip("onnxruntime")
    options = ort.SessionOptions()
    options.log_severity_level = 4
    session = ort.InferenceSession(audited.name, options, providers=["CPUExecutionProvider"])
    feeds = {}
    for name in audited.graph.inputs:
        value = audited.graph.values[name]
        feeds[name] = np.zeros(value.shape, value.encoding.dtype)
    fed = sum(a.nbytes for name, a in feeds.items() if name not in ("x", "at"))
    handed = session.run(None, feeds)
    names = [output.name for output in session.get_outputs()]
    return fed, sum(a.nbytes for name, a in zip(names, handed, strict=True) if name not in ("y", "out.y"))


@pytest.mark.parametrize("kind", RUNNABLE)
def test_what_a_step_hands_back(kind: str, tmp_path: Path) -> None:
    build, per_token = RUNNABLE[kind]
    model = build()
    named = {dim.dim_param for i in model.graph.input for dim in i.type.tensor_type.shape.dim}
    past = {"past_length": 5} if kind == "latents" else {}
    audited = opened(model, tmp_path, **{k: v for k, v in (SIZES | past).items() if k in named})
    found = kv_cache(audited)
    assert found is not None
    fed, handed = run(audited)
    assert exact(found) == (per_token, fed or None, handed)
    assert found.cached and found.bytes.value == handed  # without a window, all of it is kept


def test_grouped_query_attention_runs(tmp_path: Path) -> None:
    """How long the present is, is fed: the past buffer is known, the present from below."""
    ort = pytest.importorskip("onnxruntime")
    audited = opened(caches.grouped(layers=2), tmp_path, batch=2, past=7)
    found = kv_cache(audited)
    assert found is not None
    session = ort.InferenceSession(audited.name, providers=["CPUExecutionProvider"])
    past = np.zeros((2, 2, 7, 8), np.float32)
    feeds = {"x": np.zeros((2, 1, 32), np.float32), "seqlens_k": np.full(2, 7, np.int32)}
    feeds |= {"total_sequence_length": np.array(8, np.int32)}
    feeds |= {f"past_key_values.{i}.{p}": past for i in range(2) for p in ("key", "value")}
    handed = sum(a.nbytes for a in session.run(None, feeds)[1:])
    assert found.past_bytes is not None and found.past_bytes.value == 4 * past.nbytes
    assert found.present_bytes is not None
    assert found.present_bytes.low <= handed and found.present_bytes.value is None and found.present_bytes.why
    eight = kv_cache(audited, context=8)
    assert eight is not None and eight.bytes.value == handed


# ---- kinds, sizes, windows
@pytest.mark.parametrize(("kv_heads", "kind", "ratio"), [(4, "MHA", 1.0), (2, "GQA", 2.0), (1, "MQA", 4.0)])
def test_kinds(kv_heads: int, kind: str, ratio: float, tmp_path: Path) -> None:
    found = cache_of(caches.decoder(3, 4, kv_heads, 8), tmp_path)
    assert [(x.kind, x.heads, x.kv_heads, x.key_size, x.value_size) for x in found.layers] == [
        (kind, 4, kv_heads, 8, 8)
    ] * 3
    assert found.mha_ratio == ratio and not found.cross


@pytest.mark.parametrize("layout", ["bhsd", "bhds", "bshd", "combined"])
def test_formulas(layout: str, tmp_path: Path) -> None:
    found = kv_cache(opened(caches.decoder(layout=layout), tmp_path))
    assert found is not None and found.past_formula is not None and found.present_formula is not None
    assert dims.text(found.past_formula) == "256*batch*past"
    assert found.formula == found.past_formula
    at = {"batch": 3, "past": 100, "new": 7}
    assert dims.evaluate(found.present_formula, at) == 256 * 3 * 107


@given(
    st.integers(1, 3),
    st.sampled_from([(4, 4), (4, 2), (4, 1), (6, 3)]),
    st.integers(1, 5).map(lambda n: 4 * n),
    st.integers(1, 10**6),
    st.integers(1, 64),
    st.sampled_from([("fp32", 32), ("fp16", 16), ("int8", 8), ("int4", 4), ("bfloat16", 16)]),
    st.none() | st.integers(1, 10**5),
)
@settings(max_examples=25)
def test_the_formula_holds(
    tmp_path_factory: pytest.TempPathFactory,
    layers: int,
    heads: tuple[int, int],
    size: int,
    context: int,
    batch: int,
    dtype: tuple[str, int],
    window: int | None,
) -> None:
    """2 x batch x layers x key heads x size x min(tokens, window) x bits / 8"""
    model = caches.decoder(layers, *heads, size)
    found = cache_of(model, tmp_path_factory.mktemp("m"), context=context, batch=batch, dtype=dtype[0], window=window)
    tokens = min(context, window or context)
    assert found.bytes.value == -(-2 * batch * layers * heads[1] * size * tokens * dtype[1] // 8)
    assert found.token_bytes.value == -(-2 * layers * heads[1] * size * dtype[1] // 8)
    assert (found.tokens, found.batch) == (context, batch)


@pytest.mark.parametrize(
    ("model", "sizes"),
    [
        (partial(caches.grouped, window=16), {"batch": 1, "past": 40}),
        (partial(caches.fused, "Attention", kv_heads=2, left_window_size=15, is_causal=1), SIZES | {"batch": 1}),
    ],
    ids=["local_window_size", "left_window_size"],
)
def test_sliding_windows(model: Callable[[], ModelProto], sizes: dict[str, int], tmp_path: Path) -> None:
    """The window counts the query's own position; it bounds the cache, whatever buffer the file declares."""
    audited = opened(model(), tmp_path, **sizes)
    figures = {}
    for context in (10, 16, 17, 1000):
        found = kv_cache(audited, context=context)
        assert found is not None and found.layers[0].window == 16
        figures[context] = found.bytes.value
    each = 2 * 2 * 8 * 4
    assert figures == {10: 10 * each, 16: 16 * each, 17: 16 * each, 1000: 16 * each}
    other = kv_cache(audited, context=1000, window=20)
    assert other is not None and other.bytes.value == 20 * each


def test_elements_packed_in_bytes(tmp_path: Path) -> None:
    found = cache_of(caches.grouped(packed_bits=4), tmp_path, {"batch": 2, "past": 32})
    (layer,) = found.layers
    assert [(t.dtype, t.bits, t.elements) for t in layer.tensors] == [("uint8", 4, 16)] * 2
    assert (layer.key_size, layer.value_size) == (8, 8)
    assert found.past_bytes is not None and found.past_bytes.value == found.bytes.value == 2 * 32 * 16


# ---- encoders and decoders, bodies
def test_cross_attention_stands_apart(tmp_path: Path) -> None:
    found = cache_of(caches.seq_to_seq(), tmp_path, SIZES | {"encoder_length": 11}, context=100)
    assert [x.attention for x in found.layers] == ["self"] * 2
    assert [x.attention for x in found.cross] == ["cross"] * 2
    per_token = 2 * 2 * 4 * 8 * 4
    assert found.bytes.value == 2 * 100 * per_token
    assert found.cross_token_bytes is not None and found.cross_token_bytes.value == per_token
    assert found.cross_bytes is not None and found.cross_bytes.value == 2 * 11 * per_token  # the encoder's length


@pytest.mark.parametrize("branch", ["then_branch", "else_branch"])
def test_both_branches_of_a_merged_decoder(branch: str, tmp_path: Path) -> None:
    found = cache_of(caches.merged(cached_branch=branch), tmp_path)
    assert found.cached and [x.where.split(" / ")[0] for x in found.layers] == ["choice"] * 2
    assert [t.past for x in found.layers for t in x.tensors] == [
        f"past_key_values.{i}.{part}" for i in range(2) for part in ("key", "value")
    ]
    assert found.token_bytes.value == 256
    assert found.present_bytes is not None and found.present_bytes.bounds == [256 * 2 * 3, 256 * 2 * 8]


def test_a_loop_is_not_told(tmp_path: Path) -> None:
    found = cache_of(in_a_loop(3), tmp_path, {})
    assert found.token_bytes.value is None and "loop" in found.token_bytes.why
    assert found.bytes.value is None and not found.cached


def test_a_cache_that_serves_two_layers_counts_once(tmp_path: Path) -> None:
    first, second = cache_of(caches.shared_by_layers(), tmp_path).layers
    assert (first.token_bytes, second.token_bytes) == (256, 0)
    assert second.why == (
        "past.0.key is the cache of n13 too, and counted there; past.0.value is the cache of n13 too, and counted there"
    )


def test_pages_have_no_batch(tmp_path: Path) -> None:
    g = caches.Graph(caches.FLOAT16)
    x = g.input("x", ["tokens", 32])
    g.output("y")
    pages = [g.input(f"{p}_cache", [10, 16, 2, 8]) for p in ("key", "value")]
    fed = [g.input(n, d, 6) for n, d in (("cu", ["b1"]), ("past_seqlens", ["b"]), ("table", ["b", "blocks"]))]
    parts = [g.linear(x, 32, n) for n in (32, 16, 16)]
    outs = [g.output(f"{p}_cache_out") for p in ("key", "value")]
    attrs = {"num_heads": 4, "kv_num_heads": 2, "local_window_size": 24}
    g.node("PagedAttention", [*parts, *pages, *fed], ["y", *outs], domain=caches.MICROSOFT, **attrs)
    found = cache_of(g.model(), tmp_path, {"tokens": 4})
    assert found.token_bytes.value == 2 * 2 * 8 * 2
    assert found.past_bytes is not None and found.past_bytes.value == 10 * 16 * 64
    assert found.bytes.value is None and "sequences" in found.bytes.why
    asked = cache_of(g.model(), tmp_path, {"tokens": 4}, context=100, batch=3)
    assert asked.bytes.value == 3 * 24 * 64


def test_a_state_of_fixed_size(tmp_path: Path) -> None:
    g = caches.Graph()
    x = g.input("x", ["batch", "new", 32])
    state = g.input("past_state", ["batch", 4, 8, 8])
    q, k, v = (g.linear(x, 32, 32) for _ in "qkv")
    attrs = {"q_num_heads": 4, "kv_num_heads": 4, "update_rule": "linear"}
    outs = [g.output("y"), g.output("present_state")]
    g.node("LinearAttention", [q, k, v, state], outs, domain=caches.MICROSOFT, **attrs)
    found = cache_of(g.model(), tmp_path, {"batch": 2, "new": 3}, context=10**6)
    assert [x.kind for x in found.layers] == ["state"]
    assert found.token_bytes.value == 0 and found.state_bytes.value == 4 * 8 * 8 * 4
    assert found.past_bytes is not None and found.past_bytes.value == 2 * 4 * 8 * 8 * 4
    assert found.bytes.value == 2 * 4 * 8 * 8 * 4  # however long the context is


# ---- models without a cache
def test_what_a_cache_would_take() -> None:
    found = kv_cache(examine("sample:bert-base"))
    assert found is not None and not found.cached and found.past_bytes is found.present_bytes is None
    assert found.token_bytes.value == 12 * 2 * 768 * 4
    assert found.formula is not None and dims.text(found.formula) == "73728*batch*sequence"
    assert all(not t.past and not t.present for x in found.layers for t in x.tensors)


def test_grouped_keys_without_a_cache(tmp_path: Path) -> None:
    """Repeated key heads would be kept once."""
    model = caches.decoder(1, 4, 2, 8, layout="none", v_size=16)
    del model.graph.output[1:]
    found = kv_cache(opened(model, tmp_path))
    assert found is not None and not found.cached
    assert (found.layers[0].key_size, found.layers[0].value_size) == (8, 16)
    assert found.token_bytes.value == 2 * (8 + 16) * 4 and found.mha_ratio == 2.0
    assert found.formula is not None and dims.text(found.formula) == "192*batch*new"


def test_products_of_inputs_are_no_cache(tmp_path: Path) -> None:
    found = cache_of(products(64, 4, 10), tmp_path, {})
    assert not found.cached and not found.cross


def test_a_prefix_is_no_cache(tmp_path: Path) -> None:
    """Keys before the model's own that it does not hand back."""
    model = caches.decoder(1, names="prefix.{}.{}")
    del model.graph.output[1:]
    found = cache_of(model, tmp_path)
    assert not found.cached


@pytest.mark.parametrize("name", ["ic", "lstm", "mobilenetv2"])
def test_none_without_attention(name: str) -> None:
    assert kv_cache(examine(f"sample:{name}")) is None


@needs_corpus
@pytest.mark.parametrize(
    ("name", "reason"),
    [("swin_tiny_patch4_window7_224.ts.op17", "windows"), ("xcit_nano_12_p8_224.ts.op17", "channels")],
)
def test_unknown_with_the_reason(name: str, reason: str) -> None:
    assert CORPUS is not None
    found = kv_cache(examine(CORPUS / "models" / f"{name}.onnx"))
    assert found is not None and found.token_bytes.value is None and reason in found.token_bytes.why


# ---- real exports
@needs_corpus
def test_both_exporters_say_the_same() -> None:
    assert CORPUS is not None
    both = []
    for exporter in ("dynamo.op18", "ts.op17"):
        found = kv_cache(examine(CORPUS / "models" / f"gpt2_mini_past31.{exporter}.onnx"), context=1000)
        assert found is not None and found.cached and not found.cross
        assert [(x.kind, x.heads, x.key_size, x.attention) for x in found.layers] == [("MHA", 3, 64, "self")] * 4
        assert [t.past for x in found.layers for t in x.tensors] == [
            f"past.{i}.{part}" for i in range(4) for part in ("key", "value")
        ]
        both.append((*exact(found), found.bytes.value))
    assert both == [(6144, 6144 * 31, 6144 * 32, 6144 * 1000)] * 2


@needs_corpus
@pytest.mark.parametrize(
    ("name", "layers", "width"),
    [
        ("gpt2_small_64.dynamo.op18", 12, 768),
        ("whisper_tiny_encoder.dynamo.op18", 4, 384),
        ("whisper_tiny_encoder.ts.op17", 4, 384),
        ("bert_mini_128.dynamo.op18", 4, 256),
        ("bert_mini_128_sdpa.dynamo.op23", 4, 256),
        ("bert_mini_128.dynamo.op18.ortopt_ext", 4, 256),
    ],
)
def test_exports_without_a_cache(name: str, layers: int, width: int) -> None:
    assert CORPUS is not None
    found = kv_cache(examine(CORPUS / "models" / f"{name}.onnx"))
    assert found is not None and not found.cached
    assert found.token_bytes.value == layers * 2 * width * 4


# ---- options and names
@pytest.mark.parametrize("asked", [{"context": 0}, {"batch": -1}, {"window": 0}, {"dtype": "fp15"}, {"dtype": ""}])
def test_options_that_make_no_sense(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"^--(context|batch-size|kv-window|kv-dtype)[^\n]+$"):
        kv_cache(examine("sample:decoder-gqa"), **asked)


@pytest.mark.parametrize(
    ("name", "cache", "cross"),
    [
        ("past_key_values.0.key", True, False),
        ("past_key_values.11.decoder.value", True, False),
        ("past_key_values.11.encoder.value", True, True),
        ("past.3.key", True, False),
        ("past_0", True, False),
        ("past_key_self_0", True, False),
        ("past_key_cross_0", True, True),
        ("cache_k", True, False),
        ("k_cache", True, False),
        ("kv_cache.3", True, False),
        ("past_sequence_length", False, False),
        ("input_ids", False, False),
        ("cache_position", False, False),
        ("past_conv_state.0", False, False),
        ("use_cache_branch", False, False),
        ("keys", False, False),
    ],
)
def test_names(name: str, cache: bool, cross: bool) -> None:
    assert is_cache_name(name) is cache
    assert not cache or is_cross_name(name) is cross


def test_many_layers(tmp_path: Path) -> None:
    found = cache_of(caches.decoder(300, 2, 1, 2), tmp_path)
    assert len(found.layers) == 300 and found.token_bytes.value == 300 * 2 * 2 * 4


def test_functions_that_call_each_other_often(tmp_path: Path) -> None:
    """Ten calls of a function that calls another ten times, eight deep: 10^8 bodies that are not all looked at."""
    from onnx import helper

    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    body = [helper.make_node("Softmax", ["x"], ["y"])]
    functions = [helper.make_function("local", "f0", ["x"], ["y"], body, opsets)]
    for depth in range(1, 9):
        names = ["x", *(f"t{i}" for i in range(3)), "y"]
        calls = [helper.make_node(f"f{depth - 1}", [a], [b], domain="local") for a, b in pairwise(names)]
        functions.append(helper.make_function("local", f"f{depth}", ["x"], ["y"], calls, opsets))
    g = caches.Graph()
    x = g.input("x", [2, 2])
    g.node("f8", [g.node("MatMul", [x, x])], g.output("y"), domain="local")
    model = g.model()
    model.opset_import.append(opsets[1])
    model.functions.extend(functions)
    found = kv_cache(opened(model, tmp_path))
    assert found is None or found.token_bytes.value is None or not found.layers


def test_only_the_encoders_keys_are_given(tmp_path: Path) -> None:
    """Self attention that keeps nothing beside cross attention that does: what it would take is no silent zero."""
    g, d = caches.Graph(), 32
    x = g.input("x", ["batch", "new", d])
    g.output("y")
    q, k, v = (g.split(g.linear(x, d, d), 4, 8) for _ in "qkv")
    x = g.node("Add", [x, g.linear(g.merge(g.attend(q, k, v), d), d, d)])
    given_ = [g.input(f"encoder_{part}", ["batch", 4, "encoder_length", 8]) for part in ("key", "value")]
    q = g.split(g.linear(x, d, d), 4, 8)
    g.node("Add", [x, g.linear(g.merge(g.attend(q, *given_), d), d, d)], "y")
    found = cache_of(g.model(), tmp_path, {"batch": 1, "new": 3, "encoder_length": 7})
    assert not found.cached and [x.cached for x in (*found.layers, *found.cross)] == [False, True]
    assert found.token_bytes.value == 256 and found.cross_bytes is not None and found.cross_bytes.value == 7 * 256
