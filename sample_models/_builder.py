"""A small writer of ONNX graphs: scoped names, named dims, weights that are the same everywhere.

Random weights come from `RandomState`, whose stream numpy has frozen, and from its uniform draw, which
needs no libm: a normal draw goes through `log` and may differ in the last bit between platforms.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[Any]
Dims = Sequence[int | str]

IR_VERSION = 8  # the one of opset 17; onnx would write its newest, which runtimes refuse
OPSET = 17
PRODUCER = "effaudit-samples"


class Net:
    """One graph under construction; every method that makes a tensor returns its name."""

    def __init__(
        self,
        name: str,
        doc: str,
        *,
        dtype: type[np.floating[Any]] = np.float32,
        weights_file: str = "",
        constant_nodes: bool = False,
    ) -> None:
        """`weights_file`: weights are external data in that file, which nobody ships.
        `constant_nodes`: small constants are nodes, as PyTorch writes them, instead of initializers."""
        self.name, self.doc, self.dtype = name, doc, np.dtype(dtype)
        self._weights_file, self._constant_nodes = weights_file, constant_nodes
        self._offset = 0
        self._nodes: list[NodeProto] = []
        self._initializers: list[TensorProto] = []
        self._constants: dict[str, str] = {}
        self._names: dict[str, int] = {}
        self._inputs: list[Any] = []
        self._outputs: list[Any] = []

    # ---- graph boundary
    def input(self, name: str, dims: Dims, dtype: npt.DTypeLike | None = None) -> str:
        self._inputs.append(self._value(name, dims, dtype))
        return name

    def output(self, name: str, dims: Dims, dtype: npt.DTypeLike | None = None) -> None:
        self._outputs.append(self._value(name, dims, dtype))

    def _value(self, name: str, dims: Dims, dtype: npt.DTypeLike | None) -> Any:
        return helper.make_tensor_value_info(name, elem_type(dtype or self.dtype), dims)

    # ---- nodes
    def node(self, op: str, inputs: Sequence[str], scope: str = "", *, output: str = "", **attrs: Any) -> str:
        """Append a node with one output, named `scope/Op` (then `Op_1`, ...) as PyTorch names them."""
        name = self._unique(f"{scope}/{op}" if scope else op)
        output = output or f"{name}_output_0"
        self._nodes.append(helper.make_node(op, list(inputs), [output], name=name, **attrs))
        return output

    def _unique(self, name: str) -> str:
        seen = self._names.get(name, 0)
        self._names[name] = seen + 1
        return f"{name}_{seen}" if seen else name

    # ---- weights and constants
    def weight(self, name: str, shape: Sequence[int], bound: float, center: float = 0.0) -> str:
        """A trained tensor: uniform in center +- bound, seeded by its own name (if external: described)."""
        if self._weights_file:
            self._initializers.append(self._external(name, shape))
            return name
        draw = np.random.RandomState(zlib.crc32(f"{self.name}/{name}".encode()))
        values = center + bound * (2.0 * draw.random_sample(tuple(shape)) - 1.0)
        return self.initializer(name, values.astype(self.dtype))

    def _external(self, name: str, shape: Sequence[int]) -> TensorProto:
        length = int(np.prod(shape)) * self.dtype.itemsize
        tensor = TensorProto(name=name, dims=shape, data_type=elem_type(self.dtype))
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": self._weights_file, "offset": self._offset, "length": length}
        tensor.external_data.extend(StringStringEntryProto(key=k, value=str(v)) for k, v in place.items())
        self._offset += length
        return tensor

    def initializer(self, name: str, values: Array) -> str:
        self._initializers.append(numpy_helper.from_array(values, name))
        return name

    def put(self, name: str, where: Sequence[int], value: float, *, axis: int = 0) -> None:
        """One number in all elements of a weight at these places of an axis."""
        (tensor,) = (t for t in self._initializers if t.name == name)
        values = numpy_helper.to_array(tensor).copy()
        np.moveaxis(values, axis, 0)[list(where)] = value
        tensor.CopyFrom(numpy_helper.from_array(values, name))

    def constant(self, values: Any, dtype: npt.DTypeLike | None = None) -> str:
        """A small constant of the exporter's making, inline, each distinct value once."""
        array = np.asarray(values, dtype or self.dtype)
        key = f"{array.dtype}{array.shape}{array.tobytes().hex()}"
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            if self._constant_nodes:
                self.node("Constant", [], output=name, value=numpy_helper.from_array(array))
            else:
                self.initializer(name, array)
            self._constants[key] = name
        return self._constants[key]

    def ints(self, *values: int) -> str:
        return self.constant(values, np.int64)

    # ---- results
    def subgraph(self, name: str) -> Net:
        """A body of If, Loop or Scan; its weights and constants are captured from this graph."""
        body = Net(name, "")
        body.dtype, body._initializers, body._constants = self.dtype, self._initializers, self._constants
        return body

    def graph(self, *, with_weights: bool = False) -> GraphProto:
        weights = self._initializers if with_weights else []
        doc = self.doc or None
        return helper.make_graph(self._nodes, self.name, self._inputs, self._outputs, weights, doc)

    def model(self) -> ModelProto:
        return make_model(self.graph(with_weights=True))


def make_model(graph: GraphProto) -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, ir_version=IR_VERSION, opset_imports=opsets, producer_name=PRODUCER)


def elem_type(dtype: npt.DTypeLike) -> int:
    return helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
