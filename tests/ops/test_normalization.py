"""Normalization, softmax and dropout against runs, and their counts against loops."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from . import oracle
from .oracle import check, random, scalar

X = random(2, 6, 4, 5)
C = random(6, seed=1)


@pytest.mark.parametrize(("opset", "outputs", "training"), [(7, 1, 0), (9, 1, 0), (14, 1, 0), (15, 3, 1), (17, 1, 0)])
def test_batch_normalization(opset: int, outputs: int, training: int) -> None:
    attrs = {"training_mode": training} if opset >= 14 else {}
    graph = check("BatchNormalization", [X, C, C, C, C], attrs, opset=opset, outputs=outputs)
    assert oracle.cost(graph).ops == (5 * X.size + 36 if training else 2 * X.size)


def test_batch_normalization_trains_with_five_outputs() -> None:
    """Before version 14 the further outputs mean training; no runtime has that any more."""
    graph = check("BatchNormalization", [X, C, C, C, C], opset=9, outputs=5, expected=[X, C, C, C, C])
    assert oracle.cost(graph).ops == 5 * X.size + 36


def test_batch_normalization_of_mixed_types() -> None:
    half = X.astype(np.float16)
    check("BatchNormalization", [half, C, C, C, C], {"training_mode": 1}, opset=15, outputs=3, expected=[half, C, C])


@pytest.mark.parametrize("shape", [(2, 6, 4), (2, 6, 4, 5), (3, 6)])
def test_batch_normalization_of_any_rank(shape: tuple[int, ...]) -> None:
    check("BatchNormalization", [random(*shape), C, C, C, C])


@pytest.mark.parametrize("opset", [7, 22])
def test_instance_normalization(opset: int) -> None:
    graph = check("InstanceNormalization", [X, C, C], opset=opset)
    assert oracle.cost(graph).ops == 5 * X.size


@pytest.mark.parametrize(("axis", "outputs"), [(-1, 1), (-1, 3), (1, 3), (2, (1, 0, 1)), (0, 3), (-2, 1)])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_normalization(axis: int, outputs: Any, bias: bool) -> None:
    rest = X.shape[axis:]
    inputs = [X, random(*rest), random(*rest)][: 3 if bias else 2]
    graph = check("LayerNormalization", inputs, {"axis": axis}, outputs=outputs)
    assert oracle.cost(graph).ops == X.size * (5 if bias else 4)


def test_layer_normalization_keeps_statistics_in_float() -> None:
    half = X.astype(np.float16)
    check("LayerNormalization", [half, random(5, dtype=np.float16)], outputs=3)


@pytest.mark.parametrize(("opset", "width"), [(18, 3), (21, 6)])
def test_group_normalization(opset: int, width: int) -> None:
    affine = random(width)
    graph = check("GroupNormalization", [X, affine, affine], {"num_groups": 3}, opset=opset)
    assert oracle.cost(graph).ops == 5 * X.size


@pytest.mark.parametrize("axis", [-1, 2])
def test_rms_normalization(axis: int) -> None:
    graph = check("RMSNormalization", [X, random(*X.shape[axis:])], {"axis": axis}, opset=23)
    assert oracle.cost(graph).ops == 3 * X.size


@pytest.mark.parametrize("opset", [7, 13])
def test_lrn(opset: int) -> None:
    graph = check("LRN", [X], {"size": 3}, opset=opset)
    assert oracle.cost(graph).ops == 7 * X.size


@pytest.mark.parametrize(
    ("op", "attrs", "opset"),
    [
        ("LpNormalization", {"axis": 1, "p": 1}, 7),
        ("LpNormalization", {}, 22),
        ("MeanVarianceNormalization", {}, 9),
        ("MeanVarianceNormalization", {"axes": [0, 2, 3]}, 13),
    ],
)
def test_other_normalizations(op: str, attrs: dict[str, Any], opset: int) -> None:
    check(op, [X], attrs, opset=opset)


@pytest.mark.parametrize("op", ["Softmax", "LogSoftmax", "Hardmax"])
@pytest.mark.parametrize(("opset", "attrs"), [(7, {}), (11, {"axis": -2}), (13, {}), (13, {"axis": 0})])
def test_softmax(op: str, opset: int, attrs: dict[str, Any]) -> None:
    graph = check(op, [X], attrs, opset=opset)
    assert oracle.cost(graph).ops == X.size * (2 if op == "Hardmax" else 5)


def test_softmax_counts_what_a_loop_does() -> None:
    rows, ops = random(3, 4), 0
    for row in rows:
        top = row[0]
        for x in row:
            top, ops = max(top, x), ops + 1
        powers = []
        for x in row:
            powers.append(math.exp(x - top))
            ops += 2
        total = 0.0
        for p in powers:
            total, ops = total + p, ops + 1
        ops += len([p / total for p in powers])
    assert oracle.cost(check("Softmax", [rows], opset=13)).ops == ops


@pytest.mark.parametrize(("opset", "outputs"), [(7, 1), (7, 2), (10, 2), (12, 2), (13, 1), (22, 2)])
def test_dropout_at_inference(opset: int, outputs: int) -> None:
    graph = check("Dropout", [X], {"ratio": 0.25} if opset < 12 else {}, opset=opset, outputs=outputs)
    assert oracle.cost(graph).ops == 0


@pytest.mark.parametrize("constant", [[1, 2], []])
@pytest.mark.parametrize("training", [True, False])
def test_dropout_mode(constant: list[int], training: bool) -> None:
    inputs = [X, scalar(0.5, np.float32), scalar(training, np.bool_)]
    graph = check("Dropout", inputs, opset=13, outputs=2, constant=constant)
    assert oracle.cost(graph).ops == (0 if constant and not training else 3 * X.size)


def test_dropout_passes_known_values_only_at_inference() -> None:
    data = np.array([1, 2, 3], np.float32)
    fixed = check("Dropout", [data], opset=13, constant=True)
    assert oracle.value(fixed).data == (1.0, 2.0, 3.0)
    modes = [data, scalar(0.9, np.float32), scalar(True, np.bool_)]
    assert oracle.value(check("Dropout", modes, opset=13, constant=True)).data is None


@pytest.mark.parametrize(
    ("op", "inputs", "attrs"),
    [
        ("Softmax", [X], {"axis": 4}),
        ("LayerNormalization", [X, C], {"axis": 9}),
        ("GroupNormalization", [X, C, C], {"num_groups": 4}),
        ("MeanVarianceNormalization", [X], {"axes": [7]}),
        ("Softmax", [scalar(1, np.float32)], {}),
    ],
)
def test_invalid_nodes_are_unknown_with_the_reason(op: str, inputs: list[Any], attrs: dict[str, Any]) -> None:
    graph = oracle.infer(oracle.single_node(op, inputs, attrs, opset=21))
    assert oracle.value(graph).shape is None
    assert oracle.value(graph).why.startswith(f"invalid {op}")
