"""ONNX Runtime with its default optimizations (`ORT_ENABLE_ALL`), on a CPU: a range.

The exact figure is that of the graph it really runs. ONNX Runtime writes that graph itself
(`SessionOptions.optimized_model_filepath`); its memory is what the runtime `ort-plain` says of that file.
"""

from __future__ import annotations

from effaudit.lower.ort_casts import half_in_single, without_duplicate_casts
from effaudit.lower.ort_dequantize import unique_dequantize
from effaudit.lower.ort_folded import folded
from effaudit.lower.ort_functions import inlined, without_kernels
from effaudit.lower.ort_order import reverse_depth_first
from effaudit.plan.storage import Sharing
from effaudit.runtimes._ort_optimized import ranged
from effaudit.runtimes._ort_reuse import BODIES
from effaudit.runtimes._ort_scratch import scratch
from effaudit.runtimes._passes import in_order
from effaudit.runtimes._runtime import Runtime
from effaudit.runtimes.ort_plain import NOTES, REPOSITORY, SOURCES

RUNTIME = Runtime(
    name="ort",
    title="ONNX Runtime on a CPU",
    sources=(*SOURCES, f"{REPOSITORY}optimizer/constant_folding.cc", f"{REPOSITORY}optimizer/nchwc_transformer.cc"),
    lower=in_order(
        inlined,
        unique_dequantize,
        without_kernels,
        half_in_single,
        without_duplicate_casts,
        reverse_depth_first,
        folded,
        reverse_depth_first,
    ),
    sharing=Sharing(views=True, storages=ranged, bodies=BODIES),
    inputs=False,
    orders=True,
    scratch=scratch,
    notes=(
        "a range: fusions and channel blocks of an optimized session depend on version and processor; for one number, "
        "let ONNX Runtime save the optimized model (optimized_model_filepath) and ask for that file under ort-plain",
        *NOTES,
    ),
)
