"""Bytes that ONNX Runtime's CPU kernels allocate while they run (`GetTempSpaceAllocator`), with one intra-op thread.

Read at 1.27: core/mlas/lib/convolve.cpp and core/providers/cpu/: nn/{conv,conv_transpose,lrn}.cc, math/softmax.cc,
quantization/{conv_integer,qlinearconv,quantize_linear_matmul}.cc, rnn/{lstm_base,uni_directional_lstm}.cc,
tensor/upsample.cc, llm/attention.cc. They come from the same arena as tensors. Weights that are packed when a session
starts are no workspace.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Final

from effaudit.graph import Graph, Node
from effaudit.ops._registry import MICROSOFT, ONNX
from effaudit.quantity import Quantity
from effaudit.runtimes._shapes import bytes_of, dtype_of, exactly, shape_of, unknown, upto

SEGMENT: Final = 65_536  # MLAS_CONV_WORKING_BUFFER_SIZE_PER_THREAD: 128 x 128 floats
# MLAS_SYMM_QGEMM_BUF_OVERRUN is 0 on x86-64 and 15 on ARM64
OVERRUN: Final = 15

_QUANTIZED: Final = "which integer kernel is taken depends on the processor and on the zero points of the weights"


def scratch(graph: Graph, node: Node) -> Quantity:
    """The workspace of a node, in bytes."""
    if (node.domain, node.op) in _UNREAD:
        return unknown(node, "the workspace of its kernel is not followed")
    rule = RULES.get((node.domain, node.op))
    try:
        return exactly(0) if rule is None else rule(graph, node)
    except (TypeError, IndexError, ZeroDivisionError):
        return unknown(node, "it is not a valid call of its operator")


def _spatial(graph: Graph, node: Node, weight: int) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]] | None:
    x, y = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    w = shape_of(graph, node.inputs[weight]) or _constant(graph, node.inputs[weight])
    if x is None or y is None or w is None or not len(x) == len(y) == len(w) or len(x) < 3:
        return None
    return x, w, y


def _constant(graph: Graph, name: str) -> tuple[int, ...] | None:
    constant = graph.constants.get(name)
    return None if constant is None else constant.shape


def _direct(node: Node, kernel: tuple[int, ...]) -> bool:
    """True for a pointwise product that needs no columns."""
    pads = node.attrs.get("pads") or ()
    same = node.attrs.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER") and prod(kernel) > 1
    return prod(kernel) == 1 and all(s == 1 for s in node.attrs.get("strides") or ()) and not any(pads) and not same


def _conv(graph: Graph, node: Node) -> Quantity:
    """`MlasConvPrepare`: nothing for a product as it stands, all columns where filters outnumber positions, else one
    segment per thread."""
    found = _spatial(graph, node, 1)
    if found is None:
        return unknown(node)
    x, w, y = found
    if dtype_of(graph, node.inputs[0]) != "float32" or len(x) > 5:
        return unknown(node, "only float32 convolutions of up to three axes are followed")
    kernel, outputs = w[2:], prod(y[2:])
    if _direct(node, kernel) or 0 in x or 0 in y:
        return exactly(0)
    if len(x) == 4 and w[1] == 1 and _as_it_stands(node) and (kernel[1] == x[3] or kernel == (x[2], 1)):
        return exactly(0)
    filters = w[0] // node.attrs.get("group", 1)
    if filters > outputs:
        return exactly(4 * outputs * prod(w[1:]))
    return exactly(SEGMENT)


def _as_it_stands(node: Node) -> bool:
    """No strides, dilations or padding."""
    ones = (*(node.attrs.get("strides") or ()), *(node.attrs.get("dilations") or ()))
    padded = any(node.attrs.get("pads") or ()) or node.attrs.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID")
    return all(one == 1 for one in ones) and not padded


def _conv_transpose(graph: Graph, node: Node) -> Quantity:
    found = _spatial(graph, node, 1)
    if found is None:
        return unknown(node)
    x, w, _ = found
    return exactly(4 * prod(w[1:]) * prod(x[2:]))


def _conv_integer(graph: Graph, node: Node) -> Quantity:
    found = _spatial(graph, node, 1)
    if found is None:
        return unknown(node)
    _, w, y = found
    return exactly(0 if _direct(node, w[2:]) else prod(w[1:]) * prod(y[2:]))


def _qlinear_conv(graph: Graph, node: Node) -> Quantity:
    """Two transposed copies always; sums and columns, or pointers to rows of the input, by the kernel taken."""
    found = _spatial(graph, node, 3)
    if found is None:
        return unknown(node)
    x, w, y = found
    copies = prod(x[1:]) + prod(y[1:]) if not node.attrs.get("channels_last") else 0
    depthwise = w[1] == 1 and w[0] == node.attrs.get("group", 1)
    channels = w[0] if depthwise else w[1]
    columns = 0 if _direct(node, w[2:]) and not depthwise else channels * prod(w[2:]) * prod(y[2:]) + OVERRUN
    pointers = 8 * prod(w[2:]) * prod(y[2:]) * x[0] if columns else 0
    most = copies + OVERRUN + 4 * prod(y[1:]) + max(columns, pointers) + prod(w)
    return upto(most, f"{node.label}: {_QUANTIZED}", copies)


def _qlinear_matmul(graph: Graph, node: Node) -> Quantity:
    shape = shape_of(graph, node.outputs[0])
    return unknown(node) if shape is None else exactly(4 * prod(shape))


def _lrn(graph: Graph, node: Node) -> Quantity:
    x = shape_of(graph, node.inputs[0])
    if x is None or len(x) != 4:
        return unknown(node)
    return exactly(4 * prod(x) + 4 * (x[1] + node.attrs.get("size", 1) - 1) * x[2] * x[3])


def _softmax(graph: Graph, node: Node) -> Quantity:
    """Two transposed copies where the axis is not the last one (as of opset 13)."""
    x, size = shape_of(graph, node.inputs[0]), bytes_of(graph, node.inputs[0])
    if x is None or size is None:
        return unknown(node)
    if graph.opsets.get(ONNX, 1) < 13 or not x or node.attrs.get("axis", -1) % len(x) == len(x) - 1:
        return exactly(0)
    return exactly(2 * size)


def _lstm(graph: Graph, node: Node) -> Quantity:
    x = shape_of(graph, node.inputs[0])
    hidden = node.attrs.get("hidden_size")
    if x is None or len(x) != 3 or not isinstance(hidden, int):
        return unknown(node)
    steps, batch = (x[1], x[0]) if node.attrs.get("layout") else (x[0], x[1])
    direction = node.attrs.get("direction", "forward")
    count = 2 if direction == "bidirectional" else 1

    def given(place: int) -> bool:
        return place < len(node.inputs) and bool(node.inputs[place])

    def made(place: int) -> bool:
        return place < len(node.outputs) and bool(node.outputs[place])

    one = 2 * hidden + 3 * batch * hidden + 4 * hidden * batch * steps
    one += 4 * hidden * given(3) + 3 * hidden * given(7) + batch * (not given(4))
    reverse = steps * batch * (x[2] + hidden) * (direction != "forward")
    states = batch * hidden * count * ((not made(1)) + (not made(2)))
    return exactly(4 * (count * one + reverse + states))


def _resize(graph: Graph, node: Node) -> Quantity:
    """Indices and weights per output row and column, where values are interpolated."""
    x, y = shape_of(graph, node.inputs[0]), shape_of(graph, node.outputs[0])
    if x is None or y is None:
        return unknown(node)
    mode = node.attrs.get("mode", "nearest")
    if mode == "nearest" or x == y:
        return exactly(0)
    if mode != "linear" or len(y) not in (2, 4) or node.attrs.get("antialias"):
        return unknown(node, "only bilinear interpolation is followed")
    moved = len(y) == 4 and x[1] != y[1]  # channels last
    return exactly(16 * sum(y[1:3] if moved else y[-2:]))


def _attention(graph: Graph, node: Node) -> Quantity:
    """All scores, and a mask where one has to be made."""
    query, key = shape_of(graph, node.inputs[0]), shape_of(graph, node.inputs[1])
    if query is None or key is None or any(node.inputs[4:6]) or len(query) != len(key):
        return unknown(node, "past keys are not followed" if any(node.inputs[4:6]) else "its shapes are not known")
    heads = query[1] if len(query) == 4 else node.attrs.get("q_num_heads")
    if not isinstance(heads, int):
        return unknown(node)
    width = 2 if dtype_of(graph, node.inputs[0]) == "float16" else 4
    scores = query[0] * heads * query[-2] * key[-2] * width
    copies = sum(bytes_of(graph, name) or 0 for name in node.inputs[:3] if name) if len(query) == 3 else 0
    mask = max(query[-2] * key[-2] * width, _mask(graph, node, width))
    return upto(scores + mask + copies, f"{node.label}: a mask or transposed copies may be made", scores)


def _mask(graph: Graph, node: Node, width: int) -> int:
    shape = shape_of(graph, node.inputs[3]) if len(node.inputs) > 3 and node.inputs[3] else None
    return 0 if shape is None else prod(shape) * width


RULES: Final[Mapping[tuple[str, str], Callable[[Graph, Node], Quantity]]] = {
    (ONNX, "Conv"): _conv,
    (MICROSOFT, "FusedConv"): _conv,
    (ONNX, "ConvTranspose"): _conv_transpose,
    (ONNX, "ConvInteger"): _conv_integer,
    (ONNX, "QLinearConv"): _qlinear_conv,
    (ONNX, "QLinearMatMul"): _qlinear_matmul,
    (ONNX, "LRN"): _lrn,
    (ONNX, "Softmax"): _softmax,
    (ONNX, "LogSoftmax"): _softmax,
    (ONNX, "LSTM"): _lstm,
    (ONNX, "Resize"): _resize,
    (ONNX, "Upsample"): _resize,
    (ONNX, "Attention"): _attention,
}

# Kernels that take a workspace of which no formula is given here.
_UNREAD: Final = frozenset(
    {
        *((ONNX, op) for op in "Einsum GRU RNN Hardmax MeanVarianceNormalization RotaryEmbedding DeformConv".split()),
        *(
            (MICROSOFT, op)
            for op in """Attention MultiHeadAttention GroupQueryAttention SparseAttention QAttention QMoE
            EmbedLayerNormalization MoE DynamicQuantizeLSTM AttnLSTM MatMulNBits WhisperBeamSearch BeamSearch
            GreedySearch""".split()
        ),
    }
)
