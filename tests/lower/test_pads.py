"""Zero padding taken into the convolution: the output is the same, element by element."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from msgspec.structs import replace
from onnx import helper

from effaudit.lower import explicit_pads, pads
from effaudit.lower.depthwise import is_marked, mark
from effaudit.table import price
from tests.lower.graphs import assert_sound, graph, loaded, model, n, only, ops

AMOUNTS = {"p": np.asarray([0, 0, 1, 2, 0, 0, 3, 0], np.int64)}


def test_the_convolution_pads_as_the_pad_did() -> None:
    given = model(n("Pad", "x p", "a"), n("Conv", "a w b", "y", pads=[0, 1, 1, 0], strides=[2, 1]), weights=AMOUNTS)
    found = pads.fold(loaded(given))
    assert_sound(found)
    conv = only(found, "Conv")
    assert (conv.inputs, conv.attrs["pads"]) == (("x", "w", "b"), (1, 3, 4, 0))
    folded = model(n("Conv", "x w b", "y", pads=list(conv.attrs["pads"]), strides=[2, 1]))
    x = np.random.default_rng(0).normal(size=(1, 4, 6, 6)).astype(np.float32)
    outputs = []
    for proto in (given, folded):
        proto.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", 1, [None] * 4))
        session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        outputs.append(session.run(None, {"x": x})[0])
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize(
    ("amounts", "inputs", "attrs"),
    [
        ([0, 0, 1, 1, 0, 0, 1, 1], "x p", {"mode": "reflect"}),
        ([0, 0, 1, 1, 0, 0, 1, 1], "x p one", {}),  # filled with ones
        ([0, 1, 1, 1, 0, 0, 1, 1], "x p", {}),  # channels
        ([1, 0, 1, 1, 0, 0, 1, 1], "x p", {}),  # batch
        ([0, 0, -1, 1, 0, 0, 1, 1], "x p", {}),  # a crop
    ],
)
def test_any_other_pad_stays(amounts: list[int], inputs: str, attrs: dict[str, str]) -> None:
    weights = {"p": np.asarray(amounts, np.int64), "wide": np.ones((4, 5, 3, 3), np.float32)}
    w = "wide" if amounts[1] else "w"
    given = graph(n("Pad", inputs, "a", **attrs), n("Conv", f"a {w}", "y"), weights=weights)
    assert pads.fold(given) is given


def test_a_pad_that_something_else_reads_stays() -> None:
    given = graph(n("Pad", "x p", "a"), n("Conv", "a w", "c"), n("Shape", "a", "y"), outputs="c y", weights=AMOUNTS)
    assert pads.fold(given) is given


def test_automatic_padding_stays() -> None:
    given = graph(n("Pad", "x p", "a"), n("Conv", "a w", "y", auto_pad="SAME_UPPER"), weights=AMOUNTS)
    assert pads.fold(given) is given


def test_pads_of_old_opsets_are_an_attribute() -> None:
    given = graph(n("Pad", "x", "a", pads=[0, 0, 1, 1, 0, 0, 1, 1]), n("Conv", "a w", "y"), opset=9)
    assert ops(pads.fold(given)) == ["Conv"]


@pytest.mark.parametrize(
    ("attrs", "amounts"),
    [
        ({"pads": [1, 1, 1, 1]}, None),  # SAME at stride 1
        ({"pads": [0, 0, 0, 0]}, None),
        ({"pads": [0, 0, 1, 1], "strides": [2, 2]}, None),  # SAME of 6 at stride 2: 1, behind
        ({"pads": [1, 1, 1, 1], "strides": [2, 2]}, (1, 1, 1, 1)),  # PyTorch
        ({"pads": [1, 1, 0, 0], "strides": [2, 2]}, (1, 1, 0, 0)),
        ({"pads": [2, 2, 2, 2], "dilations": [2, 2]}, None),
        ({"pads": [1, 0, 1, 0]}, (1, 0, 1, 0)),  # SAME on one axis alone
        ({"auto_pad": "SAME_UPPER", "strides": [2, 2]}, None),
        ({"auto_pad": "SAME_LOWER", "strides": [2, 2]}, (1, 1, 0, 0)),
        ({"auto_pad": "VALID"}, None),
    ],
)
def test_padding_that_tensorflow_does_not_have(attrs: dict[str, Any], amounts: tuple[int, ...] | None) -> None:
    given = graph(n("Conv", "x w b", "y", **attrs))
    found = explicit_pads.before(given)
    if amounts is None:
        assert found is given
        return
    assert_sound(found)
    assert ops(found) == ["Pad", "Conv"]
    pad, conv = found.nodes
    assert pad.attrs["pads"] == (0, 0, *amounts[:2], 0, 0, *amounts[2:])
    assert found.values[pad.outputs[0]].shape == (1, 4, 6 + amounts[0] + amounts[2], 6 + amounts[1] + amounts[3])
    assert conv.inputs == (pad.outputs[0], "w", "b")
    assert explicit_pads.before(found) is found
    assert price(found).total("macs") == price(given).total("macs")
    assert pads.fold(found).nodes[0].attrs["pads"] == amounts


def test_a_pool_pads_with_the_least_number_there_is() -> None:
    """PADV2: the tensor is there all the same."""
    found = explicit_pads.before(graph(n("MaxPool", "x", "y", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])))
    assert found.values[found.nodes[0].outputs[0]].shape == (1, 4, 8, 8)


@pytest.mark.parametrize("counted", [0, 1])
def test_a_pool_that_averages_pads_where_zeros_count(counted: int) -> None:
    attrs = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": counted}
    found = explicit_pads.before(graph(n("AveragePool", "x", "y", **attrs)))
    assert ops(found) == ["Pad"] * counted + ["AveragePool"]


def test_depthwise_convolutions_are_marked() -> None:
    weights = {"d": np.ones((4, 1, 3, 3), np.float32), "d2": np.ones((8, 1, 3, 3), np.float32)}
    nodes = (
        n("Conv", "x d", "a", group=4),
        n("Conv", "a w", "b2", pads=[1, 1, 1, 1]),
        n("Conv", "b2 d2", "y", group=4),
    )
    found = mark(graph(*nodes, weights=weights))
    assert [is_marked(node) for node in found.nodes] == [True, False, False]  # the last has two outputs per channel
    assert mark(found) is found
    assert mark(replace(found, nodes=())).nodes == ()
