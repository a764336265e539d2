"""Random weights for a sketch, of scales with which activations stay of normal magnitude from first layer to last.

Times depend on values in one way that matters: denormal numbers are slow. Kernels keep the variance of what they read
(https://arxiv.org/abs/1502.01852), norms are near 1, and what is added to a residual stream is made small.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from onnx import NodeProto, TensorProto, helper

from benchmarks.sketch import Sketch, Weight

GAIN: Final = 1.4  # of a layer before a ReLU, which halves the variance
BRANCH: Final = 0.3  # of a branch that is added to its shortcut
NORMS: Final = ("BatchNormalization", "LayerNormalization", "InstanceNormalization")
Spread = tuple[float, float]  # mean, standard deviation


def filled(g: Sketch, seed: str) -> Sketch:
    """The sketch itself, every hole filled with numbers that depend on `seed` and on the weight's name alone, every
    symbolic dim 1. Raises ValueError for a hole that is not float32 or that no node reads."""
    readers = {name: (node, i) for node in reversed(g.nodes) for i, name in enumerate(node.input)}
    added = {name for node in g.nodes if node.op_type == "Add" for name in node.input}
    for name, weight in g.weights.items():
        if weight.data is None:
            g.weights[name] = replace(weight, data=_numbers(weight, f"{seed}/{name}", *_spread(weight, readers, added)))
    _fix_sizes(g)
    return g


def _numbers(weight: Weight, seed: str, mean: float, deviation: float) -> bytes:
    if weight.dtype != TensorProto.FLOAT:
        raise ValueError(f"{weight.name}: give its data; only float32 weights are drawn")
    rng = np.random.default_rng(zlib.crc32(seed.encode()))
    drawn = rng.standard_normal(math.prod(weight.dims), dtype=np.float32)
    drawn *= np.float32(deviation)
    drawn += np.float32(mean)
    return drawn.tobytes()


def _spread(weight: Weight, readers: dict[str, tuple[NodeProto, int]], added: set[str]) -> Spread:
    if weight.name not in readers:
        raise ValueError(f"{weight.name}: no node reads it")
    node, index = readers[weight.name]
    branch = BRANCH if node.output[0] in added else 1.0
    if node.op_type in NORMS:
        return _of_norm(node.op_type, index, branch)
    if node.op_type in ("Mul", "Div"):
        return 1.0, 0.1
    if node.op_type in ("LSTM", "GRU", "RNN"):
        return 0.0, 0.1 if index == 3 else 1 / math.sqrt(weight.dims[-1])
    if node.op_type == "Gather":
        return 0.0, 1.0
    if node.op_type == "PRelu":
        return 0.25, 0.03
    if index != 1 or node.op_type not in ("Conv", "ConvTranspose", "Gemm", "MatMul"):
        return 0.0, 0.1
    gain = GAIN * (branch if node.op_type == "Conv" else 1.0)
    return 0.0, gain / math.sqrt(_fan_in(node, weight.dims))


def _of_norm(op: str, index: int, branch: float) -> Spread:
    """Scale, shift, mean, variance."""
    if index == 1:
        return (branch if op == "BatchNormalization" else 1.0), 0.05
    return (1.0, 0.05) if index == 4 else (0.0, 0.1)


def _fan_in(node: NodeProto, dims: Sequence[int]) -> float:
    """Elements of the input behind one of the output."""
    attrs = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    match node.op_type:
        case "Conv":
            return math.prod(dims[1:])
        case "ConvTranspose":
            inputs = dims[0] * math.prod(dims[2:]) / attrs.get("group", 1)
            return float(max(inputs / math.prod(attrs.get("strides", ())), 1.0))
        case "Gemm":
            return dims[1] if attrs.get("transB") else dims[0]
        case _:
            return dims[-2]


def _fix_sizes(g: Sketch) -> None:
    for value in (*g.inputs, *g.outputs):
        for dim in value.type.tensor_type.shape.dim:
            if dim.WhichOneof("value") != "dim_value":
                dim.dim_value = 1
