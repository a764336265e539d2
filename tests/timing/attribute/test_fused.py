"""Which nodes a kernel computes, where that is plain to a reader of the network."""

from __future__ import annotations

from collections.abc import Callable

from effaudit.timing.attribute.reasons import missing
from tests.timing.attribute.conftest import Pair

Get = Callable[[str], Pair]


def test_convolutions_take_in_what_follows(pair: Get) -> None:
    it = pair("residual")
    assert it.nodes_of("n_t0") == {frozenset(("n_t0", "n_t1", "n_t2"))}  # Conv, BatchNormalization, Relu
    taken = next(iter(it.nodes_of("n_t6")))
    assert {"n_t6", "n_t7"} <= taken <= {"n_t6", "n_t7", "n_sum", "n_joined"}  # and a sum, where the kernel takes one
    assert not it.nodes_of("n_t0") & it.nodes_of("n_t3")


def test_without_names_the_same(pair: Get) -> None:
    def by_index(name: str) -> list[tuple[int, ...]]:
        return sorted(one.nodes for one in pair(name).found if one.role == "computes")

    assert by_index("unnamed") == by_index("residual")


def test_changes_of_layout_are_marked(pair: Get) -> None:
    it = pair("residual")
    for one, node in zip(it.found, it.optimized.nodes, strict=True):
        if node.op in ("ReorderInput", "ReorderOutput"):
            assert one.role == "inserted" and one.nodes and one.why


def test_a_reorder_for_a_kernel_serves_it(pair: Get) -> None:
    it = pair("unet")
    nodes = it.audited.graph.nodes
    for one, node in zip(it.found, it.optimized.nodes, strict=True):
        if node.op == "ReorderInput":
            assert "Conv" in {nodes[n].op for n in one.nodes}
            assert {nodes[n].outputs[0] for n in one.nodes}.isdisjoint(node.inputs)
        elif node.op == "ReorderOutput":
            assert node.outputs[0] in {o for n in one.nodes for o in nodes[n].outputs}


def test_attention(pair: Get) -> None:
    it = pair("attention")
    assert it.nodes_of("n_scores") == {frozenset(("n_scores", f"n_t{_next(it, 'scores')}"))}  # scaled by the Div
    gelu = next(iter(it.nodes_of("n_gelu")))
    assert {it.audited.graph.nodes[i].op for i in _indices(it, gelu)} >= {"Erf", "Mul", "Add", "Div"}
    (first,) = it.nodes_of("n_t0")
    assert {it.audited.graph.nodes[i].op for i in _indices(it, first)} == {"MatMul", "Add"}


def _next(it: Pair, tensor: str) -> str:
    reader = next(n for n in it.audited.graph.nodes if tensor in n.inputs)
    return reader.outputs[0].removeprefix("t")


def _indices(it: Pair, labels: frozenset[str]) -> list[int]:
    return [i for i, node in enumerate(it.audited.graph.nodes) if node.label in labels]


def test_reasons(pair: Get) -> None:
    it = pair("duplicates")
    unused = next(i for i, node in enumerate(it.audited.graph.nodes) if node.label == "n_unused")
    timed = frozenset(i for one in it.found for i in one.nodes) - {unused}  # which some versions do run
    why = missing(it.audited.graph, it.optimized, it.audited.flow, {}, timed)
    told = {it.audited.graph.nodes[i].label: reason for i, reason in why.items()}
    assert told["n_unused"] == "no output depends on it: it never runs"
    assert told["n_twin"] == "merged with the equal node that gives first"
    assert told["n_copy"] == "removed: it gives what first has"
    assert told["n_shape"].startswith("folded into")


def test_quantized_pairs_are_fused(pair: Get) -> None:
    it = pair("ad-int8")
    for one, node in zip(it.found, it.optimized.nodes, strict=True):
        if node.op == "QGemm":
            ops = [it.audited.graph.nodes[n].op for n in one.nodes]
            assert ops.count("Gemm") == 1
            assert ops.count("DequantizeLinear") == 3  # of its input, its weights, its bias
            assert ops.count("QuantizeLinear") == 1


def test_bodies_are_told_from_their_own_graph(pair: Get) -> None:
    it = pair("loop")
    i = next(i for i, node in enumerate(it.optimized.nodes) if node.op == "Loop")
    nodes = it.audited.graph.nodes
    (n,) = it.found[i].nodes
    assert nodes[n].op == "Loop"
    body, inner = nodes[n].bodies["body"], it.found[i].inner["body"]
    sets = {frozenset(body.nodes[k].label for k in one.nodes) for one in inner}
    assert any({"b_matmul", "b_add"} <= labels for labels in sets)
    assert all(one.consistent is not False and one.nodes for one in inner)


def test_what_a_function_is_expanded_to_belongs_to_its_call(pair: Get) -> None:
    it = pair("function")
    nodes = it.audited.graph.nodes
    calls = [i for i, node in enumerate(nodes) if node.domain == "local"]
    first, second = ([one.nodes for one in it.found if i in one.nodes] for i in calls)
    assert first  # its Tanh may be fused to the Gemm before it
    assert second == [(calls[1],)] * 2  # Tanh and Div
