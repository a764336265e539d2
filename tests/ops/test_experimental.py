"""What ONNX Runtime keeps in the ai.onnx domain beside the standard."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from effaudit.ops._registry import find
from tests.ops.oracle import check, cost, infer, ints, random, single_node, value

X = random(2, 3, 4, 8)
N = X.size


def test_simplified_layer_normalization() -> None:
    graph = check("SimplifiedLayerNormalization", [X, random(8)], {"axis": -1}, outputs=2)
    assert cost(graph).ops == 3 * N


CASES = [
    ("Affine", [X], {"alpha": 2.0, "beta": 1.0}, 2),
    ("ImageScaler", [X], {"bias": [0.1, 0.2, 0.3], "scale": 2.0}, 2),
    ("ParametricSoftplus", [X], {"alpha": 2.0, "beta": 1.0}, 5),
    ("Scale", [X], {"scale": 2.0}, 1),
    ("ScaledTanh", [X], {"alpha": 2.0, "beta": 1.0}, 3),
]


@pytest.mark.parametrize(("op", "inputs", "attrs", "each"), CASES, ids=[case[0] for case in CASES])
def test_elementwise(op: str, inputs: Any, attrs: dict[str, Any], each: int) -> None:
    made = infer(single_node(op, inputs, attrs, 10))
    assert value(made).shape == X.shape
    assert cost(made).ops == each * N


def test_movement() -> None:
    assert value(infer(single_node("Crop", [X], {"border": [1, 0, 2, 1]}, 10))).shape == (2, 3, 3, 5)
    assert value(infer(single_node("Crop", [X], {"border": [1, 0, 2, 1], "scale": [2, 2]}, 10))).shape == (2, 3, 2, 2)
    sliced = single_node("DynamicSlice", [X, ints(1), ints(3), ints(3)], {}, 10, "", 1, [1, 2, 3])
    assert value(infer(sliced)).shape == (2, 3, 4, 2)
    assert value(infer(single_node("MemcpyToHost", [np.zeros((2, 3))], {}, 10))).shape == (2, 3)


@pytest.mark.parametrize("op", ["GRUUnit", "GivenTensorFill", "EfficientNMS_TRT"])
def test_plugins_are_not_priced(op: str) -> None:
    rules = find("", op)
    assert rules is not None and rules.unpriced
