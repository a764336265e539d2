"""Determinants against runs and loops."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit import dims

from . import oracle
from .oracle import check, random


@pytest.mark.parametrize(("shape", "opset"), [((3, 3), 11), ((2, 4, 4), 11), ((2, 5, 1, 1), 22)])
def test_det(shape: tuple[int, ...], opset: int) -> None:
    check("Det", [random(*shape)], opset=opset, run_as=11, tie=len(shape) == 3)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_counts_what_an_elimination_does(n: int) -> None:
    x, ops = random(n, n).astype(np.float64) + np.eye(n), 0
    work = x.copy()
    for k in range(n):
        for i in range(k + 1, n):
            factor = work[i, k] / work[k, k]
            ops += 1
            for j in range(k + 1, n):
                work[i, j] -= factor * work[k, j]
                ops += 2
    result = work[0, 0]
    for k in range(1, n):
        result, ops = result * work[k, k], ops + 1
    assert result == pytest.approx(np.linalg.det(x))
    graph = check("Det", [x.astype(np.float32)], opset=11)
    assert oracle.cost(graph).ops == ops
    symbolic = oracle.cost(oracle.infer(oracle.symbolised(oracle.single_node("Det", [x], opset=11), tie=True)[0]))
    assert dims.evaluate(symbolic.ops, {f"d{n}s": n}) == ops


def test_invalid_nodes_are_unknown_with_the_reason() -> None:
    for x in (random(3), random(2, 3)):
        graph = oracle.infer(oracle.single_node("Det", [x], opset=11))
        assert oracle.value(graph).why.startswith("invalid Det")
