"""Random tensors against runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from . import oracle
from .oracle import check, random

X = random(3, 4)


@pytest.mark.parametrize("op", ["RandomNormal", "RandomUniform"])
@pytest.mark.parametrize(
    ("opset", "attrs"),
    [
        (7, {"shape": [2, 3]}),
        (13, {"shape": [5], "dtype": TensorProto.DOUBLE}),
        (22, {"shape": [2, 3], "dtype": 1}),
    ],
)
def test_drawn_by_shape(op: str, opset: int, attrs: dict[str, Any]) -> None:
    graph = check(op, [], attrs, opset=opset, run_as=13)
    assert oracle.cost(graph).ops == 3 * np.prod(attrs["shape"])


@pytest.mark.parametrize("op", ["RandomNormalLike", "RandomUniformLike"])
@pytest.mark.parametrize(("opset", "attrs"), [(7, {}), (13, {"dtype": TensorProto.DOUBLE}), (22, {})])
def test_drawn_like(op: str, opset: int, attrs: dict[str, Any]) -> None:
    assert oracle.cost(check(op, [X], attrs, opset=opset, run_as=13)).ops == 36


@pytest.mark.parametrize(
    ("opset", "attrs"),
    [
        (7, {}),
        (7, {"sample_size": 6}),
        (22, {"sample_size": 6, "dtype": TensorProto.INT64}),
    ],
)
def test_multinomial(opset: int, attrs: dict[str, Any]) -> None:
    graph = check("Multinomial", [X], attrs, opset=opset, run_as=7)
    assert oracle.cost(graph).ops == 24 + 3 * attrs.get("sample_size", 1)


@pytest.mark.parametrize(("opset", "attrs"), [(15, {}), (15, {"dtype": TensorProto.BOOL}), (22, {})])
def test_bernoulli(opset: int, attrs: dict[str, Any]) -> None:
    assert oracle.cost(check("Bernoulli", [X], attrs, opset=opset, run_as=15)).ops == 24


def test_invalid_nodes_are_unknown_with_the_reason() -> None:
    for attrs in ({"shape": [-1]}, {"shape": [1], "dtype": 99}):
        graph = oracle.infer(oracle.single_node("RandomNormal", [], attrs, opset=13))
        assert oracle.value(graph).why.startswith("invalid RandomNormal")
