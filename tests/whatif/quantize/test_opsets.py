"""Bringing models forward, against the schemas of onnx and ONNX Runtime's results."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import defs, helper

from effaudit.audited import examine
from effaudit.graph import Node
from effaudit.save import save_model
from effaudit.whatif.draft import Draft
from effaudit.whatif.quantize.opsets import OLDEST, bring_forward, differs, raised
from tests.whatif.running import model, same_outputs


def test_every_operator_that_lost_an_attribute_or_gained_an_input_is_known() -> None:
    """What a schema shows of a change: an attribute or an input is gone, an input is needed now, a default differs."""
    versions: dict[str, dict[int, defs.OpSchema]] = {}
    for schema in defs.get_all_schemas_with_history():
        if not schema.domain:
            versions.setdefault(schema.name, {})[schema.since_version] = schema
    checked = 0
    for name, known in versions.items():
        ordered = sorted(known)
        for before, after in pairwise(ordered):
            old, new = known[before], known[after]
            gone = set(old.attributes) - set(new.attributes)
            other = {
                key
                for key in set(old.attributes) & set(new.attributes)
                if str(old.attributes[key].default_value) != str(new.attributes[key].default_value)
            }
            broken = gone or other or new.deprecated or new.min_input > old.min_input
            if after > OLDEST and (broken or len(new.inputs) < len(old.inputs)):
                attrs = dict.fromkeys(gone or old.attributes, 1)
                assert differs(Node("", "", name, ("x",), ("y", "z"), attrs), after), (name, after)
                checked += 1
    assert checked > 20


def spelt_of_old(folder: Path) -> Path:
    """A model of opset 11 with every operator that can be spelt anew."""
    nodes = [
        helper.make_node("ReduceMean", ["x"], ["a"], axes=[2, 3], keepdims=1),
        helper.make_node("Sub", ["x", "a"], ["b"]),
        helper.make_node("ReduceSum", ["b"], ["c"], axes=[3], keepdims=0),
        helper.make_node("Unsqueeze", ["c"], ["d"], axes=[3]),
        helper.make_node("Squeeze", ["d"], ["e"], axes=[3]),
        helper.make_node("Split", ["e"], ["f", "g"], axis=1, split=[1, 3]),
        helper.make_node("Split", ["g"], ["h0", "h1", "h2"], axis=1),
        helper.make_node("Concat", ["f", "h2", "h0", "h1"], ["i"], axis=1),
        helper.make_node("Softmax", ["i"], ["j"], axis=2),
        helper.make_node("ReduceMax", ["j"], ["y"], axes=[1], keepdims=1),
    ]
    path = folder / "old.onnx"
    onnx.save(model(nodes, {"x": [2, 4, 3, 5]}, {"y": [2, 1, 3]}, {}, opset=11), path)
    return path


@pytest.mark.parametrize("needed", [13, 18, 21])
def test_a_model_that_is_spelt_anew_does_the_same(tmp_path: Path, needed: int) -> None:
    path = spelt_of_old(tmp_path)
    audited = examine(path)
    assert "changed in opset 13" in raised(audited.raw, needed)
    draft = Draft(audited)
    assert bring_forward(draft, needed) == "" and draft.opsets[""] == needed
    save_model(draft.graph(), tmp_path / "new.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "new.onnx"), full_check=True)
    x = np.random.default_rng(0).normal(size=(2, 4, 3, 5)).astype(np.float32)
    same_outputs(path, tmp_path / "new.onnx", {"x": x})


@pytest.mark.parametrize(
    ("node", "opset", "needed", "said"),
    [
        (helper.make_node("Softmax", ["x"], ["y"], axis=1), 11, 13, "Softmax, as .*, changed in opset 13"),
        (helper.make_node("Upsample", ["x", "s"], ["y"]), 9, 13, "Upsample, as 'y', changed in opset 10"),
        (helper.make_node("Relu", ["x"], ["y"]), 6, 13, "older than opset 7"),
    ],
)
def test_what_changed_meaning_stays_where_it_is(
    tmp_path: Path, node: onnx.NodeProto, opset: int, needed: int, said: str
) -> None:
    constants = {"s": np.ones(4, np.float32)} if "s" in node.input else {}
    path = tmp_path / "m.onnx"
    onnx.save(model([node], {"x": [1, 2, 3, 4]}, {"y": [1, 2, 3, 4]}, constants, opset=opset), path)
    draft = Draft(examine(path))
    why = bring_forward(draft, needed)
    assert why.startswith(f"it needs opset {needed} and the model states {opset}") and draft.opsets[""] == opset
    assert re.search(said, why)
