"""Networks of dense layers: recommendations, and the radiance of a scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from benchmarks.latency_host.nets.layers import INT64, floats, mlp, op, reshape, transpose, whole
from benchmarks.sketch import Sketch
from benchmarks.zoo.layers import FLOAT, linear, result

TABLES, ROWS, SIZE = 26, 20_000, 16


def dlrm(users: int) -> Sketch:
    """https://arxiv.org/abs/1906.00091 as for Criteo's adverts, every table hashed to 20,000 rows."""
    g = Sketch()
    numbers = g.input("numbers", FLOAT, [users, 13])
    kinds = g.input("kinds", INT64, [users, TABLES])
    x = op(g, "Relu", [mlp(g, numbers, (13, 512, 256, 64, SIZE), "bottom")], "bottom")
    vectors = [reshape(g, x, (users, 1, SIZE), "bottom")]
    for i in range(TABLES):
        ids = op(g, "Gather", [kinds, g.integers(i)], f"table{i}/ids", axis=1)
        vectors.append(op(g, "Gather", [g.weight(f"table{i}", (ROWS, SIZE)), ids], f"table{i}"))
    joined, n = op(g, "Concat", vectors, "vectors", axis=1), TABLES + 1
    products = op(g, "MatMul", [joined, transpose(g, joined, (0, 2, 1), "vectors")], "products")
    pairs = whole(g, "pairs", np.flatnonzero(np.tri(n, n, -1)))
    picked = op(g, "Gather", [reshape(g, products, (users, n * n), "products"), pairs], "pairs", axis=1)
    x = op(g, "Concat", [x, picked], "interactions", axis=1)
    x = op(g, "Sigmoid", [mlp(g, x, (SIZE + n * (n - 1) // 2, 512, 256, 1), "top")], "top")
    result(g, x, "clicks", [users, 1])
    return g


def wide_and_deep(users: int) -> Sketch:
    """https://arxiv.org/abs/1606.07792: thirty embeddings of 32, dense layers of 1024, 512 and 256."""
    g = Sketch()
    kinds = g.input("kinds", INT64, [users, 30])
    numbers = g.input("numbers", FLOAT, [users, 200])
    deep = reshape(g, op(g, "Gather", [g.weight("table", (ROWS, 32)), kinds], "table"), (users, 30 * 32), "table")
    deep = op(g, "Concat", [deep, numbers], "deep", axis=1)
    deep = mlp(g, deep, (30 * 32 + 200, 1024, 512, 256, 1), "deep")
    wide = op(g, "Gather", [g.weight("wide", (ROWS, 1)), kinds], "wide")
    wide = op(g, "ReduceSum", [wide, g.integers(1)], "wide", keepdims=0)
    result(g, op(g, "Sigmoid", [op(g, "Add", [deep, wide], "both")], "both"), "clicks", [users, 1])
    return g


def nerf(points: int = 4096) -> Sketch:
    """https://arxiv.org/abs/2003.08934: places and directions as waves, eight layers of 256, colour and density."""
    g = Sketch()
    places = _waves(g, g.input("places", FLOAT, [points, 3]), 10, "places")
    directions = _waves(g, g.input("directions", FLOAT, [points, 3]), 4, "directions")
    x, fan_in = places, 63
    for i in range(8):
        if i == 5:
            x, fan_in = op(g, "Concat", [places, x], "skip", axis=1), 256 + 63
        x, fan_in = op(g, "Relu", [linear(g, x, fan_in, 256, f"layer{i}")], f"layer{i}"), 256
    density = linear(g, x, 256, 1, "density")
    x = op(g, "Concat", [linear(g, x, 256, 256, "features"), directions], "features", axis=1)
    x = op(g, "Relu", [linear(g, x, 256 + 27, 128, "colour.0")], "colour")
    colour = op(g, "Sigmoid", [linear(g, x, 128, 3, "colour.1")], "colour")
    result(g, op(g, "Concat", [colour, density], "radiance", axis=1), "radiance", [points, 4])
    return g


def _waves(g: Sketch, x: str, octaves: int, at: str) -> str:
    parts = [x]
    for i in range(octaves):
        y = op(g, "Mul", [x, floats(g, f"octave{i}", np.array([2.0**i]))], f"{at}/{i}")
        parts += [op(g, wave, [y], f"{at}/{i}") for wave in ("Sin", "Cos")]
    return op(g, "Concat", parts, at, axis=1)


NETWORKS: Mapping[str, Callable[[], Sketch]] = {
    "dlrm_1": partial(dlrm, 1),
    "dlrm_128": partial(dlrm, 128),
    "wide_and_deep_1": partial(wide_and_deep, 1),
    "wide_and_deep_64": partial(wide_and_deep, 64),
    "nerf_4096": nerf,
}
SOURCES: Mapping[str, str] = {
    "dlrm_1": "https://arxiv.org/abs/1906.00091",
    "dlrm_128": "https://arxiv.org/abs/1906.00091",
    "wide_and_deep_1": "https://arxiv.org/abs/1606.07792",
    "wide_and_deep_64": "https://arxiv.org/abs/1606.07792",
    "nerf_4096": "https://arxiv.org/abs/2003.08934",
}
