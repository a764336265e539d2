"""One model written in several ways has one price, and where the order of its nodes is the same, one memory."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import ModelProto, helper

import effaudit
from effaudit.report import ModelReport

from .dags import dags
from .models import SAMPLE_FOLDER, audit, parse

WITH_WEIGHTS = ["ad-int8", "control-flow", "dynamic", "ic", "kws-int8", "lstm", "unet", "vww"]


def read(name: str) -> ModelProto:
    return onnx.load(SAMPLE_FOLDER / f"{name}.onnx", load_external_data=False)


def price(report: ModelReport) -> dict[str, Any]:
    """All totals but the number of nodes."""
    weights = "params params_stored buffers constant_elements weight_bytes".split()
    work = "macs macs_bounds ops ops_bounds read_bytes write_bytes".split()
    return {figure: getattr(report.totals, figure) for figure in (*weights, *work)}


def memory(report: ModelReport) -> dict[str, int | None]:
    figures = "sum_bytes max_in_out_bytes live_bytes inplace_bytes body_live_bytes"
    return {figure: getattr(report.memory, figure) for figure in figures.split()}


# ---- order of the nodes
@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "bert-base", *WITH_WEIGHTS])
def test_a_reversed_file_has_the_same_price(name: str) -> None:
    model = read(name)
    nodes = list(model.graph.node)
    expected = price(audit(model))
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    report = audit(model)
    assert price(report) == expected
    assert report.totals.nodes == len(nodes)


@settings(max_examples=60, deadline=None)
@given(dags(), st.randoms(use_true_random=False))
def test_a_shuffled_graph_has_the_same_price(model: ModelProto, random: Any) -> None:
    shuffled = copy.deepcopy(model)
    order = list(range(len(model.graph.node)))
    random.shuffle(order)
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(model.graph.node[i] for i in order)
    one, other = audit(model), audit(shuffled)
    assert price(one) == price(other)
    assert one.memory.sum_bytes == other.memory.sum_bytes
    assert one.memory.max_in_out_bytes == other.memory.max_in_out_bytes


def test_a_reversed_chain_has_the_same_memory() -> None:
    """A chain has one order only."""
    model = read("ad")
    nodes, expected = list(model.graph.node), memory(audit(model))
    del model.graph.node[:]
    model.graph.node.extend(reversed(nodes))
    assert memory(audit(model)) == expected


# ---- where weights stand
@pytest.mark.parametrize("ir_version", [3, 8])
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_initializers_that_are_inputs_too(name: str, ir_version: int) -> None:
    """IR version 3 lists every initializer among the inputs; later ones may, and then they are defaults."""
    model = read(name)
    expected = audit(model)
    model.ir_version = ir_version
    listed = {value.name for value in model.graph.input}
    for tensor in model.graph.initializer:
        if tensor.name not in listed:
            model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    found = audit(model)
    assert (price(found), memory(found), found.inputs) == (price(expected), memory(expected), expected.inputs)


@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_in_constant_nodes(name: str) -> None:
    model = read(name)
    expected = audit(model)
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer]
    nodes = list(model.graph.node)
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend([*constants, *nodes])
    found = audit(model)
    assert (price(found), memory(found)) == (price(expected), memory(expected))


@pytest.mark.parametrize("threshold", [0, 1024])
@pytest.mark.parametrize("name", WITH_WEIGHTS)
def test_weights_outside_the_file(name: str, threshold: int, tmp_path: Path) -> None:
    """Shapes and trip counts among them are read there; without the file all is the same if these stay inside."""
    model = read(name)
    expected = audit(model)
    path = tmp_path / "model.onnx"
    onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=threshold)
    found = effaudit.audit(str(path))
    assert (price(found), memory(found)) == (price(expected), memory(expected))
    if threshold:
        (tmp_path / "weights.bin").unlink()
        found = effaudit.audit(str(path))
        assert (price(found), memory(found)) == (price(expected), memory(expected))


# ---- functions
PLAIN = "m (float[N,8] x) => (float[N,8] y) { a = MatMul(x, w) b = Relu(a) c = MatMul(b, w) d = Relu(c) y = Add(d, x) }"
CALLED = "m (float[N,8] x) => (float[N,8] y) { b = local.F(x, w) d = local.F(b, w) y = Add(d, x) }"
ONE_CALL = "m (float[N,8] x) => (float[N,8] y) { y = local.G(x, w) }"
F = '<domain: "local", opset_import: ["" : 17]> F (x, w) => (y) { a = MatMul(x, w) y = Relu(a) }'
G = """<domain: "local", opset_import: ["" : 17, "local" : 1]> G (x, w) => (y)
    { b = local.F(x, w) d = local.F(b, w) y = Add(d, x) }"""


@pytest.mark.parametrize(("graph", "functions"), [(CALLED, F), (ONE_CALL, F + G)], ids=["calls", "nested"])
def test_a_function_call_is_its_nodes(graph: str, functions: str) -> None:
    plain, called = parse(PLAIN, w=(8, 8)), parse(graph, functions, w=(8, 8))
    assert price(audit(called, N=3)) == price(audit(plain, N=3))
    one, other = audit(called).formulas, audit(plain).formulas
    assert one is not None and other is not None
    assert all(one[figure] == other[figure] for figure in ("macs", "ops", "read_bytes", "write_bytes"))
