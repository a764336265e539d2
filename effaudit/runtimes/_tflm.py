"""What TensorFlow Lite Micro asks for beside its tensors: workspaces in the arena, structures that stay.

Read in https://github.com/tensorflow/tflite-micro at 90b983c2b3f1480642e040bbd2ddb37b998f3424: the calls of
RequestScratchBufferInArena and AllocatePersistentBuffer in tensorflow/lite/micro/kernels/ and in micro_allocator.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final, TypeAlias

from effaudit.graph import Graph, Node
from effaudit.plan.problem import aligned
from effaudit.quantity import Quantity
from effaudit.runtimes import _cmsis_nn as cmsis
from effaudit.runtimes._shapes import (
    bytes_of,
    dtype_of,
    exactly,
    shape_of,
    unknown,
    upto,
    window_of,
)

ALIGN: Final = 16  # MicroArenaBufferAlignment(), micro_arena_constants.h
_CHOICE: Final = "reference kernels need the least, CMSIS-NN up to the most, by core and compiler"
Formula: TypeAlias = Callable[[Graph, Node], Quantity]

# Operators whose TFLite kernels request nothing.
NOTHING: Final = frozenset(
    """Abs Add And ArgMax ArgMin BatchNormalization Cast Ceil Clip Concat Constant Cos CumSum DepthToSpace
    DequantizeLinear Div Elu Equal Exp Expand Flatten Floor Gather GatherND GlobalMaxPool Greater GreaterOrEqual
    HardSigmoid HardSwish Identity If LeakyRelu Less LessOrEqual Log LogSoftmax Max MaxPool Min Mod Mul Neg Not Or PRelu
    QuantizeLinear Relu Reshape Resize Round Shape Sigmoid Sin Slice Softmax SpaceToDepth Split Sqrt Squeeze Sub Tanh
    Transpose Unsqueeze Where""".split()
)


def scratch(graph: Graph, node: Node) -> Quantity:
    """The workspace of a node's kernel. Unbounded where TFLM has no kernel of its operator."""
    if node.domain or node.op in NOTHING:
        return exactly(0) if not node.domain else unknown(node, f"TFLM has no kernel of {node.domain}::{node.op}")
    formula = _FORMULAS.get(node.op)
    if formula is None:
        return unknown(node, f"TFLM has no kernel of {node.op}")
    return formula(graph, node)


def _conv(graph: Graph, node: Node) -> Quantity:
    """CMSIS-NN's im2col columns; the reference kernel and all float ones need none."""
    if dtype_of(graph, node.inputs[0]) not in ("int8", "int16"):
        return exactly(0)
    window = window_of(graph, node)
    if window is None:
        return unknown(node)
    narrow = window.dtype == "int8"
    if window.depthwise:
        sizes = cmsis.depthwise_s8(window) if narrow else cmsis.depthwise_s16(window)
    else:
        sizes = cmsis.conv_s8(window) if narrow else cmsis.conv_s16(window)
    return upto(aligned(max(sizes.values()), ALIGN), _CHOICE)


def _transposed(graph: Graph, node: Node) -> Quantity:
    """Accumulators of the whole output (int32, or int64 beside int16)."""
    dtype, shape = dtype_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    if dtype not in ("int8", "int16"):
        return exactly(0)
    window = window_of(graph, node)
    if shape is None or window is None:
        return unknown(node)
    reference = aligned(prod(shape) * (4 if dtype == "int8" else 8), ALIGN)
    if dtype == "int16":
        return exactly(reference)
    sizes = [reference, *(aligned(size, ALIGN) for size in cmsis.transpose_conv_s8(window).values())]
    return upto(max(sizes), _CHOICE, min(sizes))


def _product(graph: Graph, node: Node) -> Quantity:
    """FULLY_CONNECTED or BATCH_MATMUL: kernel sums (MVE), or the 1x1 convolution it is run as."""
    out, left = shape_of(graph, node.outputs[0]), shape_of(graph, node.inputs[0])
    if dtype_of(graph, node.inputs[0]) != "int8":
        return exactly(0)
    if not out or not left:
        return unknown(node)
    most = max(cmsis.fully_connected_s8(out[-1]).values())
    if len(out) > 2 and left[-1] % 4 == 0:  # "is_conv_1x1_possible"
        most = max(most, aligned(8 * out[-1], ALIGN) + 4 * left[-1])
    return upto(aligned(most, ALIGN), _CHOICE)


def _average(graph: Graph, node: Node) -> Quantity:
    """AVERAGE_POOL_2D: sums of all channels with the DSP extension."""
    shape = shape_of(graph, node.inputs[0])
    if dtype_of(graph, node.inputs[0]) not in ("int8", "int16"):
        return exactly(0)
    if shape is None or len(shape) < 2:
        return unknown(node)
    return upto(aligned(max(cmsis.average_pool(shape[1]).values()), ALIGN), _CHOICE)


def _global_average(graph: Graph, node: Node) -> Quantity:
    """MEAN or AVERAGE_POOL_2D, as the converter has it."""
    mean, pool = _reduced(graph, node), _average(graph, node)
    if mean.high is None or pool.high is None:
        return unknown(node)
    return upto(max(mean.high, pool.high), "MEAN and AVERAGE_POOL_2D differ")


def _reduced(graph: Graph, node: Node) -> Quantity:
    """MEAN and SUM: int32 accumulators of the output, an index over the axes; MAX and MIN: the index alone."""
    shape, out = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    if shape is None or out is None:
        return unknown(node)
    index = 2 * aligned(4 * len(shape), ALIGN)
    sums = node.op not in ("ReduceMax", "ReduceMin") and dtype_of(graph, node.inputs[0]) in ("int8", "int16")
    return exactly(index + (aligned(4 * prod(out), ALIGN) if sums else 0))


def _pad(graph: Graph, node: Node) -> Quantity:
    """PAD needs nothing, MIRROR_PAD two indices."""
    shape = shape_of(graph, node.inputs[0])
    if node.attrs.get("mode", "constant") == "constant":
        return exactly(0)
    return unknown(node) if shape is None else exactly(2 * aligned(4 * len(shape), ALIGN))


def _sum(graph: Graph, node: Node) -> Quantity:
    """ADD_N: a pointer per input, of 4 or 8 bytes; a sum of two is an ADD."""
    if len(node.inputs) < 3:
        return exactly(0)
    count = len(node.inputs)
    return upto(aligned(8 * count, ALIGN), "pointers have 4 or 8 bytes", aligned(4 * count, ALIGN))


def _lstm(graph: Graph, node: Node) -> Quantity:
    """UNIDIRECTIONAL_SEQUENCE_LSTM: four buffers of batch x hidden in the cell's type (int16 beside int8)."""
    shape = shape_of(graph, node.inputs[0])
    hidden = node.attrs.get("hidden_size")
    if shape is None or len(shape) != 3 or not isinstance(hidden, int):
        return unknown(node)
    width = 4 if dtype_of(graph, node.inputs[0]) == "float32" else 2
    batch = shape[0] if node.attrs.get("layout", 0) else shape[1]
    return exactly(4 * aligned(batch * hidden * width, ALIGN))


_FORMULAS: Final[Mapping[str, Formula]] = {
    "Conv": _conv,
    "ConvTranspose": _transposed,
    "Gemm": _product,
    "MatMul": _product,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "ReduceMean": _reduced,
    "ReduceSum": _reduced,
    "ReduceMax": _reduced,
    "ReduceMin": _reduced,
    "Pad": _pad,
    "Sum": _sum,
    "LSTM": _lstm,
}

# Bytes per tensor (TfLiteEvalTensor) and per node (TfLiteNode and its registration), with 32- and 64-bit pointers; the
# rest of a node is its kernel's data and parameters, 100 bytes on average in the networks measured.
TENSOR: Final = (12, 24)
NODE: Final = (32, 64)
KERNEL_DATA: Final = (0, 192)
INTERPRETER: Final = (256, 1536)
CHANNEL: Final = 8  # multiplier and shift of one output channel of a quantized convolution


def persistent(graph: Graph) -> Quantity:
    """The tail of the arena: 8 bytes per output channel of a quantized convolution, the structures of tensors and
    nodes, and the transposed operand of each BATCH_MATMUL.

    A range: pointers of 32 or 64 bits, kernels of different versions, and operands whose transposition the converter
    may have found. Measured with 64-bit pointers (tflite-micro of PyPI, `print_allocations`): MLPerf-Tiny AD 3,216
    (16,592 where its products have a scale per output channel), KWS 8,272, IC 6,832, VWW 29,952. While a node is
    prepared it may need more beside the tail for a moment; that counts only where the arena is smaller (AD: 4,688).
    """
    quantized, perhaps, operands = 0, 0, 0
    tensors: set[str] = set(graph.inputs)
    for node in graph.nodes:
        tensors.update(filter(None, (*node.inputs, *node.outputs)))
        if node.op in ("Conv", "ConvTranspose"):
            shape = shape_of(graph, node.outputs[0])
            if shape is None:
                return unknown(node)
            if dtype_of(graph, node.inputs[0]) in ("int8", "uint8", "int16"):
                quantized += shape[1] if len(shape) > 1 else 0
            else:  # the reference kernel reserves them all the same, CMSIS-NN's does not
                perhaps += shape[1] if len(shape) > 1 else 0
        elif node.op == "MatMul" and not any(name in graph.constants for name in node.inputs):
            size = bytes_of(graph, node.inputs[1])
            if size is None:
                return unknown(node)
            operands += aligned(size, ALIGN)
        elif node.op in ("Gemm", "MatMul"):  # only where its weights have a scale per output channel
            shape = shape_of(graph, node.outputs[0])
            if shape is None:
                return unknown(node)
            perhaps += shape[-1] if shape else 0
    nodes = len(graph.nodes)
    low, high = (
        INTERPRETER[bits] + TENSOR[bits] * len(tensors) + (NODE[bits] + KERNEL_DATA[bits]) * nodes for bits in (0, 1)
    )
    why = "pointers of 32 or 64 bits, kernels of different versions"
    return upto(high + CHANNEL * (quantized + perhaps) + operands, why, low + CHANNEL * quantized)
