"""BERT-large for questions and answers at 384 tokens, https://arxiv.org/abs/1810.04805: MLPerf's `bert-99`.

https://github.com/mlcommons/inference/tree/master/language/bert. Samples shorter than 384 tokens are padded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from onnx import TensorProto

from benchmarks.sketch import Sketch
from benchmarks.zoo.attention import attention, feed_forward
from benchmarks.zoo.layers import FLOAT, layer_norm, linear, result

LAYERS, WIDTH, HEADS, HIDDEN, TOKENS = 24, 1024, 16, 4096, 384
VOCABULARY, POSITIONS, TYPES = 30522, 512, 2


def bert_large(tokens: int = TOKENS) -> Sketch:
    g = Sketch()
    ids, mask, types = (
        g.input(name, TensorProto.INT64, ["batch", tokens]) for name in ("input_ids", "input_mask", "segment_ids")
    )
    x = layer_norm(g, _embedded(g, ids, types, tokens), WIDTH, "embeddings.norm")
    bias = _bias(g, mask)
    for i in range(LAYERS):
        at = f"layer.{i}"
        y = attention(g, x, WIDTH, HEADS, tokens, f"{at}.attention", bias)
        x = layer_norm(g, g.node("Add", [y, x], f"/{at}"), WIDTH, f"{at}.norm1")
        x = layer_norm(g, g.node("Add", [feed_forward(g, x, WIDTH, HIDDEN, at), x], f"/{at}"), WIDTH, f"{at}.norm2")
    result(g, linear(g, x, WIDTH, 2, "answer"), "logits", ["batch", tokens, 2])
    return g


def _embedded(g: Sketch, ids: str, types: str, tokens: int) -> str:
    words = g.node("Gather", [g.weight("embeddings.words", (VOCABULARY, WIDTH)), ids], "/embeddings/words")
    kinds = g.node("Gather", [g.weight("embeddings.types", (TYPES, WIDTH)), types], "/embeddings/types")
    places = g.weight("embeddings.positions", (POSITIONS, WIDTH))
    used = g.node("Slice", [places, g.integers(0), g.integers(tokens), g.integers(0)], "/embeddings/positions")
    return g.node("Add", [g.node("Add", [words, kinds], "/embeddings"), used], "/embeddings")


def _bias(g: Sketch, mask: str) -> str:
    """0 where a token is, -10000 where padding is: [batch, 1, 1, tokens]."""
    kept = g.node("Cast", [g.node("Unsqueeze", [mask, g.integers(1, 2)], "/mask")], "/mask", to=FLOAT)
    return g.node("Mul", [g.node("Sub", [g.scalar(1.0), kept], "/mask"), g.scalar(-10000.0)], "/mask")


NETWORKS: Mapping[str, Callable[[], Sketch]] = {"bert-99": bert_large}
