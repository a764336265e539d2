"""Each fusion in a model of a few nodes, as ONNX Runtime does it, and where it does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import pi, sqrt
from typing import Any

import numpy as np
import pytest
from onnx import ModelProto, NodeProto

from effaudit.lower.ort_fusions import Machine, optimized
from tests.lower.graphs import graph, model, n
from tests.lower.ort_fusions.saved import assert_alike, operators, same_version

pytestmark = same_version
RNG = np.random.default_rng(0)
IMAGE = {"x": (1, 16, 8, 8)}
ROWS = {"x": (2, 8, 32)}


def drawn(*shape: int) -> np.ndarray:
    return (RNG.random(shape, np.float32) + 0.1).astype(np.float32)


def scalar(value: float) -> np.ndarray:
    return np.asarray(value, np.float32)


NORM = {name: drawn(16) for name in ("gamma", "beta", "mean", "var")}
FILTERS = {"filters": drawn(16, 16, 3, 3), "narrow": drawn(16, 1, 3, 3)}
PADS = {"pads": [1, 1, 1, 1]}


def of(
    *nodes: NodeProto,
    inputs: Mapping[str, Sequence[int]],
    weights: Mapping[str, Any] | None = None,
    outputs: str = "y",
    opset: int = 17,
) -> ModelProto:
    whole = {**NORM, **FILTERS, **(weights or {})}
    return model(*nodes, inputs=inputs, weights=whole, outputs=outputs, opset=opset)


def conv(x: str, y: str, w: str = "filters", **attrs: Any) -> NodeProto:
    return n("Conv", f"{x} {w}", y, **{**PADS, **attrs})


# ---- convolutions
IMAGES = {
    "norm": (conv("x", "c"), n("BatchNormalization", "c gamma beta mean var", "y")),
    "scale per channel": (conv("x", "c"), n("Mul", "c k16", "y")),
    "scale of one": (conv("x", "c"), n("Mul", "c two", "y")),
    "shift per channel": (conv("x", "c"), n("Add", "c k16", "y")),
    "shift of one": (conv("x", "c"), n("Add", "c two", "y")),
    "relu": (conv("x", "c"), n("Relu", "c", "y")),
    "clip": (conv("x", "c"), n("Clip", "c zero six", "y")),
    "leaky": (conv("x", "c"), n("LeakyRelu", "c", "y", alpha=0.1)),
    "hard swish": (conv("x", "c"), n("HardSwish", "c", "h"), conv("h", "y")),
    "hard swish, an output": (conv("x", "c"), n("HardSwish", "c", "y")),
    "hard swish in two": (
        conv("x", "c"),
        n("HardSigmoid", "c", "h", alpha=1 / 6),
        n("Mul", "h c", "m"),
        conv("m", "y"),
    ),
    "something else": (conv("x", "c"), n("HardSigmoid", "c", "h"), n("Mul", "c h", "m"), conv("m", "y")),
    "hard sigmoid": (conv("x", "c"), n("HardSigmoid", "c", "y")),
    "no elu": (conv("x", "c"), n("Elu", "c", "y")),
    "read twice": (conv("x", "c"), n("Relu", "c", "r"), n("Add", "c r", "y")),
    "swish": (conv("x", "c"), n("Sigmoid", "c", "s1"), n("Mul", "c s1", "m"), conv("m", "y")),
    "residual": (conv("x", "a"), conv("a", "c"), n("Add", "c a", "s1"), n("Relu", "s1", "y")),
    "residual of what is plain": (conv("x", "c"), n("Add", "c x", "y")),
    "norm first": (
        conv("x", "c"),
        conv("c", "e"),
        n("Add", "c e", "s1"),
        n("BatchNormalization", "s1 gamma beta mean var", "y"),
    ),
    "depthwise": (conv("x", "c", "narrow", group=16), n("Relu", "c", "y")),
    "pool": (conv("x", "c"), n("MaxPool", "c", "y", kernel_shape=[2, 2], strides=[2, 2])),
    "pool of what is plain": (n("Sigmoid", "x", "c"), n("MaxPool", "c", "y", kernel_shape=[2, 2])),
    "global pool": (conv("x", "c"), n("GlobalAveragePool", "c", "y")),
    "global pool of what is plain": (
        n("Sigmoid", "x", "c"),
        n("GlobalAveragePool", "c", "y"),
    ),
    "excitation": (
        conv("x", "c"),
        n("GlobalAveragePool", "c", "g"),
        n("Sigmoid", "g", "h"),
        n("Mul", "c h", "m"),
        conv("m", "y"),
    ),
    "concat": (conv("x", "a"), conv("a", "c"), n("Concat", "a c", "m", axis=1), conv("m", "y", "wide")),
    "resize": (
        conv("x", "c"),
        n("Resize", "c - grow", "y", mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ),
    "resize otherwise": (conv("x", "c"), n("Resize", "c - grow", "y", mode="nearest")),
    "channels last behind": (conv("x", "c"), n("Transpose", "c", "y", perm=[0, 2, 3, 1])),
    "first layer": (n("Conv", "x three", "c"), n("Relu", "c", "y")),
    "12 channels": (n("Conv", "x twelve", "c"), n("Conv", "c back", "y")),
    "6 channels": (n("Conv", "x six_out", "c"), n("MaxPool", "c", "y", kernel_shape=[2, 2])),
    "groups of 4": (n("Conv", "x grouped", "y", group=4),),
}
MORE = {
    "k16": drawn(1, 16, 1, 1),
    "two": scalar(2),
    "wide": drawn(16, 32, 3, 3),
    "grow": np.asarray([1, 1, 2, 2], np.float32),
    "three": drawn(24, 16, 1, 1),
    "twelve": drawn(12, 16, 1, 1),
    "back": drawn(16, 12, 1, 1),
    "six_out": drawn(6, 16, 1, 1),
    "grouped": drawn(16, 4, 3, 3),
}


@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str) -> None:
    assert_alike(of(*IMAGES[name], inputs=IMAGE, weights=MORE))


def test_channels_last_around() -> None:
    nodes = (n("Transpose", "x", "t", perm=[0, 3, 1, 2]), conv("t", "c"), n("Transpose", "c", "y", perm=[0, 2, 3, 1]))
    assert_alike(of(*nodes, inputs={"x": (1, 8, 8, 16)}))


@pytest.mark.parametrize("after", ["Relu", "Sigmoid", "Tanh"])
def test_convolutions_of_signals_take_an_activation(after: str) -> None:
    nodes = (n("Conv", "x line", "c"), n(after, "c", "y"))
    assert_alike(of(*nodes, inputs={"x": (1, 16, 40)}, weights={"line": drawn(16, 16, 3)}))


def test_a_transposed_convolution_takes_a_norm_and_no_activation() -> None:
    nodes = (
        n("ConvTranspose", "x filters", "c"),
        n("BatchNormalization", "c gamma beta mean var", "m"),
        n("Relu", "m", "y"),
    )
    assert operators(assert_alike(of(*nodes, inputs=IMAGE))) == ["ConvTranspose", "Relu"]


# ---- products
HALVES = {"half": scalar(0.5), "one_": scalar(1), "root2": scalar(sqrt(2)), "eps": scalar(1e-5), "pow2": scalar(2)}
TANH = {"pow3": scalar(3), "cubic": scalar(0.044715), "root": scalar(sqrt(2 / pi))}
PRODUCTS = {"w": drawn(32, 32), "v": drawn(32), "g": drawn(32), "eight": scalar(8)}
INTS = {
    name: np.asarray(value, np.int64)
    for name, value in {"i0": 0, "i1": 1, "p0": [0], "p16": [16], "p32": [32], "p2": [2]}.items()
}
SEQUENCES = {
    "shift": (n("MatMul", "x w", "m"), n("Add", "m v", "y")),
    "shift and activation": (n("MatMul", "x w", "m"), n("Add", "m v", "s1"), n("Relu", "s1", "y")),
    "shift first": (n("MatMul", "x w", "m"), n("Add", "v m", "y")),
    "scores": (
        n("Transpose", "x", "t", perm=[0, 2, 1]),
        n("MatMul", "x t", "m"),
        n("Div", "m eight", "s1"),
        n("Softmax", "s1", "y"),
    ),
    "scaled before": (n("Mul", "x eight", "s1"), n("Transpose", "x", "t", perm=[0, 2, 1]), n("MatMul", "s1 t", "y")),
    "gelu": (
        n("Div", "x root2", "a"),
        n("Erf", "a", "e"),
        n("Add", "e one_", "p"),
        n("Mul", "x p", "q"),
        n("Mul", "q half", "y"),
    ),
    "gelu, half first": (
        n("Div", "x root2", "a"),
        n("Erf", "a", "e"),
        n("Add", "e one_", "p"),
        n("Mul", "x half", "h"),
        n("Mul", "h p", "y"),
    ),
    "fast gelu, an output": (
        n("Pow", "x pow3", "a"),
        n("Mul", "a cubic", "c"),
        n("Add", "x c", "s1"),
        n("Mul", "s1 root", "t"),
        n("Tanh", "t", "u"),
        n("Add", "u one_", "p"),
        n("Mul", "x half", "h"),
        n("Mul", "h p", "y"),
    ),
    "fast gelu": (
        n("Sigmoid", "x", "z_"),
        n("Pow", "z_ pow3", "a"),
        n("Mul", "a cubic", "c"),
        n("Add", "z_ c", "s1"),
        n("Mul", "s1 root", "t"),
        n("Tanh", "t", "u"),
        n("Add", "u one_", "p"),
        n("Mul", "z_ half", "h"),
        n("Mul", "h p", "o"),
        n("Neg", "o", "y"),
    ),
    "silu": (n("Sigmoid", "x", "s1"), n("Mul", "x s1", "y")),
    "layer norm": (
        n("ReduceMean", "x", "m", axes=[-1]),
        n("Sub", "x m", "d"),
        n("Pow", "d pow2", "p"),
        n("ReduceMean", "p", "u", axes=[-1]),
        n("Add", "u eps", "e"),
        n("Sqrt", "e", "r"),
        n("Div", "d r", "q"),
        n("Mul", "q g", "s1"),
        n("Add", "s1 v", "y"),
    ),
    "rms norm": (
        n("Pow", "x pow2", "p"),
        n("ReduceMean", "p", "u", axes=[-1]),
        n("Add", "u eps", "e"),
        n("Sqrt", "e", "r"),
        n("Div", "x r", "q"),
        n("Mul", "q g", "y"),
    ),
    "sum and norm": (n("Sigmoid", "x", "s1"), n("Add", "x s1", "a"), n("LayerNormalization", "a g v", "y")),
    "sum that is read again": (
        n("Sigmoid", "x", "s1"),
        n("Add", "x s1", "a"),
        n("LayerNormalization", "a g v", "l"),
        n("Add", "a l", "y"),
    ),
    "bias, sum and norm": (
        n("MatMul", "x w", "m"),
        n("Softmax", "m", "f"),
        n("Add", "f v", "b1"),
        n("Add", "b1 x", "a"),
        n("LayerNormalization", "a g v", "y"),
    ),
    "halves": (
        n("Slice", "x p0 p16 p2", "a"),
        n("Slice", "x p16 p32 p2", "c"),
        n("Neg", "c", "d"),
        n("Concat", "d a", "y", axis=2),
    ),
    "not all of it": (
        n("Slice", "x p0 p16 p2", "a"),
        n("Slice", "x p0 p16 p2", "c"),
        n("Neg", "c", "d"),
        n("Concat", "d a", "y", axis=2),
    ),
    "pieces": (n("Gather", "x i0", "a", axis=0), n("Gather", "x i1", "c", axis=0), n("Sub", "a c", "y")),
}


@pytest.mark.parametrize("name", SEQUENCES)
def test_sequences(name: str) -> None:
    weights = {**HALVES, **TANH, **PRODUCTS, **INTS}
    assert_alike(of(*SEQUENCES[name], inputs=ROWS, weights=weights))


def test_queries_keys_and_values_are_cut_from_one_product() -> None:
    shape = np.asarray([1, 8, 3, 4, 8], np.int64)
    nodes = (
        n("MatMul", "x qkv", "m"),
        n("Add", "m bias", "s1"),
        n("Reshape", "s1 shape", "r"),
        n("Transpose", "r", "t", perm=[2, 0, 3, 1, 4]),
        n("Gather", "t i0", "q_", axis=0),
        n("Gather", "t i1", "k_", axis=0),
        n("Gather", "t i2", "v_", axis=0),
        n("Transpose", "k_", "kt", perm=[0, 1, 3, 2]),
        n("MatMul", "q_ kt", "a"),
        n("Softmax", "a", "p"),
        n("MatMul", "p v_", "y"),
    )
    weights = {**INTS, "i2": np.asarray(2, np.int64), "shape": shape, "qkv": drawn(32, 96), "bias": drawn(96)}
    found = assert_alike(of(*nodes, inputs={"x": (1, 8, 32)}, weights=weights))
    assert operators(found).count("Transpose") == 3
    assert "Split" in operators(found)


def test_dynamic_quantization() -> None:
    weights = {
        "wi": RNG.integers(-9, 9, (32, 16)).astype(np.int8),
        "wz8": np.zeros(16, np.int8),
        "ws16": drawn(16),
        "bias": drawn(16),
    }
    product = (
        n("DynamicQuantizeLinear", "x", "q_ qs qz"),
        n("MatMulInteger", "q_ wi qz wz8", "i"),
        n("Cast", "i", "f", to=1),
        n("Mul", "qs ws16", "ss"),
        n("Mul", "f ss", "m"),
        n("Add", "m bias", "y"),
    )
    found = assert_alike(of(*product, inputs=ROWS, weights=weights))
    assert operators(found) == ["DynamicQuantizeMatMul"]


def test_a_quantized_input_that_two_products_read_is_quantized_once() -> None:
    drawn_ints = {f"wi{i}": RNG.integers(-9, 9, (32, 16)).astype(np.int8) for i in "ab"}
    weights = {**drawn_ints, "wz8": np.zeros(16, np.int8), "wsa": drawn(16), "wsb": drawn(16)}
    nodes = [n("DynamicQuantizeLinear", "x", "q_ qs qz")]
    for i in "ab":
        nodes += [n("MatMulInteger", f"q_ wi{i} qz wz8", f"i{i}"), n("Cast", f"i{i}", f"f{i}", to=1)]
        nodes += [n("Mul", f"qs ws{i}", f"s{i}"), n("Mul", f"f{i} s{i}", f"m{i}")]
    found = assert_alike(of(*nodes, n("Sub", "ma mb", "y"), inputs=ROWS, weights=weights))
    assert operators(found) == ["DynamicQuantizeLinear", "MatMulIntegerToFloat", "MatMulIntegerToFloat", "Sub"]


# ---- what is left alone
def test_a_graph_output_keeps_its_name() -> None:
    found = assert_alike(of(conv("x", "c"), n("Relu", "c", "y"), inputs=IMAGE, outputs="y c"))
    assert found.outputs == ("y", "c")


def test_without_blocks_convolutions_stay_plain() -> None:
    made = graph(conv("x", "c"), n("Relu", "c", "y"), inputs=IMAGE, weights=FILTERS)
    assert operators(optimized(made, Machine(None, signed=False))) == ["FusedConv"]


@pytest.mark.parametrize("inputs", ["", "x", "x - -", "- filters"])
def test_a_broken_convolution_is_left_alone(inputs: str) -> None:
    made = graph(n("Conv", inputs, "c"), n("Relu", "c", "y"), inputs=IMAGE, weights=FILTERS)
    assert [node.op for node in optimized(made, Machine(16, signed=False)).nodes] == ["Conv", "Relu"]
