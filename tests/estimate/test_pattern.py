"""Patterns of kernels: reuse distances against a simulated stack, the rest by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.estimate.pattern import patterned
from effaudit.estimate.types import Kernel, Pattern, Touch
from effaudit.estimate.work import kernels
from tests.laws.models import parse, written

HUGE = 1 << 40  # an arena that bounds no distance


def model_of(
    nodes: list[onnx.NodeProto],
    inputs: Mapping[str, tuple[Any, ...]],
    outputs: list[str],
    weights: Mapping[str, np.ndarray] | None = None,
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, ir_version=8, opset_imports=opsets)


def found(model: onnx.ModelProto, arena: int = HUGE, *, exact: bool = True, **dims: int) -> tuple[Kernel, ...]:
    with written(model) as path:
        graph = examine(path).graph
        return patterned(graph, kernels(graph), arena, exact=exact)


def pattern(kernel: Kernel) -> Pattern:
    assert kernel.pattern is not None
    return kernel.pattern


def only(model: onnx.ModelProto, **more: Any) -> Pattern:
    (kernel,) = found(model, **more)
    return pattern(kernel)


def touches(made: Pattern, what: str) -> list[Touch]:
    return [touch for touch in made.touches if touch.what == what]


# ---- reuse distances
def stacked(nodes: list[tuple[str, list[str], str]], sizes: Mapping[str, int]) -> list[list[int | None]]:
    """Of every node the distance of each of its reads: the bytes of all touches since the tensor was last touched, it
    included, by a list of everything that was touched, in order, views being the tensor that they rename."""
    log: list[list[str]] = []
    alias: dict[str, str] = {}
    distances = []
    for op, inputs, output in nodes:
        reads = [alias.get(name, name) for name in dict.fromkeys(inputs)]
        if op == "Flatten":
            alias[output] = reads[0]
            continue
        own: list[int | None] = []
        for name in reads:
            last = next((i for i in reversed(range(len(log))) if name in log[i]), None)
            since = None if last is None else sum(sizes[one] for step in log[last + 1 :] for one in step) + sizes[name]
            own.append(since)
        log.append([*reads, output])
        distances.append(own)
    return distances


@st.composite
def chains(draw: st.DrawFn) -> list[tuple[str, list[str], str]]:
    """Elementwise nodes and views on one input, all of one size; of any two-operand node the operands differ."""
    nodes: list[tuple[str, list[str], str]] = [("Relu", ["x"], "t0")]
    for i in range(1, draw(st.integers(2, 9))):
        names = ["x", *(output for _, _, output in nodes)]
        op = draw(st.sampled_from(["Relu", "Flatten", "Add"]))
        count = 2 if op == "Add" else 1
        picked = draw(st.lists(st.sampled_from(names), min_size=count, max_size=count, unique=True))
        nodes.append((op, picked, f"t{i}"))
    return nodes


@given(nodes=chains(), rows=st.integers(1, 5))
@settings(max_examples=80, deadline=None)
def test_distances_are_those_of_a_stack(nodes: list[tuple[str, list[str], str]], rows: int) -> None:
    names = [output for _, _, output in nodes]
    made = [helper.make_node(op, inputs, [output]) for op, inputs, output in nodes]
    ran = found(model_of(made, {"x": (rows, 7)}, names))
    sizes = dict.fromkeys(["x", *names], 4 * rows * 7)
    aliased = {output: inputs for op, inputs, output in nodes if op == "Flatten"}
    same = [op == "Add" and len({_root(name, aliased) for name in inputs}) == 1 for op, inputs, _ in nodes]
    wanted = stacked(nodes, sizes)
    if not any(same):  # one tensor under two names is read twice
        assert [[touch.distance for touch in touches(pattern(k), "read")] for k in ran] == wanted


def _root(name: str, aliased: Mapping[str, list[str]]) -> str:
    while name in aliased:
        name = aliased[name][0]
    return name


def test_what_comes_from_outside_was_never_touched() -> None:
    first, second = found(parse("m (float[8] x) => (float[8] z) { y = Relu(x) z = Neg(y) }"))
    assert [touch.distance for touch in touches(pattern(first), "read")] == [None]
    assert [touch.distance for touch in touches(pattern(second), "read")] == [32]
    assert [touch.distance for touch in touches(pattern(first), "write")] == [64], "as large as what is at hand"


def test_no_distance_is_longer_than_everything_there_is() -> None:
    text = "m (float[8] x) => (float[8] z) { a = Relu(x) b = Neg(a) c = Exp(b) d = Abs(c) z = Add(a, d) }"
    by_arena = [pattern(found(parse(text), arena)[-1]) for arena in (HUGE, 100)]
    assert [touches(one, "read")[0].distance for one in by_arena] == [2 * 64 + 32, 100]


def test_weights_were_read_one_run_ago() -> None:
    text = "m (float[2,8] x) => (float[2,3] z) { y = MatMul(x, w) z = MatMul(y, v) }"
    for kernel, size in zip(found(parse(text, w=(8, 5), v=(5, 3)), 1000), (160, 60), strict=True):
        assert touches(pattern(kernel), "weight") == [Touch("weight", size, 160 + 60 + 1000)]


def test_a_view_is_the_tensor_that_it_renames() -> None:
    text = "m (float[2,8] x) => (float[16,1] z) { y = Relu(x) v = Flatten<axis=0>(y) z = Exp(v) }"
    ran = found(parse(text.replace("[16,1]", "[1,16]")))
    assert [kernel.op for kernel in ran] == ["Relu", "Exp"]
    assert touches(pattern(ran[1]), "read") == [Touch("read", 64, 64)]


def test_of_a_table_only_what_is_looked_up_is_read() -> None:
    table, places = np.zeros((1000, 8), np.float32), np.array([1, 2], np.int64)
    gather = helper.make_node("Gather", ["table", "i"], ["z"])
    model = model_of(
        [gather, helper.make_node("Add", ["z", "x"], ["y"])], {"x": (2, 8)}, ["y"], {"table": table, "i": places}
    )
    for kernel in found(model, 0):
        assert all(touch.bytes <= 64 for touch in pattern(kernel).touches)


def test_a_table_that_is_also_multiplied_is_read_whole_there() -> None:
    """As tied embeddings are."""
    text = "m (float[4,8] x, int64[3] i) => (float[4,8] z, float[3,8] t) { t = Gather(w, i) z = MatMul(x, w) }"
    gather, product = found(parse(text, w=(8, 8)), 0)
    assert [t.bytes for t in touches(pattern(gather), "weight")] == [96]
    assert touches(pattern(product), "weight") == [Touch("weight", 256, 256)]


def test_tables_of_embeddings_are_looked_up() -> None:
    def table(rows: int) -> np.ndarray:
        return np.zeros((rows, 8), np.float32)

    ids = helper.make_node("Cast", ["x"], ["ids"], to=TensorProto.INT32)
    names = ["ids", "", "words", "places", "", "scale", "shift"]
    embed = helper.make_node("EmbedLayerNormalization", names, ["z", "mask"], domain="com.microsoft")
    weights = {"words": table(5000), "places": table(600), "scale": table(1)[0], "shift": table(1)[0]}
    ran = found(model_of([ids, embed], {"x": (1, 5)}, ["z"], weights), 0)
    assert max(touch.bytes for touch in pattern(ran[-1]).touches) <= 5 * 8 * 4 + 4


def test_a_recurrent_matrix_is_read_anew_in_every_step() -> None:
    lstm = helper.make_node("LSTM", ["x", "w", "r"], ["z"], hidden_size=6)
    weights = {"w": np.zeros((1, 24, 5), np.float32), "r": np.zeros((1, 24, 6), np.float32)}
    made = only(model_of([lstm], {"x": (9, 1, 5)}, ["z"], weights))
    assert touches(made, "again") == [Touch("again", 8 * 24 * 6 * 4, 24 * 6 * 4)]
    assert [touch.bytes for touch in touches(made, "weight")] == [480, 576] and made.steps == 9


# ---- how work is cut
def conv(channels: int, out: int, window: int, group: int = 1) -> onnx.ModelProto:
    node = helper.make_node("Conv", ["x", "w"], ["z"], group=group, pads=[window // 2] * 4)
    return model_of(
        [node], {"x": (1, channels, 6, 7)}, ["z"], {"w": np.zeros((out, channels // group, window, window), np.float32)}
    )


def test_a_convolution_writes_its_columns_first() -> None:
    made = only(conv(4, 10, 3))
    assert (made.columns, made.scratch, made.runs) == (10, 4 * 9 * 6 * 7, 10 * 6)
    assert made.fed == 4 * 6 * 7
    assert only(conv(4, 10, 1)).scratch == 0, "a pointwise one has nothing to write"
    assert only(conv(4, 8, 3, group=2)).scratch == 4 * 9 * 6 * 7


def test_a_layer_works_on_its_columns_together() -> None:
    made = only(parse("m (float[5,8] x) => (float[5,3] z) { z = MatMul(x, w) }", w=(8, 3)))
    assert (made.columns, made.batches, made.scratch, made.fed) == (3, 1, 0, 40)
    many = only(parse("m (float[2,6,5,8] x, float[2,6,8,3] y) => (float[2,6,5,3] z) { z = MatMul(x, y) }"))
    assert (many.batches, many.fed) == (12, 2 * 6 * (40 + 24))


@pytest.mark.parametrize(
    ("body", "runs"),
    [
        ("(float[2,3,4] x) => (float[2,4,3] z) { z = Transpose<perm=[0,2,1]>(x) }", 24),
        ("(float[2,3,4] x) => (float[3,2,4] z) { z = Transpose<perm=[1,0,2]>(x) }", 6),
        ("(float[2,3,4] x) => (float[4,3,2] z) { z = Transpose(x) }", 24),
        ("(float[2,3,4] x, float[2,5,4] y) => (float[2,8,4] z) { z = Concat<axis=1>(x, y) }", 2),
        ("(float[2,3,4] x, float[2,3,6] y) => (float[2,3,10] z) { z = Concat<axis=-1>(x, y) }", 6),
        ("(float[6,4] x, int64[3] i) => (float[3,4] z) { z = Gather<axis=0>(x, i) }", 3),
        ("(float[6,4] x, int64[3] i) => (float[6,3] z) { z = Gather<axis=1>(x, i) }", 18),
        ("(float[6,4] x) => (float[6,4] z) { z = Relu(x) }", 6),
        ("(float[24] x) => (float[24] z) { z = Relu(x) }", 1),
    ],
)
def test_stretches_that_lie_one_after_the_other_are_moved_together(body: str, runs: int) -> None:
    assert only(parse(f"m {body}")).runs == runs


def test_movement_counts_what_it_joins() -> None:
    made = only(parse("m (float[2] x, float[2] y, float[2] w) => (float[6] z) { z = Concat<axis=0>(x, y, w) }"))
    assert made.batches == 4


# ---- what may be missing
def test_axes_come_as_an_attribute_or_as_a_constant() -> None:
    text = "m (float[2,3,4] x) => (float[2,1,4] z) { z = ReduceMean<axes=[1]>(x) }"
    assert only(parse(text)).kind == "ReduceMean inner"
    node = helper.make_node("ReduceSum", ["x", "axes"], ["z"])
    for axis, kind in ((1, "ReduceSum inner"), (2, "ReduceSum")):
        made = only(model_of([node], {"x": (2, 3, 4)}, ["z"], {"axes": np.array([axis], np.int64)}))
        assert made.kind == kind


def test_an_open_dim_is_no_number() -> None:
    node = helper.make_node("NonZero", ["x"], ["i"])
    later = helper.make_node("Cast", ["i"], ["z"], to=TensorProto.FLOAT)
    ran = found(model_of([node, later], {"x": (3, 4)}, ["z"]))
    assert [kernel.op for kernel in ran] == ["NonZero", "Cast"]
    assert [kernel.pattern for kernel in ran] == [None, None]


@pytest.mark.parametrize(
    "body",
    [
        "(float[0,4] x) => (float[0,4] z) { z = Relu(x) }",
        "(float[0,4] x) => (float[4,0] z) { z = Transpose<perm=[1,0]>(x) }",
        "(float[0,4] x, float[4,3] y) => (float[0,3] z) { z = MatMul(x, y) }",
        "(float x) => (float z) { z = Relu(x) }",
        "(float x) => (float z) { z = Transpose(x) }",
        "(float[3,4] x) => (float z) { z = ReduceMax<keepdims=0>(x) }",
        "(float[4] x, float[4] y) => (float z) { z = MatMul(x, y) }",
        "(float[5] x, int64 i) => (float z) { z = Gather(x, i) }",
    ],
)
def test_scalars_and_empty_tensors_are_patterns_too(body: str) -> None:
    for exact in (True, False):
        for kernel in found(parse(f"m {body}"), exact=exact):
            made = pattern(kernel)
            assert min(made.columns, made.batches) >= 1 and min(made.runs, made.fed, made.scratch) >= 0


def test_a_graph_of_nothing_has_no_patterns() -> None:
    assert found(parse("m (float[2,3] x) => (float[1,6] z) { z = Flatten<axis=0>(x) }")) == ()
