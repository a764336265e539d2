"""Float graph -> int8 QDQ graph, laid out and named as onnxruntime's `quantize_static` (QDQ format) does it.

Weights: int8, symmetric, one scale per output channel. Biases: int32 at input scale x weight scale.
Activations: int8, asymmetric, one scale per tensor. A Relu stays a node and no pair stands between it and
its producer, so that its clipping is the range of the quantizer behind it.
https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from _builder import Array, make_model
from _reference import Range
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

LOW, HIGH = -128, 127
SAME_AS_INPUT = {"AveragePool", "Flatten"}  # they neither widen nor shift the range of what they read


def quantize_qdq(model: ModelProto, ranges: dict[str, Range], name: str) -> ModelProto:
    return _Quantizer(model, ranges).run(name)


class _Quantizer:
    def __init__(self, model: ModelProto, ranges: dict[str, Range]) -> None:
        self.graph = model.graph
        self.ranges = ranges
        self.floats = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        self.outputs = {o.name for o in self.graph.output}
        self.readers = Counter(i for n in self.graph.node for i in n.input)
        self.into_relu = {n.input[0] for n in self.graph.node if n.op_type == "Relu"}
        self.nodes: list[NodeProto] = []
        self.weights: list[TensorProto] = []
        self.scales: dict[str, Array] = {}
        self.params: dict[str, str] = {}  # tensor -> the tensor whose scale and zero point it uses
        self.renamed: dict[str, str] = {}  # float tensor -> what its readers read now

    def run(self, name: str) -> ModelProto:
        for value in self.graph.input:
            self._pair(value.name, value.name)
        for node in self.graph.node:
            self._node(node)
        source = self.graph
        doc = f"{source.doc_string}, int8 QDQ"
        return make_model(helper.make_graph(self.nodes, name, source.input, source.output, self.weights, doc))

    def _node(self, node: NodeProto) -> None:
        if node.op_type in ("Conv", "Gemm"):
            self._weight_and_bias(node)
        copy = NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [self.renamed.get(i, i) for i in node.input]
        out = node.output[0]
        self.nodes.append(copy)
        if out in self.into_relu and self.readers[out] == 1:
            return
        if node.op_type in SAME_AS_INPUT:
            self._pair(out, self.params[node.input[0]])
        elif out in self.outputs:
            copy.output[0] = f"{out}_QuantizeLinear_Input"
            self._pair(out, out, read=copy.output[0], fixed=(0.0, 1.0) if node.op_type == "Softmax" else None)
        else:
            self._pair(out, out)

    def _pair(self, tensor: str, params: str, read: str = "", fixed: Range | None = None) -> None:
        """QuantizeLinear and DequantizeLinear behind `tensor`; a graph output keeps its name."""
        if params == tensor:
            self._activation_params(tensor, fixed or self.ranges[tensor])
        self.params[tensor] = params
        scale = [f"{params}_scale", f"{params}_zero_point"]
        stored = f"{tensor}_QuantizeLinear_Output"
        back = tensor if read else f"{tensor}_DequantizeLinear_Output"
        self._emit("QuantizeLinear", [read or tensor, *scale], stored, f"{tensor}_QuantizeLinear")
        self._emit("DequantizeLinear", [stored, *scale], back, f"{tensor}_DequantizeLinear")
        self.renamed[tensor] = back

    def _activation_params(self, tensor: str, span: Range) -> None:
        low, high = min(span[0], 0.0), max(span[1], 0.0)  # zero must be exact: padding is made of it
        scale = np.float32((high - low) / (HIGH - LOW))
        zero = np.rint(LOW - low / float(scale))
        self.scales[tensor] = np.asarray(scale)
        self._store(f"{tensor}_scale", self.scales[tensor])
        self._store(f"{tensor}_zero_point", np.asarray(zero, np.int8))

    def _weight_and_bias(self, node: NodeProto) -> None:
        x, w, b = node.input
        transposed = any(a.name == "transB" and a.i for a in node.attribute)
        axis = 0 if node.op_type == "Conv" or transposed else 1
        values = self.floats[w]
        others = tuple(i for i in range(values.ndim) if i != axis)
        scale = (np.abs(values).max(axis=others) / np.float32(HIGH)).astype(np.float32)
        spread = np.expand_dims(scale, others)
        stored = np.clip(np.rint(values / spread), -HIGH, HIGH).astype(np.int8)
        self._constant(w, f"{w}_quantized", stored, f"{w}_scale", scale, axis)
        bias_scale = (self.scales[self.params[x]] * scale).astype(np.float32)
        bias = np.rint(self.floats[b].astype(np.float64) / bias_scale).astype(np.int32)
        self._constant(b, f"{b}_quantized", bias, f"{b}_quantized_scale", bias_scale, 0)

    def _constant(self, name: str, stored: str, values: Array, scale_name: str, scale: Array, axis: int) -> None:
        zero_name = f"{scale_name.removesuffix('_scale')}_zero_point"
        self._store(stored, values)
        self._store(scale_name, scale)
        self._store(zero_name, np.zeros(scale.shape, values.dtype))
        back = f"{name}_DequantizeLinear_Output"
        self._emit("DequantizeLinear", [stored, scale_name, zero_name], back, f"{name}_DequantizeLinear", axis=axis)
        self.renamed[name] = back

    def _store(self, name: str, values: Array) -> None:
        self.weights.append(numpy_helper.from_array(values, name))

    def _emit(self, op: str, inputs: list[str], output: str, name: str, axis: int | None = None) -> None:
        attrs: dict[str, Any] = {} if axis is None else {"axis": axis}
        self.nodes.append(helper.make_node(op, inputs, [output], name=name, **attrs))
