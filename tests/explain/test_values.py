"""Inputs that are given by their values: `Reshape shape=6x-1`, `TopK k=5`."""

from __future__ import annotations

import numpy as np
import pytest

from effaudit.errors import UsageError
from effaudit.explain.element_types import takes_list, takes_number
from effaudit.explain.operator import calculate_operator
from tests.explain.test_element_types import STANDARD

X = np.arange(24.0, dtype=np.float32).reshape(2, 3, 4)
# A call as people write it, and what numpy makes of the same.
CALLS = {
    "Reshape data=2x3x4 shape=6x-1": X.reshape(6, -1),
    "Reshape data=2x3x4 shape=24": X.reshape(24),
    "Expand input=2x3x4 shape=5,1,1,1": np.broadcast_to(X, (5, 2, 3, 4)),
    "Tile input=2x3x4 repeats=1x2x3": np.tile(X, (1, 2, 3)),
    "Slice data=2x3x4 starts=1 ends=3 axes=2": X[:, :, 1:3],
    "Slice data=2x3x4 starts=-1,0 ends=-3,4 axes=1,2 steps=-1,2": X[:, -1:-3:-1, 0:4:2],
    "Squeeze data=1x4x1 axes=0": np.squeeze(np.zeros((1, 4, 1)), 0),
    "Unsqueeze data=2x3x4 axes=0,-1": np.expand_dims(X, (0, -1)),
    "ReduceMean data=2x3x4 axes=1,2": X.mean((1, 2), keepdims=True),
    "Pad data=2x3x4 pads=0,1,0,0,1,2": np.pad(X, ((0, 0), (1, 1), (0, 2))),
    "ConstantOfShape input=3x4": np.zeros((3, 4)),
    "OneHot indices=4x5 depth=10 values=2": np.eye(10)[np.zeros((4, 5), int)],
    "Range start=0 limit=10 delta=3": np.arange(0, 10, 3),
    "Range start=1 limit=-1 delta=-0.5": np.arange(1, -1, -0.5),
    "CumSum x=2x3x4 axis=1": np.cumsum(X, 1),
    "HannWindow size=16": np.hanning(16),
    "Trilu input=4x4 k=1": np.triu(np.zeros((4, 4)), 1),
    "DFT input=1x16x1 dft_length=8": np.zeros((1, 8, 2)),
    "TopK x=2x3x4 k=2": np.sort(X)[..., :2],
    "Resize x=1x3x8x8 scales=1,1,2,2": np.zeros((1, 3, 16, 16)),
    "Resize x=1x3x8x8 sizes=1x3x16x20": np.zeros((1, 3, 16, 20)),
    "Split input=6x4 split=2,4 outputs=2": np.zeros((2, 4)),
}


def shape_of(line: str) -> tuple[object, ...]:
    op, *rest = line.split()
    return calculate_operator(op, dict(item.split("=", 1) for item in rest)).outputs[0].shape or ()


@pytest.mark.parametrize("line", CALLS)
def test_plain_numbers_are_the_values(line: str) -> None:
    assert shape_of(line) == CALLS[line].shape


def test_brackets_say_the_same() -> None:
    assert shape_of("Reshape data=2x3x4 shape=[6,-1]") == shape_of("Reshape data=2x3x4 shape=6x-1") == (6, 4)


def test_an_element_type_makes_a_shape_of_it() -> None:
    assert shape_of("Reshape data=2x3x4 shape=2:int64") == ("u1", "u2")


@pytest.mark.parametrize("line", ["Reshape data=2x3 shape=Bx3", "TopK x=4x8 k=abc", "Squeeze data=1x2 axes="])
def test_what_is_no_list_of_numbers(line: str) -> None:
    with pytest.raises(UsageError, match=r"expected its values, such as .*=6x4; .*=2:int64 is one whose values"):
        shape_of(line)


@pytest.mark.parametrize("line", ["CumSum x=4x5 axis=1,2", "OneHot indices=4 depth=N values=2"])
def test_what_is_no_number(line: str) -> None:
    with pytest.raises(UsageError, match=r"expected its value, such as .*=5; .*=scalar:int64 is one whose value"):
        shape_of(line)


def test_these_inputs_hold_whole_numbers_by_their_schemas() -> None:
    """But for the factors of a Resize and an Upsample, and a Range and a OneHot, which may count in anything."""
    seen = set()
    for op, name, _, types in STANDARD:
        if takes_list("", op, name) or takes_number("", op, name):
            seen.add((op, name))
            assert "int64" in types or name == "scales", (op, name)
            assert "float" not in types or op in ("OneHot", "Range", "Resize", "Upsample"), (op, name)
    assert {("Reshape", "shape"), ("Slice", "steps"), ("Trilu", "k"), ("TopK", "k")} <= seen and len(seen) > 40
