"""What an engine takes, and what it makes of channels that fill no group."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from onnx import helper

from effaudit.checks.types import Result
from effaudit.fit.asked import FitAsked
from effaudit.fit.model import fit
from tests.examples.graphs import INT8, Net
from tests.fit.models import saved, unknown_operator
from tests.profiles import MIB, board, device


def found(folder: Path, graph: Any, **parts: Any) -> list[Result]:
    (report,) = fit(saved(folder, graph), [device(folder, {**board(MIB, MIB), **parts})], [FitAsked()])
    return [r for r in report.findings if r.check == "operators"]


def conv(channels: int) -> Any:
    net = Net(INT8)
    return net.model(net.conv(net.input(1, channels, 8, 8), channels, 3))


def engine(**more: Any) -> list[dict[str, Any]]:
    return [{"name": "cpu", "kind": "npu", **more}]


@pytest.mark.parametrize(("channels", "padded"), [(16, False), (17, True), (31, False), (8, True)])
def test_channels_that_fill_no_group_are_named(tmp_path: Path, channels: int, padded: bool) -> None:
    results = found(tmp_path, conv(channels), engines=engine(alignment={"input_channels": 16, "output_channels": 16}))
    named = [r for r in results if "padded" in r.message]
    assert bool(named) == padded
    if padded:
        whole = -(-channels // 16) * 16
        assert f"{channels} to {whole} input channels and {channels} to {whole} output channels" in named[0].message
        assert named[0].status == "warn"


def test_an_operator_that_nothing_is_known_of_is_not_refused(tmp_path: Path) -> None:
    runtime = {"name": "bare", "rules": "ideal", "engine": "cpu", "supports": "tflm", "code_bytes": 0, "state_bytes": 0}
    for supports in ("tflm", ""):
        results = found(tmp_path, unknown_operator(), runtimes=[{**runtime, "supports": supports}])
        (result,) = [r for r in results if r.status == "unknown"]
        assert "com.example:Mystery" in result.message
        assert not any(r.status == "fail" for r in results)


def test_what_the_engine_does_not_take(tmp_path: Path) -> None:
    """ONNX has it, TensorFlow Lite Micro has no kernel for it."""
    net = Net(INT8)
    x = net.input(1, 4, 8, 8)
    graph = net.model(net.node("Einsum", [x, x], (1, 4, 8, 8), equation="abcd,abcd->abcd"))
    base = {"name": "bare", "rules": "ideal", "supports": "tflm", "code_bytes": 0, "state_bytes": 0}
    alone = found(tmp_path, graph, runtimes=[{**base, "engine": "cpu"}])
    assert [r.status for r in alone] == ["fail"] and "cannot run" in alone[0].message
    two = [{"name": "npu", "kind": "npu"}, {"name": "cpu", "kind": "scalar"}]
    helped = found(tmp_path, graph, engines=two, runtimes=[{**base, "engine": "npu", "fallback": "cpu"}])
    assert [r.status for r in helped] == ["warn"] and "1 of 1 nodes run on cpu, in 0 partitions" in helped[0].message


def test_a_node_in_a_body_counts(tmp_path: Path) -> None:
    """TensorFlow Lite Micro has IF; of the nodes in its branches it has no kernel for Sinh."""
    x, y = (helper.make_tensor_value_info(name, 1, [4]) for name in "xy")
    condition = helper.make_tensor_value_info("c", 9, [])

    def branch(op: str) -> Any:
        inner = helper.make_tensor_value_info(f"{op}_out", 1, [4])
        return helper.make_graph([helper.make_node(op, ["x"], [f"{op}_out"])], op, [], [inner])

    node = helper.make_node("If", ["c"], ["y"], then_branch=branch("Sinh"), else_branch=branch("Relu"))
    graph = helper.make_graph([node], "g", [condition, x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    runtime = {"name": "bare", "rules": "ideal", "engine": "cpu", "supports": "tflm", "code_bytes": 0, "state_bytes": 0}
    results = found(tmp_path, model, runtimes=[runtime])
    assert any(r.status == "fail" and "Sinh" in r.message and "then_branch" in r.message for r in results)


def test_a_type_without_kernels_is_named(tmp_path: Path) -> None:
    peaks = {"float32": {"dense_mac_per_cycle": 1}}
    results = found(tmp_path, conv(16), engines=engine(peaks=peaks, clock_hz=1e6))
    assert any("int8" in r.message and "no kernels" in r.message for r in results)
