"""What ONNX Runtime's optimizer makes of a graph, at its defaults, on a CPU: the kernels that run.

The transformers of levels 1 to 3 that decide which kernels there are (`GenerateTransformers` in
onnxruntime/core/optimizer/graph_transformer_utils.cc), pass by pass, read there and held against what 1.31.1 saves
(`SessionOptions.optimized_model_filepath`). Made for times: the elements of folded weights are not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial, reduce
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from effaudit.graph import Graph
from effaudit.lower.ort_casts import half_in_single, without_duplicate_casts
from effaudit.lower.ort_dequantize import unique_dequantize
from effaudit.lower.ort_folded import folded
from effaudit.lower.ort_functions import inlined, without_kernels
from effaudit.lower.ort_fusions import (
    common,
    convolutions,
    dynamic,
    gelus,
    integers,
    norms,
    products,
    slices,
    transposes,
)
from effaudit.lower.ort_fusions.blocks import blocked
from effaudit.lower.ort_fusions.last import channels_last
from effaudit.lower.ort_order import reverse_depth_first
from effaudit.ops._call import INVALID
from effaudit.ops._registry import MICROSOFT, NCHWC, find_built_in

Pass: TypeAlias = Callable[[Graph], Graph]


class Machine(msgspec.Struct, frozen=True):
    """What of a processor the kernels depend on. `block`: channels that lie together in a convolution's tensors; None
    where they do not. `signed`: whether integer kernels take signed activations."""

    block: int | None
    signed: bool


def _where(ops: str, step: Pass) -> Pass:
    """A pass over graphs that have one of these operators; others it leaves alone."""
    wanted = frozenset(ops.split())
    return lambda graph: step(graph) if any(node.op in wanted for node in graph.nodes) else graph


_DOMAINS: Final = {MICROSOFT: 1, NCHWC: 1}
# Level 1, then what is done as the nodes are given to the processor, then level 2.
_BEFORE: Final[tuple[Pass, ...]] = (
    inlined,
    unique_dequantize,
    reverse_depth_first,
    folded,
    common.shared,
    _where("QuantizeLinear", integers.without_clipping),
    _where("Conv ConvTranspose", convolutions.folded),
    _where("MatMul", products.with_shift),
    _where("Gather", transposes.behind_gather),
    _where("Erf Tanh", gelus.written_out),
    _where("Sqrt", norms.written_out),
)
_BEHIND: Final[tuple[Pass, ...]] = (
    without_kernels,
    half_in_single,
    without_duplicate_casts,
    reverse_depth_first,
    _where("Conv", convolutions.activated),
    _where("Gemm", products.activated),
    _where("MatMulInteger", dynamic.to_float),
    _where("MatMulIntegerToFloat", dynamic.quantizing),
    _where("Gather Slice", slices.split),
    _where("LayerNormalization", norms.with_sum),
    _where("Sigmoid", gelus.by_sigmoid),
    _where("MatMul", products.transposed),
    _where("MatMul FusedMatMul", products.scaled),
)


def optimized(graph: Graph, machine: Machine) -> Graph:
    """The graph with inferred shapes as ONNX Runtime runs it, in its order. A pass that meets a node that breaks the
    contract of its operator is left out."""
    passes: list[Pass] = [*_BEFORE, partial(integers.quantized, signed=machine.signed), *_BEHIND]
    if machine.block is not None:
        passes.append(partial(blocked, block=machine.block))
    made = _all((*passes, channels_last), graph)
    for key in {(node.domain, node.op) for node in made.nodes}:
        find_built_in(*key)  # the rules of operators that the file does not have are not there yet
    return replace(made, opsets={**_DOMAINS, **made.opsets})


def _all(passes: Iterable[Pass], graph: Graph) -> Graph:
    return reduce(_made, passes, graph)


def _made(graph: Graph, step: Pass) -> Graph:
    try:
        return step(graph)
    except INVALID:
        return graph
