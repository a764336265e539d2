"""Zero padding taken into the convolution: the output is the same, element by element."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
from msgspec.structs import replace
from onnx import helper

from effaudit.lower import pads
from effaudit.lower.depthwise import is_marked, mark
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
