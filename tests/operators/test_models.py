"""Definitions at work in ONNX files: shapes, prices, parameters; in bodies, in functions, before built-in rules."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from effaudit import dims, load
from effaudit.graph import Graph
from effaudit.plan.liveness import analyse
from effaudit.table import CostTable
from effaudit.weights import classify

from .models import DENSE, costs, defined, node, save, zeros

WEIGHTS = [zeros("w", 64, 32), zeros("b", 32)]


def dense(folder: Path, *shape: int | str | None) -> Path:
    nodes = [node("FusedDense", ["x", "w", "b"], ["h"]), node("Relu", ["h"], ["y"], "")]
    return save(folder / "m.onnx", nodes, {"x": shape}, WEIGHTS)


def figures(table: CostTable) -> tuple[Any, ...]:
    """The totals, which must be exact."""
    assert table.complete
    found = [table.total(figure) for figure in ("macs", "ops", "reads", "writes")]
    return tuple(q.value if q.low == q.high else str(getattr(table.low, "macs")) for q in found)


def test_static(tmp_path: Path) -> None:
    graph, table = costs(dense(tmp_path, 8, 64), defined(tmp_path, DENSE))
    assert graph.values["y"].shape == (8, 32)
    row = table.rows[0]
    assert (row.kind, row.low.macs, row.low.ops) == ("gemm", 8 * 64 * 32, 8 * 32)
    assert row.low.reads == 4 * (8 * 64 + 64 * 32 + 32) and row.low.writes == 4 * 8 * 32
    assert figures(table)[:2] == (16384, 512)
    assert analyse(graph).live_bytes.value == 4 * (8 * 64 + 8 * 32)  # the input with the product


def test_without_the_definition_nothing_is_known(tmp_path: Path) -> None:
    graph, table = costs(dense(tmp_path, 8, 64), {})
    assert graph.values["y"].shape is None
    assert table.rows[0].why == "no cost rule for acme::FusedDense"
    assert table.total("macs").high is None


@pytest.mark.parametrize("size", [1, 5, 128])
def test_open_dims(tmp_path: Path, size: int) -> None:
    path, found = dense(tmp_path, "batch", 3, 64), defined(tmp_path, DENSE)
    symbolic, formulas = costs(path, found)
    numeric, numbers = costs(path, found, batch=size)
    at = {"batch": size}
    assert [dims.text(d) for d in symbolic.values["y"].shape or ()] == ["batch", "3", "32"]
    assert dims.text(formulas.rows[0].low.macs or 0) == "6144*batch"
    assert figures(numbers) == tuple(dims.evaluate(f, at) for f in formulas.low.figures if f is not None)
    assert numeric.values["y"].shape == (size, 3, 32)


def test_weights_are_parameters(tmp_path: Path) -> None:
    graph, _ = costs(dense(tmp_path, 8, 64), defined(tmp_path, DENSE))
    weights = classify(graph)
    assert weights.params == 64 * 32 + 32
    assert weights.by_reader()[id(graph.nodes[0])] == (64 * 32 + 32, 4 * (64 * 32 + 32))


def test_roles(tmp_path: Path) -> None:
    """By its elements a constant is a parameter, or (long integers, bools) not; `roles` says otherwise."""
    text = """\
  - op: acme::Norm
    inputs: [x, k, mean, s, table, at, flag, more*]
    outputs: [{like: x}]
    macs: 0
    ops: numel(x)
    kind: norm
    roles: {mean: buffer, s: quantization, table: other, more: other}
"""
    constants = [
        zeros("k", 3),
        zeros("mean", 5),
        zeros("s", 7),
        zeros("t", 11),
        zeros("at", 13, dtype=np.int64),
        zeros("flag", 17, dtype=np.bool_),
        zeros("p", 19),
        zeros("q", 23),
    ]
    nodes = [node("Norm", ["x", "k", "mean", "s", "t", "at", "flag", "p", "q"], ["y"])]
    graph, _ = costs(save(tmp_path / "m.onnx", nodes, {"x": [4]}, constants), defined(tmp_path, text))
    roles = {t.constant.name: t.role for t in classify(graph).tensors}
    assert roles == {
        "k": "param",
        "mean": "buffer",
        "s": "quantization",
        "t": "other",
        "at": "other",
        "flag": "other",
        "p": "other",
        "q": "other",
    }


def test_bytes_may_be_stated(tmp_path: Path) -> None:
    text = """\
  - op: acme::Lookup
    inputs: [ids, table]
    outputs:
      - shape: ["*ids", "table[-1]"]
        dtype: table
      - shape: ()
        dtype: int64
    macs: 0
    ops: 0
    reads: bytes(ids) + bytes(out)
    writes: bytes(outs) + (bytes(outs[1]) if outs[1] else 1000)
    kind: embedding
"""
    found = defined(tmp_path, text)
    for outputs, writes in ((["y"], 120 + 1000), (["y", "n"], 120 + 8 + 8), (["y", ""], 120 + 1000)):
        path = save(tmp_path / "m.onnx", [node("Lookup", ["x", "t"], outputs)], {"x": [6]}, [zeros("t", 9, 5)])
        graph, table = costs(path, found)
        assert (table.rows[0].low.reads, table.rows[0].low.writes) == (24 + 120, writes)
        assert table.rows[0].quantity("reads").value == 144
        assert graph.values["y"].shape == (6, 5)
    path = save(tmp_path / "m.onnx", [node("Lookup", ["x", "t"], ["y", "n", "z"])], {"x": [6]}, [zeros("t", 9, 5)])
    graph, _ = costs(path, found)
    assert graph.values["n"].encoding.dtype == "int64"
    assert graph.values["z"].why == "Lookup has only 2 outputs"


# ---- where a node stands
def test_in_the_body_of_a_loop(tmp_path: Path) -> None:
    """Three trips of a product with captured weights cost three times one."""
    body = helper.make_graph(
        [
            node("FusedDense", ["state", "w"], ["next"]),
            node("Identity", ["go"], ["on"], ""),
        ],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("state", TensorProto.FLOAT, [4, 16]),
        ],
        [helper.make_empty_tensor_value_info("on"), helper.make_empty_tensor_value_info("next")],
    )
    trips = helper.make_tensor("trips", TensorProto.INT64, [], [3])
    loop = node("Loop", ["trips", "", "x"], ["y"], "", body=body)
    path = save(tmp_path / "m.onnx", [loop], {"x": [4, 16]}, [trips, zeros("w", 16, 16)])
    graph, table = costs(path, defined(tmp_path, DENSE))
    assert table.total("macs").value == 3 * 4 * 16 * 16
    assert classify(graph).params == 256
    (inner,) = graph.nodes[0].bodies.values()
    assert inner.operators is graph.operators


def test_in_the_branches_of_an_if(tmp_path: Path) -> None:
    def branch(name: str, weight: str) -> Any:
        made = [helper.make_empty_tensor_value_info(name)]
        return helper.make_graph([node("FusedDense", ["x", weight], [name])], name, [], made)

    choose = node("If", ["c"], ["y"], "", then_branch=branch("a", "w"), else_branch=branch("b", "v"))
    nodes = [node("ReduceMax", ["x"], ["m"], "", keepdims=0), node("Cast", ["m"], ["c"], "", to=TensorProto.BOOL)]
    path = save(tmp_path / "m.onnx", [*nodes, choose], {"x": [4, 16]}, [zeros("w", 16, 2), zeros("v", 16, 5)])
    _, table = costs(path, defined(tmp_path, DENSE))
    assert table.total("macs").bounds == [4 * 16 * 2, 4 * 16 * 5]


def function_model(folder: Path, name: str) -> Path:
    """A call of a function of domain acme that squares what FusedDense makes of its inputs."""
    body = [node("FusedDense", ["a", "b"], ["h"]), node("Mul", ["h", "h"], ["c"], "")]
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("acme", 1)]
    function = helper.make_function("acme", name, ["a", "b"], ["c"], body, opsets)
    return save(folder / "m.onnx", [node(name, ["x", "w"], ["y"])], {"x": [4, 64]}, WEIGHTS[:1], functions=[function])


def test_in_a_function(tmp_path: Path) -> None:
    graph, table = costs(function_model(tmp_path, "Block"), defined(tmp_path, DENSE))
    assert (table.rows[0].kind, table.rows[0].low.macs, table.rows[0].low.ops) == ("function", 4 * 64 * 32, 4 * 32)
    assert classify(graph).params == 64 * 32


BLOCK = DENSE + "  - op: acme::Block\n    inputs: [x, w]\n    outputs: [{shape: [4, 32]}]\n    macs: 5\n    ops: 7\n"


def test_a_function_of_the_model_goes_first(tmp_path: Path) -> None:
    _, table = costs(function_model(tmp_path, "Block"), defined(tmp_path, BLOCK))
    assert figures(table)[:2] == (4 * 64 * 32, 4 * 32)


def test_replace_goes_before_a_function(tmp_path: Path) -> None:
    graph, table = costs(function_model(tmp_path, "Block"), defined(tmp_path, BLOCK + "    replace: true\n"))
    assert figures(table)[:2] == (5, 7)
    assert graph.values["y"].shape == (4, 32)
    assert table.rows[0].kind == "other"


def test_replace_goes_before_a_built_in_rule(tmp_path: Path) -> None:
    text = "  - op: Relu\n    inputs: [x]\n    macs: 0\n    ops: 9 * numel(x)\n    replace: true\n"
    path = save(tmp_path / "m.onnx", [node("Relu", ["x"], ["y"], "")], {"x": [4, 5]})
    graph, table = costs(path, defined(tmp_path, text))
    assert (table.rows[0].kind, table.rows[0].low.ops) == ("activation", 180)
    assert graph.values["y"].shape == (4, 5)
    assert costs(path, {})[1].rows[0].low.ops == 20


def test_a_shape_without_a_price(tmp_path: Path) -> None:
    text = "  - op: acme::Open\n    inputs: [x]\n    outputs: [{shape: ['x[0]', 3]}]\n"
    path = save(tmp_path / "m.onnx", [node("Open", ["x"], ["h"]), node("Relu", ["h"], ["y"], "")], {"x": [4, 5]})
    graph, table = costs(path, defined(tmp_path, text))
    assert graph.values["y"].shape == (4, 3)
    assert table.rows[0].why == f"{tmp_path}/ops.yaml gives acme::Open no macs and ops"
    assert table.total("macs").bounds == [0, None]
    assert table.rows[1].low.ops == 12


def test_a_price_without_a_shape(tmp_path: Path) -> None:
    """Shapes then come from the file, where it states them."""
    path = save(tmp_path / "m.onnx", [node("Priced", ["x"], ["y"])], {"x": [4, 5]})
    found = defined(tmp_path, "  - op: acme::Priced\n    inputs: [x]\n    macs: numel(x) * out[0]\n    ops: 0\n")
    assert "no shape rule for acme::Priced" in costs(path, found)[1].rows[0].why
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, [3]))
    path.write_bytes(model.SerializeToString())
    assert costs(path, found)[1].rows[0].low.macs == 60


def test_attributes_and_inputs_of_one_name(tmp_path: Path) -> None:
    """An attribute never stands in for an omitted input of the same name."""
    text = """\
  - op: acme::Top
    inputs: [x, k?]
    outputs: [{like: x}]
    macs: attrs.k
    ops: numel(k) if k else 100
"""
    path = save(tmp_path / "m.onnx", [node("Top", ["x"], ["y"], k=7)], {"x": [4]})
    assert figures(costs(path, defined(tmp_path, text))[1])[:2] == (7, 100)


def test_any_number_of_inputs(tmp_path: Path) -> None:
    text = """\
  - op: acme::Join
    inputs: [first, rest*]
    outputs: [{shape: [numel(first) + numel(rest)]}]
    macs: 0
    ops: len(rest)
"""
    found = defined(tmp_path, text)
    for n in (0, 1, 3):
        path = save(tmp_path / "m.onnx", [node("Join", ["x"] * (n + 1), ["y"])], {"x": [2, 3]})
        graph, table = costs(path, found)
        assert graph.values["y"].shape == (6 * (n + 1),)
        assert table.rows[0].low.ops == n


# ---- what a node does not allow
@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        ("x[0] - 100", "its formula of macs gives -96, which is negative: x[0] - 100"),
        ("attrs.ratio * x[0]", "its formula of macs gives no number: attrs.ratio is 0.5; formulas take whole numbers"),
        ("attrs.group", "its formula of macs gives no number: attribute group is not set"),
        ("x[0] // (x[0] - 4)", "its formula of macs gives no number: a division by 0"),
        ("x[2]", "its formula of macs gives no number: x[2] does not exist: x has 2"),
        ("numel(b)", "its formula of macs gives no number: b is not given"),
    ],
)
def test_no_price_for_a_node(tmp_path: Path, formula: str, reason: str) -> None:
    text = f"  - op: acme::F\n    inputs: [x, b?]\n    outputs: [{{like: x}}]\n    macs: {formula}\n    ops: 0\n"
    path = save(tmp_path / "m.onnx", [node("F", ["x"], ["y"], ratio=0.5)], {"x": [4, 5]})
    graph, table = costs(path, defined(tmp_path, text))
    assert table.rows[0].why == reason
    assert table.total("macs").bounds == [0, None]
    assert graph.values["y"].shape == (4, 5)


def test_a_data_dependent_choice_has_no_price(tmp_path: Path) -> None:
    text = "  - op: acme::F\n    inputs: [x]\n    outputs: [{like: x}]\n    macs: 1 if x[0] == 4 else 2\n    ops: 0\n"
    path = save(tmp_path / "m.onnx", [node("F", ["x"], ["y"])], {"x": ["n", 5]})
    found = defined(tmp_path, text)
    assert costs(path, found)[1].rows[0].why == "its cost depends on whether n - 4 is zero"
    assert costs(path, found, n=4)[1].total("macs").value == 1
    assert costs(path, found, n=5)[1].total("macs").value == 2


@pytest.mark.parametrize(
    ("inputs", "shape", "reason"),
    [
        ([], "'x[0]'", "input x is not given"),
        (["x", "x"], "'x[0]'", "2 inputs where the definition has 1"),
        (["x"], "'x[0] - 9'", "a negative dim"),
        (["x"], "'x[3]'", "x[3] does not exist"),
        (["x"], "'x[0] * 9223372036854775807'", "a dim past 2^63"),
    ],
)
def test_no_shape_for_a_node(tmp_path: Path, inputs: list[str], shape: str, reason: str) -> None:
    outputs = f"[{{shape: [{shape}], dtype: float32}}]"
    text = f"  - op: acme::F\n    inputs: [x]\n    outputs: {outputs}\n    macs: 0\n    ops: 0\n"
    path = save(tmp_path / "m.onnx", [node("F", inputs, ["y"])], {"x": [4, 5]})
    graph, table = costs(path, defined(tmp_path, text))
    assert graph.values["y"].invalid
    assert reason in graph.values["y"].why
    assert reason in table.rows[0].why


def test_many_nodes_in_linear_time(tmp_path: Path) -> None:
    count = 20_000
    nodes = [node("FusedDense", [f"h{i}", "w"], [f"h{i + 1}"]) for i in range(count)]
    path = save(tmp_path / "m.onnx", nodes, {"h0": [1, 8]}, [zeros("w", 8, 8)], [f"h{count}"])
    began = time.monotonic()
    _, table = costs(path, defined(tmp_path, DENSE))
    assert table.total("macs").value == count * 64
    assert time.monotonic() - began < 20


def test_given_after_reading(tmp_path: Path) -> None:
    """What `read` keeps, `infer` uses: both passes of an audit see the same definitions."""
    raw: Graph = load.read(dense(tmp_path, "n", 64), defined(tmp_path, DENSE))
    assert [load.infer(raw, load.Given({"n": n})).values["y"].shape for n in (1, 2)] == [(1, 32), (2, 32)]
