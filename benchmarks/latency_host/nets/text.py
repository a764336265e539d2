"""Transformers of text and sound."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from benchmarks.latency_host.nets.layers import INT64, conv_nd, floats, op, reshape, transpose
from benchmarks.sketch import Sketch
from benchmarks.zoo.attention import attention, feed_forward
from benchmarks.zoo.layers import FLOAT, activated, dense, finish, layer_norm, linear, result


@dataclass(frozen=True)
class Sizes:
    layers: int = 12
    width: int = 768
    heads: int = 12
    vocabulary: int = 30522

    @property
    def head(self) -> int:
        return self.width // self.heads


def bert(sizes: Sizes, tokens: int, *, segments: bool = True) -> Sketch:
    """https://arxiv.org/abs/1810.04805 up to its last layer; without segments https://arxiv.org/abs/1910.01108."""
    g, c = Sketch(), sizes
    names = ("input_ids", "attention_mask", *(("token_type_ids",) if segments else ()))
    ids, mask, *types = (g.input(name, INT64, [1, tokens]) for name in names)
    x = op(g, "Gather", [g.weight("embeddings.words", (c.vocabulary, c.width)), ids], "embeddings/words")
    for kinds in types:
        y = op(g, "Gather", [g.weight("embeddings.types", (2, c.width)), kinds], "embeddings/types")
        x = op(g, "Add", [x, y], "embeddings/types")
    x = op(g, "Add", [x, g.weight("embeddings.positions", (1, tokens, c.width))], "embeddings/positions")
    x = layer_norm(g, x, c.width, "embeddings.norm")
    kept = op(g, "Cast", [op(g, "Unsqueeze", [mask, g.integers(1, 2)], "mask")], "mask", to=FLOAT)
    bias = op(g, "Mul", [op(g, "Sub", [g.scalar(1.0), kept], "mask"), g.scalar(-10000.0)], "mask")
    for i in range(c.layers):
        at = f"layer.{i}"
        y = attention(g, x, c.width, c.heads, tokens, f"{at}.attention", bias)
        x = layer_norm(g, op(g, "Add", [y, x], at), c.width, f"{at}.norm1")
        y = feed_forward(g, x, c.width, 4 * c.width, at)
        x = layer_norm(g, op(g, "Add", [y, x], at), c.width, f"{at}.norm2")
    result(g, x, "hidden", [1, tokens, c.width])
    first = op(g, "Gather", ["hidden", g.scalar(0, INT64)], "pooler", axis=1)
    pooled = op(g, "Tanh", [dense(g, first, c.width, c.width, "pooler")], "pooler")
    result(g, pooled, "pooled", [1, c.width])
    return g


def gpt2(tokens: int, past: int, sizes: Sizes = Sizes(vocabulary=50257)) -> Sketch:
    """GPT-2 small, https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf:
    `tokens` at once after `past` whose keys and values are given. The head reads the embedding."""
    g, c = Sketch(), sizes
    ids = g.input("input_ids", INT64, [1, tokens])
    x = op(g, "Gather", [g.weight("wte", (c.vocabulary, c.width)), ids], "wte")
    x = op(g, "Add", [x, g.weight("wpe", (1, tokens, c.width))], "wpe")
    future = np.triu(np.full((tokens, past + tokens), -1e4), past + 1)
    mask = floats(g, "mask", future[None, None]) if tokens > 1 else ""
    for i in range(c.layers):
        at = f"h.{i}"
        y = _cached_attention(g, layer_norm(g, x, c.width, f"{at}.ln_1"), c, tokens, past, i, mask)
        x = op(g, "Add", [y, x], f"{at}/attn")
        y = layer_norm(g, x, c.width, f"{at}.ln_2")
        y = _tanh_gelu(g, _flat(g, y, c.width, 4 * c.width, tokens, f"{at}.fc"), f"{at}.act")
        x = op(g, "Add", [x, _flat(g, y, 4 * c.width, c.width, tokens, f"{at}.proj")], f"{at}/mlp")
    x = layer_norm(g, x, c.width, "ln_f")
    logits = op(g, "MatMul", [x, transpose(g, "wte", (1, 0), "lm_head/wte")], "lm_head")
    result(g, logits, "logits", [1, tokens, c.vocabulary])
    return g


def _flat(g: Sketch, x: str, fan_in: int, out: int, tokens: int, at: str) -> str:
    """A dense layer as Gemm between two Reshapes."""
    y = reshape(g, x, (-1, fan_in), f"{at}/in")
    y = op(g, "Gemm", [y, g.weight(f"{at}.weight", (fan_in, out)), g.weight(f"{at}.bias", (out,))], at)
    return reshape(g, y, (1, tokens, out), f"{at}/out")


def _tanh_gelu(g: Sketch, x: str, at: str) -> str:
    cube = op(g, "Mul", [op(g, "Pow", [x, g.scalar(3.0)], at), g.scalar(0.044715)], at)
    inner = op(g, "Mul", [op(g, "Add", [x, cube], at), g.scalar(math.sqrt(2 / math.pi))], f"{at}/inner")
    gate = op(g, "Add", [op(g, "Tanh", [inner], at), g.scalar(1.0)], f"{at}/gate")
    return op(g, "Mul", [op(g, "Mul", [x, g.scalar(0.5)], f"{at}/half"), gate], f"{at}/out")


def _cached_attention(g: Sketch, x: str, c: Sizes, tokens: int, past: int, layer: int, mask: str) -> str:
    at = f"h.{layer}.attn"
    joined = _flat(g, x, c.width, 3 * c.width, tokens, f"{at}.qkv")
    op(g, "Split", [joined, g.integers(c.width, c.width, c.width)], f"{at}/qkv", axis=2)
    names = [f"/{at}/{part}" for part in "qkv"]
    del g.nodes[-1].output[:]
    g.nodes[-1].output.extend(names)
    q, k, v = (
        transpose(g, reshape(g, name, (1, tokens, c.heads, c.head), name[1:]), (0, 2, 1, 3), name[1:]) for name in names
    )
    if past:
        k = _appended(g, k, c, tokens, past, f"past_key_values.{layer}.key")
        v = _appended(g, v, c, tokens, past, f"past_key_values.{layer}.value")
    scores = op(g, "MatMul", [q, transpose(g, k, (0, 1, 3, 2), f"{at}/k_t")], f"{at}/scores")
    scores = op(g, "Div", [scores, g.scalar(math.sqrt(c.head))], f"{at}/scaled")
    scores = op(g, "Add", [scores, mask], f"{at}/masked") if mask else scores
    mixed = op(g, "MatMul", [op(g, "Softmax", [scores], at, axis=-1), v], f"{at}/mixed")
    y = reshape(g, transpose(g, mixed, (0, 2, 1, 3), f"{at}/mixed"), (1, tokens, c.width), f"{at}/mixed")
    return _flat(g, y, c.width, c.width, tokens, f"{at}.proj")


def _appended(g: Sketch, x: str, c: Sizes, tokens: int, past: int, name: str) -> str:
    before = g.input(name, FLOAT, [1, c.heads, past, c.head])
    y = op(g, "Concat", [before, x], name, axis=2)
    present = name.replace("past_key_values", "present")
    result(g, y, present, [1, c.heads, past + tokens, c.head])
    return present


def llama(past: int, layers: int = 6, width: int = 288, heads: int = 6, vocabulary: int = 32000) -> Sketch:
    """One step of stories15M of https://github.com/karpathy/llama2.c: RMS norms, rotated positions, a gated layer."""
    g, c = Sketch(), Sizes(layers, width, heads, vocabulary)
    ids = g.input("input_ids", INT64, [1, 1])
    x = op(g, "Gather", [g.weight("embedding", (c.vocabulary, c.width)), ids], "embedding")
    for i in range(c.layers):
        x = op(g, "Add", [x, _rotary_attention(g, _rms(g, x, c.width, f"{i}.norm1"), c, past, i)], f"{i}/attn")
        y = _rms(g, x, c.width, f"{i}.norm2")
        gate = op(g, "MatMul", [y, g.weight(f"{i}.gate", (c.width, 768))], f"{i}/gate")
        gate = op(g, "Mul", [gate, op(g, "Sigmoid", [gate], f"{i}/gate")], f"{i}/silu")
        y = op(g, "Mul", [gate, op(g, "MatMul", [y, g.weight(f"{i}.up", (c.width, 768))], f"{i}/up")], f"{i}/gated")
        x = op(g, "Add", [x, op(g, "MatMul", [y, g.weight(f"{i}.down", (768, c.width))], f"{i}/down")], f"{i}/mlp")
    head = g.weight("head", (c.width, c.vocabulary))
    logits = op(g, "MatMul", [_rms(g, x, c.width, "norm"), head], "head")
    result(g, logits, "logits", [1, 1, c.vocabulary])
    return g


def _rms(g: Sketch, x: str, width: int, at: str) -> str:
    mean = op(g, "ReduceMean", [op(g, "Pow", [x, g.scalar(2.0)], at)], at, axes=[-1])
    root = op(g, "Sqrt", [op(g, "Add", [mean, g.scalar(1e-5)], at)], at)
    scaled = op(g, "Div", [x, root], at)
    return op(g, "Mul", [scaled, g.weight(f"{at}.weight", (width,))], at)


def _rotary_attention(g: Sketch, x: str, c: Sizes, past: int, layer: int) -> str:
    at, parts = f"{layer}.attn", {}
    for part in "qkv":
        y = op(g, "MatMul", [x, g.weight(f"{at}.{part}", (c.width, c.width))], f"{at}/{part}")
        parts[part] = transpose(g, reshape(g, y, (1, 1, c.heads, c.head), f"{at}/{part}"), (0, 2, 1, 3), f"{at}/{part}")
    angles = past / 10000 ** (np.arange(c.head // 2) * 2 / c.head)
    tables = [floats(g, name, np.tile(f(angles), 2)) for name, f in (("cos", np.cos), ("sin", np.sin))]
    for part in "qk":
        parts[part] = _turned(g, parts[part], c.head, tables, f"{at}/{part}")
    k = _appended(g, parts["k"], c, 1, past, f"past_key_values.{layer}.key")
    v = _appended(g, parts["v"], c, 1, past, f"past_key_values.{layer}.value")
    scores = op(g, "MatMul", [parts["q"], transpose(g, k, (0, 1, 3, 2), f"{at}/k_t")], f"{at}/scores")
    scores = op(g, "Div", [scores, g.scalar(math.sqrt(c.head))], f"{at}/scaled")
    mixed = op(g, "MatMul", [op(g, "Softmax", [scores], at, axis=-1), v], f"{at}/mixed")
    y = reshape(g, transpose(g, mixed, (0, 2, 1, 3), f"{at}/mixed"), (1, 1, c.width), f"{at}/mixed")
    return op(g, "MatMul", [y, g.weight(f"{at}.o", (c.width, c.width))], f"{at}/o")


def _turned(g: Sketch, x: str, size: int, tables: list[str], at: str) -> str:
    low = op(g, "Slice", [x, g.integers(0), g.integers(size // 2), g.integers(3)], f"{at}/low")
    high = op(g, "Slice", [x, g.integers(size // 2), g.integers(size), g.integers(3)], f"{at}/high")
    turned = op(g, "Concat", [op(g, "Neg", [high], at), low], at, axis=-1)
    both = [op(g, "Mul", [y, table], f"{at}/{i}") for i, (y, table) in enumerate(zip((x, turned), tables, strict=True))]
    return op(g, "Add", both, f"{at}/rotated")


def whisper_encoder(layers: int = 4, width: int = 384, heads: int = 6, frames: int = 3000) -> Sketch:
    """Whisper tiny, https://arxiv.org/abs/2212.04356: 30 s of sound to 1500 vectors."""
    g, tokens = Sketch(), frames // 2
    x = g.input("mel", FLOAT, [1, 80, frames])
    x = activated(g, conv_nd(g, x, 80, width, (3,), "conv1", pads=(1, 1)), "gelu", "conv1")
    x = activated(g, conv_nd(g, x, width, width, (3,), "conv2", strides=(2,), pads=(1, 1)), "gelu", "conv2")
    x = op(g, "Add", [transpose(g, x, (0, 2, 1), "tokens"), g.weight("positions", (tokens, width))], "positions")
    for i in range(layers):
        y = attention(g, layer_norm(g, x, width, f"{i}.norm1"), width, heads, tokens, f"{i}.attention")
        x = op(g, "Add", [x, y], f"{i}/attn")
        y = feed_forward(g, layer_norm(g, x, width, f"{i}.norm2"), width, 4 * width, f"{i}")
        x = op(g, "Add", [x, y], f"{i}/mlp")
    result(g, layer_norm(g, x, width, "norm"), "states", [1, tokens, width])
    return g


def classifier(tokens: int = 64) -> Sketch:
    """fastText-like bag of embeddings, https://arxiv.org/abs/1607.01759: the mean of the words and one dense layer."""
    g = Sketch()
    ids = g.input("input_ids", INT64, [1, tokens])
    x = op(g, "Gather", [g.weight("embedding", (100_000, 100)), ids], "embedding")
    x = op(g, "ReduceMean", [x], "mean", axes=[1], keepdims=0)
    return finish(g, op(g, "Softmax", [linear(g, x, 100, 20, "classes")], "classes", axis=-1), 20)


MINI = Sizes(4, 256, 4)
NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "bert_base_128": partial(bert, Sizes(), 128),
    "bert_base_384": partial(bert, Sizes(), 384),
    "bert_mini_64": partial(bert, MINI, 64),
    "distilbert_128": partial(bert, Sizes(6), 128, segments=False),
    "gpt2_prefill_128": partial(gpt2, 128, 0),
    "gpt2_step_512": partial(gpt2, 1, 512),
    "llama_15m_step_128": partial(llama, 128),
    "whisper_tiny_encoder": whisper_encoder,
    "fasttext_64": classifier,
}
SOURCES: Mapping[str, str] = {
    "bert_base_128": "https://arxiv.org/abs/1810.04805",
    "bert_base_384": "https://arxiv.org/abs/1810.04805",
    "bert_mini_64": "https://arxiv.org/abs/1908.08962",
    "distilbert_128": "https://arxiv.org/abs/1910.01108",
    "gpt2_prefill_128": "https://huggingface.co/openai-community/gpt2",
    "gpt2_step_512": "https://huggingface.co/openai-community/gpt2",
    "llama_15m_step_128": "https://github.com/karpathy/llama2.c",
    "whisper_tiny_encoder": "https://arxiv.org/abs/2212.04356",
    "fasttext_64": "https://arxiv.org/abs/1607.01759",
}
