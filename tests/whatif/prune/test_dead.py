"""Channels that nothing depends on go, and the outputs stay: ONNX Runtime runs both."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from effaudit.audited import Audited, examine
from effaudit.errors import UsageError
from effaudit.save import save_model
from effaudit.whatif.prune.dead import rewrite
from effaudit.whatif.types import Change
from tests.axes.nets import NETS
from tests.whatif.running import run

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
