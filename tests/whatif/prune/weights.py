"""A small network with every kind of weight, and the matrix of each spelt out element by element."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnx import ModelProto, TensorProto, helper, numpy_helper

from effaudit.audited import Audited, examine
from effaudit.graph import Graph
from effaudit.load.values import values
from effaudit.whatif import apply, parse
from effaudit.whatif.types import Change

Index = tuple[int, ...]
Grid = list[list[Index]]  # rows of the matrix, each the indices of its elements

SHAPES: dict[str, tuple[int, ...]] = {
    "conv": (6, 5, 3, 3),
    "grouped": (8, 3, 1, 1),  # two groups of three channels
    "depthwise": (8, 1, 3, 3),
    "transposed": (8, 3, 2, 2),  # two groups: 8 -> 6
    "turned": (54, 10),  # Transpose before Gemm with transB
    "gemm": (10, 7),
    "transB": (9, 7),
    "left": (4, 9),  # W @ x^T
    "batched": (2, 4, 3),
}
BIAS = "conv_bias"


def model(seed: int = 0, *, coarse: bool = False, dtype: type = np.float32) -> ModelProto:
    """x [1, 5, 6, 6] -> y. `coarse`: magnitudes of few values, many equal and many zero."""
    draw = np.random.default_rng(seed)

    def weight(name: str, shape: tuple[int, ...]) -> TensorProto:
        plain = draw.standard_normal(shape)
        return numpy_helper.from_array((np.round(plain * 2) / 4 if coarse else plain).astype(dtype), name)

    node = helper.make_node
    nodes = [
        node("Conv", ["x", "conv", BIAS], ["a"], "first", pads=[1] * 4),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "grouped"], ["c"], "second", group=2),
        node("Conv", ["c", "depthwise"], ["d"], "third", group=8, pads=[1] * 4),
        node("ConvTranspose", ["d", "transposed"], ["e"], "fourth", group=2, strides=[2, 2]),
        node("MaxPool", ["e"], ["f"], kernel_shape=[4, 4], strides=[4, 4]),
        node("Flatten", ["f"], ["g"]),
        node("Transpose", ["turned"], ["turned_back"], perm=[1, 0]),
        node("Gemm", ["g", "turned_back"], ["h"], "fifth", transB=1),
        node("Gemm", ["h", "gemm"], ["i"], "sixth"),
        node("Gemm", ["i", "transB"], ["j"], "seventh", transB=1),
        node("Transpose", ["j"], ["k"], perm=[1, 0]),
        node("MatMul", ["left", "k"], ["l"], "eighth"),
        node("Transpose", ["l"], ["m"], perm=[1, 0]),
        node("MatMul", ["m", "batched"], ["n"], "ninth"),
        node("LayerNormalization", ["n", "scale"], ["y"], "norm"),
    ]
    held = [weight(name, shape) for name, shape in SHAPES.items() if name not in ("gemm",)]
    held += [weight(BIAS, (6,)), weight("scale", (3,))]
    nodes.insert(0, node("Constant", [], ["gemm"], value=weight("gemm", SHAPES["gemm"])))
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    x = helper.make_tensor_value_info("x", kind, [1, 5, 6, 6])
    y = helper.make_tensor_value_info("y", kind, [2, 1, 3])
    graph = helper.make_graph(nodes, "weights", [x], [y], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def grid(name: str) -> tuple[Grid, int]:
    """The matrix of a weight, one row per output; and how many neighbours in a row are of consecutive channels."""
    s = SHAPES[name]
    if name in ("conv", "grouped", "depthwise"):
        o, i, h, w = s
        return [[(a, b, y, x) for y in range(h) for x in range(w) for b in range(i)] for a in range(o)], i
    if name == "transposed":
        half = s[0] // 2
        rows = [(g, a) for g in range(2) for a in range(s[1])]
        return [
            [(g * half + c, a, y, x) for y in range(s[2]) for x in range(s[3]) for c in range(half)] for g, a in rows
        ], half
    if name == "turned":  # [in, out] as stored
        return [[(k, n) for k in range(s[0])] for n in range(s[1])], s[0]
    if name == "gemm":
        return [[(k, n) for k in range(s[0])] for n in range(s[1])], s[0]
    if name in ("transB", "left"):
        return [[(n, k) for k in range(s[1])] for n in range(s[0])], s[1]
    return [[(b, k, n) for k in range(s[1])] for b, n in product(range(s[0]), range(s[2]))], s[1]


def saved(made: ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(made.SerializeToString())
    return path


def pruned(path: Path | str, *written: str) -> tuple[Change, Audited]:
    """The last change of several `--prune`, and the model after it."""
    audited = examine(path)
    for one in written:
        change, audited = apply(audited, parse("prune", one))
    return change, audited


def arrays(graph: Graph, names: Iterable[str] = SHAPES) -> dict[str, np.ndarray]:
    """The elements of the named constants, initializers or Constant nodes."""
    held = {node.outputs[0]: node.attrs["value"] for node in graph.nodes if node.op == "Constant"}
    return {name: np.array(values({**held, **graph.constants}[name])) for name in names}


def put(made: ModelProto, new: Mapping[str, np.ndarray]) -> ModelProto:
    """The model with other elements, put there by hand."""
    changed = ModelProto.FromString(made.SerializeToString())
    for tensor in changed.graph.initializer:
        if tensor.name in new:
            tensor.CopyFrom(numpy_helper.from_array(new[tensor.name], tensor.name))
    for node in changed.graph.node:
        if node.op_type == "Constant" and node.output[0] in new:
            name = node.output[0]
            node.attribute[0].t.CopyFrom(numpy_helper.from_array(new[name], name))
    return changed


def run(path: Path, seed: int = 1) -> list[np.ndarray]:
    """What ONNX Runtime computes of numbers drawn by chance."""
    session = ort.InferenceSession(os.fspath(path), providers=["CPUExecutionProvider"])
    draw = np.random.default_rng(seed)
    kinds: dict[str, Callable[..., np.ndarray]] = {"tensor(float)": np.float32, "tensor(float16)": np.float16}
    feed = {x.name: kinds[x.type](draw.standard_normal(x.shape)) for x in session.get_inputs()}
    return [np.asarray(y) for y in session.run(None, feed)]
