"""Transformer encoders after Devlin et al., https://arxiv.org/abs/1810.04805.

Spelled as PyTorch's exporter spells the eager attention of
https://github.com/huggingface/transformers/blob/main/src/transformers/models/bert/modeling_bert.py :
shapes read at run time, constants as nodes, exact GELU out of Erf.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from _builder import Net
from _layers import cast, dim, dims, gemm, layer_norm, linear, reshape
from onnx import ModelProto, TensorProto


@dataclass(frozen=True)
class Encoder:
    name: str
    layers: int
    d: int
    heads: int
    ffn: int
    vocab: int
    positions: int
    types: int  # token types; 0: the model has no such input
    classes: int  # of a classifier; 0: the model stops at the pooler


def bert_base() -> ModelProto:
    """109,482,240 parameters, pooler included."""
    return _encoder(Encoder("bert-base", 12, 768, 12, 3072, 30522, 512, 2, 0), "bert-base.weights")


def dynamic() -> ModelProto:
    """A text classifier small enough to ship with its weights."""
    return _encoder(Encoder("dynamic", 2, 64, 4, 128, 600, 128, 0, 8), "")


def _encoder(cfg: Encoder, weights_file: str) -> ModelProto:
    doc = f"Transformer encoder, {cfg.layers} layers of {cfg.d}"
    net = Net(cfg.name, doc, weights_file=weights_file, constant_nodes=True)
    ids = net.input("input_ids", ["batch", "sequence"], np.int64)
    mask = net.input("attention_mask", ["batch", "sequence"], np.int64)
    bias = _padding_bias(net, mask)
    x = _embeddings(net, cfg, ids)
    for i in range(cfg.layers):
        last = i == cfg.layers - 1 and not cfg.classes
        x = _layer(net, cfg, x, bias, f"encoder/layer.{i}", "last_hidden_state" if last else "")
    _heads(net, cfg, x)
    return net.model()


def _padding_bias(net: Net, mask: str) -> str:
    """0 where a token is, the lowest float where padding is: [batch, 1, 1, sequence]."""
    m = net.node("Unsqueeze", [mask, net.ints(1)])
    m = net.node("Unsqueeze", [m, net.ints(2)])
    m = cast(net, m, TensorProto.FLOAT, "")
    return net.node("Mul", [net.node("Sub", [net.constant(1.0), m]), net.constant(np.finfo(np.float32).min)])


def _embeddings(net: Net, cfg: Encoder, ids: str) -> str:
    at = "embeddings"
    table = net.weight(f"{at}.word_embeddings.weight", (cfg.vocab, cfg.d), 1.0)
    x = net.node("Gather", [table, ids], f"{at}/word_embeddings", axis=0)
    if cfg.types:
        types = net.input("token_type_ids", ["batch", "sequence"], np.int64)
        table = net.weight(f"{at}.token_type_embeddings.weight", (cfg.types, cfg.d), 1.0)
        kind = net.node("Gather", [table, types], f"{at}/token_type_embeddings", axis=0)
        x = net.node("Add", [x, kind], at)
    table = net.weight(f"{at}.position_embeddings.weight", (cfg.positions, cfg.d), 1.0)
    # PyTorch keeps 0..positions as a buffer and cuts the used part off it
    every = net.initializer(f"{at}.position_ids", np.arange(cfg.positions, dtype=np.int64).reshape(1, -1))
    end = net.node("Unsqueeze", [dim(net, ids, 1, at), net.ints(0)], at)
    used = net.node("Slice", [every, net.ints(0), end, net.ints(1), net.ints(1)], at)
    x = net.node("Add", [x, net.node("Gather", [table, used], f"{at}/position_embeddings", axis=0)], at)
    return layer_norm(net, x, f"{at}/LayerNorm", cfg.d)


def _layer(net: Net, cfg: Encoder, x: str, bias: str, at: str, output: str) -> str:
    y = _attention(net, cfg, x, bias, f"{at}/attention/self")
    y = linear(net, y, f"{at}/attention/output/dense", (cfg.d, cfg.d))
    y = net.node("Add", [y, x], f"{at}/attention/output")
    x = layer_norm(net, y, f"{at}/attention/output/LayerNorm", cfg.d)
    y = _gelu(net, linear(net, x, f"{at}/intermediate/dense", (cfg.d, cfg.ffn)), f"{at}/intermediate")
    y = linear(net, y, f"{at}/output/dense", (cfg.ffn, cfg.d))
    y = net.node("Add", [y, x], f"{at}/output")
    return layer_norm(net, y, f"{at}/output/LayerNorm", cfg.d, output=output)


def _attention(net: Net, cfg: Encoder, x: str, bias: str, at: str) -> str:
    q = _split_heads(net, cfg, linear(net, x, f"{at}/query", (cfg.d, cfg.d)), at, [0, 2, 1, 3])
    k = _split_heads(net, cfg, linear(net, x, f"{at}/key", (cfg.d, cfg.d)), at, [0, 2, 3, 1])
    v = _split_heads(net, cfg, linear(net, x, f"{at}/value", (cfg.d, cfg.d)), at, [0, 2, 1, 3])
    scores = net.node("Div", [net.node("MatMul", [q, k], at), net.constant(math.sqrt(cfg.d / cfg.heads))], at)
    probs = net.node("Softmax", [net.node("Add", [scores, bias], at)], at, axis=-1)
    y = net.node("Transpose", [net.node("MatMul", [probs, v], at)], at, perm=[0, 2, 1, 3])
    return reshape(net, y, [dim(net, y, 0, at), dim(net, y, 1, at), cfg.d], at)


def _split_heads(net: Net, cfg: Encoder, x: str, at: str, perm: list[int]) -> str:
    parts = dims(net, [dim(net, x, 0, at), dim(net, x, 1, at), cfg.heads, cfg.d // cfg.heads], at)
    return net.node("Transpose", [net.node("Reshape", [x, parts], at)], at, perm=perm)


def _gelu(net: Net, x: str, at: str) -> str:
    y = net.node("Erf", [net.node("Div", [x, net.constant(math.sqrt(2.0))], at)], at)
    y = net.node("Mul", [x, net.node("Add", [y, net.constant(1.0)], at)], at)
    return net.node("Mul", [y, net.constant(0.5)], at)


def _heads(net: Net, cfg: Encoder, x: str) -> None:
    first = net.node("Gather", [x, net.constant(0, np.int64)], "pooler", axis=1)
    y = gemm(net, first, "pooler/dense", (cfg.d, cfg.d))
    if not cfg.classes:
        net.node("Tanh", [y], "pooler", output="pooler_output")
        net.output("last_hidden_state", ["batch", "sequence", cfg.d])
        net.output("pooler_output", ["batch", cfg.d])
        return
    gemm(net, net.node("Tanh", [y], "pooler"), "classifier", (cfg.d, cfg.classes), output="logits")
    net.output("logits", ["batch", cfg.classes])
