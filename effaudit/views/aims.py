"""Which techniques are made for a cost, given what holds it. Advice in general terms: `whatif` tells what it gains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

# What lowers a figure, by the kinds that may hold it; the first kind (or group) with the largest share decides.
GROUPS: Final = {
    "conv": "conv",
    "grouped": "conv",
    "transposed": "conv",
    "depthwise": "depthwise",
    "pointwise": "pointwise",
    "gemm": "gemm",
    "attention": "attention",
    "attention-scores": "attention",
    "attention-values": "attention",
    "recurrent": "recurrent",
    "control": "control",
    "function": "control",
    "softmax": "elementwise",
    "norm": "elementwise",
    "activation": "elementwise",
    "elementwise": "elementwise",
    "quantize": "elementwise",
    "pooling": "elementwise",
    "reduction": "elementwise",
    "resize": "elementwise",
    "movement": "movement",
    "embedding": "movement",
}
AIMS: Final[dict[str, dict[str, str]]] = {
    "macs": {
        "conv": "depthwise-separable or grouped convs, fewer channels, Winograd",
        "depthwise": "smaller kernels, fewer channels, larger strides earlier",
        "pointwise": "channel pruning, grouped 1x1 with shuffle, low rank",
        "gemm": "low rank, structured pruning, fewer tokens or a smaller batch",
        "attention": "fewer tokens, windowed or linear attention",
        "recurrent": "a smaller hidden size, low-rank gates, fewer steps",
        "control": "fewer iterations, a smaller body",
    },
    "params": {
        "conv": "channel pruning, depthwise-separable convs, int8/int4 weights",
        "depthwise": "channel pruning",
        "pointwise": "channel pruning, low rank, int8/int4 weights",
        "gemm": "int8/int4 weights, low rank, pruning; pool before a flatten",
        "recurrent": "int8 weights, low-rank gates, a smaller hidden size",
        "movement": "a smaller, factored or tied embedding; int8/int4 rows",
        "elementwise": "fold norms and scales into the layers before them",
        "control": "share or shrink the bodies' weights",
    },
    "bytes": {
        "conv": "int8/fp16 weights and activations, fusion with what follows",
        "depthwise": "fusion with the 1x1 convs around it, int8 activations",
        "pointwise": "fusion with what follows, int8/fp16 activations",
        "gemm": "int8/int4 weights, a larger batch to reuse them",
        "attention": "fused (flash) attention: the scores never leave the chip",
        "recurrent": "weights kept on chip over the steps, int8 weights",
        "elementwise": "fusion into the layers before: no own pass over memory",
        "movement": "layouts that need no transpose, views, fused gathers",
        "control": "fusion inside the body",
    },
    "activation_bytes": {
        "conv": "a smaller input, earlier strides, patches, int8 activations",
        "depthwise": "in-place depthwise, patches, fewer expanded channels",
        "pointwise": "a smaller expansion, patches, int8 activations",
        "gemm": "fewer tokens or a smaller batch, int8/fp16 activations",
        "attention": "fused (flash) attention, fewer tokens",
        "recurrent": "shorter sequences, streaming state",
        "elementwise": "in-place and fused elementwise operators",
        "movement": "views and layouts that need no copy",
        "control": "fewer iterations kept, outputs that are not stacked",
    },
    "ops": {
        "elementwise": "fusion, cheaper activations, folded norms",
        "conv": "folded biases and norms",
        "gemm": "folded biases and norms",
    },
}


def aim(figure: str, shares: Mapping[str, float]) -> str:
    """What lowers a figure; `shares` of it by kind. "" where nothing holds it, or nothing general can be said."""
    groups: dict[str, float] = {}
    for kind, share in shares.items():
        group = GROUPS.get(kind, "")
        groups[group] = groups.get(group, 0.0) + share
    for group in sorted(groups, key=lambda g: -groups[g]):
        text = AIMS[figure].get(group)
        if text:
            return text
    return ""
