"""Where fused attention operators take a cache and hand one back, and how far they look.

Inputs and outputs by place: https://github.com/microsoft/onnxruntime/blob/main/docs/ContribOperators.md and
https://onnx.ai/onnx/operators/onnx__Attention.html
"""

from __future__ import annotations

from typing import Final

import msgspec

from effaudit.graph import Node
from effaudit.ops._registry import MICROSOFT, ONNX
from effaudit.views.kv_cache.types import BOTH, KEY, VALUE


class Place(msgspec.Struct, frozen=True):
    """One cache tensor of an operator: the places of its past and present; `axis` is that of the sequence."""

    role: str
    past: int
    present: int
    axis: int = 2


def _pair(past: int, present: int = 1) -> tuple[Place, Place]:
    return Place(KEY, past, present), Place(VALUE, past + 1, present + 1)


def _combined(past: int) -> tuple[Place]:
    """Keys and values in one tensor, 2 x batch x heads x sequence x head size."""
    return (Place(BOTH, past, 1, 3),)


_PLACES: Final[dict[tuple[str, str], tuple[Place, ...]]] = {
    (ONNX, "Attention"): _pair(4),
    (MICROSOFT, "GroupQueryAttention"): _pair(3),
    (MICROSOFT, "SparseAttention"): _pair(3),
    (MICROSOFT, "DynamicSparseAttention"): _pair(3),
    (MICROSOFT, "MultiHeadAttention"): _pair(6),
    (MICROSOFT, "DecoderMaskedMultiHeadAttention"): _pair(5),
    (MICROSOFT, "DecoderAttention"): _pair(6),
    (MICROSOFT, "PagedAttention"): _pair(3),
    (MICROSOFT, "SparsePagedAttention"): _pair(3),
    (MICROSOFT, "Attention"): _combined(4),
    (MICROSOFT, "QAttention"): _combined(8),
    (MICROSOFT, "QOrderedAttention"): _combined(18),
    (MICROSOFT, "DecoderMaskedSelfAttention"): _combined(4),
}
# Of the caches in pages, blocks x tokens of a block x heads x head size, every sequence has some blocks.
PAGED: Final = frozenset(("PagedAttention", "SparsePagedAttention"))
_STATES: Final = {"LinearAttention": 1, "GatedDeltaNet": 1}  # the output that is the state


def places(node: Node) -> tuple[Place, ...]:
    """The cache tensors an operator may have."""
    return _PLACES.get((node.domain, node.op), ())


def state(node: Node) -> int | None:
    """The output of a linear attention that is its state, None of another operator."""
    return _STATES.get(node.op)


def window(node: Node) -> int | None:
    """How many tokens an operator looks back at most, the query's own included; None without a limit."""
    local, left = node.attrs.get("local_window_size"), node.attrs.get("left_window_size")
    if isinstance(local, int) and local > 0:
        return local
    return left + 1 if isinstance(left, int) and left >= 0 and node.domain == ONNX else None


def packed_bits(node: Node) -> int | None:
    """The bits of a cache element where an operator packs several into one of its tensor."""
    width = node.attrs.get("kv_cache_bit_width")
    return width if isinstance(width, int) and 0 < width < 8 else None
