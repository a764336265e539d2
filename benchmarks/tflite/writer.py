"""A network to the bytes of a .tflite file, by the schema classes that come with TensorFlow Lite Micro.

https://github.com/tensorflow/tflite-micro/blob/main/tensorflow/compiler/mlir/lite/schema/schema.fbs
"""

from __future__ import annotations

from typing import Any

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

from benchmarks.tflite.network import FLOAT32, INT8, INT32, Network, Operator, Tensor

IDENTIFIER = b"TFL3"
TYPES = {
    INT8: schema.TensorType.INT8,
    INT32: schema.TensorType.INT32,
    FLOAT32: schema.TensorType.FLOAT32,
}
OPTIONS = {
    "ADD": "AddOptions",
    "AVERAGE_POOL_2D": "Pool2DOptions",
    "CONV_2D": "Conv2DOptions",
    "DEPTHWISE_CONV_2D": "DepthwiseConv2DOptions",
    "FULLY_CONNECTED": "FullyConnectedOptions",
    "RESHAPE": "ReshapeOptions",
    "SOFTMAX": "SoftmaxOptions",
}


def write(network: Network) -> bytes:
    """The file. Tensor i has buffer i + 1, empty for an activation; buffer 0 is the empty one the format asks for."""
    kinds = list(dict.fromkeys(op.kind for op in network.operators))
    place = {t.name: i for i, t in enumerate(network.tensors)}
    model = schema.ModelT()
    model.version = 3
    model.description = network.name
    model.operatorCodes = [_code(kind) for kind in kinds]
    model.buffers = [_buffer(None), *(_buffer(t.data) for t in network.tensors)]
    graph = schema.SubGraphT()
    graph.name = network.name
    graph.tensors = [_tensor(t, i + 1) for i, t in enumerate(network.tensors)]
    graph.inputs = [place[name] for name in network.inputs]
    graph.outputs = [place[name] for name in network.outputs]
    graph.operators = [_operator(op, kinds.index(op.kind), place) for op in network.operators]
    model.subgraphs = [graph]
    model.metadata = []
    for name, content in network.metadata.items():
        entry = schema.MetadataT()
        entry.name, entry.buffer = name, len(model.buffers)
        model.buffers.append(_buffer(content))
        model.metadata.append(entry)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def _buffer(data: bytes | None) -> Any:
    buffer = schema.BufferT()
    if data is not None:
        buffer.data = np.frombuffer(data, np.uint8)
    return buffer


def _code(kind: str) -> Any:
    code = schema.OperatorCodeT()
    code.builtinCode = getattr(schema.BuiltinOperator, kind)
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = 1
    return code


def _tensor(t: Tensor, buffer: int) -> Any:
    tensor = schema.TensorT()
    tensor.name, tensor.type, tensor.shape, tensor.buffer = t.name, TYPES[t.dtype], list(t.shape), buffer
    if t.scales:
        quantization = schema.QuantizationParametersT()
        quantization.scale = np.array(t.scales, np.float32)
        quantization.zeroPoint = np.full(len(t.scales), t.zero, np.int64)
        quantization.quantizedDimension = t.axis
        tensor.quantization = quantization
    return tensor


def _operator(op: Operator, code: int, place: dict[str, int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = code
    operator.inputs = [place[name] for name in op.inputs]
    operator.outputs = [place[op.output]]
    kind = OPTIONS[op.kind]
    options = getattr(schema, f"{kind}T")()
    for name, value in op.options.items():
        if not hasattr(options, name):
            raise AttributeError(f"{kind} has no field {name}")
        setattr(options, name, value)
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
    operator.builtinOptions = options
    return operator
