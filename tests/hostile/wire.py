"""Writes ONNX files byte by byte.

onnx's own helpers refuse most of what is wanted here (names that are not UTF-8, lengths that lie, fields of
the wrong kind), and two writers would be two dialects: so the legal files are written by the same few
functions, and `test_generators.py` has onnx read them back.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

FLOAT, UINT8, INT8, INT32, INT64, STRING, BOOL = 1, 2, 3, 6, 7, 8, 9
INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)

Text = str | bytes  # bytes: a string field that need not be UTF-8
Dim = int | Text | None  # a number, a name, or a dim that says nothing


class Tensor(bytes):
    """The bytes of a TensorProto."""


class Graph(bytes):
    """The bytes of a GraphProto."""


class Raw(bytes):
    """The fields of an AttributeProto after its name, exactly as given."""


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1  # negative numbers take ten bytes, as in protobuf
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


@cache
def key(field: int, wire: int) -> bytes:
    return varint(field << 3 | wire)


def integer(field: int, number: int) -> bytes:
    return key(field, VARINT) + varint(number)


def single_float(field: int, number: float) -> bytes:
    return key(field, FIXED32) + struct.pack("<f", number)


def block(field: int, content: Text) -> bytes:
    data = content.encode() if isinstance(content, str) else content
    size = len(data)
    return key(field, LENGTH) + (bytes((size,)) if size < 0x80 else varint(size)) + data


def blocks(field: int, contents: Sequence[Text]) -> bytes:
    return b"".join([block(field, content) for content in contents])


def pair(name: Text, value: Text) -> bytes:
    """A StringStringEntryProto, as metadata and external data use it."""
    return block(1, name) + block(2, value)


def tensor(
    name: Text,
    dims: Sequence[int],
    raw: bytes | None = None,
    dtype: int = FLOAT,
    *,
    external: Mapping[str, Text] | None = None,
    extra: bytes = b"",
) -> Tensor:
    out = b"".join([integer(1, dim) for dim in dims]) + integer(2, dtype) + block(8, name)
    if raw is not None:
        out += block(9, raw)
    if external is not None:
        out += b"".join([block(13, pair(k, v)) for k, v in external.items()]) + integer(14, 1)
    return Tensor(out + extra)


def attribute(name: Text, value: Any) -> bytes:
    head = block(1, name)
    match value:
        case Raw():
            return head + value
        case Tensor():
            return head + block(5, value) + integer(20, 4)
        case Graph():
            return head + block(6, value) + integer(20, 5)
        case int():
            return head + integer(3, value) + integer(20, 2)
        case float():
            return head + single_float(2, value) + integer(20, 1)
        case str() | bytes():
            return head + block(4, value) + integer(20, 3)
        case [float(), *_]:
            return head + b"".join([single_float(7, v) for v in value]) + integer(20, 6)
        case [str() | bytes(), *_]:
            return head + blocks(9, value) + integer(20, 8)
        case list():
            return head + b"".join([integer(8, v) for v in value]) + integer(20, 7)
    raise TypeError(f"no attribute kind for {type(value)}")


def node(
    op: Text,
    inputs: Sequence[Text],
    outputs: Sequence[Text],
    name: Text = "",
    domain: Text = "",
    extra: bytes = b"",
    **attrs: Any,
) -> bytes:
    out = blocks(1, inputs) + blocks(2, outputs) + (block(3, name) if name else b"") + block(4, op)
    out += b"".join([block(5, attribute(k, v)) for k, v in attrs.items()])
    return out + (block(7, domain) if domain else b"") + extra


def shape(dims: Sequence[Dim]) -> bytes:
    def one(dim: Dim) -> bytes:
        if dim is None:
            return b""
        return integer(1, dim) if isinstance(dim, int) else block(2, dim)

    return b"".join([block(1, one(dim)) for dim in dims])


def value(name: Text, dims: Sequence[Dim] | None = None, dtype: int = FLOAT, doc: Text = "") -> bytes:
    """A ValueInfoProto; without dims the tensor has a type and no shape."""
    kind = integer(1, dtype) + (b"" if dims is None else block(2, shape(dims)))
    return block(1, name) + block(2, block(1, kind)) + (block(3, doc) if doc else b"")


def graph(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes] = (),
    outputs: Sequence[bytes] = (),
    initializers: Sequence[bytes] = (),
    *,
    name: Text = "g",
    extra: bytes = b"",
) -> Graph:
    parts = (
        blocks(1, nodes),
        block(2, name),
        blocks(5, initializers),
        blocks(11, inputs),
        blocks(12, outputs),
        extra,
    )
    return Graph(b"".join(parts))


def opset(version: int, domain: Text = "") -> bytes:
    return block(8, block(1, domain) + integer(2, version))


def function(
    name: Text,
    inputs: Sequence[Text],
    outputs: Sequence[Text],
    nodes: Sequence[bytes],
    domain: Text = "local",
    opsets: bytes | None = None,
    extra: bytes = b"",
) -> bytes:
    if opsets is None:
        opsets = block(9, block(1, "") + integer(2, 17)) + block(9, block(1, "local") + integer(2, 1))
    return (
        block(1, name) + blocks(4, inputs) + blocks(5, outputs) + blocks(7, nodes) + opsets + block(10, domain) + extra
    )


def model(
    content: bytes | None,
    *,
    ir: int | None = 8,
    opsets: bytes | None = None,
    functions: Sequence[bytes] = (),
    producer: Text = "hostile",
    extra: bytes = b"",
) -> bytes:
    head = (b"" if ir is None else integer(1, ir)) + (block(2, producer) if producer else b"")
    body = b"" if content is None else block(7, content)
    return head + body + (opset(17) if opsets is None else opsets) + extra + blocks(25, functions)


# --- one operator and what it reads ---------------------------------------------------------------

Filled = Callable[[Text], Tensor]


def i64(*values: int, dims: Sequence[int] | None = None) -> Filled:
    """A constant input of int64 numbers (one dimension unless told)."""
    raw = b"".join([struct.pack("<q", v) for v in values])
    return lambda name: tensor(name, (len(values),) if dims is None else dims, raw, INT64)


def f32(*values: float, dims: Sequence[int] | None = None) -> Filled:
    raw = struct.pack(f"<{len(values)}f", *values)
    return lambda name: tensor(name, (len(values),) if dims is None else dims, raw)


def whole(number: int) -> Filled:
    return i64(number, dims=())


def real(number: float) -> Filled:
    return f32(number, dims=())


def weight(*dims: int) -> Filled:
    size = 4
    for dim in dims:
        size *= dim
    return lambda name: tensor(name, dims, bytes(size))


def operands(reads: Mapping[str, object]) -> tuple[list[bytes], list[bytes]]:
    """The graph inputs and the initializers of what `reads` names.

    A list is the shape of a float input, a pair (dtype, shape) that of another, a callable makes a constant.
    """
    inputs: list[bytes] = []
    initializers: list[bytes] = []
    for name, what in reads.items():
        if callable(what):
            initializers.append(what(name))
        elif isinstance(what, tuple):
            inputs.append(value(name, what[1], what[0]))
        elif what is not None:
            inputs.append(value(name, what))  # type: ignore[arg-type]
    return inputs, initializers


Outputs = Sequence[str] | Mapping[str, object]  # names alone, or with their shapes as `operands` takes them


def results(outputs: Outputs) -> list[bytes]:
    """A graph's outputs; a name alone leaves the shape to whoever reads the model."""
    return operands(outputs)[0] if isinstance(outputs, Mapping) else [value(name) for name in outputs]


def single(
    op: Text,
    reads: Mapping[str, object],
    *,
    version: int = 17,
    domain: str = "",
    outputs: Outputs = ("y",),
    **attrs: Any,
) -> bytes:
    """A model of one node that reads `reads` in order (None: an optional input left out)."""
    inputs, initializers = operands(reads)
    names = ["" if what is None else name for name, what in reads.items()]
    body = node(op, names, list(outputs), op if isinstance(op, str) else "n", domain, **attrs)
    opsets = opset(version) + (opset(1, domain) if domain else b"")
    return model(graph([body], inputs, results(outputs), initializers), opsets=opsets)


def chain(
    nodes: Sequence[bytes], reads: Mapping[str, object], outputs: Outputs = ("y",), *, version: int = 17
) -> bytes:
    """A model of several nodes that read one another and `reads`."""
    inputs, initializers = operands(reads)
    return model(graph(nodes, inputs, results(outputs), initializers), opsets=opset(version))


def plain() -> bytes:
    """A small model with nothing wrong in it: Conv, Relu, Flatten, Gemm."""
    return chain(
        [
            node("Conv", ["x", "w"], ["c"], "conv", kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
            node("Relu", ["c"], ["r"], "relu"),
            node("Flatten", ["r"], ["f"], "flatten"),
            node("Gemm", ["f", "m"], ["y"], "gemm"),
        ],
        {"x": [1, 3, 8, 8], "w": weight(4, 3, 3, 3), "m": weight(256, 10)},
        {"y": [1, 10]},
    )
