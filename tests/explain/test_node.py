"""A node explained: its parts add up to the model's totals, and every printed line is arithmetic that holds."""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.dataflow import flow
from effaudit.errors import UsageError
from effaudit.explain.node import NodeExplanation, Surroundings, explain_node, find_node, surroundings
from effaudit.explain.several import MAX_NODES, explain_nodes, nodes_of
from effaudit.graph import Graph
from effaudit.kinds import SCORES, VALUES, attention_kinds
from effaudit.load import NOTHING_GIVEN, Given, load
from effaudit.render.explained import lines
from effaudit.table import CostTable, price
from effaudit.weights import PARAM, classify
from tests.examples.graphs import Net
from tests.explain.arithmetic import agree, calculate
from tests.ops.oracle import infer

SAMPLES = sorted(path.stem for path in (Path(__file__).parents[2] / "sample_models").glob("*.onnx"))


@cache
def opened(name: str, batch: int = 0) -> tuple[Graph, CostTable]:
    given = Given({"batch": batch, "sequence": 7}) if batch else NOTHING_GIVEN
    graph = load(f"sample:{name}", given)
    return graph, price(graph)


def explained(name: str, node: str, batch: int = 0) -> NodeExplanation:
    graph, table = opened(name, batch)
    return explain_node(around(graph, table), find_node(graph, node))


def around(graph: Graph, table: CostTable) -> Surroundings:
    known = flow(graph)
    return surroundings(graph, table, classify(graph, known), attention_kinds(graph, known))


def every(graph: Graph) -> list[NodeExplanation]:
    shared = around(graph, price(graph))
    return [explain_node(shared, i) for i in range(len(graph.nodes))]


@pytest.mark.parametrize("name", [name for name in SAMPLES if name != "decoder-7b"])  # 3,000 nodes: slow
def test_the_parts_are_the_whole(name: str) -> None:
    """MACs, parameters and weight bytes of the nodes add up to the model's; every line of arithmetic holds."""
    graph, table = opened(name)
    found = every(graph)
    assert sum(node.params for node in found) == classify(graph).params
    if all(isinstance(node.macs, int) for node in found):
        assert sum(node.macs for node in found if node.live) == table.total("macs").value  # type: ignore[misc]
    for node in found:
        for step in node.derivation:
            if step.substituted:
                assert step.result is not None
                assert agree(step.substituted, step.result), step
        for text in lines(node):
            assert len(text) <= 80 and text.isprintable()
    assert msgspec.json.encode(found)


def test_a_convolution() -> None:
    node = explained("resnet50", "conv1/Conv")
    assert (node.macs, node.ops, node.params, node.weight_bytes) == (118_013_952, 0, 9_408, 37_632)
    assert node.read_bytes == 3 * 224 * 224 * 4 + 37_632
    assert node.write_bytes == 64 * 112 * 112 * 4
    assert node.intensity == round(2 * 118_013_952 / (node.read_bytes + node.write_bytes), 4)
    assert [(o.role, o.source) for o in node.inputs] == [("x", "model input"), ("w", "constant")]
    assert [step.figure for step in node.derivation] == ["macs", "ops", "flops", "read_bytes", "write_bytes"]
    assert node.derivation[0].substituted == "1 x 64 x 112 x 112 x 3/1 x 7 x 7"
    assert not node.bounds and node.why is None and node.advice is None


def test_kinds_say_why() -> None:
    graph, table = opened("mobilenetv2")
    found = {node.kind: node for node in every(graph)}
    assert table.rows[found["depthwise"].index].kind == "depthwise"
    groups = found["depthwise"].attributes["group"]
    assert found["depthwise"].kind_why == f"group = {groups} = input channels: one channel per group"
    assert "1x1" in found["pointwise"].kind_why
    bert = {node.kind: node.kind_why for node in every(opened("bert-base")[0])}
    assert "softmax follows" in bert["attention-scores"]
    assert "softmax feeds" in bert["attention-values"]


def test_formulas_become_numbers() -> None:
    """The same node with open dims and with sizes: the formula at those sizes is the number."""
    open_ = explained("bert-base", "layer.0/attention/self/MatMul")
    assert isinstance(open_.macs, str)
    sized = explained("bert-base", "layer.0/attention/self/MatMul", batch=2)
    assert isinstance(sized.macs, int)
    assert calculate(open_.macs, {"batch": 2, "sequence": 7}) == sized.macs


def test_control_flow_multiplies_its_body() -> None:
    loop = explained("control-flow", "refine/Loop", batch=3)
    (body,) = loop.bodies
    assert body.times == (4, 4)
    assert isinstance(body.macs, int)
    assert loop.macs == 4 * body.macs == 4 * 3 * 64 * 64
    assert loop.params == 64 * 64 + 64
    assert any(step.substituted == f"4 x {body.macs}" for step in loop.derivation)
    scan = explained("control-flow", "cell/Scan", batch=3)
    assert scan.bodies[0].times == (7, 7)
    assert scan.macs == 7 * 3 * 64 * (32 + 64)


def test_a_branch_is_a_range() -> None:
    branch = explained("control-flow", "mix/If", batch=3)
    assert branch.macs is None
    low, high = branch.bounds["macs"]
    assert [low, high] == sorted(body.macs for body in branch.bodies)  # type: ignore[type-var]
    assert branch.why == "the values fed decide what runs"
    assert branch.advice and "branch" in branch.advice


def test_an_unknown_operator_has_a_reason_and_a_remedy() -> None:
    node = helper.make_node("Mystery", ["x"], ["y"], name="odd", domain="acme")
    used = helper.make_node("Relu", ["y"], ["z"], name="then")
    graph = helper.make_graph(
        [node, used],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, None)],
    )
    inferred = infer(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("acme", 1)])
    )
    first, then = every(inferred)
    assert first.unpriced == "no cost rule for acme::Mystery"
    assert (first.macs, first.ops, first.flops) == (None, None, None)
    assert first.advice and "lower bounds" in first.advice
    assert first.derivation == ()
    assert then.unpriced and "no shape rule" in then.unpriced
    assert any("unpriced no cost rule for acme::Mystery" in text for text in lines(first))


def test_a_refused_node_says_so() -> None:
    net = Net()
    x = net.input(1, 3, 8, 8)
    net.node("Conv", [x, net.weight(4, 5, 3, 3)], (1, 4, 6, 6), "wrong")
    (node,) = every(infer(net.model()))
    assert node.unpriced and "3 input channels" in node.unpriced
    assert node.advice and "refuses" in node.advice


def test_a_node_that_never_runs() -> None:
    net = Net()
    x = net.input(2, 4)
    net.linear(x, 7, name="dead")
    kept = net.relu(x)
    dead, alive = every(infer(net.model(kept)))
    assert (dead.live, alive.live) == (False, True)
    assert dead.macs == 2 * 4 * 7
    assert dead.params == 0
    assert any("never runs" in text for text in lines(dead))


def test_a_shared_weight_is_counted_once() -> None:
    net = Net()
    x, w = net.input(2, 4), net.weight(4, 4)
    y = net.node("MatMul", [x, w], (2, 4), "first")
    net.node("MatMul", [y, w], (2, 4), "second")
    first, second = every(infer(net.model()))
    assert (first.params, second.params) == (16, 0)
    assert [w.counted_at for w in (*first.weights, *second.weights)] == ["", "first"]
    assert second.weights[0].role == PARAM


def test_bytes_are_those_of_real_arrays() -> None:
    """A gather reads the rows it picks, an input used twice is read once."""
    indices = np.array([[1, 3, 5]])
    table = np.zeros((100, 8), np.float32)
    gather = helper.make_node("Gather", ["t", "i"], ["r"], name="gather")
    square = helper.make_node("Mul", ["r", "r"], ["s"], name="square")
    graph = helper.make_graph(
        [gather, square],
        "g",
        [helper.make_tensor_value_info("i", TensorProto.INT64, indices.shape)],
        [helper.make_tensor_value_info("s", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(table, "t")],
    )
    first, second = every(infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])))
    picked = table[indices]
    assert first.read_bytes == picked.nbytes + indices.nbytes
    assert first.write_bytes == second.read_bytes == picked.nbytes
    assert first.params == table.size


# ---- finding nodes


def named(*names: str) -> Graph:
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=name) for i, name in enumerate(names)]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("t0", TensorProto.FLOAT, [1])],
        [helper.make_tensor_value_info(f"t{len(names)}", TensorProto.FLOAT, None)],
    )
    return infer(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]))


def test_finding() -> None:
    graph = named("a/conv", "b/conv", "b/conv/relu", "")
    assert [find_node(graph, text) for text in ("a/conv", "b/conv", "t1", "t4")] == [0, 1, 0, 3]
    assert find_node(graph, "relu") == 2
    assert find_node(graph, "a/conv") == 0


def test_an_exact_name_wins_over_an_end() -> None:
    graph = named("conv", "last/conv")
    assert find_node(graph, "conv") == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("conv", r"2 nodes match 'conv'; one of: t1, t2$"),
        ("b/conw", r"no node or tensor is named 'b/conw'; did you mean "),
        ("zzzzzz", r"no node or tensor is named 'zzzzzz'; effaudit report .* --nodes lists all of them"),
        ("", r"no node or tensor is named ''"),
        ("\x1b[31m", r"named '\\x1b\[31m'"),
    ],
)
def test_not_finding(text: str, message: str) -> None:
    graph = named("a/conv", "b/conv", "b/conv/relu")
    with pytest.raises(UsageError, match=message.replace("\\\\x1b", r"\\+x1b")) as caught:
        find_node(graph, text)
    assert str(caught.value).isprintable()


def test_the_choices_it_lists_are_found() -> None:
    graph = named(*["same"] * 12)
    with pytest.raises(UsageError, match=r"12 nodes match 'same'; one of: t1, .* and 4 more") as caught:
        find_node(graph, "same")
    choices = str(caught.value).partition("one of: ")[2].removesuffix(" and 4 more").split(", ")
    assert [find_node(graph, choice) for choice in choices] == list(range(8))


def test_a_node_of_a_body_leads_to_its_holder() -> None:
    graph, _ = opened("control-flow")
    inner = next(iter(graph.nodes[find_node(graph, "refine/Loop")].bodies.values())).nodes[0]
    with pytest.raises(UsageError, match="is inside refine/Loop"):
        find_node(graph, inner.label)


def test_names_of_a_file_do_not_reach_a_terminal_raw() -> None:
    graph = named("evil\x1b[2J\u202e", "b")
    (node, _) = every(graph)
    assert all(text.isprintable() for text in lines(node))


def test_a_long_chain_is_quick() -> None:
    """Nothing is quadratic: the last of 20,000 nodes is explained as the first."""
    graph = named(*(f"n{i}" for i in range(20_000)))
    shared = around(graph, price(graph))
    assert explain_node(shared, find_node(graph, "n19999")).ops == 1
    with pytest.raises(UsageError):
        find_node(graph, "n20000x")


def test_what_nodes_share_is_found_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Explaining twenty nodes walks the graph as often as explaining one: once for the makers, never for the kinds."""
    audited = examine("sample:bert-base")
    places, exact = nodes_of(audited.graph, "MatMul")
    assert exact and len(places) >= MAX_NODES
    calls: Counter[str] = Counter()

    def counted(module: str, name: str) -> None:
        original = getattr(sys.modules[module], name)

        def call(*arguments: Any, **named: Any) -> Any:
            calls[name] += 1
            return original(*arguments, **named)

        for other in [m for n, m in list(sys.modules.items()) if n.startswith("effaudit") and hasattr(m, name)]:
            if getattr(other, name) is original:
                monkeypatch.setattr(other, name, call)

    counted("effaudit.kinds", "attention_kinds")
    counted("effaudit.explain.node", "surroundings")
    found = explain_nodes(audited, places[:MAX_NODES])
    assert calls == {"surroundings": 1}
    assert {node.kind for node in found} == {"gemm", SCORES, VALUES}
    assert [node.kind for node in found] == [audited.kind(i) for i in places[:MAX_NODES]]
