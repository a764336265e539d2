"""Which kernels run alike: the class of the operator, and what of its shape or layout makes it another code path.

Of ONNX Runtime on a CPU (https://github.com/microsoft/onnxruntime/tree/main/onnxruntime/core/mlas): convolutions of
images run in blocks of channels (domain com.microsoft.nchwc) or plainly; products of one row are bound by their
weights; a reduction, a softmax or a transposition along the last axis is not the loop of another axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final, TypeAlias

from effaudit.estimate.types import Kernel
from effaudit.graph import Node
from effaudit.ops._registry import NCHWC

Shapes: TypeAlias = Sequence[tuple[int, ...] | None]

_IMAGE: Final = 4  # the rank of what a convolution of images reads
_BLOCK: Final = 8  # fewer channels than the smallest block: a first layer
_WINDOWS: Final = frozenset(("conv", "grouped", "depthwise", "pointwise"))
_AXES: Final = frozenset(("Softmax", "LogSoftmax", "Hardmax"))
_AS_THEY_RUN: Final = frozenset("DynamicQuantizeMatMul MatMulIntegerToFloat MatMulInteger MatMulNBits".split())
# Operators that compute what another does, or nearly.
_SAME: Final = {
    "FusedGemm": "Gemm",
    "FusedMatMul": "MatMul",
    "LogSoftmax": "Softmax",
    "BiasGelu": "Gelu",
    "FastGelu": "Gelu",
    "BiasSoftmax": "Softmax",
    "SimplifiedLayerNormalization": "LayerNormalization",
    "SkipSimplifiedLayerNormalization": "SkipLayerNormalization",
    "QuickGelu": "Sigmoid",
    "Sin": "Exp",
    "Cos": "Exp",
    "Log": "Exp",
    "Floor": "Abs",
    "Ceil": "Abs",
    "Round": "Abs",
    "Min": "Max",
    "Less": "Greater",
    "Equal": "Greater",
    "GreaterOrEqual": "Greater",
    "LessOrEqual": "Greater",
    "GatherElements": "Gather",
    "GatherND": "Gather",
    "SpaceToDepth": "DepthToSpace",
    "Selu": "Elu",
    "Celu": "Elu",
    "Mish": "Softplus",
    "ThresholdedRelu": "LeakyRelu",
}


def kind_of(
    node: Node,
    kernel: Kernel,
    inputs: Shapes,
    outputs: Shapes,
    axes: tuple[int, ...] | None,
    *,
    exact: bool,
) -> tuple[str, tuple[str, ...]]:
    """The kind of a kernel, and the kinds it is like, the nearest first. `axes` are those it reduces, None where they
    are not known; `exact` as in `pattern.patterned`."""
    if kernel.op_class in _WINDOWS:
        return _convolution(node, kernel, inputs, exact=exact)
    if kernel.op_class in ("fully_connected", "matmul"):
        return _product(node, kernel, outputs[0] or ())
    if kernel.op_class in ("transposed", "attention"):
        return kernel.op_class, (node.op,)
    base = _SAME.get(node.op, node.op)
    variant = _variant(node, kernel, inputs, outputs[0] or (), axes)
    like = (base, *(f"{base} {other}" for other in ("broadcast", "inner", "moved", "blocked")), kernel.op_class)
    kind = f"{base} {variant}" if variant else base
    return kind, tuple(name for name in like if name != kind)


def _convolution(node: Node, kernel: Kernel, inputs: Shapes, *, exact: bool) -> tuple[str, tuple[str, ...]]:
    """Blocked, plain, of another rank, or a first layer: a few channels that are not in blocks."""
    kind: str = kernel.op_class
    fed = inputs[0]
    rank = _IMAGE if fed is None else len(fed)
    blocked = node.domain == NCHWC
    if rank != _IMAGE:
        return f"{kind} {rank - 2}d", (f"{kind} plain", kind, "conv plain", "conv")
    if exact and not blocked:
        return f"{kind} plain", (kind, "conv plain", "conv")
    if kind in ("conv", "pointwise") and fed is not None and fed[1] % _BLOCK and (fed[1] < _BLOCK or blocked):
        return "conv first", (kind, "conv", f"{kind} plain", "conv plain")
    return kind, (f"{kind} plain", "conv", "conv plain")


def _product(node: Node, kernel: Kernel, out: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """With one row, or with many; operators that unpack or quantize as they run are kinds of their own."""
    kind: str = kernel.op_class
    if node.op in _AS_THEY_RUN:
        row = prod(out[:-1]) == 1
        return f"{node.op} row" if row else node.op, (node.op, f"{node.op} row", kind)
    rows = prod(out[:-1]) if kind == "fully_connected" else out[-2] if len(out) > 1 else 1
    other = "matmul" if kind == "fully_connected" else "fully_connected"
    if rows == 1:
        return f"{kind} row", (f"{other} row", kind, other)
    return kind, (other, f"{kind} row")


def _variant(node: Node, kernel: Kernel, inputs: Shapes, out: tuple[int, ...], axes: tuple[int, ...] | None) -> str:
    first = inputs[0] if inputs else None
    if node.domain == NCHWC:
        return "blocked"
    if kernel.op_class == "elementwise":
        counts = [prod(shape) for shape in inputs[:2] if shape is not None]
        return "broadcast" if len(counts) == 2 and counts[0] != counts[1] and min(counts) > 1 else ""
    if node.op in _AXES:
        axis = node.attrs.get("axis", -1)
        return "" if axis in (-1, len(out) - 1) else "inner"
    if kernel.op_class == "reduction":
        last = None if first is None else len(first) - 1
        return "inner" if axes and last is not None and not {-1, last} & set(axes) else ""
    if node.op == "Transpose":
        perm = node.attrs.get("perm")
        return "" if isinstance(perm, list | tuple) and (not perm or perm[-1] == len(perm) - 1) else "moved"
    return ""
