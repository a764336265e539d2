"""Which kernels run alike: a kernel of every kind, built."""

from __future__ import annotations

from typing import Any

import pytest

from effaudit.device.types import OpClass
from effaudit.estimate.kinds import kind_of
from effaudit.estimate.types import NOTHING, Kernel
from effaudit.graph import Node
from effaudit.ops._registry import NCHWC
from effaudit.quantity import Quantity

Shape = tuple[int, ...] | None
ONE = Quantity(1, 1)


def kinds(
    op: str,
    op_class: OpClass,
    inputs: list[Shape],
    out: tuple[int, ...],
    axes: tuple[int, ...] | None = None,
    *,
    exact: bool = True,
    domain: str = "",
    **attrs: Any,
) -> tuple[str, tuple[str, ...]]:
    node = Node("n", domain, op, tuple(f"i{i}" for i in range(len(inputs))), ("o",), attrs)
    kernel = Kernel(0, "n", op, op_class, "float32", ONE, ONE, NOTHING, ONE, ONE, ONE)
    return kind_of(node, kernel, inputs, [out], axes, exact=exact)


def kind(*given: Any, **more: Any) -> str:
    return kinds(*given, **more)[0]


IMAGE, WEIGHT, OUT = (1, 32, 9, 9), (16, 32, 3, 3), (1, 16, 9, 9)


@pytest.mark.parametrize("op_class", ["conv", "pointwise", "depthwise", "grouped"])
def test_a_convolution_of_images_is_blocked_or_plain(op_class: OpClass) -> None:
    shapes: list[Shape] = [IMAGE, WEIGHT]
    assert kind("Conv", op_class, shapes, OUT) == f"{op_class} plain"
    assert kind("Conv", op_class, shapes, OUT, domain=NCHWC) == op_class
    assert kind("Conv", op_class, shapes, OUT, exact=False) == op_class, "a runtime would block it"


def test_a_first_layer_has_less_than_a_block_of_channels() -> None:
    first: list[Shape] = [(1, 3, 9, 9), (16, 3, 3, 3)]
    assert kind("Conv", "conv", first, OUT, domain=NCHWC) == "conv first"
    assert kind("Conv", "conv", first, OUT, exact=False) == "conv first"
    assert kind("Conv", "conv", first, OUT) == "conv plain", "one that was not blocked is plain"


@pytest.mark.parametrize(("rank", "said"), [(1, "conv 1d"), (3, "conv 3d")])
def test_of_another_rank_it_is_another_kind(rank: int, said: str) -> None:
    fed = (1, 32, *(9,) * rank)
    found, like = kinds("Conv", "conv", [fed, (16, 32, *(3,) * rank)], (1, 16, *(9,) * rank))
    assert found == said and like[0] == "conv plain"


@pytest.mark.parametrize(("out", "row"), [((1, 7), True), ((1, 1, 7), True), ((2, 7), False), ((1, 3, 7), False)])
def test_one_row_is_bound_by_its_weights(out: tuple[int, ...], row: bool) -> None:
    assert kind("Gemm", "fully_connected", [out, (5, 7)], out) == "fully_connected" + " row" * row
    assert kind("MatMulNBits", "fully_connected", [out, (5, 7)], out) == "MatMulNBits" + " row" * row


def test_products_of_two_activations_have_a_row_where_each_of_them_has() -> None:
    assert kind("MatMul", "matmul", [(1, 8, 1, 4), (1, 8, 4, 9)], (1, 8, 1, 9)) == "matmul row"
    assert kind("MatMul", "matmul", [(1, 8, 6, 4), (1, 8, 4, 9)], (1, 8, 6, 9)) == "matmul"
    assert kinds("MatMul", "matmul", [(1, 8, 1, 4), None], (1, 8, 1, 9))[1][0] == "fully_connected row"


@pytest.mark.parametrize("op_class", ["transposed", "attention"])
def test_some_classes_are_kinds(op_class: OpClass) -> None:
    assert kind("Any", op_class, [IMAGE], OUT) == op_class


def test_the_other_operand_may_be_smaller() -> None:
    wide = (1, 32, 9, 9)
    assert kind("Add", "elementwise", [wide, wide], wide) == "Add"
    assert kind("Add", "elementwise", [wide, (32, 1, 1)], wide) == "Add broadcast"
    assert kind("Add", "elementwise", [(32, 1, 1), wide], wide) == "Add broadcast"
    assert kind("Add", "elementwise", [wide, ()], wide) == "Add", "a scalar is held in a register"
    assert kind("Add", "elementwise", [wide, None], wide) == "Add"
    assert kinds("Add", "elementwise", [wide, (32, 1, 1)], wide)[1][0] == "Add"


@pytest.mark.parametrize(
    ("axis", "said"), [(-1, "Softmax"), (2, "Softmax"), (1, "Softmax inner"), (0, "Softmax inner")]
)
def test_a_softmax_along_the_last_axis_is_another_loop(axis: int, said: str) -> None:
    assert kind("Softmax", "softmax", [(2, 3, 4)], (2, 3, 4), axis=axis) == said


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ((2,), "ReduceMean"),
        ((-1,), "ReduceMean"),
        ((1, 2), "ReduceMean"),
        ((1,), "ReduceMean inner"),
        (None, "ReduceMean"),
    ],
)
def test_a_reduction_along_the_last_axis_is_another_loop(axes: tuple[int, ...] | None, said: str) -> None:
    assert kind("ReduceMean", "reduction", [(2, 3, 4)], (2, 3, 1), axes) == said


@pytest.mark.parametrize(
    ("perm", "shape", "said"),
    [
        ((0, 2, 1, 3), (1, 2, 3, 4), "Transpose"),
        ((0, 2, 3, 1), (1, 2, 3, 4), "Transpose moved"),
        (None, (3, 2), "Transpose moved"),
        ((), (), "Transpose"),
        ((0,), (5,), "Transpose"),
    ],
)
def test_a_transposition_keeps_the_last_axis_or_moves_it(
    perm: tuple[int, ...] | None, shape: tuple[int, ...], said: str
) -> None:
    attrs = {} if perm is None else {"perm": perm}
    assert kind("Transpose", "movement", [shape], shape, **attrs) == said


def test_operators_that_do_nearly_the_same_are_one_kind() -> None:
    shape = (1, 8)
    for one, other in (
        ("Less", "Greater"),
        ("LogSoftmax", "Softmax"),
        ("SimplifiedLayerNormalization", "LayerNormalization"),
    ):
        assert kind(one, "other", [shape], shape) == kind(other, "other", [shape], shape)


def test_in_blocks_is_a_kind_of_its_own() -> None:
    shape = (1, 16, 9, 9)
    found, like = kinds("MaxPool", "pooling", [shape], shape, domain=NCHWC)
    assert found == "MaxPool blocked" and like[0] == "MaxPool" and like[-1] == "pooling"


def test_no_kind_is_like_itself() -> None:
    shape = (1, 16, 9, 9)
    made = [
        kinds("Add", "elementwise", [shape, (16, 1, 1)], shape),
        kinds("Relu", "elementwise", [shape], shape),
        kinds("Gemm", "fully_connected", [(1, 4), (4, 4)], (1, 4)),
        kinds("MatMulNBits", "fully_connected", [(3, 4), (4, 4)], (3, 4)),
    ]
    for found, like in made[:3]:
        assert found not in like
    assert all(like for _, like in made)
