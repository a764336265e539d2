"""Layers in integers, as quantizers write them: pairs of QuantizeLinear and DequantizeLinear around float operators,
and operators that quantize as they run.

https://onnxruntime.ai/docs/performance/model-optimizations/quantization.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from effaudit.calibrate.net import Net, Tensor
from effaudit.graph import FLOAT, INT8, INT32, UINT8, Encoding

SCALE = 0.05
NBITS_BLOCK = 32


def zero(net: Net, encoding: Encoding) -> Tensor:
    """The zero point of activations: the middle of the range."""
    return net.numbers([128 if encoding == UINT8 else 0], encoding, scalar=True)


def rounded(net: Net, x: Tensor, encoding: Encoding) -> Tensor:
    """A tensor that passes through integers."""
    scale, offset = net.numbers([SCALE], FLOAT, scalar=True), zero(net, encoding)
    whole = net.node("QuantizeLinear", [x, scale, offset], x.shape, encoding=encoding)
    return net.node("DequantizeLinear", [whole, scale, offset], x.shape)


def weights(net: Net, *shape: int, axis: int = 0) -> Tensor:
    """Weights in int8 with a scale for every channel."""
    channels = shape[axis]
    codes = net.integers(INT8, -127, 127, *shape)
    scales = net.numbers([0.002] * channels, FLOAT)
    zeros = net.numbers([0] * channels, INT8)
    return net.node("DequantizeLinear", [codes, scales, zeros], shape, axis=axis)


def bias(net: Net, count: int) -> Tensor:
    codes = net.integers(INT32, -200, 200, count)
    zeros = net.numbers([0] * count, INT32)
    return net.node("DequantizeLinear", [codes, net.numbers([0.002 * SCALE] * count, FLOAT), zeros], (count,), axis=0)


def conv(
    net: Net,
    x: Tensor,
    out: int,
    kernel: int,
    encoding: Encoding,
    *,
    stride: int = 1,
    group: int = 1,
    act: str = "Relu",
) -> Tensor:
    """A convolution of images in integers."""
    pad = (kernel - 1) // 2
    sizes = [(n + 2 * pad - kernel) // stride + 1 for n in x.shape[2:]]
    made = net.node(
        "Conv",
        [x, weights(net, out, x.shape[1] // group, kernel, kernel), bias(net, out)],
        (x.shape[0], out, *sizes),
        kernel_shape=(kernel, kernel),
        strides=(stride, stride),
        pads=(pad,) * 4,
        group=group,
    )
    if act:
        made = net.node(act, [made], made.shape)
    return rounded(net, made, encoding)


def gemm(net: Net, x: Tensor, out: int, encoding: Encoding) -> Tensor:
    """A fully connected layer in integers."""
    made = net.node("Gemm", [x, weights(net, out, x.shape[1]), bias(net, out)], (x.shape[0], out), transB=1)
    return rounded(net, made, encoding)


def product(net: Net, x: Tensor, y: Tensor, shape: Sequence[int], encoding: Encoding) -> Tensor:
    """A product of two tensors in integers."""
    return rounded(net, net.node("MatMul", [x, y], shape), encoding)


def linear(net: Net, x: Tensor, out: int, encoding: Encoding) -> Tensor:
    """A product with weights on the last axis, and its bias."""
    made = product(net, x, weights(net, x.shape[-1], out, axis=1), (*x.shape[:-1], out), encoding)
    return rounded(net, net.node("Add", [made, net.weight(out)], made.shape), encoding)


def applied(net: Net, op: str, inputs: Sequence[Tensor], encoding: Encoding, **attrs: Any) -> Tensor:
    """An operator that keeps the shape, its result in integers."""
    return rounded(net, net.node(op, inputs, inputs[0].shape, **attrs), encoding)


def dynamic(net: Net, x: Tensor, out: int) -> Tensor:
    """A product that quantizes its activations as it runs."""
    codes = net.integers(INT8, -127, 127, x.shape[-1], out)
    scale, offset = net.numbers([0.002], FLOAT, scalar=True), net.numbers([0], INT8, scalar=True)
    shape = (*x.shape[:-1], out)
    return net.node("DynamicQuantizeMatMul", [x, codes, scale, offset, net.weight(out)], shape, domain="com.microsoft")


def packed(net: Net, x: Tensor, out: int) -> Tensor:
    """A product with weights of 4 bits in blocks: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md"""
    width = x.shape[-1]
    blocks = width // NBITS_BLOCK
    codes = net.integers(UINT8, 0, 255, out, blocks, NBITS_BLOCK // 2)
    return net.node(
        "MatMulNBits",
        [x, codes, net.weight(out * blocks, scale=0.01)],
        (*x.shape[:-1], out),
        domain="com.microsoft",
        K=width,
        N=out,
        bits=4,
        block_size=NBITS_BLOCK,
    )
