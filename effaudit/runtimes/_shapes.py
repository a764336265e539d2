"""What the formulas of kernels need to know of a node, in numbers."""

from __future__ import annotations

from math import prod

import msgspec

from effaudit.graph import Graph, Node
from effaudit.quantity import Quantity


class Window(msgspec.Struct, frozen=True):
    """A convolution of one or two spatial axes; the missing height of a 1-D one is 1. `pads` are (top, left)."""

    batch: int
    channels: int
    height: int
    width: int
    out_channels: int
    out_height: int
    out_width: int
    kernel: tuple[int, int]
    strides: tuple[int, int]
    dilations: tuple[int, int]
    pads: tuple[int, int]
    groups: int
    dtype: str

    @property
    def depthwise(self) -> bool:
        """True where every input channel has a group of its own (TFLite's DEPTHWISE_CONV_2D)."""
        return self.groups == self.channels and self.groups > 1

    @property
    def taps(self) -> int:
        return self.kernel[0] * self.kernel[1]


def shape_of(graph: Graph, name: str) -> tuple[int, ...] | None:
    """A shape in numbers, or None."""
    value = graph.values.get(name)
    if value is None or value.shape is None:
        return None
    dims = tuple(dim for dim in value.shape if type(dim) is int)
    return dims if len(dims) == len(value.shape) else None


def dtype_of(graph: Graph, name: str) -> str:
    """The element type of a tensor, "" where it is not known."""
    value = graph.values.get(name)
    return "" if value is None else value.encoding.dtype


def bytes_of(graph: Graph, name: str) -> int | None:
    """The bytes of a tensor in numbers, or None."""
    shape = shape_of(graph, name)
    if shape is None:
        return None
    size = graph.values[name].encoding.nbytes(prod(shape))
    return size if type(size) is int else None


def unknown(node: Node, what: str = "its shapes are not known") -> Quantity:
    """A workspace of which nothing can be told."""
    return Quantity(0, None, f"{node.label}: {what}")


def upto(most: int, why: str, least: int = 0) -> Quantity:
    """`least`..`most` bytes, and why it is not one number."""
    return Quantity(least, most, why if least < most else "")


def exactly(size: int) -> Quantity:
    return Quantity(size, size)


def window_of(graph: Graph, node: Node) -> Window | None:
    """The geometry of a Conv or ConvTranspose; None where its shapes are open, or it has three spatial axes."""
    if len(node.inputs) < 2 or not node.outputs:
        return None
    x, w, y = (shape_of(graph, name) for name in (node.inputs[0], node.inputs[1], node.outputs[0]))
    if x is None or w is None or y is None or not len(x) == len(w) == len(y) or len(x) not in (3, 4):
        return None
    axes = len(x) - 2
    kernel = _two(w[2:], 1)
    strides = _two(node.attrs.get("strides") or (1,) * axes, 1)
    dilations = _two(node.attrs.get("dilations") or (1,) * axes, 1)
    (height, width), (tall, wide) = _two(x[2:], 1), _two(y[2:], 1)
    pads = _begins(node, axes, (height, width), (tall, wide), kernel, strides, dilations)
    return Window(
        batch=x[0],
        channels=x[1],
        height=height,
        width=width,
        out_channels=y[1],
        out_height=tall,
        out_width=wide,
        kernel=kernel,
        strides=strides,
        dilations=dilations,
        pads=pads,
        groups=node.attrs.get("group", 1),
        dtype=dtype_of(graph, node.inputs[0]),
    )


def _begins(
    node: Node,
    axes: int,
    size: tuple[int, int],
    out: tuple[int, int],
    kernel: tuple[int, int],
    strides: tuple[int, int],
    dilations: tuple[int, int],
) -> tuple[int, int]:
    """Padding before the first row and column; where `auto_pad` sets it, half of what the output size needs."""
    mode = node.attrs.get("auto_pad", "NOTSET")
    if mode == "NOTSET":
        return _two((node.attrs.get("pads") or (0,) * 2 * axes)[:axes], 0)
    if mode == "VALID":
        return 0, 0
    total = [
        max((n - 1) * s + (k - 1) * d + 1 - i, 0)
        for i, n, k, s, d in zip(size, out, kernel, strides, dilations, strict=True)
    ]
    extra = 1 if mode == "SAME_LOWER" else 0
    return (total[0] + extra) // 2, (total[1] + extra) // 2


def _two(values: tuple[int, ...], missing: int) -> tuple[int, int]:
    """The spatial numbers of one or two axes, as (height, width)."""
    return (values[0], values[1]) if len(values) == 2 else (missing, values[0])
