"""Batch norms and constants folded into the product before them."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.lower import norms
from effaudit.lower._rewrite import FUSED
from effaudit.lower.as_if import as_if
from tests.lower.graphs import assert_sound, dq, graph, n, only, ops, q

CONV = n("Conv", "x w", "c")
NORM = n("BatchNormalization", "c b b b b", "y")


def test_a_batch_norm_behind_a_convolution() -> None:
    found = norms.fold(graph(CONV, NORM))
    assert_sound(found)
    conv = only(found, "Conv")
    assert ops(found) == ["Conv"]
    assert (conv.inputs, conv.outputs, conv.attrs[FUSED]) == (("x", "w"), ("y",), ("n_y",))


def test_a_batch_norm_in_training_is_computed() -> None:
    given = graph(CONV, n("BatchNormalization", "c b b b b", "y m v", training_mode=1))
    assert norms.fold(given) is given


def test_a_batch_norm_of_fed_statistics_is_computed() -> None:
    shapes = {"x": (1, 4, 6, 6), "m": (4,)}
    given = graph(CONV, n("BatchNormalization", "c b b m b", "y"), inputs=shapes)
    assert norms.fold(given) is given


def test_a_batch_norm_behind_a_sum_is_computed() -> None:
    given = graph(CONV, n("Add", "c x2", "a"), n("BatchNormalization", "a b b b b", "y"), inputs={
        "x": (1, 4, 6, 6), "x2": (1, 4, 4, 4)
    })  # fmt: skip
    assert norms.fold(given) is given


def test_several_in_a_row() -> None:
    found = norms.fold(graph(CONV, n("Mul", "c c4", "m"), n("Add", "one m", "a"), n("Div", "a one", "y")))
    assert ops(found) == ["Conv"]
    assert only(found, "Conv").attrs[FUSED] == ("n_m", "n_a", "n_y")


@pytest.mark.parametrize("shape", [(1, 1, 4), (4,), (1, 4, 4), (2, 4, 1, 1), (4, 4, 4)])
def test_constants_that_are_no_channels(shape: tuple[int, ...]) -> None:
    """Of a convolution's 1x4x4x4 output: other axes than that of the channels, or a larger result."""
    given = graph(CONV, n("Mul", "c k", "y"), weights={"k": np.ones(shape, np.float32)})
    assert norms.fold(given) is given


@pytest.mark.parametrize("op", ["Sub", "Div"])
def test_a_constant_less_the_product_is_computed(op: str) -> None:
    given = graph(CONV, n(op, "one c", "y"))
    assert norms.fold(given) is given


def test_a_bias_behind_a_matrix_product() -> None:
    shapes = {"x": (2, 3, 4)}
    found = norms.fold(
        graph(n("MatMul", "x k", "m"), n("Add", "b m", "y"), inputs=shapes, weights={"k": np.ones((4, 4))})
    )
    assert ops(found) == ["MatMul"]


def test_a_product_of_two_activations_takes_a_shift_but_no_scale() -> None:
    """A shift is a bias whatever the operands are; a scale has no weights to go into."""
    shapes = {"x": (3, 4), "x2": (4, 4)}
    assert ops(norms.fold(graph(n("MatMul", "x x2", "m"), n("Add", "m b", "y"), inputs=shapes))) == ["MatMul"]
    assert ops(norms.fold(graph(n("MatMul", "x x2", "m"), n("Mul", "m b", "y"), inputs=shapes))) == ["MatMul", "Mul"]


def test_not_across_a_quantizer() -> None:
    nodes = (CONV, q("c", "cq"), dq("cq", "cd"), n("BatchNormalization", "cd b b b b", "y"))
    given = graph(*nodes)
    assert norms.fold(given) is given


def test_a_graph_as_if_quantized_has_its_norms_folded_still() -> None:
    assert ops(norms.fold(as_if(graph(CONV, NORM), "int8"))) == ["Conv"]


def test_a_tensor_that_is_a_graph_output_stays() -> None:
    given = graph(CONV, NORM, outputs="c y")
    assert norms.fold(given) is given


def test_20_000_shifts_in_a_row() -> None:
    chain = [n("Add", f"t{i} one", f"t{i + 1}") for i in range(20000)]
    found = norms.fold(graph(n("Conv", "x w", "t0"), *chain, outputs="t20000"))
    assert ops(found) == ["Conv"]
    assert found.nodes[0].outputs == ("t20000",)
