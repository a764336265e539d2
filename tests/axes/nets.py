"""Small networks of one trait each, for the laws of coupled channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 17
NETS: dict[str, Callable[[], ModelProto]] = {}


def net(build: Callable[[Net], None], opset: int = OPSET) -> Callable[[Net], None]:
    """Registers a network; `build` fills it."""

    def made() -> ModelProto:
        one = Net(build.__name__, opset)
        build(one)
        return one.model()

    NETS[build.__name__] = made
    return build


def net_of(opset: int) -> Callable[[Callable[[Net], None]], Callable[[Net], None]]:
    return lambda build: net(build, opset)


class Net:
    def __init__(self, name: str, opset: int = OPSET) -> None:
        self.name, self.opset = name, opset
        self.nodes: list[NodeProto] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []
        self.draw = np.random.default_rng(len(name))
        self.channels: dict[str, int] = {}

    def input(self, name: str, *shape: int | str, dtype: int = TensorProto.FLOAT) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        if len(shape) == 4 and isinstance(shape[1], int):
            self.channels[name] = shape[1]
        return name

    def output(self, name: str) -> None:
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))

    def node(self, op: str, *inputs: str, outputs: int = 1, domain: str = "", **attrs: Any) -> Any:
        names = [f"{op}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, name=f"{op}_{len(self.nodes)}", domain=domain, **attrs))
        if inputs and inputs[0] in self.channels:
            self.channels.update(dict.fromkeys(names, self.channels[inputs[0]]))
        return names[0] if outputs == 1 else tuple(names)

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.constants)}"
        bound = 1.7 / np.sqrt(max(np.prod(shape[1:]), 1))
        self.constants.append(numpy_helper.from_array(self.draw.uniform(-bound, bound, shape).astype(np.float32), name))
        return name

    def ints(self, *values: int) -> str:
        name = f"i{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, np.int64), name))
        return name

    def whole(self, *values: int, scalar: bool = False) -> str:
        """Numbers of 32 bits; one of them as a scalar."""
        name = f"i{len(self.constants)}"
        array = np.array(values[0] if scalar else values, np.int32)
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def packed(self, rows: int, blocks: int) -> tuple[str, str]:
        """Codes of 4 bits in blocks of 16, and a scale for each block."""
        name = f"p{len(self.constants)}"
        codes = self.draw.integers(0, 256, (rows, blocks, 8)).astype(np.uint8)
        self.constants.append(numpy_helper.from_array(codes, name))
        return name, self.weight(rows * blocks)

    def conv(self, x: str, out: int, k: int = 1, *, group: int = 1, stride: int = 1, relu: bool = True) -> str:
        w, b = self.weight(out, self.channels[x] // group, k, k), self.weight(out)
        pads = {"pads": [k // 2] * 4, "strides": [stride] * 2, "kernel_shape": [k, k]}
        y = str(self.node("Conv", x, w, b, group=group, **pads))
        y = str(self.node("Relu", y)) if relu else y
        self.channels[y] = out
        return y

    def norm(self, x: str) -> str:
        c = self.channels[x]
        name = f"v{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(self.draw.uniform(0.5, 1.5, c).astype(np.float32), name))
        y = self.node("BatchNormalization", x, self.weight(c), self.weight(c), self.weight(c), name)
        return str(self.node("Relu", y))

    def head(self, x: str, features: int) -> None:
        """Mean over the positions, then a dense layer."""
        y = self.node("Flatten", self.node("GlobalAveragePool", x))
        self.output(self.node("Gemm", y, self.weight(5, features), self.weight(5), transB=1))

    def dense(self, x: str, fan_in: int, out: int) -> str:
        return str(self.node("Add", self.node("MatMul", x, self.weight(fan_in, out)), self.weight(out)))

    def model(self) -> ModelProto:
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, ir_version=8, opset_imports=opsets)


@net
def residual(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 8, 3)
    y = n.conv(n.conv(x, 6, 3), 8, 3, relu=False)
    n.head(n.node("Relu", n.node("Add", x, y)), 8)


@net
def depthwise(n: Net) -> None:
    x = n.norm(n.conv(n.input("x", 1, 3, 8, 8), 12))
    n.head(n.conv(n.norm(n.conv(x, 12, 3, group=12)), 6), 6)


@net
def depth_multiplier(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 6)
    n.head(n.conv(x, 12, 3, group=6), 12)


@net
def groups_of_channels(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 12)
    n.head(n.conv(n.conv(x, 24, 3, group=4), 7), 7)


@net
def dense_block(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 8)
    for _ in range(3):
        y = n.conv(n.conv(n.norm(x), 8), 4, 3)
        wide = n.channels[x] + 4
        x = n.node("Concat", x, y, axis=1)
        n.channels[x] = wide
    n.head(n.norm(x), n.channels[x])


@net
def split_and_join(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 12)
    a, b, c = n.node("Split", x, n.ints(2, 4, 6), axis=1, outputs=3)
    n.channels.update({a: 2, b: 4, c: 6})
    y = n.node("Concat", c, n.conv(b, 5), a, a, axis=1)
    n.channels[y] = 15
    n.head(n.conv(y, 6), 6)


@net
def halves(n: Net) -> None:
    """Gated halves by slices whose bounds are lengths, one past the end."""
    x = n.conv(n.input("x", 1, 3, 8, 8), 12)
    a = n.node("Slice", x, n.ints(0), n.ints(6), n.ints(1))
    b = n.node("Slice", x, n.ints(6), n.ints(2**31), n.ints(1))
    c = n.node("Slice", x, n.ints(-6), n.ints(12), n.ints(1))
    y = n.node("Add", n.node("Mul", a, n.node("Sigmoid", b)), c)
    n.channels[y] = 6
    n.head(n.conv(y, 6), 6)


@net
def shuffle(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 4, 4), 16)
    for _ in range(2):
        a, b = n.node("Split", x, n.ints(8, 8), axis=1, outputs=2)
        n.channels.update({a: 8, b: 8})
        y = n.node("Concat", a, n.conv(n.conv(b, 8), 8, 3, group=8), axis=1)
        y = n.node("Transpose", n.node("Reshape", y, n.ints(1, 2, 8, 4, 4)), perm=[0, 2, 1, 3, 4])
        x = n.node("Reshape", y, n.ints(1, 16, 4, 4))
        n.channels[x] = 16
    n.head(n.conv(x, 6), 6)


@net
def flattened(n: Net) -> None:
    x = n.conv(n.input("x", 2, 3, 4, 4), 6)
    y = n.node("Reshape", x, n.ints(0, -1))
    y = n.node("Relu", n.dense(y, 96, 10))
    n.output(n.node("Gemm", y, n.weight(10, 4), n.weight(4)))


@net
def flattened_by_shape(n: Net) -> None:
    """The batch is read off the input while it runs, the other length is a number."""
    x = n.conv(n.input("x", "batch", 3, 4, 4), 6)
    batch = n.node("Gather", n.node("Shape", x), n.ints(0), axis=0)
    y = n.node("Reshape", x, n.node("Concat", batch, n.ints(96), axis=0))
    n.output(n.dense(n.node("Relu", n.dense(y, 96, 10)), 10, 4))


@net
def computed_sizes(n: Net) -> None:
    """As PyTorch's chunk is exported: half of a length that is read off the tensor."""
    x = n.conv(n.input("x", 1, 3, 4, 4), 12)
    wide = n.node("Gather", n.node("Shape", x), n.ints(1), axis=0)
    half = n.node("Div", wide, n.ints(2))
    a = n.node("Slice", x, n.ints(0), half, n.ints(1))
    b = n.node("Slice", x, half, n.node("Mul", half, n.ints(2)), n.ints(1))
    y = n.node("Mul", a, b)
    n.channels[y] = 6
    n.head(n.conv(y, 6), 6)


@net
def squeeze_excite(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 8, 8), 12)
    y = n.node("GlobalAveragePool", x)
    y = n.node("HardSigmoid", n.conv(n.conv(y, 4), 12, relu=False))
    n.head(n.node("Mul", x, y), 12)


@net
def decoder(n: Net) -> None:
    """Down, up by a transposed convolution, a skip, pixels out of channels."""
    x = n.conv(n.input("x", 1, 3, 8, 8), 6, 3)
    y = n.conv(x, 10, 3, stride=2)
    up = n.node("ConvTranspose", y, n.weight(10, 8, 2, 2), n.weight(8), strides=[2, 2])
    z = n.node("Concat", up, x, axis=1)
    n.channels[z] = 14
    z = n.node("DepthToSpace", n.conv(z, 24), blocksize=2)
    n.channels[z] = 6
    z = n.node("SpaceToDepth", z, blocksize=2)
    n.channels[z] = 24
    n.head(n.conv(z, 6), 6)


@net
def grouped_transposed(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 4, 4), 8)
    y = n.node("ConvTranspose", x, n.weight(8, 3, 2, 2), n.weight(12), strides=[2, 2], group=4)
    n.channels[y] = 12
    n.head(n.conv(y, 6), 6)


@net
def padded_shortcut(n: Net) -> None:
    """A residual whose shortcut has too few channels: zeros are added on both sides."""
    x = n.conv(n.input("x", 1, 3, 8, 8), 6)
    y = n.node("Pad", x, n.ints(0, 1, 0, 0, 0, 3, 0, 0))
    n.channels[y] = 10
    n.head(n.node("Relu", n.node("Add", n.conv(x, 10), y)), 10)


def attention(n: Net, *, shared: int, repeat: bool) -> None:
    """Heads of 4, of which `shared` have keys and values of their own."""
    heads, size, wide = 4, 4, 16
    x = n.dense(n.input("x", 2, 5, 7), 7, wide)
    parts = []
    for count in (heads, shared, shared):
        y = n.node("Reshape", n.dense(x, wide, count * size), n.ints(2, 5, count, size))
        y = n.node("Transpose", y, perm=[0, 2, 1, 3])
        if repeat and count != heads:
            y = n.node("Unsqueeze", y, n.ints(2))
            y = n.node("Expand", y, n.ints(2, shared, heads // shared, 5, size))
            y = n.node("Reshape", y, n.ints(2, heads, 5, size))
        parts.append(y)
    q, k, v = parts
    scores = n.node("Softmax", n.node("MatMul", q, n.node("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    y = n.node("Transpose", n.node("MatMul", scores, v), perm=[0, 2, 1, 3])
    y = n.dense(n.node("Reshape", y, n.ints(2, 5, heads * size)), heads * size, wide)
    n.output(n.dense(n.node("Add", x, y), wide, 3))


@net
def heads(n: Net) -> None:
    attention(n, shared=4, repeat=False)


@net
def shared_heads(n: Net) -> None:
    attention(n, shared=2, repeat=True)


@net
def packed_heads(n: Net) -> None:
    """Queries, keys and values by one product, taken apart by indices."""
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    y = n.node("Reshape", n.dense(x, 16, 48), n.ints(2, 5, 3, 4, 4))
    y = n.node("Transpose", y, perm=[2, 0, 3, 1, 4])
    q, k, v = (n.node("Squeeze", n.node("Gather", y, n.ints(i), axis=0), n.ints(0)) for i in range(3))
    scores = n.node("Softmax", n.node("MatMul", q, n.node("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
    y = n.node("Transpose", n.node("MatMul", scores, v), perm=[0, 2, 1, 3])
    n.output(n.dense(n.node("Reshape", y, n.ints(2, 5, 16)), 16, 3))


@net
def fused_heads(n: Net) -> None:
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    q, k, v = (n.dense(x, 16, 16) for _ in range(3))
    y = n.node("MultiHeadAttention", q, k, v, domain="com.microsoft", num_heads=4)
    n.output(n.dense(y, 16, 3))


@net
def packed_attention(n: Net) -> None:
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    y = n.node("Attention", x, n.weight(16, 48), n.weight(48), domain="com.microsoft", num_heads=4)
    n.output(n.dense(y, 16, 3))


@net
def einsums(n: Net) -> None:
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    q, k = (n.node("Einsum", x, n.weight(16, 4, 3), equation="bsd,dhe->bhse") for _ in range(2))
    y = n.node("Softmax", n.node("Einsum", q, k, equation="bhqe,bhke->bhqk"), axis=-1)
    y = n.node("Einsum", y, q, n.weight(4, 3, 16), equation="bhqk,bhke,heo->bqo")
    n.output(n.dense(y, 16, 3))


@net
def embedded(n: Net) -> None:
    """Two tables of vectors, looked up and added."""
    ids = n.input("ids", 2, 5, dtype=TensorProto.INT64)
    x = n.node("Add", n.node("Gather", n.weight(11, 16), ids), n.weight(1, 5, 16))
    n.output(n.dense(n.node("Relu", n.dense(x, 16, 12)), 12, 3))


@net
def shared_vectors(n: Net) -> None:
    """One vector that exporters stored once for two layers of one width."""
    x = n.input("x", 1, 3, 4, 4)
    bias = n.weight(8)
    a = n.node("Conv", x, n.weight(8, 3, 1, 1), bias)
    b = n.node("Conv", n.node("Relu", a), n.weight(8, 8, 1, 1), bias)
    n.head(n.node("Relu", b), 8)


@net
def channels_last(n: Net) -> None:
    """Positions and channels change places around a dense layer, as TensorFlow exports them."""
    x = n.node("Transpose", n.conv(n.input("x", 1, 3, 4, 4), 8), perm=[0, 2, 3, 1])
    x = n.node("Relu", n.dense(x, 8, 12))
    x = n.node("Transpose", x, perm=[0, 3, 1, 2])
    n.channels[x] = 12
    n.head(n.conv(x, 6, 3), 6)


@net
def interleaved(n: Net) -> None:
    """Every other channel, as rotations pair them."""
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    even = n.node("Slice", x, n.ints(0), n.ints(16), n.ints(2), n.ints(2))
    odd = n.node("Slice", x, n.ints(1), n.ints(16), n.ints(2), n.ints(2))
    n.output(n.dense(n.node("Mul", even, odd), 8, 3))


@net
def group_query(n: Net) -> None:
    """Six heads of 8 on two of keys and values: heads that share keys go together, and so do those that do not."""
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    q, k, v = n.dense(x, 16, 48), n.dense(x, 16, 16), n.dense(x, 16, 16)
    lengths, whole = n.whole(4, 4), n.whole(5, scalar=True)
    y = n.node(
        "GroupQueryAttention",
        q,
        k,
        v,
        "",
        "",
        lengths,
        whole,
        domain="com.microsoft",
        num_heads=6,
        kv_num_heads=2,
        outputs=3,
    )[0]
    n.output(n.dense(y, 48, 3))


@net_of(23)
def attention_of_onnx(n: Net) -> None:
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    y = n.node("Attention", n.dense(x, 16, 24), n.dense(x, 16, 8), n.dense(x, 16, 8), q_num_heads=6, kv_num_heads=2)
    n.output(n.dense(y, 24, 3))


@net_of(21)
def group_norm(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 4, 4), 12)
    y = n.node("GroupNormalization", x, n.weight(12), n.weight(12), num_groups=4)
    n.head(n.conv(y, 6), 6)


@net
def group_norm_by_reshape(n: Net) -> None:
    """As exporters write it: groups become channels, are normalized, and are taken apart again."""
    x = n.conv(n.input("x", 1, 3, 4, 4), 12)
    y = n.node("InstanceNormalization", n.node("Reshape", x, n.ints(0, 4, -1)), n.weight(4), n.weight(4))
    y = n.node("Mul", n.node("Reshape", y, n.ints(1, 12, 4, 4)), n.weight(12, 1, 1))
    n.channels[y] = 12
    n.head(n.conv(y, 6), 6)


@net
def resized(n: Net) -> None:
    x = n.conv(n.input("x", 1, 3, 4, 4), 6)
    y = n.node("Resize", x, "", "", n.ints(1, 6, 8, 8), mode="nearest")
    n.head(n.conv(y, 6), 6)


@net
def reordered(n: Net) -> None:
    """Channels picked by constant indices: some twice, some never."""
    x = n.conv(n.input("x", 1, 3, 4, 4), 12)
    y = n.node("Gather", x, n.ints(8, 9, 10, 11, 0, 1, 2, 3, 8, 9, -1), axis=1)
    n.channels[y] = 11
    n.head(n.conv(y, 6), 6)


@net
def rotated(n: Net) -> None:
    """Halves that change places, as rotary embeddings turn pairs."""
    x = n.dense(n.input("x", 2, 5, 7), 7, 16)
    first = n.node("Slice", x, n.ints(0), n.ints(8), n.ints(2))
    last = n.node("Slice", x, n.ints(8), n.ints(2**62), n.ints(-1))
    turned = n.node("Concat", n.node("Neg", last), first, axis=-1)
    y = n.node("Add", n.node("Mul", x, n.weight(5, 16)), n.node("Mul", turned, n.weight(5, 16)))
    n.output(n.dense(y, 16, 3))


@net
def packed_weights(n: Net) -> None:
    """Weights of 4 bits in blocks of 16: whole blocks of inputs go, and outputs one by one where nothing else holds."""
    x = n.dense(n.input("x", 2, 7), 7, 64)
    sizes = {"domain": "com.microsoft", "bits": 4, "block_size": 16}
    x = n.node("Relu", n.node("MatMulNBits", x, *n.packed(20, 4), K=64, N=20, **sizes))
    n.output(n.dense(x, 20, 3))
