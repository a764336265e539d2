"""TinyEngine (MCUNet): code generated from an int8 TFLite model, depthwise convolutions in place.

The converter folds a PAD into the convolution behind it and skips QUANTIZE, DEQUANTIZE and RESHAPE. A depthwise
convolution of int8 writes over its input at any stride, channel by channel through a padded copy of one channel (two of
16 bits in the buffer it reserves). All other tensors lie apart.

The workspaces are one static buffer each for the whole program, behind the activations: im2col columns and channel
copies (`sbuf`, the largest of any layer), and rearranged kernels (`kbuf`, the largest). So they are in `persistent`,
not in the arena.

Its allocator frees three quarters of the storage behind a depthwise convolution of stride 2; here that storage keeps
its size until its last reader, so a network with such a layer at its peak may need less than this says.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Final

from effaudit.graph import Graph, Node
from effaudit.lower import depthwise, pads
from effaudit.lower.activations import fuse, relu_like
from effaudit.ops._registry import Rules
from effaudit.plan.storage import Sharing
from effaudit.quantity import Quantity
from effaudit.runtimes._passes import INTEGER, in_order
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes._shapes import exactly, shape_of, unknown, window_of

TAKE_ACTIVATIONS: Final = frozenset(
    "Conv ConvTranspose Gemm MatMul Add Mul AveragePool GlobalAveragePool MaxPool".split()
)


def over_its_input(node: Node, rules: Rules) -> Iterable[int]:
    """A depthwise convolution may take the bytes of its input, whatever its stride."""
    return (0,) if depthwise.is_marked(node) else ()


def column_bytes(graph: Graph, node: Node) -> Quantity:
    """`get_sbuf_size`: two im2col columns of int16 for a convolution, two padded channels for a depthwise one."""
    if node.op != "Conv" or node.domain:
        return exactly(0)
    window = window_of(graph, node)
    if window is None:
        return unknown(node)
    if window.dtype not in ("int8", "uint8"):
        return exactly(0)
    if depthwise.is_marked(node):
        return exactly(2 * (window.height + 2 * window.pads[0]) * (window.width + 2 * window.pads[1]))
    return exactly(window.taps * window.channels * 4)


def kernel_bytes(graph: Graph, node: Node) -> Quantity:
    """`get_kbuf_size`: the weights of a convolution that is not pointwise, as int16."""
    if node.op != "Conv" or node.domain or depthwise.is_marked(node) or len(node.inputs) < 2:
        return exactly(0)
    weights = shape_of(graph, node.inputs[1])
    if weights is None:
        return unknown(node)
    return exactly(0 if weights[2:3] in ((), (1,)) else 2 * prod(weights))


def persistent(graph: Graph) -> Quantity:
    """The static buffers behind the activations: the largest `sbuf` and the largest `kbuf`."""
    low, high, why = 0, 0, ""
    for formula in (column_bytes, kernel_bytes):
        sizes = [formula(graph, node) for node in graph.nodes]
        for open_size in (size for size in sizes if size.high is None):
            return Quantity(low, None, open_size.why)
        low += max((size.low for size in sizes), default=0)
        high += max((size.high or 0 for size in sizes), default=0)
    return Quantity(low, high, why)


RUNTIME = Runtime(
    name="tinyengine",
    title="TinyEngine (MCUNet)",
    sources=(
        "https://github.com/mit-han-lab/tinyengine/blob/main/code_generator/GeneralMemoryScheduler.py",
        "https://github.com/mit-han-lab/tinyengine/blob/main/code_generator/operators/depthwiseConv2d.py",
        "https://github.com/mit-han-lab/tinyengine/blob/main/code_generator/operators/conv2d.py",
        "https://github.com/mit-han-lab/tinyengine/blob/main/code_generator/TfliteConvertor.py",
        "https://arxiv.org/abs/2007.10319",
    ),
    lower=in_order(*INTEGER, pads.fold, lambda g: fuse(g, TAKE_ACTIVATIONS, relu_like), depthwise.mark),
    sharing=Sharing(views=True, resized=over_its_input),
    persistent=persistent,
    notes=("its workspaces are static buffers outside the arena, counted as persistent",),
)
