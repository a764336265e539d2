"""Partitions against ONNX Runtime's own mobile usability checker, on real graphs and the shipped samples."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from onnxruntime.tools.mobile_helpers import usability_checker
from onnxruntime.tools.onnx_model_utils import optimize_model

from effaudit.load import infer, read
from effaudit.load.files import sample_folder
from effaudit.support import find
from tests.corpus.score import folder

from . import checker, ours, score
from .checker import IS_THAT_VERSION, LISTS, VERSION
from .score import Agreement

pytestmark = pytest.mark.skipif(not IS_THAT_VERSION, reason=f"the sets are those of onnxruntime {VERSION}")
CORPUS = folder()
SAMPLES = score.files()
# Every third graph of the corpus: all of them agree in the same way, in half a minute (`tests.support.score`).
GRAPHS = [path for path in score.files(CORPUS) if path not in SAMPLES][::3]


@cache
def agreements(path: Path) -> tuple[Agreement, ...]:
    return tuple(score.agreement(path))


@pytest.mark.parametrize("path", SAMPLES + GRAPHS, ids=lambda path: path.name)
def test_the_partitions_are_those_of_the_checker(path: Path) -> None:
    """Node by node and partition by partition. Where effaudit knows shapes that the checker does not, it must come to
    the checker's partitions when it is given the checker's shapes, and every node judged differently without them has
    one of the causes of `score.CAUSES`."""
    for one in agreements(path):
        assert one.theirs == one.given, (one.name, one.fixed)
        assert one.causes[""] == 0 and set(one.causes) <= set(score.CAUSES), (one.name, one.fixed, one.causes)
        assert one.same == (not one.causes) or one.refused, (one.name, one.fixed)
        if one.refused:
            assert one.fixed and not checker.loaded(path).graph.value_info


@pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
def test_most_graphs_agree_as_they_are() -> None:
    """Under every set, fixed shapes or not, with effaudit's own shapes: at least 40."""
    alike = [path.name for path in GRAPHS if all(one.same and not one.refused for one in agreements(path))]
    assert len(alike) >= 40, alike


@pytest.mark.parametrize("name", ["ad", "ic", "vww-int8", "unet", "lstm", "dynamic", "control-flow"])
def test_after_the_optimizer_the_checker_runs_first(name: str, tmp_path: Path) -> None:
    """`analyze_model` folds constants and shapes first: the same partitions of what ONNX Runtime then writes."""
    path = tmp_path / f"{name}.onnx"
    optimize_model(Path(sample_folder()) / f"{name}.onnx", path)
    for one in score.agreement(path):
        assert one.theirs == one.given, one.name
        assert one.same == (not one.causes) or one.refused


def test_the_whole_command_runs_on_a_sample(caplog: pytest.LogCaptureFixture) -> None:
    """What it prints of NNAPI is what effaudit counts."""
    path = Path(sample_folder()) / "ic.onnx"
    with caplog.at_level("INFO", logger="usability_checker"):
        assert usability_checker.analyze_model(path, skip_optimize=True)
    found = ours.count(infer(read(str(path))), ours.judged(ours.bare(find("onnxruntime-nnapi"), fixed=True)))
    said = f"{len(found.partitions)} partitions with a total of {len(found.taken)}/{found.nodes} nodes"
    assert said in caplog.text


@pytest.mark.parametrize("name", LISTS)
def test_the_sets_have_every_operator_of_the_lists(name: str) -> None:
    corrected = {"ai.onnx:Argmax": "ai.onnx:ArgMax", "ai.onnx.ReduceSum": "ai.onnx:ReduceSum"}
    there = {f"{domain or 'ai.onnx'}:{op}" for domain, op in find(name).operators}
    assert there == {corrected.get(op, op) for op in checker.listed(name)}
