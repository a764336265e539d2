"""Two patterns of residual networks that published counts treat in their own way.

Shortcut projections: 1x1 convolutions that run beside a branch and are added to it. Strides: the first ResNet strides
in the 1x1 convolution of a bottleneck, later ones in the 3x3 after it (https://arxiv.org/abs/1512.03385;
https://github.com/facebookarchive/fb.resnet.torch), which costs more.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Final

from effaudit.ops._registry import CONV_KINDS
from effaudit.views.published.parts import Part, Parts

_NORMS: Final = frozenset("BatchNormalization Identity QuantizeLinear DequantizeLinear Cast Dropout".split())
_BETWEEN: Final = _NORMS | frozenset("Relu Clip LeakyRelu PRelu HardSwish Sigmoid Elu Gelu".split())
_ADDS: Final = frozenset(("Add", "Sum", "QLinearAdd"))
MAX_HOPS: Final = 6


def shortcut_projections(parts: Parts) -> tuple[Part, ...]:
    """1x1 convolutions whose input other convolutions read too, and whose output, normalized at most, is added."""
    readers = _readers(parts)
    return tuple(
        row
        for row in parts.rows
        if row.kind == "pointwise"
        and any(other is not row and other.kind in CONV_KINDS for other in readers.get(row.node.inputs[0], ()))
        and (end := _next(row, readers, _NORMS)) is not None
        and end.node.op in _ADDS
    )


def early_strides(parts: Parts) -> dict[int, int]:
    """The multiply-accumulates of 1x1 convolutions, by the node's identity, if they took over the stride of the wider
    convolution that alone reads them."""
    readers, found = _readers(parts), {}
    for row in parts.rows:
        if row.kind != "pointwise" or max(_strides(row), default=1) > 1:
            continue
        wide = _next(row, readers, _BETWEEN)
        if wide is None or wide.kind not in ("conv", "grouped") or max(_strides(wide), default=1) < 2:
            continue
        before, after = _positions(parts, row), _positions(parts, wide)
        if before and after:
            found[id(row.node)] = row.macs * after // before
    return found


def _positions(parts: Parts, row: Part) -> int:
    """The positions of a row's output map, 0 where they are not known."""
    spatial = (parts.shape(row.node.outputs[0]) or ())[2:]
    known = [size for size in spatial if isinstance(size, int)]
    return prod(known) if spatial and len(known) == len(spatial) else 0


def _strides(row: Part) -> tuple[int, ...]:
    strides = row.node.attrs.get("strides")
    return tuple(s for s in strides if isinstance(s, int)) if isinstance(strides, tuple | list) else ()


def _readers(parts: Parts) -> dict[str, list[Part]]:
    """The rows that read each tensor as data: their first input, or any operand of an addition."""
    found: dict[str, list[Part]] = {}
    for row in parts.rows:
        names = row.node.inputs if row.node.op in _ADDS else row.node.inputs[:1]
        for name in names:
            if name:
                found.setdefault(name, []).append(row)
    return found


def _next(row: Part, readers: Mapping[str, list[Part]], passes: frozenset[str]) -> Part | None:
    """The only reader of a row's output, nodes that pass it on skipped; None where several read it."""
    for _ in range(MAX_HOPS):
        following = readers.get(row.node.outputs[0], []) if row.node.outputs else []
        if len(following) != 1:
            return None
        row = following[0]
        if row.node.op not in passes:
            return row
    return None
