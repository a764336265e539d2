"""An int8 QDQ graph (ONNX, NCHW) to the same network as TensorFlow Lite holds it (NHWC, int8 in and out).

Relus are fused into what they follow, as the converter does it; paddings must be TensorFlow's SAME or VALID. The
softmax gets the scale 1/256, whatever the graph says: the kernel takes no other. Inputs keep their names, the other
activations have those of the quantized tensors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper, shape_inference

from benchmarks.tflite.network import INT8, INT32, Network, Operator, Tensor

SAME, VALID = 0, 1  # Padding of the schema
RELU = 1  # ActivationFunctionType of the schema


def from_qdq(model: onnx.ModelProto, name: str) -> Network:
    """Raises ValueError at what it does not know."""
    return _Reader(model).network(name)


class _Reader:
    def __init__(self, model: onnx.ModelProto) -> None:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        for value in copy.graph.input:
            for dim in value.type.tensor_type.shape.dim:
                dim.dim_value = dim.dim_value or 1  # an open dim is a batch
        self.graph = shape_inference.infer_shapes(copy, strict_mode=True, data_prop=True).graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.graph.initializer}
        typed = [*self.graph.input, *self.graph.value_info, *self.graph.output]
        self.shapes = {v.name: tuple(d.dim_value for d in v.type.tensor_type.shape.dim) for v in typed}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in self.graph.node:
            for i in node.input:
                self.readers.setdefault(i, []).append(node)
        self.tensors: dict[str, Tensor] = {}
        self.operators: list[Operator] = []
        self.inputs = {value.name for value in self.graph.input}
        self.stored: dict[str, str] = {}  # what a QuantizeLinear makes -> the tensor of the file
        self.stands_for: dict[str, str] = {}  # float tensor -> the tensor of the file its values come from
        self.weights: dict[str, tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], int]] = {}

    def network(self, name: str) -> Network:
        inputs = [self._quantized(value.name) for value in self.graph.input]
        for node in self.graph.node:
            if node.op_type == "DequantizeLinear":
                self._dequantize(node)
            elif node.op_type == "QuantizeLinear":
                pass
            elif node.op_type == "Relu":
                if node.input[0] not in self.stands_for:
                    raise ValueError(f"{node.name}: a Relu that follows no operator")
            else:
                self._compute(node)
        outputs = [self.stands_for[value.name] for value in self.graph.output]
        return Network(name, tuple(self.tensors.values()), tuple(self.operators), tuple(inputs), tuple(outputs))

    def _dequantize(self, node: onnx.NodeProto) -> None:
        source, scale, *_ = node.input
        if source in self.constants:
            axis = next((a.i for a in node.attribute if a.name == "axis"), 1)
            self.weights[node.output[0]] = (self.constants[source], np.atleast_1d(self.constants[scale]), axis)
        else:
            self.stands_for[node.output[0]] = self.stored[source]

    def _quantized(self, tensor: str) -> str:
        """Adds the int8 tensor that a QuantizeLinear makes of a float one."""
        (quantize,) = (n for n in self.readers[tensor] if n.op_type == "QuantizeLinear")
        _, scale, zero = quantize.input
        made = Tensor(
            name=tensor if tensor in self.inputs else quantize.output[0],
            dtype=INT8,
            shape=_nhwc(self.shapes[tensor]),
            scales=(float(self.constants[scale]),),
            zero=int(self.constants[zero]),
        )
        self.tensors[made.name] = made
        self.stored[quantize.output[0]] = self.stands_for[tensor] = made.name
        return made.name

    def _compute(self, node: onnx.NodeProto) -> None:
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        after = self.readers[node.output[0]]
        fused = len(after) == 1 and after[0].op_type == "Relu"
        kind, extra, options = getattr(self, f"_{node.op_type.lower()}")(node, attributes)
        activations = [self.stands_for[i] for i in node.input if i in self.stands_for]
        output = self._quantized(after[0].output[0] if fused else node.output[0])
        self.stands_for[node.output[0]] = output
        if fused:
            options["fusedActivationFunction"] = RELU
        if kind == "SOFTMAX":
            t = self.tensors[output]
            self.tensors[output] = Tensor(t.name, t.dtype, t.shape, (1 / 256,), -128)
        self.operators.append(Operator(kind, (*activations, *extra), output, options))

    def _conv(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        values, scales, _ = self.weights[node.input[1]]
        out, per_group, *kernel = values.shape
        group, strides = at.get("group", 1), at.get("strides", [1, 1])
        if any(d != 1 for d in at.get("dilations", [])):
            raise ValueError(f"{node.name}: dilated")
        spans = (self.shapes[node.input[0]][2:], self.shapes[node.output[0]][2:])
        padding = _padding(node.name, *spans, kernel, strides, at.get("pads", [0] * 4))
        options = {"padding": padding, "strideH": strides[0], "strideW": strides[1]}
        if group == 1:
            ohwi = np.transpose(values, (0, 2, 3, 1))
            return "CONV_2D", [self._weight(node, ohwi, scales, 0), self._bias(node)], options
        if per_group != 1:
            raise ValueError(f"{node.name}: grouped, but not depthwise")
        hwo = np.transpose(values, (1, 2, 3, 0))
        options["depthMultiplier"] = out // group
        return "DEPTHWISE_CONV_2D", [self._weight(node, hwo, scales, 3), self._bias(node)], options

    def _gemm(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        values, scales, _ = self.weights[node.input[1]]
        rows = values if at.get("transB") else values.T
        return "FULLY_CONNECTED", [self._weight(node, rows, scales, 0), self._bias(node)], {}

    def _add(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        return "ADD", [], {}

    def _averagepool(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        kernel, strides = at["kernel_shape"], at.get("strides", [1, 1])
        spans = (self.shapes[node.input[0]][2:], self.shapes[node.output[0]][2:])
        padding = _padding(node.name, *spans, kernel, strides, at.get("pads", [0] * 4))
        return "AVERAGE_POOL_2D", [], {
            "padding": padding,
            "strideH": strides[0],
            "strideW": strides[1],
            "filterHeight": kernel[0],
            "filterWidth": kernel[1],
        }  # fmt: skip

    def _flatten(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        batch, channels, *spatial = self.shapes[node.input[0]]
        if any(d != 1 for d in spatial):
            raise ValueError(f"{node.name}: the order of the features would change")
        shape = np.array([batch, channels], np.int32)
        made = Tensor(f"{node.name}/shape", INT32, (2,), data=shape.tobytes())
        self.tensors[made.name] = made
        return "RESHAPE", [made.name], {"newShape": [batch, channels]}

    def _softmax(self, node: onnx.NodeProto, at: dict[str, Any]) -> tuple[str, list[str], dict[str, Any]]:
        return "SOFTMAX", [], {"beta": 1.0}

    def _weight(self, node: onnx.NodeProto, values: np.ndarray[Any, Any], scales: Any, axis: int) -> str:
        name = f"{node.input[1]}"
        data = np.ascontiguousarray(values).tobytes()
        self.tensors[name] = Tensor(name, INT8, values.shape, tuple(map(float, scales)), 0, axis, data)
        return name

    def _bias(self, node: onnx.NodeProto) -> str:
        values, scales, _ = self.weights[node.input[2]]
        name = f"{node.input[2]}"
        self.tensors[name] = Tensor(name, INT32, values.shape, tuple(map(float, scales)), 0, 0, values.tobytes())
        return name


def _nhwc(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (shape[0], *shape[2:], shape[1]) if len(shape) == 4 else shape


def _padding(where: str, given: Any, made: Any, kernel: Any, strides: Any, pads: Any) -> int:
    """SAME or VALID, whichever the pads are. SAME makes ceil(size / stride) and pads the end with the odd one.

    https://www.tensorflow.org/api_docs/python/tf/nn#notes_on_padding_2
    """
    if not any(pads):
        return VALID
    for i, (size, out, k, s) in enumerate(zip(given, made, kernel, strides, strict=True)):
        total = max((out - 1) * s + k - size, 0)
        if out != -(-size // s) or (pads[i], pads[i + len(kernel)]) != (total // 2, total - total // 2):
            raise ValueError(f"{where}: pads {list(pads)} are neither SAME nor VALID")
    return SAME
