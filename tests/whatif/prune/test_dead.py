"""Channels that nothing depends on go, and the outputs stay: ONNX Runtime runs both."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from effaudit import whatif
from effaudit.audited import Audited, examine
from effaudit.axes.terms import indices
from effaudit.errors import UsageError
from effaudit.save import save_model
from effaudit.whatif.prune import dead
from effaudit.whatif.prune.dead import rewrite
from effaudit.whatif.types import Change
from tests.axes.nets import NETS
from tests.whatif.running import model, run

SAMPLES = Path(__file__).parents[3] / "sample_models"


def same(source: Path, folder: Path, shape: tuple[int, ...], name: str) -> tuple[Audited, Change]:
    """The change, after both were run on the same random inputs and gave the same."""
    audited = examine(source)
    change = rewrite(audited)
    save_model(change.graph, folder / "alive.onnx")
    draw = np.random.default_rng(5)
    for _ in range(3):
        feeds = {name: draw.normal(size=shape).astype(np.float32)}
        for before, after in zip(run(source, feeds), run(folder / "alive.onnx", feeds), strict=True):
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-5)
    return audited, change


def test_the_sample_loses_exactly_what_was_laid_dead(tmp_path: Path) -> None:
    sys.path.insert(0, str(SAMPLES))
    try:
        from dead import GONE
    finally:
        sys.path.remove(str(SAMPLES))
    _, change = same(SAMPLES / "dead-channels.onnx", tmp_path, (2, 3, 16, 16), "input")
    gone = {
        detail.name.rpartition("/")[0]: int(detail.figures["channels_before"]) - int(detail.figures["channels_after"])
        for detail in change.details
    }
    assert gone == GONE
    assert change.loss == 0 and not change.retrain
    # a number that would meet the padding of a window, and one side of a residual
    assert {one.group for one in change.blocked} == {"stem/conv/Conv", "block/expand/Conv", "block/project/Conv"}
    assert sum(int(detail.figures["folded_into_biases"]) for detail in change.details) == 7


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "name",
    ["residual", "depthwise", "dense_block", "split_and_join", "flattened", "squeeze_excite", "decoder", "heads"],
)
def test_filters_zeroed_at_random(name: str, seed: int, tmp_path: Path) -> None:
    """Whatever goes and whatever stays, outputs are the same; what could not go was not cut."""
    model = NETS[name]()
    draw = np.random.default_rng(seed)
    for weight in model.graph.initializer:
        array = numpy_helper.to_array(weight).copy()
        if array.dtype != np.float32:
            continue
        matrix = array.ndim > 1
        for axis in range(min(array.ndim, 2)):
            places = draw.random(array.shape[axis]) < (0.3 if matrix else 0.15)
            if array.shape[axis] > 3 and not (weight.name.startswith("v")):
                np.moveaxis(array, axis, 0)[places] = 0
        weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    source = tmp_path / "net.onnx"
    onnx.save(model, source)
    (given,) = model.graph.input
    shape = tuple(dim.dim_value for dim in given.type.tensor_type.shape.dim)
    audited, change = same(source, tmp_path, shape, given.name)
    assert name in ("heads", "flattened") or change.details, "nothing dead was found"
    assert len(change.graph.nodes) >= len(audited.raw.nodes) - 2


def test_a_living_network_stays(tmp_path: Path) -> None:
    audited = examine("sample:ic")
    change = rewrite(audited)
    assert change.graph.nodes == audited.raw.nodes
    assert change.notes == ("no channel is dead: every one that may go is read, and depends on the input",)


def test_weights_are_needed() -> None:
    with pytest.raises(UsageError, match=r"pruning dead channels reads the weights, and .* has none"):
        rewrite(examine("sample:mobilenetv2"))


def test_numbers_are_followed_through_products(tmp_path: Path) -> None:
    """A channel that reads only numbers is one itself; scaled products and those without a bias take them on."""
    draw = np.random.default_rng(7)

    def weight(name: str, *shape: int) -> onnx.TensorProto:
        array = draw.uniform(0.5, 1.0, shape).astype(np.float32)
        if name == "w1":
            array[:4] = 0  # four numbers: the biases
        if name == "w2":
            array[0, 4:] = 0  # the first output reads only these
        return numpy_helper.from_array(array, name)

    nodes = [
        onnx.helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], name="one", transB=1),
        onnx.helper.make_node("Gemm", ["a", "w2", "b2"], ["b"], name="two", transB=1, alpha=0.5, beta=0.25),
        onnx.helper.make_node("MatMul", ["b", "w3"], ["y"], name="three"),
    ]
    value = onnx.helper.make_tensor_value_info
    weights = [weight("w1", 8, 3), weight("b1", 8), weight("w2", 6, 8), weight("b2", 6), weight("w3", 6, 2)]
    graph = onnx.helper.make_graph(nodes, "g", [value("x", 1, [2, 3])], [value("y", 1, [2, 2])], weights)
    source = tmp_path / "net.onnx"
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)]), source)
    _, change = same(source, tmp_path, (2, 3), "x")
    left = {detail.name: detail.figures["channels_after"] for detail in change.details}
    assert left == {"one": 4, "two": 5}
    assert [node.op for node in change.graph.nodes] == ["Gemm", "Gemm", "MatMul", "Add"]


def test_quantized_weights_say_that_pruning_comes_first() -> None:
    _, quantized = whatif.apply(examine(SAMPLES / "dead-channels.onnx"), whatif.parse("quantize", "int8"))
    change = rewrite(quantized)
    assert change.notes == ("no dead channel can go: 5 groups have filters of zeros, which stay",)
    assert "are in integers; prune first, then quantize" in change.blocked[0].reason


def test_every_product_is_looked_at_for_what_it_reads_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain of many layers takes a time that grows as it does."""
    many = 100
    weight = np.random.default_rng(1).standard_normal((3, 3)).astype(np.float32)
    built = model(
        [helper.make_node("MatMul", [f"x{i}", f"w{i}"], [f"x{i + 1}"]) for i in range(many)],
        {"x0": [1, 3]},
        {f"x{many}": [1, 3]},
        {f"w{i}": weight for i in range(many)},
    )
    onnx.save(built, tmp_path / "chain.onnx")
    looked = []
    monkeypatch.setattr(dead, "indices", lambda term, leaf: looked.append(leaf) or indices(term, leaf))
    rewrite(examine(tmp_path / "chain.onnx"))
    assert many / 2 < len(looked) < 10 * many
