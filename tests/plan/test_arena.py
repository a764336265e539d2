"""What has to be laid out: storages under a sharing, pinned inputs, bodies and workspaces."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from onnx import ModelProto, numpy_helper

from effaudit.audited import Audited, examine
from effaudit.graph import Graph, Node
from effaudit.ops._registry import Rules as OperatorRules
from effaudit.plan.arena import Need, Rules, need
from effaudit.plan.problem import Problem
from effaudit.plan.storage import SHARED, Sharing, as_registered
from effaudit.quantity import Quantity
from tests.laws.dags import dags
from tests.laws.models import parse, written
from tests.laws.simulation import Machine

UNIT = 64  # bytes of a tensor of 1 x 1 x 4 x 4 floats
HEAD = "hand (float[1,1,4,4] x) => (float[1,1,4,4] y)"


def floor(problem: Problem) -> int:
    """The planner of bodies: as if their floor could always be met."""
    return problem.floor


def audited(model: ModelProto) -> Audited:
    with written(model) as path:
        return examine(path)


def needed(model: ModelProto, rules: Rules = Rules(), **more: object) -> Need:
    found = audited(model)
    return need(found.graph, found.flow, rules, floor, **more)  # type: ignore[arg-type]


@settings(max_examples=100, deadline=None)
@given(dags())
def test_the_floor_is_what_a_simulation_sees(model: ModelProto) -> None:
    simulated = Machine(model).figures()
    apart, shared = needed(model), needed(model, Rules(SHARED))
    assert apart.exact and apart.least.floor == simulated.live
    assert sum(b.size for b in apart.least.buffers) == simulated.total
    assert shared.least.floor == simulated.in_place


@settings(max_examples=100, deadline=None)
@given(dags())
def test_pinned_inputs_only_add(model: ModelProto) -> None:
    """Never less than without, and never more than without plus all inputs that are read."""
    inputs = {value.name for value in model.graph.input}
    free, pinned, outside = needed(model), needed(model, Rules(pinned=True)), needed(model, Rules(inputs=False))
    held = sum(b.size for b in pinned.least.buffers if b.name in inputs)
    assert free.least.floor <= pinned.least.floor <= free.least.floor + held
    assert pinned.least.floor == outside.least.floor + held
    assert not inputs & {b.name for b in outside.least.buffers}


def test_a_pinned_input_by_hand() -> None:
    """x a, then x a b, then x b y: three where two would do."""
    model = parse(f"{HEAD} {{ a = Relu(x) b = Sigmoid(a) y = Relu(b) }}")
    assert needed(model).least.floor == 2 * UNIT
    assert needed(model, Rules(pinned=True)).least.floor == 3 * UNIT


def test_sizes_are_rounded_up() -> None:
    model = parse("hand (float[3] x) => (float[3] y) { a = Relu(x) y = Relu(a) }")
    made = needed(model, Rules(align=16))
    assert [b.size for b in made.least.buffers] == [16, 16, 16]
    assert made.least.align == 16


def test_what_views_an_outside_input_is_outside() -> None:
    model = parse("hand (float[2,8] x) => (float[2,8] y) { a = Flatten(x) b = Relu(a) y = Relu(b) }")
    names = [b.name for b in needed(model, Rules(SHARED, inputs=False)).least.buffers]
    assert "a" not in names and "x" not in names


def test_a_storage_names_what_it_holds() -> None:
    model = parse(f"{HEAD} {{ a = Relu(x) b = Sigmoid(a) y = Relu(b) }}")
    found = {one.name: one.others for one in needed(model, Rules(SHARED)).storages}
    assert found == {"x": (), "a": ("b", "y")}


DEPTHWISE = "hand (float[1,4,8,8] x) => (float[1,4,4,4] y) {{ a = Relu(x) y = Conv<group = 4, {}>(a, w) }}"


def test_a_resized_storage_is_as_large_as_the_larger() -> None:
    """The depthwise output, a quarter of its input, takes its input's bytes."""

    def depthwise(node: Node, rules: OperatorRules) -> tuple[int, ...]:
        return (0,) if node.op == "Conv" else ()

    sharing = Sharing(views=True, in_place=as_registered, resized=depthwise)
    model = parse(DEPTHWISE.format("strides = [2,2], pads = [1,1,1,1], kernel_shape = [3,3]"), w=(4, 1, 3, 3))
    found = {one.name: (one.size, one.start, one.end) for one in needed(model, Rules(sharing)).storages}
    assert found == {"x": (1024, 0, 1), "a": (1024, 0, 2)}


LOOP = """m (float[2,8] x) => (float[2,8] y) { a = Relu(x) b = Loop <body = b (int64 i, bool c, float[2,8] s) =>
    (bool d, float[2,8] t) { d = Identity(c) u = MatMul(s, w) t = Relu(u) }> (n, yes, a) y = Relu(b) }"""


def test_a_body_is_a_buffer_while_its_node_runs() -> None:
    """Inside: the two conditions' one byte, s and u, then u and t; outside at the loop: a and b."""
    model = parse(LOOP, w=(8, 8))
    for name, value in (("n", np.array(5)), ("yes", np.array(True))):
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    body = next(b for b in needed(model).least.buffers if b.name.startswith("bodies of"))
    assert (body.start, body.end, body.size) == (1, 2, 1 + 2 * 64)
    assert needed(model).least.floor == 2 * 64 + body.size


def test_workspaces_are_buffers_of_one_step() -> None:
    def workspace(graph: Graph, node: Node) -> Quantity:
        return Quantity(0, 100, "kernels differ") if node.op == "Sigmoid" else Quantity(0, 0)

    model = parse(f"{HEAD} {{ a = Relu(x) b = Sigmoid(a) y = Relu(b) }}")
    made = needed(model, workspace=workspace)
    assert made.most is not None and not made.exact
    assert (made.least.floor, made.most.floor) == (2 * UNIT, 2 * UNIT + 100)
    assert "kernels differ" in made.why


def test_sizes_that_values_decide() -> None:
    """NonZero finds 0 to 16 places of 8 bytes: then z and y are alive."""
    model = parse("hand (float[16] x) => (int64[1,k] y) { z = NonZero(x) y = Neg(z) }")
    made = needed(model)
    assert made.most is not None and made.why
    assert (made.least.floor, made.most.floor) == (64, 256)
