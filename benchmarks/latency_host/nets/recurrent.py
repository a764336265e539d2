"""Recurrent networks of language and speech."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from benchmarks.latency_host.nets.layers import INT64, conv_nd, norm_nd, op, reshape, transpose
from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import FLOAT, linear, result

GATES = {"LSTM": 4, "GRU": 3}


@dataclass(frozen=True)
class Cell:
    kind: str
    width: int
    directions: int = 1


def _layer(g: Sketch, x: str, fan_in: int, cell: Cell, steps: int, at: str) -> str:
    """[steps, 1, fan_in] to [steps, 1, directions * width]."""
    d, rows = cell.directions, GATES[cell.kind] * cell.width
    weights = [
        g.weight(f"{at}.{name}", (d, *dims))
        for name, dims in (("W", (rows, fan_in)), ("R", (rows, cell.width)), ("B", (2 * rows,)))
    ]
    attrs = {"linear_before_reset": 1} if cell.kind == "GRU" else {}
    direction = "bidirectional" if d == 2 else "forward"
    y = op(g, cell.kind, [x, *weights], at, hidden_size=cell.width, direction=direction, **attrs)
    if d == 1:
        return op(g, "Squeeze", [y, g.integers(1)], at)
    return reshape(g, transpose(g, y, (0, 2, 1, 3), at), (steps, 1, d * cell.width), at)


def language(cell: Cell, layers: int, steps: int, vocabulary: int, embedding: int = 0) -> Sketch:
    """Tokens to the scores of the next one, as https://arxiv.org/abs/1409.2329."""
    g = Sketch()
    width = embedding or cell.width
    ids = g.input("input_ids", INT64, [steps, 1])
    x = op(g, "Gather", [g.weight("embedding", (vocabulary, width)), ids], "embedding")
    for i in range(layers):
        x = _layer(g, x, width, cell, steps, f"layer{i}")
        width = cell.directions * cell.width
    result(g, linear(g, x, width, vocabulary, "head"), "logits", [steps, 1, vocabulary])
    return g


def deep_speech_2(steps: int = 200, width: int = 800, layers: int = 3) -> Sketch:
    """https://arxiv.org/abs/1512.02595: two convolutions over a spectrogram, then gated layers in both directions."""
    g = Sketch()
    x = g.input("spectrogram", FLOAT, [1, 1, 161, steps])
    x = _conv(g, x, 1, (41, 11), (2, 2), (20, 5), "conv1")
    x = _conv(g, x, 32, (21, 11), (2, 1), (10, 5), "conv2")
    steps, features = (steps + 1) // 2, 32 * 41
    x = transpose(g, reshape(g, x, (1, features, steps), "features"), (2, 0, 1), "features")
    for i in range(layers):
        x = _layer(g, x, features, Cell("GRU", width, 2), steps, f"layer{i}")
        features = 2 * width
    result(g, op(g, "Softmax", [linear(g, x, features, 29, "head")], "head", axis=-1), "letters", [steps, 1, 29])
    return g


def _conv(
    g: Sketch, x: str, fan_in: int, kernel: tuple[int, int], strides: tuple[int, int], pads: tuple[int, int], at: str
) -> str:
    x = conv_nd(g, x, fan_in, 32, kernel, at, strides=strides, pads=(*pads, *pads), bias=False)
    return op(g, "Clip", [norm_nd(g, x, 32, f"{at}.norm"), g.scalar(0.0), g.scalar(20.0)], at)


def keywords(steps: int = 49) -> Sketch:
    """The GRU of https://arxiv.org/abs/1711.07128 (large): 40 features, one layer of 400, twelve words."""
    g = Sketch()
    x = g.input("features", FLOAT, [steps, 1, 40])
    x = _layer(g, x, 40, Cell("GRU", 400), steps, "layer")
    x = op(g, "Gather", [x, g.scalar(steps - 1, INT64)], "last", axis=0)
    result(g, linear(g, x, 400, 12, "head"), "words", [1, 12])
    return g


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "lstm_lm_650_35": partial(language, Cell("LSTM", 650), 2, 35, 10_000),
    "lstm_lm_1500_1": partial(language, Cell("LSTM", 1500), 2, 1, 10_000),
    "gru_chars_512_100": partial(language, Cell("GRU", 512), 3, 100, 96, 128),
    "bilstm_tagger_200_64": partial(language, Cell("LSTM", 200, 2), 2, 64, 45, 100),
    "deepspeech2_200": deep_speech_2,
    "gru_keywords_49": keywords,
}
SOURCES: Mapping[str, str] = {
    "lstm_lm_650_35": "https://arxiv.org/abs/1409.2329 (medium)",
    "lstm_lm_1500_1": "https://arxiv.org/abs/1409.2329 (large, one step)",
    "gru_chars_512_100": "https://github.com/karpathy/char-rnn",
    "bilstm_tagger_200_64": "https://arxiv.org/abs/1508.01991",
    "deepspeech2_200": "https://arxiv.org/abs/1512.02595",
    "gru_keywords_49": "https://arxiv.org/abs/1711.07128",
}
