"""The timeline: born, alive and dying tensors of every step."""

from __future__ import annotations

from hypothesis import given, settings
from onnx import ModelProto

from effaudit.memory.asked import Asked
from effaudit.memory.model import plan_memory
from effaudit.memory.types import ModelMemory
from tests.laws.dags import dags
from tests.laws.models import parse, written

UNIT = 64


def planned(model: ModelProto, **asked: object) -> ModelMemory:
    with written(model) as path:
        (made,) = plan_memory(path, asked=[Asked(effort="low", **asked)])  # type: ignore[arg-type]
    return made


@settings(max_examples=60, deadline=None)
@given(dags())
def test_what_is_alive_is_what_was_born_and_has_not_died(model: ModelProto) -> None:
    made = planned(model)
    sizes = {b.name: b.bytes or 0 for b in made.memory.buffers}
    made_by_nodes = {tensor.name for step in made.memory.timeline for tensor in step.born}
    alive = set(sizes) - made_by_nodes  # the inputs that are read
    for step in made.memory.timeline:
        alive |= {tensor.name for tensor in step.born}
        assert step.alive == len(alive)
        assert step.live_bytes == sum(sizes[name] for name in alive) == step.storage_bytes
        alive -= set(step.dies)
    assert alive == {value.name for value in model.graph.output if value.name in sizes}
    peak = max(step.live_bytes or 0 for step in made.memory.timeline)
    assert peak == made.memory.live_bytes
    assert sum(tensor.bytes for tensor in made.memory.live_set) == peak


def test_by_hand() -> None:
    model = parse("h (float[1,1,4,4] x) => (float[1,1,4,4] y) { a = Relu(x) b = Sigmoid(a) y = Add(a, b) }")
    found = [(s.op, s.live_bytes, [t.name for t in s.born], list(s.dies)) for s in planned(model).memory.timeline]
    assert found == [
        ("Relu", 2 * UNIT, ["a"], ["x"]),
        ("Sigmoid", 2 * UNIT, ["b"], []),
        ("Add", 3 * UNIT, ["y"], ["a", "b"]),
    ]


def test_a_graph_without_nodes() -> None:
    made = planned(parse("h (float[4] x) => (float[4] x) { }"))
    assert made.memory.arena_bytes in (0, 16)
    assert made.memory.timeline == ()
