"""A graph under construction and its way to a file: weights inline, in a file beside it, or in a missing one.

The bytes of a big weight never matter to a static audit, so they are holes: the model is written by hand in
protobuf's wire format and the file pointer seeks over `raw_data`. A 13 GB file takes under 2 MB of disk.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper

IR_VERSION = 8
OPSET = 17
WEIGHTS_FILE = "weights.bin"

# Field numbers of onnx.proto.
MODEL_GRAPH, GRAPH_INITIALIZER, TENSOR_RAW_DATA = 7, 5, 9


@dataclass(frozen=True)
class Weight:
    name: str
    dtype: int
    dims: tuple[int, ...]
    data: bytes | None  # None: a hole, its bytes are never written

    @property
    def nbytes(self) -> int:
        return math.prod(self.dims) * helper.tensor_dtype_to_np_dtype(self.dtype).itemsize


@dataclass
class Sketch:
    """Nodes in execution order, weights in the order of their first use."""

    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, Weight] = field(default_factory=dict)
    inputs: list[ValueInfoProto] = field(default_factory=list)
    outputs: list[ValueInfoProto] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    def node(self, op: str, inputs: Sequence[str], name: str, **attrs: Any) -> str:
        """Appends a node of one output and returns that output's name; a name met before gets a number."""
        path = f"{name}/{op}"
        self.seen[path] += 1
        if self.seen[path] > 1:
            path += f"_{self.seen[path] - 1}"
        self.nodes.append(helper.make_node(op, inputs, [f"{path}_output_0"], name=path, **attrs))
        return f"{path}_output_0"

    def weight(self, name: str, dims: Sequence[int], dtype: int = TensorProto.FLOAT, data: bytes | None = None) -> str:
        self.weights[name] = Weight(name, dtype, tuple(dims), data)
        return name

    def integers(self, *values: int) -> str:
        """A 1-D int64 constant, shared by all who ask for the same values."""
        name = "ints_" + "_".join(str(v) for v in values)
        return self.weight(name, (len(values),), TensorProto.INT64, np.array(values, np.int64).tobytes())

    def scalar(self, value: float, dtype: int = TensorProto.FLOAT) -> str:
        array = np.array(value, helper.tensor_dtype_to_np_dtype(dtype))
        return self.weight(f"scalar_{array.dtype}_{value}", (), dtype, array.tobytes())

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, value: str, name: str, dtype: int, shape: Sequence[int | str]) -> None:
        """Gives `value`, already computed by some node, its public name."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{name}/Identity"))
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))


def save(sketch: Sketch, path: Path, external: Callable[[Weight], bool] = lambda weight: False) -> int:
    """Writes the model; returns how many bytes the external file would hold (it is not written here)."""
    blobs: list[tuple[bytes, Weight | None]] = []
    offset = 0
    for weight in sketch.weights.values():
        tensor = TensorProto(dims=weight.dims, data_type=weight.dtype, name=weight.name)
        if external(weight):
            _point_outside(tensor, offset, weight.nbytes)
            offset += weight.nbytes
            blobs.append((tensor.SerializeToString(), None))
        else:
            blobs.append((tensor.SerializeToString() + _head(TENSOR_RAW_DATA, weight.nbytes), weight))
    _write(sketch, path, blobs)
    return offset


def write_hole(path: Path, nbytes: int) -> None:
    """A file of that length that takes no disk."""
    with path.open("wb") as file:
        file.truncate(nbytes)


def _point_outside(tensor: TensorProto, offset: int, nbytes: int) -> None:
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in {"location": WEIGHTS_FILE, "offset": offset, "length": nbytes}.items():
        tensor.external_data.add(key=key, value=str(value))


def _write(sketch: Sketch, path: Path, blobs: list[tuple[bytes, Weight | None]]) -> None:
    """Fields in the order exporters write them: nodes, initializers, inputs, outputs; opsets at the end."""
    start = GraphProto(node=sketch.nodes, name="benchmark").SerializeToString()
    end = GraphProto(input=sketch.inputs, output=sketch.outputs).SerializeToString()
    lengths = [len(head) + (weight.nbytes if weight else 0) for head, weight in blobs]
    heads = [_head(GRAPH_INITIALIZER, length) for length in lengths]
    graph_bytes = len(start) + sum(map(len, heads)) + sum(lengths) + len(end)
    with path.open("wb") as file:
        file.write(ModelProto(ir_version=IR_VERSION, producer_name="benchmarks").SerializeToString())
        file.write(_head(MODEL_GRAPH, graph_bytes) + start)
        for head, (blob, weight) in zip(heads, blobs, strict=True):
            file.write(head + blob)
            if weight and weight.data is not None:
                file.write(weight.data)
            elif weight:
                file.seek(weight.nbytes, 1)
        file.write(end)
        file.write(ModelProto(opset_import=[helper.make_opsetid("", OPSET)]).SerializeToString())


def _head(number: int, length: int) -> bytes:
    """Tag (length-delimited) and length."""
    return _varint(number << 3 | 2) + _varint(length)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out) + bytes([value])
