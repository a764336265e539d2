"""What the weights take at each width.

At 32 and 16 bits every parameter has that width. Below, matrices, kernels and tables do, and vectors (biases, scales
and shifts of norms) keep 32 bits, as quantized runtimes keep them
(https://ai.google.dev/edge/litert/conversion/tensorflow/quantization/quantization_spec); the scales and zero points
a scheme adds are not counted, they depend on the scheme. Buffers go with the vectors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.ops._registry import MAC_KINDS, Rules
from effaudit.weights import BUFFER, PARAM, Tensor, Weights

RulesByName = Mapping[tuple[str, str], Rules]
WIDTHS: Final = {"fp32": 32, "fp16": 16, "int8": 8, "int4": 4, "int2": 2}
KEPT_BITS: Final = 32  # of a vector beside quantized matrices


def sizes(weights: Weights, rules: RulesByName) -> dict[str, int]:
    """Bytes of parameters and buffers at each width; `rules` are those of the graph."""
    matrices = vectors = 0
    for tensor in weights.of(PARAM):
        if is_matrix(tensor, rules):
            matrices += tensor.logical
        else:
            vectors += tensor.logical
    vectors += sum(t.constant.numel for t in weights.of(BUFFER))
    return {
        name: (matrices * bits + vectors * (bits if bits >= 16 else KEPT_BITS) + 7) // 8
        for name, bits in WIDTHS.items()
    }


def is_matrix(tensor: Tensor, rules: RulesByName) -> bool:
    """True for a parameter that quantization narrows: two of its axes are no unit, or it multiplies and accumulates."""
    shape = tensor.constant.shape
    if len(shape) < 2:
        return False
    if sum(dim > 1 for dim in shape) > 1:
        return True
    node = tensor.reader
    own = None if node is None else rules.get((node.domain, node.op))
    return own is not None and (not isinstance(own.kind, str) or own.kind in MAC_KINDS - {"other"})
