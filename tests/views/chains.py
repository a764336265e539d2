"""Random one-dimensional networks for ONNX Runtime, every weight positive.

One-hot inputs then show what a position sees: an output is above 0 exactly where it sees the hot pixel. `tainted` is
the same network with every pixel that padding invents set to 1: where it makes more than 0 of an input of zeros, a
border is in sight.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
from hypothesis import strategies as st
from onnx import ModelProto, TensorProto, helper, numpy_helper

ort.set_default_logger_severity(4)
LENGTH = 40
CHANNELS = 2
Array = np.ndarray[Any, Any]


class Chain:
    """One network over N x 1 x LENGTH under construction, twice: as it is and with its padding tainted."""

    def __init__(self, taint: bool, batch: int = LENGTH, length: int = LENGTH) -> None:
        self.taint = taint
        self.nodes: list[Any] = []
        self.constants: list[TensorProto] = []
        self.sizes: dict[str, tuple[int, int]] = {"x": (1, length)}  # channels, length
        self.batch, self.length = batch, length

    def node(self, op: str, inputs: list[str], size: tuple[int, int], **attrs: Any) -> str:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attrs))
        self.sizes[name] = size
        return name

    def constant(self, values: Any, dtype: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def ones(self, *shape: int) -> str:
        return self.constant(np.ones(shape), np.float32)

    def edge(self, x: str, before: int, after: int) -> str:
        """Padding as a node of its own, 1 where it is to be seen."""
        c, n = self.sizes[x]
        pads = self.constant([0, 0, before, 0, 0, after], np.int64)
        value = self.constant(1.0 if self.taint else 0.0, np.float32)
        return self.node("Pad", [x, pads, value], (c, n + before + after))

    def conv(self, x: str, k: int, s: int, d: int, before: int, after: int) -> str:
        c, n = self.sizes[x]
        out = (n + before + after - d * (k - 1) - 1) // s + 1
        if self.taint:
            x, before, after = self.edge(x, before, after), 0, 0
        weights = self.ones(CHANNELS, c, k)
        size = (CHANNELS, out)
        return self.node("Conv", [x, weights], size, strides=[s], dilations=[d], pads=[before, after])

    def pool(self, x: str, op: str, k: int, s: int, before: int, after: int) -> str:
        c, n = self.sizes[x]
        out = (n + before + after - k) // s + 1
        if self.taint:
            x, before, after = self.edge(x, before, after), 0, 0
        return self.node(op, [x], (c, out), kernel_shape=[k], strides=[s], pads=[before, after])

    def transposed(self, x: str, k: int, s: int, d: int, before: int, after: int, extra: int) -> str:
        c, n = self.sizes[x]
        out = s * (n - 1) + extra + d * (k - 1) + 1 - before - after
        if self.taint:  # as many pixels around it as reach the output
            wide = d * k // s + 2
            x, before, after = self.edge(x, wide, wide), before + wide * s, after + wide * s
        weights = self.ones(c, CHANNELS, k)
        return self.node(
            "ConvTranspose",
            [x, weights],
            (CHANNELS, out),
            strides=[s],
            dilations=[d],
            pads=[before, after],
            output_padding=[extra],
        )

    def resize(self, x: str, size: int, mode: str, place: str, nearest: str) -> str:
        c, n = self.sizes[x]
        sizes = self.constant([self.batch, c, size], np.int64)
        attrs = {"mode": mode, "coordinate_transformation_mode": place}
        if mode == "nearest":
            attrs["nearest_mode"] = nearest
        out = self.node("Resize", [x, "", "", sizes], (c, size), **attrs)
        if not self.taint:
            return out
        width = -(-size // n) * 2 + 1  # positions whose taps may lie outside are held inside instead
        border = np.zeros((1, 1, size))
        border[..., :width] = border[..., -width:] = 1
        return self.node("Add", [out, self.constant(border, np.float32)], (c, size))

    def cut(self, x: str, start: int, stop: int, step: int) -> str:
        c, n = self.sizes[x]
        where = [self.constant([v], np.int64) for v in (start, stop, 2, step)]
        return self.node("Slice", [x, *where], (c, len(range(n)[start : stop if stop > -(10**6) else None : step])))

    def model(self, out: str) -> ModelProto:
        graph = helper.make_graph(
            self.nodes,
            "chain",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [self.batch, 1, self.length])],
            [helper.make_empty_tensor_value_info(out)],
            self.constants,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


class Build(NamedTuple):
    """A recipe of layers; the same numbers build both networks."""

    layers: tuple[tuple[str, int], ...]

    def __call__(self, chain: Chain) -> str:
        made = ["x"]
        for layer, seed in self.layers:
            out = LAYERS[layer](chain, made, np.random.default_rng(seed))
            if out is not None:
                made.append(out)
        return made[-1]


def chains() -> st.SearchStrategy[Build]:
    """Up to seven layers."""
    layer = st.tuples(st.sampled_from(sorted(LAYERS)), st.integers(0, 2**30))
    return st.lists(layer, min_size=1, max_size=7).map(lambda layers: Build(tuple(layers)))


Maker = Callable[[Chain, list[str], np.random.Generator], str | None]


def _conv(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    k, s, d, before, after = (int(v) for v in (*rng.integers(1, 4, 3), *rng.integers(0, 4, 2)))
    n = chain.sizes[made[-1]][1]
    return chain.conv(made[-1], k, s, d, before, after) if n > d * k + s else None


def _pool(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    k, s = (int(v) for v in rng.integers(1, 5, 2))
    before, after = (int(v) for v in rng.integers(0, k, 2))
    if chain.sizes[made[-1]][1] <= k + s:
        return None
    return chain.pool(made[-1], ["MaxPool", "AveragePool"][int(rng.integers(2))], k, s, before, after)


def _transposed(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    k, s, d = (int(v) for v in rng.integers(1, 4, 3))
    before, after = (int(v) for v in rng.integers(0, 3, 2))
    n = chain.sizes[made[-1]][1]
    extra = int(rng.integers(0, s))
    if not 4 <= n <= 80:
        return None
    return chain.transposed(made[-1], k, s, d, before, after, extra)


def _resize(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    n = chain.sizes[made[-1]][1]
    if not 2 <= n <= 80:
        return None
    # Ratios that single precision holds exactly: else ONNX Runtime's rounding decides which neighbour it reads.
    size = int(rng.choice([2 * n, 3 * n] if n % 2 else [2 * n, 3 * n, n // 2, 3 * n // 2]))
    mode = ["nearest", "linear"][int(rng.integers(2))]
    place = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"][int(rng.integers(4))]
    nearest = ["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"][int(rng.integers(4))]
    return chain.resize(made[-1], size, mode, place, nearest)


def _pad(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    return chain.edge(made[-1], int(rng.integers(0, 4)), int(rng.integers(0, 4)))


def _cut(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    n = chain.sizes[made[-1]][1]
    if n < 8:
        return None
    if rng.integers(3) == 0:
        return chain.cut(made[-1], n - 1 - int(rng.integers(3)), -(2**31), -int(rng.integers(1, 3)))
    return chain.cut(made[-1], int(rng.integers(3)), n - int(rng.integers(3)), int(rng.integers(1, 3)))


def _add(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    """The sum with an earlier tensor, both cut to the shorter."""
    other = made[int(rng.integers(len(made)))]
    n = min(chain.sizes[other][1], chain.sizes[made[-1]][1])
    channels = {chain.sizes[made[-1]][0], chain.sizes[other][0]}
    if n < 2 or (len(channels) > 1 and 1 not in channels):
        return None
    parts = [chain.cut(x, 0, n, 1) for x in (made[-1], other)]
    return chain.node("Add", parts, (max(chain.sizes[p][0] for p in parts), n))


def _beside(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    """An earlier tensor's channels beside its own."""
    other = made[int(rng.integers(len(made)))]
    n = min(chain.sizes[other][1], chain.sizes[made[-1]][1])
    parts = [chain.cut(x, 0, n, 1) for x in (made[-1], other)]
    channels = sum(chain.sizes[p][0] for p in parts)
    return chain.node("Concat", parts, (channels, n), axis=1) if channels <= 8 and n > 1 else None


def _behind(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    """Its last pixels before its first ones: a shift around the end."""
    c, n = chain.sizes[made[-1]]
    if n < 6:
        return None
    at = int(rng.integers(1, n))
    parts = [chain.cut(made[-1], at, n, 1), chain.cut(made[-1], 0, at, 1)]
    return chain.node("Concat", parts, (c, n), axis=2)


def _folded(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    """Cells of two positions, swapped: position 2i holds what 2i + 1 held, or even positions come first."""
    c, n = chain.sizes[made[-1]]
    if n % 2 or n < 4:
        return None
    apart = chain.node("Reshape", [made[-1], chain.constant([0, 0, n // 2, 2], np.int64)], (c, n))
    turned = chain.node("Transpose", [apart], (c, n), perm=[0, 1, 3, 2])
    return chain.node("Reshape", [turned, chain.constant([0, 0, n], np.int64)], (c, n))


def _tile(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    c, n = chain.sizes[made[-1]]
    return None if n > 40 else chain.node("Tile", [made[-1], chain.constant([1, 1, 2], np.int64)], (c, 2 * n))


def _picked(chain: Chain, made: list[str], rng: np.random.Generator) -> str | None:
    c, n = chain.sizes[made[-1]]
    picked = rng.integers(-n, n, 9)
    return chain.node("Gather", [made[-1], chain.constant(picked, np.int64)], (c, 9), axis=2)


LAYERS: dict[str, Maker] = {
    "conv": _conv,
    "conv again": _conv,
    "pool": _pool,
    "transposed": _transposed,
    "resize": _resize,
    "pad": _pad,
    "cut": _cut,
    "add": _add,
    "beside": _beside,
    "behind": _behind,
    "folded": _folded,
    "tile": _tile,
    "picked": _picked,
}


def run(model: ModelProto, x: Array, name: str = "x") -> Array:
    """The one output under ONNX Runtime."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return np.asarray(session.run(None, {name: x.astype(np.float32)})[0])
