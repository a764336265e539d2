"""ONNX Runtime with its optimizations: a range that holds, and one number for the graph it saves."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import pytest

from benchmarks.ort_profile import profile
from effaudit.audited import examine
from effaudit.runtimes import find
from effaudit.runtimes._ort_peak import peak
from tests.runtimes.ort_models import LIGHT, SAMPLES

NETS = {
    **{name: SAMPLES / f"{name}.onnx" for name in "ad ic ic-int8 kws kws-int8 unet vww vww-int8 lstm dynamic".split()},
    **{name: LIGHT / f"light_{name}.onnx" for name in ("shufflenet", "squeezenet", "resnet50", "inception_v1")},
}


@pytest.mark.parametrize("name", NETS)
def test_within_the_range(name: str) -> None:
    graph = examine(NETS[name]).graph
    shapes = {given: list(graph.values[given].shape or ()) for given in graph.inputs}
    found = peak(graph, find("ort"))
    measured = profile(NETS[name], "optimized", shapes).peak
    assert found.high is not None
    assert found.low <= measured <= found.high
    assert found.low < found.high
    assert found.why


@pytest.mark.parametrize("name", ["ad", "kws", "lstm"])
def test_the_saved_graph_has_one_number(name: str, tmp_path: Path) -> None:
    """The graph ONNX Runtime saves, without layouts of one processor, is exact under ort-plain."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(SAMPLES / f"{name}.onnx"), options, providers=["CPUExecutionProvider"])
    graph = examine(tmp_path / "optimized.onnx").graph
    shapes = {given: list(graph.values[given].shape or ()) for given in graph.inputs}
    assert peak(graph, find("ort-plain")).value == profile(tmp_path / "optimized.onnx", "plain", shapes).peak


def test_a_weight_that_is_computed_is_no_tensor_of_an_optimized_run() -> None:
    """vgg19's weights are made by ConstantOfShape: they run without optimizations, and are folded with them."""
    graph = examine(LIGHT / "light_vgg19.onnx").graph
    plain, optimized = peak(graph, find("ort-plain")), peak(graph, find("ort"))
    assert plain.value == 411_174_912
    assert optimized.low <= 25_690_112 <= (optimized.high or 0) < 411_174_912 / 4
