"""What the graph needs under every rule that costs no arithmetic: a bound to compare runtimes with.

Quantized pairs are folded, inputs and outputs integers where the model quantizes them, norms, zero padding and
activations in the operators before them, copies gone; views lie in their input's bytes, elementwise operators write
over an input that dies there, and offsets are the best found, to the byte. There are no workspaces; depthwise
convolutions in place and patches are not used.
"""

from __future__ import annotations

from typing import Final

from effaudit.lower import pads
from effaudit.lower.activations import any_unary, fuse
from effaudit.plan.storage import SHARED
from effaudit.runtimes._passes import INTEGER, in_order
from effaudit.runtimes._runtime import Runtime

TAKE_ACTIVATIONS: Final = frozenset(
    """Conv ConvTranspose Gemm MatMul Add Sub Mul Div Sum Concat AveragePool GlobalAveragePool MaxPool GlobalMaxPool
    BatchNormalization InstanceNormalization LayerNormalization""".split()
)

RUNTIME = Runtime(
    name="ideal",
    title="an ideal runtime",
    sources=(),
    lower=in_order(*INTEGER, pads.fold, lambda graph: fuse(graph, TAKE_ACTIVATIONS, any_unary)),
    sharing=SHARED,
    notes=("kernel workspaces are not counted",),
)
