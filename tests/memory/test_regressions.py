"""What once failed: hostile nodes in the lowering passes, and screens that said nothing or the wrong thing."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, helper, numpy_helper

from effaudit.audited import examine
from effaudit.errors import UsageError
from effaudit.memory import Asked, Cache, ModelMemory, describe, memory
from effaudit.memory.asked import Stage
from effaudit.render.memory import render
from effaudit.runtimes import names
from effaudit.tables.table import Shown

SAMPLES = Path(__file__).parents[2] / "sample_models"
Build = Callable[[Sequence[NodeProto]], str]


@pytest.fixture
def build(tmp_path: Path) -> Build:
    """Writes a graph of these nodes over x, 1x2x8x8, with the weights w, 2x2x3x3; its output is y."""

    def written(nodes: Sequence[NodeProto], opset: int = 17) -> str:
        inputs = [helper.make_tensor_value_info("x", 1, [1, 2, 8, 8])]
        outputs = [helper.make_tensor_value_info("y", 1, None)]
        weights = [numpy_helper.from_array(np.ones((2, 2, 3, 3), np.float32), "w")]
        graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
        path = tmp_path / "m.onnx"
        path.write_bytes(
            helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()
        )
        return str(path)

    return written


def node(op: str, inputs: Sequence[str], outputs: Sequence[str], **attrs: Any) -> NodeProto:
    return helper.make_node(op, inputs, outputs, name=op.lower(), **attrs)


def screen(model: ModelMemory) -> str:
    return "".join(render("text", memory([model]), Shown()))


HOLES = {
    "product without outputs": [node("Conv", ["x", "w"], [])],
    "depthwise without inputs": [node("Conv", [], ["a"], group=2)],
    "norm without outputs": [node("Conv", ["x", "w"], ["a"]), node("BatchNormalization", ["a"], [])],
    "pad without outputs": [node("Pad", ["x"], [])],
    "pad without inputs": [node("Pad", [], ["a"]), node("Conv", ["a", "w"], ["b"])],
    "identity without outputs": [node("Identity", ["x"], [])],
    "cast without outputs": [node("Cast", ["x"], ["a"], to=10), node("Cast", ["a"], [], to=1)],
    "gather of nothing": [node("Shape", ["x"], ["a"]), node("Gather", ["a"], ["b"])],
    "relu without outputs": [
        node("QuantizeLinear", ["x", "w"], ["a"]),
        node("DequantizeLinear", ["a", "w"], ["b"]),
        node("Conv", ["b", "w"], ["c"]),
        node("Relu", ["c"], []),
    ],
    "pads of another rank": [node("Conv", ["x", "w"], ["a"], pads=[1, 1])],
    "pads that are a number": [node("Conv", ["x", "w"], ["a"], pads=1)],
    "strides of zero": [node("Conv", ["x", "w"], ["a"], pads=[1, 1, 0, 0], strides=[0, 0])],
}


@pytest.mark.parametrize("nodes", HOLES.values(), ids=HOLES)
def test_nodes_that_break_their_contract_are_left_alone(build: Build, nodes: Sequence[NodeProto]) -> None:
    audited = examine(build([*nodes, node("Relu", ["x"], ["y"])]))
    for runtime in names():
        found = describe(audited, Asked(runtime=runtime, effort="low")).memory
        assert found.live_bytes is None or found.live_bytes >= 512, runtime  # x, at least


def test_a_recurrent_layer_has_outputs_of_other_ranks_than_the_tiled_one(tmp_path: Path) -> None:
    """An LSTM makes Y of rank 4, which looks like a map, and Y_h of rank 3."""
    inputs = [helper.make_tensor_value_info("x", 1, [5, 1, 4])]
    outputs = [helper.make_tensor_value_info(name, 1, None) for name in "yh"]
    weights = [numpy_helper.from_array(np.ones((1, 12, 4 if name == "w" else 3), np.float32), name) for name in "wr"]
    nodes = [node("LSTM", ["x", "w", "r"], ["a", "h", "c"], hidden_size=3), node("Relu", ["a"], ["y"])]
    graph = helper.make_graph(nodes, "g", inputs, outputs[:1], weights)
    path = tmp_path / "m.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    audited = examine(str(path))
    assert describe(audited, Asked(effort="low")).memory.patched is None
    with pytest.raises(UsageError, match="LSTM lstm: it mixes positions"):
        describe(audited, Asked(effort="low", patch=Stage("y", (2, 1))))


def test_workspaces_without_a_bound_do_not_lower_the_arena() -> None:
    """The arena with them is no smaller than the arena, also where the planner wastes some of it."""
    found = describe(examine("sample:decoder-gqa"), Asked(runtime="tflm", effort="low")).memory
    assert found.arena_bytes is not None and found.arena_bytes > found.floor_bytes
    assert found.arena_with_scratch_bounds == [found.arena_bytes, None]


def test_an_arena_that_no_open_size_moves_is_as_exact_as_any(build: Build) -> None:
    """NonZero makes 2 * 128 * 4 * 8 bytes at most, and that is less than what is alive elsewhere."""
    big = [node("Concat", ["x"] * 64, ["a"], axis=1), node("ReduceMax", ["a"], ["b"], axes=[1])]
    audited = examine(build([*big, node("NonZero", ["b"], ["c"]), node("Cast", ["c"], ["y"], to=1)]))
    found = describe(audited).memory
    assert any(one.bytes is None for one in found.buffers)
    assert found.arena_bytes == found.floor_bytes == 512 + 64 * 512
    assert (found.proven_optimal, found.gap) == (True, 0.0)
    assert "no plan is smaller (proven)" in screen(describe(audited))


def test_patches_that_are_asked_for_are_on_the_screen() -> None:
    audited = examine("sample:vww-int8")
    text = screen(describe(audited, Asked(runtime="tflm", effort="low", patch="auto")))
    assert "\npatch  36.77 KiB (37,656) alive with the first 8 nodes in 6x6 patches of" in text
    assert "\npatch " not in screen(describe(audited, Asked(runtime="tflm", effort="low")))


def test_patches_too_dear_are_shown_only_where_they_are_asked_for() -> None:
    audited = examine("sample:unet")
    unasked = describe(audited, Asked(effort="low", runtime="tflm", quantize="int8"))
    asked = describe(audited, Asked(effort="low", runtime="tflm", quantize="int8", patch="auto"))
    assert unasked.memory.patched is None
    assert asked.memory.patched is not None and (asked.memory.patched.extra_share or 0) > 1
    assert "no gain" not in screen(asked)


def test_patches_without_a_gain_say_so() -> None:
    text = " ".join(screen(describe(examine("sample:resnet50"), Asked(effort="low", patch="auto"))).split())
    assert "no gain: without patches 9.188 MiB" in text


def test_a_remedy_is_an_option_that_a_shell_takes(tmp_path: Path) -> None:
    """Tensors are called anything."""
    model = onnx.load(SAMPLES / "vww-int8.onnx")
    made = {name for one in model.graph.node for name in one.output} - {one.name for one in model.graph.output}
    for one in model.graph.node:
        for names_of in (one.input, one.output):
            names_of[:] = [f"{name}; $(x)" if name in made else name for name in names_of]
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    audited = examine(str(path))
    remedy = next(r for r in describe(audited, Asked(effort="low")).remedies if r.option.startswith("--patch "))
    option, value = shlex.split(remedy.option)
    stage, _, grid = value.rpartition(":")
    rows, columns = map(int, grid.split("x"))
    again = describe(audited, Asked(effort="low", patch=Stage(stage, (rows, columns)))).memory
    assert option == "--patch" and again.patched_bytes == remedy.arena_bytes


def test_options_of_the_cache_that_change_nothing_say_so() -> None:
    without = describe(examine("sample:ad"), Asked(effort="low", cache=Cache(batch=4)))
    assert any(note.startswith("no key/value cache was found") for note in without.notes)
    asked = Asked(effort="low", cache=Cache(context=64, dtype="int8"))
    notes = describe(examine("sample:decoder-gqa"), asked).notes
    assert any("as if in int8" in note for note in notes) and any("--dim" in note for note in notes)
    assert not describe(examine("sample:decoder-gqa"), Asked(effort="low")).notes


def test_the_next_command_is_whole(tmp_path: Path) -> None:
    path = tmp_path / f"{'long' * 30}.onnx"
    path.write_bytes((SAMPLES / "ic-int8.onnx").read_bytes())
    last = screen(describe(examine(str(path)), Asked(effort="low"))).splitlines()[-1]
    assert last == f"next   effaudit memory {path} --runtime tflm"


def test_what_was_not_asked_is_not_unknown() -> None:
    model = describe(examine("sample:ic"), Asked(effort="low"))
    text = "".join(render("text", memory([model]), Shown(tables=("figures",))))
    line = next(line for line in text.splitlines() if line.startswith("training_bytes"))
    assert "unknown" not in line


def test_patches_under_a_runtime_with_its_own_planner_are_not_looked_for_unasked() -> None:
    """Every tile asks that planner again: half a minute for a network of 550 nodes."""
    audited = examine("sample:kws")
    assert describe(audited, Asked(effort="low", runtime="ort-plain")).memory.patched is None
    assert describe(audited, Asked(effort="low", runtime="ort-plain", patch="auto")).memory.patched is not None
