"""Liveness: its order, a step-by-step simulation, and cases worked out by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from onnx import ModelProto, numpy_helper

from effaudit.report import MemoryReport

from .dags import dags
from .models import audit, parse
from .simulation import Machine


def figures(model: ModelProto) -> tuple[int, int, int, int]:
    """(max_in_out, live, sum, inplace) of a model whose sizes are all known."""
    memory = audit(model).memory
    found = (memory.max_in_out_bytes, memory.live_bytes, memory.sum_bytes, memory.inplace_bytes)
    assert None not in found
    return found  # type: ignore[return-value]


@settings(max_examples=200, deadline=None)
@given(dags())
def test_a_simulation_agrees(model: ModelProto) -> None:
    in_out, live, total, in_place = figures(model)
    simulated = Machine(model).figures()
    assert in_out <= live <= total
    assert in_place <= live
    assert (total, in_out, live) == (simulated.total, simulated.in_out, simulated.live)
    assert in_place == simulated.in_place


# ---- worked out by hand; one unit is a tensor of 1 x 1 x 4 x 4 floats
UNIT = 4 * 16
HEAD = "hand (float[1,1,4,4] x) => (float[1,1,4,4] y)"


def units(body: str, head: str = HEAD, **weights: tuple[int, ...]) -> tuple[int, int, int, int]:
    """(max_in_out, live, sum, inplace) in units."""
    found = figures(parse(head + body, **weights))
    assert all(size % UNIT == 0 for size in found)
    return tuple(size // UNIT for size in found)  # type: ignore[return-value]


def test_a_chain_holds_two() -> None:
    """Of four tensors, the input stays nobody's to write over: x a, a b, b y; then x a with everything else in a."""
    assert units("{ a = Relu(x) b = Sigmoid(a) y = Relu(b) }") == (2, 2, 4, 2)


def test_a_diamond_holds_three() -> None:
    """x feeds a and b: x a b are alive at b; then a b y. In place b takes nothing (x is the caller's), y takes a."""
    assert units("{ a = Relu(x) b = Sigmoid(x) y = Add(a, b) }") == (3, 3, 4, 3)


def test_a_long_skip() -> None:
    """x waits for the sum: x a, x a b, x b c, x c y. In place a, b, c and y share one buffer beside x."""
    assert units("{ a = Relu(x) b = Relu(a) c = Relu(b) y = Add(x, c) }") == (3, 3, 5, 2)


def test_two_uses_of_one_tensor_read_it_once() -> None:
    assert units("{ y = Add(x, x) }") == (2, 2, 2, 2)


def test_an_output_stays_to_the_end() -> None:
    """a is an output, so b cannot take its place, nor is it freed: x a, a b, a b y."""
    head = "hand (float[1,1,4,4] x) => (float[1,1,4,4] a, float[1,1,4,4] y)"
    assert units("{ a = Relu(x) b = Relu(a) y = Relu(b) }", head) == (2, 3, 4, 2)


def test_an_output_nobody_reads_is_made_and_dropped() -> None:
    """Both halves of a split are written: x (2) + p + q, and only then q is free."""
    head = "hand (float[1,2,4,4] x) => (float[1,1,4,4] y)"
    assert units("{ p, q = Split <axis = 1> (x) y = Relu(p) }", head) == (4, 4, 5, 4)


def test_a_dead_branch_is_not_held() -> None:
    assert units("{ a = Concat <axis = 1> (x, x, x, x) b = Relu(a) y = Relu(x) }") == (2, 2, 2, 2)


def test_what_no_input_feeds_is_not_held() -> None:
    """The transposed weight is computed before the model runs."""
    assert units("{ v = Transpose <perm = [0,1,3,2]> (w) y = Add(x, v) }", w=(1, 1, 4, 4)) == (2, 2, 2, 2)


def test_an_input_nobody_reads_is_not_held() -> None:
    head = "hand (float[1,1,4,4] x, float[1,9,4,4] z) => (float[1,1,4,4] y)"
    assert units("{ y = Relu(x) }", head) == (2, 2, 2, 2)


def test_views_share() -> None:
    """x a b y live two by two; in place a and b are one buffer, and y writes over it."""
    body = "{ a = Relu(x) b = Reshape(a, s) y = Relu(b) }"
    model = parse("hand (float[1,1,4,4] x) => (float[4,4] y)" + body)
    model.graph.initializer.append(numpy_helper.from_array(np.array([4, 4]), "s"))
    assert tuple(size // UNIT for size in figures(model)) == (2, 2, 4, 2)


def test_the_peak_is_named() -> None:
    """The second node of three, where a (3 units) meets b (3 units)."""
    model = parse(HEAD + "{ a = Concat <axis = 1> (x, x, x) b = Relu(a) y = ReduceMax <axes = [1]> (b) }")
    memory: MemoryReport = audit(model).memory
    assert (memory.live_bytes, memory.peak_step) == (6 * UNIT, 1)
    assert {(t.name, t.bytes // UNIT) for t in memory.live_set} == {("a", 3), ("b", 3)}


@settings(max_examples=60, deadline=None)
@given(dags())
def test_the_live_set_is_the_peak(model: ModelProto) -> None:
    memory = audit(model).memory
    assert sum(tensor.bytes for tensor in memory.live_set) == memory.live_bytes


# ---- the ends of a graph
def test_an_input_that_is_an_output_stays() -> None:
    """x a, x b (a gone), and x to the end."""
    head = "hand (float[1,1,4,4] x) => (float[1,1,4,4] x, float[1,1,4,4] y)"
    assert units("{ a = Relu(x) b = Relu(a) y = Relu(b) }", head) == (2, 3, 4, 2)


def test_a_graph_without_nodes() -> None:
    assert units("{ }", "hand (float[1,1,4,4] x) => (float[1,1,4,4] x)") == (0, 1, 1, 1)


def test_an_output_that_no_input_feeds_is_not_held() -> None:
    head = "hand (float[1,1,4,4] x) => (float[1,1,4,4] y, float[1,1,4,4] v)"
    assert units("{ v = Neg(w) y = Relu(x) }", head, w=(1, 1, 4, 4)) == (2, 2, 2, 2)


def test_chance_is_no_constant() -> None:
    """Random numbers differ from run to run, so they are held though no input feeds them."""
    assert units("{ r = RandomNormal <shape = [1,1,4,4]> () y = Add(x, r) }") == (3, 3, 3, 2)
