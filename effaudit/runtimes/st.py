"""ST Edge AI Core (X-CUBE-AI), "optimization: time": input, output and workspace of a layer lie apart.

Quantized pairs are folded, inputs and outputs are integers and lie with the activations (its options allocate-inputs
and allocate-outputs, on by default), clipping activations are part of the layer before them, reshapes are no layer.
Buffers begin at multiples of 4 bytes.

Reproduces the report of MLPerf-Tiny's streaming wakeword: 10,116 bytes. X-CUBE-AI 10 has other kernels: its published
figures for 11 image networks lie 27 % below to 30 % above what is alive at the peak, so some overlap the input and the
output of a layer, which nothing here does.
"""

from __future__ import annotations

from effaudit.lower import depthwise, pads
from effaudit.lower.activations import any_clip, fuse
from effaudit.plan.storage import Sharing
from effaudit.runtimes._passes import INTEGER, in_order
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes._st import ALIGN, runtime_ram, scratch

TAKE_ACTIVATIONS = frozenset("Conv ConvTranspose Gemm MatMul Add Sub Mul AveragePool GlobalAveragePool MaxPool".split())
SOURCES = (
    "https://github.com/mlcommons/tiny/tree/master/benchmark/reference_submissions/streaming_wakeword/sww_ref_l4r5zi",
    "https://github.com/STMicroelectronics/stm32ai-modelzoo",
    "https://stedgeai-dc.st.com/assets/embedded-docs/index.html",
)
LOWER = in_order(*INTEGER, pads.fold, lambda graph: fuse(graph, TAKE_ACTIVATIONS, any_clip), depthwise.mark)
NOTES = (
    "workspaces are known for one-dimensional int8 kernels, elsewhere they are a range",
    "published figures of X-CUBE-AI 10 for 11 networks lie 27 % below to 30 % above what is alive at the peak",
)

RUNTIME = Runtime(
    name="st",
    title="ST Edge AI Core (X-CUBE-AI) optimised for time",
    sources=SOURCES,
    lower=LOWER,
    sharing=Sharing(views=True),
    align=ALIGN,
    scratch=scratch,
    persistent=runtime_ram,
    notes=NOTES,
)
