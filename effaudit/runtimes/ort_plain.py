"""ONNX Runtime without optimizations (`ORT_DISABLE_ALL`), on a CPU: also for a model that it saved optimized.

Every node runs, those that depend on no input too: a weight made by ConstantOfShape, or by the DequantizeLinear of a
quantized model, is a tensor like the others. What is changed whatever the options is changed here: the order, calls of
functions, shared DequantizeLinear nodes, float16 on kernels that have none.
"""

from __future__ import annotations

from typing import Final

from effaudit.lower.ort_casts import half_in_single, without_duplicate_casts
from effaudit.lower.ort_dequantize import unique_dequantize
from effaudit.lower.ort_functions import inlined, without_kernels
from effaudit.lower.ort_order import reverse_depth_first
from effaudit.plan.storage import Sharing
from effaudit.runtimes._ort_reuse import BODIES, planned
from effaudit.runtimes._ort_scratch import scratch
from effaudit.runtimes._passes import in_order
from effaudit.runtimes._runtime import Runtime

REPOSITORY: Final = "https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/"
SOURCES: Final = tuple(
    REPOSITORY + path
    for path in (
        "framework/allocation_planner.cc",
        "graph/graph_viewer.cc",
        "optimizer/insert_cast_transformer.cc",
        "optimizer/qdq_transformer/ensure_unique_dq_for_node_unit.cc",
        "mlas/lib/convolve.cpp",
    )
)
NOTES: Final = (
    "the arena is what ONNX Runtime's allocator is asked for; it holds more, since its regions grow by powers of two "
    "(two to five times as much is usual) and weights lie in it too",
    "graph inputs are the caller's; outputs are counted",
    "one run with enable_mem_pattern off, one intra-op thread: each further thread adds up to 64 KiB to a convolution",
    "what a body of If, Loop or Scan holds is counted beside the outputs of its node, though it may lie in them",
    "dims that the file leaves open stay open for ONNX Runtime's planner, whatever sizes are given here",
)

RUNTIME = Runtime(
    name="ort-plain",
    title="ONNX Runtime on a CPU without optimizations",
    sources=SOURCES,
    lower=in_order(
        inlined, unique_dequantize, without_kernels, half_in_single, without_duplicate_casts, reverse_depth_first
    ),
    sharing=Sharing(views=True, storages=planned, bodies=BODIES),
    inputs=False,
    orders=True,
    scratch=scratch,
    notes=NOTES,
)
