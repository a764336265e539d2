"""A writer of graphs for worked examples: layers whose weights are described, never stored.

Every method that makes a tensor returns its name; `shape` keeps what it is. Weights are external data in a file that
nobody ships, so that a network of any size is a few kilobytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from onnx import ModelProto, StringStringEntryProto, TensorProto, helper, numpy_helper

Dims = tuple[int, ...]
FLOAT, FLOAT16, INT8, INT64 = TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.INT8, TensorProto.INT64
BYTES = {FLOAT: 4, FLOAT16: 2, INT8: 1, INT64: 8}


class Net:
    """One graph under construction; `shape` holds the dims of its activations."""

    def __init__(self, dtype: int = FLOAT) -> None:
        self.dtype = dtype
        self.shape: dict[str, Dims] = {}
        self._inputs: list[Any] = []
        self._nodes: list[Any] = []
        self._tensors: list[TensorProto] = []
        self._offset = 0

    # ---- graph boundary, nodes and constants
    def input(self, *dims: int, dtype: int | None = None) -> str:
        name = f"x{len(self._inputs)}"
        self._inputs.append(helper.make_tensor_value_info(name, dtype or self.dtype, dims))
        self.shape[name] = dims
        return name

    def node(self, op: str, inputs: Sequence[str], dims: Dims, name: str = "", **attrs: Any) -> str:
        """A node with one output of shape `dims`, which the builder states for itself and never writes to the file."""
        out = f"{op.lower()}{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, list(inputs), [out], name=name or out, **attrs))
        self.shape[out] = dims
        return out

    def weight(self, *dims: int, dtype: int | None = None) -> str:
        """An initializer whose bytes lie in a file that is not there."""
        kind = dtype or self.dtype
        length = prod(dims) * BYTES[kind]
        tensor = TensorProto(name=f"w{len(self._tensors)}", dims=dims, data_type=kind)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": "absent.bin", "offset": self._offset, "length": length}
        tensor.external_data.extend(StringStringEntryProto(key=k, value=str(v)) for k, v in place.items())
        self._offset += length
        self._tensors.append(tensor)
        return str(tensor.name)

    def constant(self, values: Any, dtype: Any = np.int64) -> str:
        """A small constant, stored inline: shapes, axes, scalars."""
        name = f"c{len(self._tensors)}"
        self._tensors.append(numpy_helper.from_array(np.array(values, dtype), name))
        return name

    def scalar(self, value: float) -> str:
        return self.constant(value, helper.tensor_dtype_to_np_dtype(self.dtype))

    def model(self, *outputs: str) -> ModelProto:
        """The model; its outputs are the last node's unless named."""
        names = outputs or (self._nodes[-1].output[0],)
        made = [helper.make_empty_tensor_value_info(name) for name in names]
        graph = helper.make_graph(self._nodes, "example", self._inputs, made, self._tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)

    # ---- convolution and pooling over N x C x H x W
    def conv(
        self,
        x: str,
        cout: int,
        k: int,
        s: int = 1,
        p: int | None = None,
        g: int = 1,
        d: int = 1,
        *,
        bias: bool = False,
        name: str = "",
    ) -> str:
        """A square convolution; `p` None pads a stride-1 kernel to the same size."""
        n, cin, h, w = self.shape[x]
        p = d * (k - 1) // 2 if p is None else p
        out = (n, cout, self._side(h, k, s, p, d), self._side(w, k, s, p, d))
        weights = [self.weight(cout, cin // g, k, k)] + ([self.weight(cout)] if bias else [])
        return self.node(
            "Conv",
            [x, *weights],
            out,
            name,
            strides=[s, s],
            pads=[p] * 4,
            dilations=[d, d],
            group=g,
            kernel_shape=[k, k],
        )

    def pool(self, x: str, k: int, s: int, p: int = 0, *, name: str = "") -> str:
        n, c, h, w = self.shape[x]
        out = (n, c, self._side(h, k, s, p), self._side(w, k, s, p))
        return self.node("MaxPool", [x], out, name, kernel_shape=[k, k], strides=[s, s], pads=[p] * 4)

    @staticmethod
    def _side(size: int, k: int, s: int, p: int, d: int = 1) -> int:
        return (size + 2 * p - d * (k - 1) - 1) // s + 1

    def global_pool(self, x: str) -> str:
        n, c, *_ = self.shape[x]
        return self.node("Flatten", [self.node("GlobalAveragePool", [x], (n, c, 1, 1))], (n, c))

    def batch_norm(self, x: str) -> str:
        c = self.shape[x][1]
        return self.node("BatchNormalization", [x, *(self.weight(c) for _ in range(4))], self.shape[x])

    # ---- matrices
    def linear(self, x: str, cout: int, *, bias: bool = False, name: str = "") -> str:
        *lead, cin = self.shape[x]
        y = self.node("MatMul", [x, self.weight(cin, cout)], (*lead, cout), name)
        return self.node("Add", [y, self.weight(cout)], (*lead, cout)) if bias else y

    def matmul(self, a: str, b: str, name: str = "") -> str:
        return self.node("MatMul", [a, b], (*self.shape[a][:-1], self.shape[b][-1]), name)

    def layer_norm(self, x: str, *, affine: bool = True) -> str:
        d = self.shape[x][-1]
        scale = self.weight(d) if affine else self.scalar(1)
        return self.node(
            "LayerNormalization", [x, scale, *([self.weight(d)] if affine else [])], self.shape[x], axis=-1
        )

    # ---- one element or one position at a time
    def relu(self, x: str) -> str:
        return self.node("Relu", [x], self.shape[x])

    def unary(self, op: str, x: str, **attrs: Any) -> str:
        return self.node(op, [x], self.shape[x], **attrs)

    def add(self, a: str, b: str) -> str:
        return self.node("Add", [a, b], self.shape[a])

    def mul(self, a: str, b: str) -> str:
        return self.node("Mul", [a, b], self.shape[a])

    def silu(self, x: str) -> str:
        return self.mul(x, self.unary("Sigmoid", x))

    # ---- movement
    def flatten(self, x: str) -> str:
        n, *rest = self.shape[x]
        return self.node("Flatten", [x], (n, prod(rest)))

    def reshape(self, x: str, *dims: int) -> str:
        return self.node("Reshape", [x, self.constant(dims)], dims)

    def transpose(self, x: str, *perm: int) -> str:
        return self.node("Transpose", [x], tuple(self.shape[x][i] for i in perm), perm=perm)

    def slice(self, x: str, axis: int, start: int, end: int, step: int = 1) -> str:
        dims = list(self.shape[x])
        dims[axis] = -(-(end - start) // step)
        where = [self.constant([v]) for v in (start, end, axis, step)]
        return self.node("Slice", [x, *where], tuple(dims))

    def concat(self, parts: Sequence[str], axis: int) -> str:
        dims = list(self.shape[parts[0]])
        dims[axis] = sum(self.shape[part][axis] for part in parts)
        return self.node("Concat", parts, tuple(dims), axis=axis)

    def pad(self, x: str, before: Sequence[int], after: Sequence[int]) -> str:
        dims = tuple(b + n + a for b, n, a in zip(before, self.shape[x], after, strict=True))
        return self.node("Pad", [x, self.constant([*before, *after])], dims)
