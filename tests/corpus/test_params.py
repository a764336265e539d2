"""Parameter counts against the frameworks': equal, or different for a reason that is written down."""

from __future__ import annotations

import json

import pytest

from effaudit.graph import Graph
from effaudit.load import Given, load
from effaudit.weights import classify

from .params import CLASSES, FOLDED, explained
from .score import folder, rows

CORPUS = folder()
pytestmark = pytest.mark.skipif(CORPUS is None, reason="the corpus is not beside this checkout")
ROWS = {row["file"]: row for row in rows(CORPUS) if row["params_truth"]} if CORPUS is not None else {}
# These rename the weights of convolutions, or the convolutions themselves.
RENAMING = ("q_dynamic", "q_qop_u8", "ortopt_all", "ortopt_ext")


def graph(file: str) -> Graph:
    assert CORPUS is not None
    fed = json.loads(ROWS[file]["fed_shapes"])
    return load(CORPUS / "models" / file, Given(shapes={name: tuple(shape) for name, shape in fed.items()}))


def test_rows_name_files_and_classes() -> None:
    for file, parts in explained().items():
        assert file in ROWS
        assert parts.keys() <= CLASSES.keys()
        assert all(parts.values())


def test_every_difference_is_explained_to_the_unit_and_no_other() -> None:
    found = {}
    for file, row in ROWS.items():
        difference = classify(graph(file)).params - int(row["params_truth"])
        if difference:
            found[file] = difference
    assert found == {file: sum(parts.values()) for file, parts in explained().items()}


@pytest.mark.parametrize(
    "file",
    [f for f, r in ROWS.items() if r["exporter"] == "ts" and r["variant"] not in RENAMING],
)
def test_folded_norms(file: str) -> None:
    """TorchScript's exporter renames the weight of a convolution it folds a norm into."""
    g = graph(file)
    convs = [node for node in g.nodes if node.op in ("Conv", "ConvTranspose")]
    channels = [g.values[node.outputs[0]].shape[1] for node in convs if "onnx::Conv" in node.inputs[1]]
    assert sum(channels) == -explained().get(file, {}).get(FOLDED, 0)
