"""What ONNX Runtime changes in a graph before it runs, and how the model of it behaves on graphs no one should have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from benchmarks.ort_profile import profile
from effaudit.audited import examine
from effaudit.graph import FLOAT, Graph, Node, Value
from effaudit.lower.ort_casts import without_duplicate_casts
from effaudit.lower.ort_dequantize import unique_dequantize
from effaudit.lower.ort_order import execution_order, reverse_depth_first
from effaudit.runtimes import find
from effaudit.runtimes._ort_peak import peak
from tests.runtimes.ort_models import model, saved


def graph(*nodes: tuple[str, str, str], outputs: str, size: int = 4) -> Graph:
    """Nodes as (operator, inputs, outputs), every tensor a vector; the first input is the graph's."""
    made = tuple(Node(f"n{i}", "", op, tuple(a.split()), tuple(b.split()), {}) for i, (op, a, b) in enumerate(nodes))
    names = {name for node in made for name in (*node.inputs, *node.outputs)}
    values = {name: Value(FLOAT, (size,)) for name in names}
    return Graph("g", made, ("x",), tuple(outputs.split()), {}, {"x": values["x"]}, {"": 17}, values=values)


def test_the_last_leaf_goes_first() -> None:
    found = graph(("Exp", "x", "a"), ("Exp", "x", "b"), ("Exp", "a", "c"), ("Exp", "b", "d"), outputs="c d")
    assert execution_order(found) == [1, 3, 0, 2]
    assert [node.name for node in reverse_depth_first(found).nodes] == ["n1", "n3", "n0", "n2"]


def test_the_producer_with_the_highest_index_goes_first() -> None:
    found = graph(("Exp", "x", "a"), ("Exp", "x", "b"), ("Exp", "x", "c"), ("Sum", "b a c", "y"), outputs="y")
    assert execution_order(found) == [2, 1, 0, 3]


def test_one_dequantize_each(tmp_path: Path) -> None:
    """Two readers, one of them twice, and a graph output: the first reader of the other keeps the node."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["a"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["b"]),
        helper.make_node("Exp", ["a"], ["c"]),
        helper.make_node("Add", ["a", "a"], ["d"]),
        helper.make_node("Mul", ["c", "d"], ["e"]),
        helper.make_node("Add", ["e", "b"], ["y"]),
    ]
    weights = {"s": np.array(0.1, np.float32), "z": np.array(0, np.uint8)}
    path, found = saved(model(nodes, {"x": [4, 64]}, ["y", "b"], weights), tmp_path)
    made = unique_dequantize(found)
    assert [node.op for node in made.nodes[7:]] == ["DequantizeLinear"] * 3  # two for the Add, one beside the output
    assert [node.inputs[0] for node in made.nodes[3:5]] == ["a", made.nodes[7].outputs[0]]
    assert peak(found, find("ort-plain")).value == profile(path, "plain").peak


def test_calls_are_inlined(tmp_path: Path) -> None:
    """A function that calls another, twice."""
    inner = helper.make_function(
        "f", "Inner", ["a"], ["c"], [helper.make_node("Exp", ["a"], ["b"]), helper.make_node("Relu", ["b"], ["c"])], OPS
    )
    outer = helper.make_function(
        "f",
        "Outer",
        ["a", "b"],
        ["e"],
        [
            helper.make_node("Inner", ["a"], ["c"], domain="f"),
            helper.make_node("Inner", ["b"], ["d"], domain="f"),
            helper.make_node("Add", ["c", "d"], ["e"]),
        ],
        [*OPS, helper.make_opsetid("f", 1)],
    )
    made = model(
        [
            helper.make_node("Outer", ["x", "x"], ["t"], domain="f"),
            helper.make_node("Outer", ["t", "x"], ["y"], domain="f"),
        ],
        {"x": [4, 100]},
        ["y"],
    )
    made.functions.extend([inner, outer])
    made.opset_import.append(helper.make_opsetid("f", 1))
    path, found = saved(made, tmp_path)
    measured = profile(path, "plain")
    assert sorted(node.op for node in find("ort-plain").lower(found).nodes) == sorted(op for op, _ in measured.nodes)
    assert peak(found, find("ort-plain")).value == measured.peak


OPS = [helper.make_opsetid("", 17)]


def test_casts_that_undo_each_other(tmp_path: Path) -> None:
    """int64 to int64 and on: nothing is lost, nothing stays. float to int32 and back loses: both stay."""
    kept = [("x", "a", TensorProto.INT32), ("a", "b", TensorProto.FLOAT), ("b", "c", TensorProto.FLOAT)]
    nodes = [helper.make_node("Cast", [a], [b], to=to) for a, b, to in kept]
    nodes += [helper.make_node("Exp", ["c"], ["d"]), helper.make_node("Relu", ["d"], ["y"])]
    path, found = saved(model(nodes, {"x": [4, 100]}, ["y"]), tmp_path)
    measured = profile(path, "plain")
    reduced = without_duplicate_casts(found)
    assert sorted(node.op for node in reduced.nodes) == sorted(op for op, _ in measured.nodes)
    assert peak(found, find("ort-plain")).value == measured.peak


@pytest.mark.parametrize("runtime", ["ort", "ort-plain"])
def test_long_chains_and_huge_sizes(runtime: str) -> None:
    many = 10_000
    steps = [("Relu" if i % 3 else "Cast", f"t{i}" if i else "x", f"t{i + 1}") for i in range(many)]
    found = peak(graph(*steps, outputs=f"t{many}", size=2**58), find(runtime))
    assert found.low >= 0 and found.high is not None and found.high <= 4 * 2**60
    wide = [("Exp", "x", f"t{i}") for i in range(many)] + [("Sum", " ".join(f"t{i}" for i in range(many)), "y")]
    found = peak(graph(*wide, outputs="y"), find(runtime))
    assert found.high is not None and found.high >= many * 16


@pytest.mark.parametrize("runtime", ["ort", "ort-plain"])
def test_no_nodes(runtime: str, tmp_path: Path) -> None:
    empty = helper.make_graph([], "g", [helper.make_tensor_value_info("x", 1, [2])], [])
    path = tmp_path / "empty.onnx"
    onnx.save(helper.make_model(empty, opset_imports=OPS), path)
    assert peak(examine(path).graph, find(runtime)).value == 0


@pytest.mark.parametrize("runtime", ["ort", "ort-plain"])
def test_sizes_that_data_decide_are_ranges(runtime: str, tmp_path: Path) -> None:
    nodes = [helper.make_node("NonZero", ["x"], ["i"]), helper.make_node("Shape", ["i"], ["y"])]
    made = model(nodes, {"x": [8, 8]}, [])
    made.graph.output.append(helper.make_tensor_value_info("y", TensorProto.INT64, [2]))
    path, found = saved(made, tmp_path)
    size = peak(found, find(runtime))
    assert size.low <= profile(path, "plain").peak <= (size.high or 0)
    assert size.why


def test_nothing_of_a_node_that_is_no_valid_call() -> None:
    """Missing inputs, attributes of the wrong type: the workspace is unknown, the shapes are, nothing is raised."""
    broken = graph(("Conv", "x", "a"), ("Reshape", "a", "b"), ("Softmax", "b", "c"), ("Slice", "c", "y"), outputs="y")
    scratch = find("ort-plain").scratch
    assert scratch is not None
    assert scratch(broken, broken.nodes[0]).high is None
    assert peak(broken, find("ort-plain")).low > 0
