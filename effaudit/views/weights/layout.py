"""Which axes of a weight are output channels, input channels, and summed over, as the node that reads it says.

Shapes of weights: https://onnx.ai/onnx/operators/ and
https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md
"""

from __future__ import annotations

from math import prod
from typing import Final

import msgspec

from effaudit.graph import Node
from effaudit.ops._registry import MICROSOFT, ONNX
from effaudit.views.weights.uses import Use

MAX_RANK: Final = 16

_CONV: Final = frozenset("Conv ConvInteger QLinearConv FusedConv DeformConv".split())
_TRANSPOSED: Final = frozenset(("ConvTranspose", "ConvTransposeWithDynamicPads"))
_MATMUL: Final = frozenset(
    """MatMul MatMulInteger MatMulInteger16 QLinearMatMul DynamicQuantizeMatMul MatMulIntegerToFloat FusedMatMul
    FusedMatMulActivation TransposeMatMul""".split()
)
_GEMM: Final = frozenset("Gemm FusedGemm QGemm GemmFloat8".split())
_ATTENTION: Final = frozenset("Attention QAttention PackedAttention DecoderMaskedSelfAttention".split())
_RECURRENT: Final = frozenset("LSTM GRU RNN".split())


class Layout(msgspec.Struct, frozen=True):
    """A tensor's elements in the file's order under the shape `dims`, an axis of it split where groups need that.

    `axes[i]` is the tensor's own axis that dim i belongs to. `outputs` and `inputs` are the dims whose product counts
    the output and input channels; the last of `inputs` is the axis that a product sums over.
    """

    dims: tuple[int, ...]
    axes: tuple[int, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int, ...]

    @property
    def summed(self) -> int:
        return self.inputs[-1]


def layout(use: Use) -> Layout | str:
    """The layout of the constant a node reads; where there is none, why."""
    node, constant = use.node, use.view.constant
    if use.view.axes is None:
        return f"it is reshaped before {node.op} reads it"
    if len(use.view.axes) > MAX_RANK:
        return f"it has more than {MAX_RANK} dimensions"
    seen = tuple(constant.shape[axis] for axis in use.view.axes)
    found = _axes(node, use.input, seen)
    if found is None:
        return f"no channels are known for input {use.input or use.place} of {node.op}"
    groups, split, outputs, inputs = found
    if groups > 1 and seen[split] % groups:
        return f"{groups} groups do not divide its axis of {seen[split]}"
    return _stored(use.view.axes, constant.shape, groups, split, outputs, inputs)


Channel = tuple[int, bool]  # an axis as the reader sees it; True: the groups that were split off it


def _axes(
    node: Node, name: str, shape: tuple[int, ...]
) -> tuple[int, int, tuple[Channel, ...], tuple[Channel, ...]] | None:
    """(groups, axis they are split off, output axes, input axes), as the reader sees the weight."""
    rank, op = len(shape), node.op
    if node.domain not in (ONNX, MICROSOFT):
        return None
    if op in _CONV | _TRANSPOSED and name == "w" and rank >= 3:
        group = node.attrs.get("group", 1)
        if not isinstance(group, int) or group < 1:
            return None
        lead: tuple[Channel, ...] = ((0, True),) if group > 1 else ()
        first, second = (*lead, (0, False)), (*lead, (1, False))
        return (group, 0, first, second) if op in _CONV else (group, 0, second, first)
    if op in _GEMM and rank == 2 and name in ("a", "b"):
        turned = bool(node.attrs.get("transA" if name == "a" else "transB"))
        return _product(2, name, turned)
    if op in _MATMUL and rank >= 2 and name in ("a", "b"):
        if node.attrs.get("transBatchA") or node.attrs.get("transBatchB"):
            return None
        return _product(rank, name, bool(node.attrs.get("transA" if name == "a" else "transB")))
    if op in _ATTENTION and node.domain == MICROSOFT and rank == 2 and name in ("weights", "weight"):
        return _product(2, "b", False)
    if op == "GemmFastGelu" and rank == 2 and name == "w":
        return _product(2, "b", False)
    if op in _RECURRENT and not node.domain and rank == 3 and name in ("w", "r"):
        return 1, 0, ((0, False), (1, False)), ((0, False), (2, False))
    return None


def _product(rank: int, name: str, turned: bool) -> tuple[int, int, tuple[Channel, ...], tuple[Channel, ...]]:
    """A factor of a matrix product: the second is K x N, the first M x K; `turned`, the other way round."""
    batch: tuple[Channel, ...] = tuple((axis, False) for axis in range(rank - 2))
    rows, columns = (*batch, (rank - 2, False)), (*batch, (rank - 1, False))
    summed_last = (name == "a") != turned
    return (1, 0, rows, columns) if summed_last else (1, 0, columns, rows)


def _stored(
    axes: tuple[int, ...],
    shape: tuple[int, ...],
    groups: int,
    split: int,
    outputs: tuple[Channel, ...],
    inputs: tuple[Channel, ...],
) -> Layout:
    """From the reader's axes to the order in which the elements are stored."""
    dims: list[int] = []
    owners: list[int] = []
    place: dict[Channel, int] = {}
    seen_at = {axis: i for i, axis in enumerate(axes)}
    for axis, dim in enumerate(shape):
        seen = seen_at[axis]
        if groups > 1 and seen == split:
            place[(seen, True)] = len(dims)
            dims.append(groups)
            owners.append(axis)
            dim //= groups  # noqa: PLW2901
        place[(seen, False)] = len(dims)
        dims.append(dim)
        owners.append(axis)
    return Layout(tuple(dims), tuple(owners), tuple(place[c] for c in outputs), tuple(place[c] for c in inputs))


def plain(shape: tuple[int, ...]) -> Layout:
    """A tensor no channels are known of, under its own shape (flat where that has too many axes for numpy)."""
    dims = shape if 0 < len(shape) <= MAX_RANK else (prod(shape),)
    return Layout(dims, tuple(range(len(dims))), (), ())
