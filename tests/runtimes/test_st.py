"""ST Edge AI Core: both networks its reports are public for, buffer by buffer."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.graph import Graph
from effaudit.lower.as_if import as_if
from effaudit.plan.problem import profile
from effaudit.runtimes import find
from tests.lower.graphs import graph, n, ops
from tests.runtimes.planning import least_arena, lowered, problem

# MLPerf-Tiny's streaming wakeword, https://github.com/mlcommons/tiny: outputs of its pointwise convolutions, and the
# size of every scratch buffer in sww_model_generate_report.txt and in .ai/sww_model_strm_ww_int8.tflite_c_info.json.
REPORT = ((128, 128, 128, 32), (761, 1440, 3201, 1792, 5121, 1792, 7041, 832, 64, 496))
C_INFO = ((108, 81, 52, 32), (761, 1240, 2701, 1242, 3241, 844, 2861, 528, 64, 496))


def streaming_wakeword(channels: tuple[int, ...], *, flat: bool = False) -> Graph:
    """30x1x40 -> four pairs of depthwise (3, 5, 10, 15 taps, no padding) and pointwise convolutions -> 3 classes."""
    nodes, weights = [], {}
    last, width, tail = "x", 40, () if flat else (1,)
    for i, (taps, out) in enumerate(zip((3, 5, 10, 15), channels, strict=True)):
        weights[f"d{i}"] = np.ones((width, 1, taps, *tail), np.float32)
        weights[f"k{i}"] = np.ones((out, width, 1, *tail), np.float32)
        nodes += [n("Conv", f"{last} d{i}", f"a{i}", group=width), n("Conv", f"a{i} k{i}", f"p{i}")]
        nodes.append(n("Relu", f"p{i}", f"r{i}"))
        last, width = f"r{i}", out
    weights["fc"] = np.ones((width, 3), np.float32)
    nodes += [n("Flatten", last, "f"), n("Gemm", "f fc", "g"), n("Softmax", "g", "y")]
    return as_if(graph(*nodes, inputs={"x": (1, 40, 30, *tail)}, weights=weights), "int8")


@pytest.mark.parametrize(("channels", "sizes"), [REPORT, C_INFO])
@pytest.mark.parametrize("flat", [False, True])
def test_every_scratch_buffer(channels: tuple[int, ...], sizes: tuple[int, ...], flat: bool) -> None:
    runtime = find("st")
    found = runtime.lower(streaming_wakeword(channels, flat=flat))
    assert ops(found) == [*["Conv"] * 8, "Flatten", "Gemm", "Softmax"]
    layers = [node for node in found.nodes if node.op != "Flatten"]
    assert [runtime.scratch(found, node).value for node in layers] == list(sizes)


def test_activations_optimised_for_time() -> None:
    """The report's 10,116 B of activations: input 3,072, output 1,920 and scratch 5,121 of conv2d_4."""
    runtime = find("st")
    need = problem(runtime.lower(streaming_wakeword(REPORT[0])), runtime, lambda size: size.high)
    assert need.floor == least_arena(need) == 10_116


def test_activations_balanced() -> None:
    """The 5,836 B of c_info.json: conv2d_2 in place of 3,024, 108 of head-room, scratch 2,701; no layer needs more.

    A storage that shrinks is not modelled: the layer behind such a pair comes out too large.
    """
    runtime = find("st-balanced")
    need = problem(runtime.lower(streaming_wakeword(C_INFO[0])), runtime, lambda size: size.high)
    by_step = dict(profile(need.buffers))
    # conv2d_0 to conv2d_7: those behind a pair hold its larger size
    too_large = [0, 0, 0, 3024 - 2592, 0, 1944 - 1216, 0, 780 - 52]
    layers = [by_step[step] - less for step, less in enumerate(too_large)]
    assert layers.index(max(layers)) == 2
    assert max(layers) == 5836
    assert need.floor == 5780 + 432
    apart = find("st")
    assert problem(apart.lower(streaming_wakeword(C_INFO[0])), apart, lambda size: size.high).floor == 8320


def test_what_is_not_known_is_a_range() -> None:
    """A two-dimensional kernel: nothing up to the formula and half of 16 KiB in and 16 KiB out."""
    runtime = find("st")
    found = lowered("ic-int8", "st")
    size = runtime.scratch(found, found.nodes[1])
    assert (size.low, size.high) == (0, 4 * 16 * 9 + 10 * 16 + 16384)
    assert "one-dimensional" in size.why


# Published for X-CUBE-AI 10.0.0 on STM32H7: activations and runtime RAM in KiB.
# https://github.com/STMicroelectronics/stm32ai-modelzoo
@pytest.mark.parametrize(
    ("name", "activations", "runtime_ram"),
    [("ic", 62.51, 7.21), ("vww", 66.96, 16.33), ("mobilenetv2", 1727.02, 30.19)],
)
def test_published_figures_lie_within_the_range(name: str, activations: float, runtime_ram: float) -> None:
    runtime = find("st")
    found = runtime.lower(as_if(lowered(name, "as-written"), "int8"))
    low, high = (problem(found, runtime, end).floor for end in (lambda size: size.low, lambda size: size.high))
    assert low <= activations * 1024 <= high
    kept = runtime.persistent(found)
    assert kept.low <= runtime_ram * 1024 <= kept.high
