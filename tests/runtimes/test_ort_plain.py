"""ONNX Runtime without optimizations: node order and bytes, against its own profile, node by node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from benchmarks.ort_profile import Profile, profile
from effaudit.audited import examine
from effaudit.graph import Graph
from effaudit.load import Given
from effaudit.runtimes import find
from effaudit.runtimes._ort_peak import peak
from effaudit.runtimes._ort_peak import profile as predicted
from tests.runtimes.ort_models import LIGHT, SAMPLES, model, ones, saved

PLAIN = find("ort-plain")


def same(graph: Graph, measured: Profile) -> None:
    """The nodes in their order, and the bytes after each."""
    steps = predicted(graph, PLAIN)
    assert [op for op, _ in steps] == [op for op, _ in measured.nodes]
    assert [size for _, size in steps] == list(measured.requested)
    assert peak(graph, PLAIN).value == measured.peak


@pytest.mark.parametrize("name", ["shufflenet", "squeezenet", "resnet50", "densenet121", "inception_v2"])
def test_light_nets(name: str) -> None:
    """Branches, and buffers that wait for a tensor of their shape (densenet121, resnet50)."""
    path = LIGHT / f"light_{name}.onnx"
    same(examine(path).graph, profile(path, "plain"))


@pytest.mark.parametrize("name", "ad ad-int8 decoder-gqa ic ic-int8 kws kws-int8 lstm unet vww vww-int8".split())
def test_samples(name: str) -> None:
    """Open dims stay open for ONNX Runtime; here they are given their assumed sizes at run time."""
    graph = examine(f"sample:{name}").graph
    shapes = {given: list(graph.values[given].shape or ()) for given in graph.inputs}
    same(graph, profile(SAMPLES / f"{name}.onnx", "plain", shapes))


@pytest.mark.parametrize("batch, length", [(1, 5), (3, 32)])
def test_open_dims(batch: int, length: int) -> None:
    graph = examine("sample:dynamic").graph
    rank = {name: len(graph.values[name].shape or ()) for name in graph.inputs}
    shapes = {name: (batch, length)[: rank[name]] for name in graph.inputs}
    found = examine("sample:dynamic", Given(shapes=shapes)).graph
    same(found, profile(SAMPLES / "dynamic.onnx", "plain", {name: list(shape) for name, shape in shapes.items()}))


def test_a_buffer_that_waits_is_not_free(tmp_path: Path) -> None:
    """`a` dies at `b`, but `d` of its shape takes its buffer later: `c` finds it allocated still."""
    nodes = [
        helper.make_node("Exp", ["x"], ["a"]),
        helper.make_node("ReduceMax", ["a"], ["b"], axes=[1]),
        helper.make_node("Expand", ["b", "wide"], ["c"]),
        helper.make_node("ReduceMin", ["c"], ["e"], axes=[1]),
        helper.make_node("Expand", ["e", "narrow"], ["d"]),
        helper.make_node("Exp", ["d"], ["y"]),
    ]
    weights = {"wide": np.array([4, 1000]), "narrow": np.array([4, 100])}
    path, graph = saved(model(nodes, {"x": [4, 100]}, ["y"], weights), tmp_path)
    measured = profile(path, "plain")
    same(graph, measured)
    assert measured.peak == 4 * (4 * 100 + 4 * 1000 + 4 + 4) - 16  # a waits while c is alive; b has died


def test_arithmetic_is_not_in_place_but_activations_are(tmp_path: Path) -> None:
    for op, inputs, more in (("Relu", ["a"], 0), ("Add", ["a", "a"], 1), ("Softmax", ["a"], 0), ("Sqrt", ["a"], 1)):
        nodes = [helper.make_node("Exp", ["x"], ["a"]), helper.make_node(op, inputs, ["b"])]
        nodes.append(helper.make_node("ReduceMax", ["b"], ["y"], axes=[0], keepdims=0))
        path, graph = saved(model(nodes, {"x": [64, 16]}, ["y"]), tmp_path)
        measured = profile(path, "plain")
        same(graph, measured)
        assert measured.requested[1] == (1 + more) * 64 * 16 * 4


def test_what_nobody_reads_is_never_freed(tmp_path: Path) -> None:
    """The mask of Dropout and the states of an LSTM."""
    rnn = helper.make_node("LSTM", ["x", "w", "r"], ["h", "last", "cell"], hidden_size=8)
    nodes = [rnn, helper.make_node("Dropout", ["h"], ["d", "mask"]), helper.make_node("Exp", ["d"], ["y"])]
    path, graph = saved(model(nodes, {"x": [5, 2, 4]}, ["y"], {"w": ones(1, 32, 4), "r": ones(1, 32, 8)}), tmp_path)
    measured = profile(path, "plain")
    same(graph, measured)
    assert measured.requested[-1] >= 2 * (2 * 8 * 4) + 5 * 2 * 8  # states as float32, the mask as bool


def test_half_runs_in_single(tmp_path: Path) -> None:
    """Every weight of a float16 model is a float32 tensor of the run."""
    half = onnx.TensorProto.FLOAT16
    weights = {"w": np.ones((8, 3, 3, 3), np.float16), "v": np.ones((8, 8, 3, 3), np.float16)}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "v"], ["c"]),
        helper.make_node("Reshape", ["c", "flat"], ["y"]),
    ]
    made = model(nodes, {"x": [1, 3, 16, 16]}, ["y"], weights | {"flat": np.array([1, -1])}, dtype=half)
    path, graph = saved(made, tmp_path)
    same(graph, profile(path, "plain"))


def test_functions_without_kernels(tmp_path: Path) -> None:
    """HardSwish is HardSigmoid and Mul, Mish Softplus, Tanh and Mul."""
    nodes = [helper.make_node("HardSwish", ["x"], ["a"]), helper.make_node("Mish", ["a"], ["b"])]
    nodes.append(helper.make_node("Add", ["a", "b"], ["y"]))
    path, graph = saved(model(nodes, {"x": [4, 100]}, ["y"], opset=18), tmp_path)
    measured = profile(path, "plain")
    same(graph, measured)
    assert len(measured.nodes) == 6


SHAPES = ((4, 8), (8, 4), (2, 16))


@st.composite
def graphs(draw: st.DrawFn) -> onnx.ModelProto:
    """Up to 14 nodes over three shapes of one size: branches, views, dead ends, outputs anywhere."""
    known = {"x": (4, 8), "z": (8, 4)}
    nodes: list[onnx.NodeProto] = []
    for i in range(draw(st.integers(1, 14))):
        op = draw(st.sampled_from("Relu Exp Add Sum Reshape Transpose Softmax Identity Concat Split Cast".split()))
        source = draw(st.sampled_from(sorted(known)))
        shape, name = known[source], f"t{i}"
        others = [other for other, size in known.items() if size == shape]
        if op in ("Add", "Sum"):
            nodes.append(helper.make_node(op, [source, draw(st.sampled_from(sorted(others)))], [name]))
        elif op == "Reshape":
            shape = draw(st.sampled_from(SHAPES))
            nodes.append(helper.make_node(op, [source, f"s{shape[0]}"], [name]))
        elif op == "Transpose":
            shape = shape[::-1]
            nodes.append(helper.make_node(op, [source], [name], perm=[1, 0]))
        elif op == "Concat":
            nodes.append(helper.make_node(op, [source, source], [f"{name}w"], axis=0))
            nodes.append(helper.make_node("Slice", [f"{name}w", "zero", f"n{shape[0]}"], [name]))
        elif op == "Split":
            nodes.append(helper.make_node(op, [source], [f"{name}a", f"{name}b"], axis=1))
            nodes.append(helper.make_node("Concat", [f"{name}b", f"{name}a"], [name], axis=1))
        elif op == "Cast":
            nodes.append(helper.make_node(op, [source], [f"{name}i"], to=onnx.TensorProto.INT32))
            nodes.append(helper.make_node(op, [f"{name}i"], [name], to=onnx.TensorProto.FLOAT))
        else:
            nodes.append(helper.make_node(op, [source], [name]))
        known[name] = shape
    made = [name for node in nodes for name in node.output if name in known]
    read = {name for node in nodes for name in node.input}
    outputs = [name for name in made if name not in read] + draw(st.lists(st.sampled_from(made), max_size=2))
    weights = {f"s{a}": np.array([a, b]) for a, b in SHAPES} | {f"n{a}": np.array([a]) for a in (2, 4, 8, 16)}
    weights["zero"] = np.array([0])
    return model(nodes, {"x": [4, 8], "z": [8, 4]}, list(dict.fromkeys(outputs)), weights)


@settings(max_examples=60)
@given(graphs())
def test_random_graphs(tmp_path_factory: pytest.TempPathFactory, made: onnx.ModelProto) -> None:
    path, graph = saved(made, tmp_path_factory.mktemp("random"))
    same(graph, profile(path, "plain"))
