"""Transformer layers, each product spelled out as exporters spell it."""

from __future__ import annotations

from onnx import ModelProto

from .graphs import FLOAT, INT64, Net


def attention_products(net: Net, q: str, k: str, v: str, position_bias: str = "") -> str:
    """softmax(Q K^T) V over B x heads x N x d/heads."""
    scores = net.matmul(q, net.transpose(k, 0, 1, 3, 2), "scores")
    scores = net.add(scores, position_bias) if position_bias else scores
    return net.matmul(net.unary("Softmax", scores, axis=-1), v, "values")


def self_attention(net: Net, x: str, heads: int, *, bias: bool = False) -> str:
    """Multi-head attention with Q, K, V and output projections."""
    b, n, d = net.shape[x]
    parts = []
    for part in "qkv":
        y = net.reshape(net.linear(x, d, bias=bias, name=part), b, n, heads, d // heads)
        parts.append(net.transpose(y, 0, 2, 1, 3))
    y = net.transpose(attention_products(net, *parts), 0, 2, 1, 3)
    return net.linear(net.reshape(y, b, n, d), d, bias=bias, name="o")


def feed_forward(net: Net, x: str, factor: int = 4, *, bias: bool = False, activation: str = "Gelu") -> str:
    """Up to `factor` x d, an activation ("" for none), and down again."""
    d = net.shape[x][-1]
    y = net.linear(x, factor * d, bias=bias, name="up")
    y = net.unary(activation, y) if activation else y
    return net.linear(y, d, bias=bias, name="down")


def layer(net: Net, x: str, heads: int, *, bare: bool = True) -> str:
    """A pre-norm layer; `bare` has matrices alone: no norms, no biases."""
    y = x if bare else net.layer_norm(x)
    x = net.add(x, self_attention(net, y, heads, bias=not bare))
    y = x if bare else net.layer_norm(x)
    return net.add(x, feed_forward(net, y, bias=not bare))


def encoder(layers: int, d: int, heads: int, n: int, vocab: int = 0) -> ModelProto:
    """A stack of bare layers, after an embedding where there is a vocabulary."""
    net = Net()
    if vocab:
        ids = net.input(1, n, dtype=INT64)
        x = net.node("Gather", [net.weight(vocab, d), ids], (1, n, d), axis=0)
    else:
        x = net.input(1, n, d)
    for _ in range(layers):
        x = layer(net, x, heads)
    return net.model(x)


def gpt2(d: int, layers: int, heads: int, n: int, vocab: int = 50257, positions: int = 1024) -> ModelProto:
    """GPT-2 after https://github.com/openai/gpt-2: learned positions, the head tied to the embedding."""
    net = Net()
    ids, table = net.input(1, n, dtype=INT64), net.weight(vocab, d)
    every = net.weight(positions, d)
    places = net.node("Slice", [every, *(net.constant([v]) for v in (0, n, 0, 1))], (n, d))
    x = net.add(net.node("Gather", [table, ids], (1, n, d), axis=0), places)
    for _ in range(layers):
        x = layer(net, x, heads, bare=False)
    x = net.layer_norm(x)
    head = net.node("Transpose", [table], (d, vocab), perm=[1, 0])
    return net.model(net.matmul(x, head, "head"))


def feed_forwards(layers: int, d: int, n: int, *, bias: bool, activation: str = "Gelu") -> ModelProto:
    """The feed-forward parts alone of a stack."""
    net = Net()
    x = net.input(1, n, d)
    for _ in range(layers):
        x = feed_forward(net, x, bias=bias, activation=activation)
    return net.model(x)


def attention(d: int, heads: int, n: int, dtype: int = FLOAT) -> ModelProto:
    """One bare attention block."""
    net = Net(dtype)
    return net.model(self_attention(net, net.input(1, n, d), heads))


def products(d: int, heads: int, n: int, dtype: int = FLOAT) -> ModelProto:
    """The two products of attention alone."""
    net = Net(dtype)
    q, k, v = (net.input(1, heads, n, d // heads) for _ in "qkv")
    return net.model(attention_products(net, q, k, v))


def block(d: int, heads: int, n: int) -> ModelProto:
    """One bare layer."""
    return encoder(1, d, heads, n)
