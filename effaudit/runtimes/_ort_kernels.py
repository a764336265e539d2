"""Which outputs ONNX Runtime's CPU kernels put into the bytes of an input.

Read in the kernels' registrations (`KernelDefBuilder::Alias` and `MayInplace`) at 1.27, and compared with the memory
profile of 1.31.1. Elementwise arithmetic (Add, Mul, Sum, ...), BatchNormalization, Dropout and Concat are registered
without either: their outputs are new, and what looks like "in place" in a profile is `FindReusableTensor` giving them
the buffer of a tensor that died before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from effaudit.graph import Graph, Node
from effaudit.ops._registry import MICROSOFT, NCHWC, ONNX

Pair = tuple[int, int]  # (input, output)

_FIRST: Final[tuple[Pair, ...]] = ((0, 0),)

# core/providers/cpu/: tensor/{reshape,squeeze,unsqueeze,identity_op}.cc, nn/flatten.cc, optional/optional_ops.cc;
# contrib_ops/cpu/expand_dims.cc. The output is the input's bytes, whatever becomes of the input.
ALIAS: Final[Mapping[tuple[str, str], tuple[Pair, ...]]] = {
    **{(ONNX, op): _FIRST for op in "Reshape Squeeze Unsqueeze Flatten Identity Optional OptionalGetElement".split()},
    (MICROSOFT, "ExpandDims"): _FIRST,
}

# core/providers/cpu/: activation/activations.cc; math/{clip,softmax}.cc; nn/shrink.cc; llm/tensorscatter.cc;
# signal/{dft,window_functions}.cc; tensor/{bitcast_op,cast_op,scatter,trilu}.cc;
# contrib_ops/cpu/{activations,fused_conv,nchwc_ops}.cc, moe/moe_cpu.cc.
MAY_IN_PLACE: Final[Mapping[tuple[str, str], tuple[Pair, ...]]] = {
    **{
        (ONNX, op): _FIRST
        for op in """Elu HardSigmoid LeakyRelu Relu Selu Sigmoid Softplus Softsign Tanh Celu ThresholdedRelu Clip
        Softmax LogSoftmax Shrink TensorScatter DFT HannWindow HammingWindow BlackmanWindow BitCast Cast Scatter
        ScatterElements Trilu""".split()
    },
    **{(MICROSOFT, op): _FIRST for op in "ParametricSoftplus ScaledTanh ThresholdedRelu Trilu MoE".split()},
    **{(MICROSOFT, op): ((3, 0),) for op in ("FusedConv", "NhwcFusedConv")},
    (NCHWC, "Conv"): ((3, 0),),
}

# Registered in place for float only.
_FLOAT_ONLY: Final = frozenset(("Softmax", "LogSoftmax"))


def aliased(node: Node) -> tuple[Pair, ...]:
    """The outputs that are an input's bytes."""
    return ALIAS.get((node.domain, node.op), ())


def may_in_place(graph: Graph, node: Node) -> tuple[Pair, ...]:
    """The outputs that may take an input's bytes, if that dies there and has the same shape and width."""
    pairs = MAY_IN_PLACE.get((node.domain, node.op), ())
    if pairs and node.op in _FLOAT_ONLY and not node.domain and node.inputs:
        value = graph.values.get(node.inputs[0])
        return pairs if value is not None and value.encoding.dtype == "float32" else ()
    return pairs
