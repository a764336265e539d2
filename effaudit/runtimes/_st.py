"""What ST Edge AI Core (X-CUBE-AI) needs beside tensors, as far as its reports tell.

It is closed; the formulas are fitted to the buffers of two generated networks and hold for all 18 convolution and dense
layers of both (the second was not fitted): MLPerf-Tiny's streaming wakeword, ST Edge AI Core 1.0.0, in
https://github.com/mlcommons/tiny/tree/master/benchmark/reference_submissions/streaming_wakeword/sww_ref_l4r5zi
(X-CUBE-AI/App/sww_model_generate_report.txt and .ai/sww_model_strm_ww_int8.tflite_c_info.json). All its kernels are
one-dimensional; for others there is a range.
"""

from __future__ import annotations

from typing import Final

from effaudit.graph import Graph, Node
from effaudit.lower import depthwise
from effaudit.plan.problem import aligned
from effaudit.quantity import Quantity
from effaudit.runtimes._shapes import Window, bytes_of, dtype_of, exactly, shape_of, unknown, upto, window_of

ALIGN: Final = 4  # "alignment" of every buffer in c_info.json
SOFTMAX: Final = 496  # of 3 classes; no other is known
# Published for networks of the ST model zoo (X-CUBE-AI 10.0.0, STM32H7; https://github.com/STMicroelectronics/
# stm32ai-modelzoo): ResNet-8 7.21 KiB, MobileNet v1 16.3 to 16.5, ResNet-32 24.98, MobileNet v2 30.1 to 30.2.
# That is 461 to 541 bytes for each of their layers.
BYTES_PER_LAYER: Final = (400, 600)
_FITTED: Final = (
    "the formula is known for one-dimensional int8 kernels only; elsewhere up to half of what is in and out"
)


def scratch(graph: Graph, node: Node) -> Quantity:
    """The workspace of a layer: exact where the formulas were checked, a range elsewhere."""
    if node.domain:
        return _open(graph, node, 0)
    if node.op == "Conv":
        return _conv(graph, node)
    if node.op in ("Gemm", "MatMul"):
        shape = shape_of(graph, node.inputs[0])
        if shape is None:
            return unknown(node)
        checked = dtype_of(graph, node.inputs[0]) == "int8" and len(shape) == 2
        return exactly(2 * shape[-1]) if checked else _open(graph, node, 2 * shape[-1])
    if node.op == "Softmax":
        shape = shape_of(graph, node.outputs[0])
        return exactly(SOFTMAX) if shape == (1, 3) else _open(graph, node, SOFTMAX)
    return exactly(0) if node.op in _NOTHING else _open(graph, node, 0)


def scratch_in_place(graph: Graph, node: Node) -> Quantity:
    """The same where a depthwise layer runs in place: its input then begins one channel vector behind its output."""
    found = scratch(graph, node)
    shape = shape_of(graph, node.inputs[0]) if node.inputs else None
    if not depthwise.is_marked(node) or shape is None:
        return found
    room = aligned(shape[1], ALIGN)
    return Quantity(found.low + room, None if found.high is None else found.high + room, found.why)


def runtime_ram(graph: Graph) -> Quantity:
    """The context of the network and its layers, outside the activations: 400 to 600 bytes per layer, as published for
    four networks, and up to 1 KiB more."""
    low, high = (rate * len(graph.nodes) for rate in BYTES_PER_LAYER)
    return upto(high + 1024, "between the bytes per layer of published networks", low)


# Layers without a workspace of their own in the reports.
_NOTHING: Final = frozenset("Reshape Flatten Squeeze Unsqueeze Identity Constant".split())


def _conv(graph: Graph, node: Node) -> Quantity:
    window = window_of(graph, node)
    if window is None:
        return unknown(node)
    size = conv_bytes(window)
    flat = 1 in (window.height, window.width) and 1 in window.kernel
    checked = window.dtype == "int8" and flat and (window.groups > 1) == depthwise.is_marked(node)
    if not depthwise.is_marked(node):
        checked = checked and window.taps == 1
    return exactly(size) if checked else _open(graph, node, size)


def conv_bytes(c: Window) -> int:
    """channels x (3 x taps + 10) + 1 for a depthwise layer, 4 x channels x taps + 10 x outputs for any other."""
    if c.depthwise:
        return c.channels * (3 * c.taps + 10) + 1
    return 4 * (c.channels // c.groups) * c.taps + 10 * c.out_channels


def _open(graph: Graph, node: Node, size: int) -> Quantity:
    """Nothing up to a formula that was not checked here and half of the activations of the layer.

    The largest excess published is 30 % over what is alive (ResNet-8: 62.51 KiB over 48).
    """
    names = [name for name in (*node.inputs, *node.outputs) if name and name not in graph.constants]
    sizes = [bytes_of(graph, name) for name in names]
    known = [found for found in sizes if found is not None]
    if len(known) < len(sizes):
        return unknown(node)
    return upto(aligned(size + sum(known) // 2, ALIGN), _FITTED)
