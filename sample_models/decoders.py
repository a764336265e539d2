"""Llama-like decoders with a key/value cache: Touvron et al., https://arxiv.org/abs/2307.09288.

Spelled in primitive operators as an exporter spells the eager attention of
https://github.com/huggingface/transformers/blob/main/src/transformers/models/llama/modeling_llama.py :
RMSNorm, rotary embedding, grouped queries (https://arxiv.org/abs/2305.13245), causal mask from run-time
shapes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from _builder import Net
from _layers import cast, dim, dims, linear, reshape, scoped
from onnx import ModelProto, TensorProto

TOTAL = "past_sequence_length + sequence_length"


@dataclass(frozen=True)
class Decoder:
    name: str
    layers: int
    d: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    dtype: type[np.floating[Any]] = np.float32
    eps: float = 1e-5

    @property
    def head_dim(self) -> int:
        return self.d // self.heads

    @property
    def half(self) -> bool:
        return self.dtype is np.float16


@dataclass(frozen=True)
class Context:
    """What every layer reads: computed once from the shapes of the inputs."""

    split: str  # shape [batch, sequence, -1, head_dim]
    merged: str  # shape [batch, sequence, -1]
    bias: str  # causal and padding mask, added to the scores
    cos: str
    sin: str


def decoder_gqa() -> ModelProto:
    """Two layers, four query heads on two key/value heads."""
    return _decoder(Decoder("decoder-gqa", 2, 64, 4, 2, 172, 512), "")


def decoder_7b() -> ModelProto:
    """Llama-2-7B in fp16: 6,738,415,616 parameters."""
    return _decoder(Decoder("decoder-7b", 32, 4096, 32, 32, 11008, 32000, np.float16), "decoder-7b.weights")


def _decoder(cfg: Decoder, weights_file: str) -> ModelProto:
    doc = f"Llama decoder, {cfg.layers} layers of {cfg.d}, with key/value cache"
    net = Net(cfg.name, doc, dtype=cfg.dtype, weights_file=weights_file)
    ids = net.input("input_ids", ["batch", "sequence_length"], np.int64)
    mask = net.input("attention_mask", ["batch", TOTAL], np.int64)
    pasts = [_cache(net, cfg, i) for i in range(cfg.layers)]
    context = _context(net, cfg, ids, mask, pasts[0][0])
    table = net.weight("model.embed_tokens.weight", (cfg.vocab, cfg.d), 1.0)
    x = net.node("Gather", [table, ids], "model/embed_tokens", axis=0)
    for i, past in enumerate(pasts):
        x = _layer(net, cfg, context, x, past, i)
    x = _rms_norm(net, cfg, x, "model/norm")
    linear(net, x, "lm_head", (cfg.d, cfg.vocab), bias=False, output="logits")
    return net.model()


def _cache(net: Net, cfg: Decoder, i: int) -> tuple[str, str]:
    """Declare one layer's cache on both sides of the graph."""
    if i == 0:
        net.output("logits", ["batch", "sequence_length", cfg.vocab])
    past: list[int | str] = ["batch", cfg.kv_heads, "past_sequence_length", cfg.head_dim]
    for part in ("key", "value"):
        net.input(f"past_key_values.{i}.{part}", past)
        net.output(f"present.{i}.{part}", ["batch", cfg.kv_heads, TOTAL, cfg.head_dim])
    return f"past_key_values.{i}.key", f"past_key_values.{i}.value"


def _context(net: Net, cfg: Decoder, ids: str, mask: str, past_key: str) -> Context:
    at = "model"
    batch, sequence = dim(net, ids, 0, at), dim(net, ids, 1, at)
    past = dim(net, past_key, 2, at)
    total = net.node("Add", [past, sequence], at)
    one = net.constant(1, np.int64)
    positions = net.node("Range", [past, total, one], at)
    keys = net.node("Range", [net.constant(0, np.int64), total, one], at)
    cos, sin = _rotary(net, cfg, positions)
    split = dims(net, [batch, sequence, -1, cfg.head_dim], at)
    merged = dims(net, [batch, sequence, -1], at)
    return Context(split, merged, _mask(net, cfg, positions, keys, mask), cos, sin)


def _mask(net: Net, cfg: Decoder, positions: str, keys: str, mask: str) -> str:
    """0 where a query may look, the lowest number where it may not: [batch, 1, sequence, total]."""
    at = "model/mask"
    column = net.node("Unsqueeze", [positions, net.ints(1)], at)
    row = net.node("Unsqueeze", [keys, net.ints(0)], at)
    causal = net.node("LessOrEqual", [row, column], at)
    tokens = net.node("Unsqueeze", [cast(net, mask, TensorProto.BOOL, at), net.ints(1, 2)], at)
    seen = net.node("And", [causal, tokens], at)
    return net.node("Where", [seen, net.constant(0.0), net.constant(np.finfo(cfg.dtype).min)], at)


def _rotary(net: Net, cfg: Decoder, positions: str) -> tuple[str, str]:
    """cos and sin of position x frequency: [sequence, head_dim], in float32 whatever the model's type."""
    at = "model/rotary_emb"
    steps = np.arange(0, cfg.head_dim, 2, dtype=np.float64) / cfg.head_dim
    table = net.initializer("model.rotary_emb.inv_freq", (10000.0**-steps).astype(np.float32).reshape(1, -1))
    column = cast(net, net.node("Unsqueeze", [positions, net.ints(1)], at), TensorProto.FLOAT, at)
    angles = net.node("Mul", [column, table], at)
    angles = net.node("Concat", [angles, angles], at, axis=-1)
    cos, sin = net.node("Cos", [angles], at), net.node("Sin", [angles], at)
    if cfg.half:
        cos, sin = cast(net, cos, TensorProto.FLOAT16, at), cast(net, sin, TensorProto.FLOAT16, at)
    return cos, sin


def _layer(net: Net, cfg: Decoder, context: Context, x: str, past: tuple[str, str], i: int) -> str:
    at = f"model/layers.{i}"
    y = _attention(net, cfg, context, _rms_norm(net, cfg, x, f"{at}/input_layernorm"), past, i)
    x = net.node("Add", [x, y], at)
    y = _mlp(net, cfg, _rms_norm(net, cfg, x, f"{at}/post_attention_layernorm"), f"{at}/mlp")
    return net.node("Add", [x, y], at)


def _rms_norm(net: Net, cfg: Decoder, x: str, at: str) -> str:
    """https://arxiv.org/abs/1910.07467; in float32 even where the model is not."""
    wide = cast(net, x, TensorProto.FLOAT, at) if cfg.half else x
    square = net.node("Pow", [wide, net.constant(2.0, np.float32)], at)
    mean = net.node("ReduceMean", [square], at, axes=[-1], keepdims=1)
    root = net.node("Sqrt", [net.node("Add", [mean, net.constant(cfg.eps, np.float32)], at)], at)
    y = net.node("Mul", [wide, net.node("Reciprocal", [root], at)], at)
    y = cast(net, y, TensorProto.FLOAT16, at) if cfg.half else y
    return net.node("Mul", [net.weight(f"{scoped(at)}.weight", (cfg.d,), 0.1, 1.0), y], at)


def _attention(net: Net, cfg: Decoder, ctx: Context, x: str, past: tuple[str, str], i: int) -> str:
    at = f"model/layers.{i}/self_attn"
    q = _rotate(net, cfg, ctx, _project(net, cfg, ctx, x, f"{at}/q_proj", cfg.heads), at)
    k = _rotate(net, cfg, ctx, _project(net, cfg, ctx, x, f"{at}/k_proj", cfg.kv_heads), at)
    v = _project(net, cfg, ctx, x, f"{at}/v_proj", cfg.kv_heads)
    k = net.node("Concat", [past[0], k], at, axis=2, output=f"present.{i}.key")
    v = net.node("Concat", [past[1], v], at, axis=2, output=f"present.{i}.value")
    k, v = _repeat(net, cfg, k, f"{at}/repeat_k"), _repeat(net, cfg, v, f"{at}/repeat_v")
    scores = net.node("MatMul", [q, net.node("Transpose", [k], at, perm=[0, 1, 3, 2])], at)
    scores = net.node("Mul", [scores, net.constant(1.0 / math.sqrt(cfg.head_dim))], at)
    scores = net.node("Add", [scores, ctx.bias], at)
    scores = cast(net, scores, TensorProto.FLOAT, at) if cfg.half else scores
    probs = net.node("Softmax", [scores], at, axis=-1)
    probs = cast(net, probs, TensorProto.FLOAT16, at) if cfg.half else probs
    y = net.node("Transpose", [net.node("MatMul", [probs, v], at)], at, perm=[0, 2, 1, 3])
    y = net.node("Reshape", [y, ctx.merged], at)
    return linear(net, y, f"{at}/o_proj", (cfg.d, cfg.d), bias=False)


def _project(net: Net, cfg: Decoder, ctx: Context, x: str, at: str, heads: int) -> str:
    y = linear(net, x, at, (cfg.d, heads * cfg.head_dim), bias=False)
    y = net.node("Reshape", [y, ctx.split], at)
    return net.node("Transpose", [y], at, perm=[0, 2, 1, 3])


def _rotate(net: Net, cfg: Decoder, ctx: Context, x: str, at: str) -> str:
    """x cos + rotate_half(x) sin, https://arxiv.org/abs/2104.09864."""
    middle, end = cfg.head_dim // 2, np.iinfo(np.int64).max
    low = net.node("Slice", [x, net.ints(0), net.ints(middle), net.ints(3), net.ints(1)], at)
    high = net.node("Slice", [x, net.ints(middle), net.ints(end), net.ints(3), net.ints(1)], at)
    turned = net.node("Concat", [net.node("Neg", [high], at), low], at, axis=-1)
    return net.node("Add", [net.node("Mul", [x, ctx.cos], at), net.node("Mul", [turned, ctx.sin], at)], at)


def _repeat(net: Net, cfg: Decoder, x: str, at: str) -> str:
    """Each key/value head serves heads / kv_heads query heads."""
    repeats = cfg.heads // cfg.kv_heads
    if repeats == 1:
        return x
    batch, total = dim(net, x, 0, at), dim(net, x, 2, at)
    y = net.node("Unsqueeze", [x, net.ints(2)], at)
    y = net.node("Expand", [y, dims(net, [batch, cfg.kv_heads, repeats, total, cfg.head_dim], at)], at)
    return reshape(net, y, [batch, cfg.heads, total, cfg.head_dim], at)


def _mlp(net: Net, cfg: Decoder, x: str, at: str) -> str:
    """SwiGLU, https://arxiv.org/abs/2002.05202."""
    gate = linear(net, x, f"{at}/gate_proj", (cfg.d, cfg.ffn), bias=False)
    gate = net.node("Mul", [gate, net.node("Sigmoid", [gate], f"{at}/act_fn")], f"{at}/act_fn")
    up = linear(net, x, f"{at}/up_proj", (cfg.d, cfg.ffn), bias=False)
    return linear(net, net.node("Mul", [gate, up], at), f"{at}/down_proj", (cfg.ffn, cfg.d), bias=False)
