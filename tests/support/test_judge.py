"""Each condition on a node that meets it and on one that does not, and what is then said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto

from effaudit.support import SupportSet, judging, unsupported
from effaudit.support.types import Conditions, Limits
from tests.lower.graphs import graph, loaded, model, n

X = {"x": (1, 4, 6, 6)}
KERNELS = {
    "k5": np.ones((4, 4, 5, 5), np.float32),
    "k13": np.ones((4, 4, 1, 3), np.float32),
    "k1": np.ones((4, 4, 1, 1), np.float32),
    "dw": np.ones((4, 1, 3, 3), np.float32),
    "half": np.ones((4, 2, 3, 3), np.float32),
    "wide": np.ones((2000, 4, 1, 1), np.float32),
    "line": np.ones((4, 4, 3), np.float32),
    "axes": np.asarray([2, 3], np.int64),
    "sizes": np.asarray([1, 4, 12, 12], np.int64),
    "uneven": np.asarray([1, 4, 12, 6], np.int64),
    "odd": np.asarray([1, 4, 9, 9], np.int64),
    "first": np.asarray([0], np.int64),
    "scalar": np.asarray(0, np.int64),
}


def support(*alternatives: Conditions, op: str = "Conv", limits: Limits = Limits()) -> SupportSet:
    return SupportSet("s", "a set", (), limits, {("", op): alternatives}, (), "s.yaml")


def said(node: NodeProto, one: SupportSet, inputs: Mapping[str, Any] = X, **keywords: Any) -> str:
    found = graph(node, outputs=node.output[0], inputs=inputs, weights=KERNELS, **keywords)
    return unsupported(found, found.nodes[-1], one)


CONV = n("Conv", "x w", "y")
# (conditions, a node that meets them, a node that does not, what is said of it)
CASES: list[tuple[dict[str, Any], NodeProto, NodeProto, str]] = [
    ({"kernel_sizes": (1, 3)}, CONV, n("Conv", "x k5", "y"), "a kernel of 5x5 is not supported; 1x1, 3x3 are"),
    ({"kernel_sizes": ((1, 3),)}, n("Conv", "x k13", "y"), CONV, "a kernel of 3x3 is not supported; 1x3 is"),
    ({"min_kernel": 3}, CONV, n("Conv", "x k13", "y"), "a kernel of 1x3 is not supported; 3 is the least"),
    ({"max_kernel": 3}, CONV, n("Conv", "x k5", "y"), "a kernel of 5x5 is not supported; 3 is the most"),
    (
        {"max_kernel_product": 9},
        CONV,
        n("Conv", "x k5", "y"),
        "a kernel of 5x5 is not supported; 9 elements are the most",
    ),
    ({"strides": (1,)}, CONV, n("Conv", "x w", "y", strides=[2, 2]), "strides 2x2 are not supported; 1 is"),
    ({"max_stride": 2}, CONV, n("Conv", "x w", "y", strides=[1, 3]), "strides 1x3 are not supported; 2 is the most"),
    (
        {"equal_strides": True},
        CONV,
        n("Conv", "x w", "y", strides=[1, 2]),
        "strides 1x2 are not supported; they must be equal",
    ),
    ({"dilations": (1,)}, CONV, n("Conv", "x w", "y", dilations=[2, 2]), "dilations 2x2 are not supported; 1 is"),
    (
        {"max_dilation": 1},
        CONV,
        n("Conv", "x w", "y", dilations=[1, 2]),
        "dilations 1x2 are not supported; 1 is the most",
    ),
    (
        {"equal_dilations": True},
        CONV,
        n("Conv", "x w", "y", dilations=[1, 2]),
        "dilations 1x2 are not supported; they must be equal",
    ),
    (
        {"max_pad": 1},
        n("Conv", "x w", "y", pads=[1, 1, 1, 1]),
        n("Conv", "x w", "y", pads=[0, 2, 0, 1]),
        "padding of 2 is not supported; 1 is the most",
    ),
    (
        {"max_pad": 1},
        n("Conv", "x w", "y", auto_pad="SAME_UPPER"),
        n("Conv", "x k5", "y", auto_pad="SAME_LOWER"),
        "padding of 2 is not supported; 1 is the most",
    ),
    ({"groups": "none"}, CONV, n("Conv", "x dw", "y", group=4), "4 groups are not supported; 1 is"),
    (
        {"groups": "depthwise"},
        n("Conv", "x dw", "y", group=4),
        n("Conv", "x half", "y", group=2),
        "2 groups are not supported; 1 and one per channel are",
    ),
    (
        {"max_channels": 1024},
        CONV,
        n("Conv", "x wide", "y"),
        "2,000 output channels are not supported; 1,024 are the most",
    ),
    (
        {"max_size": 6},
        CONV,
        n("Conv", "x k1", "y", pads=[1, 0, 0, 0]),
        "7 rows or columns of its output are not supported; 6 are the most",
    ),
    ({"constant": ("W",)}, CONV, n("Conv", "x x2", "y"), "input W must be constant; x2 is computed"),
    (
        {"constant": ("w", "b")},
        n("Conv", "x w b", "y"),
        n("Conv", "x w b2", "y"),
        "input b must be constant; b2 is computed",
    ),
    ({"spatial": (2,)}, CONV, n("Conv", "x1 line", "y"), "1-D data is not supported; 2-D is"),
    (
        {"attributes": {"auto_pad": ("NOTSET", None)}},
        CONV,
        n("Conv", "x w", "y", auto_pad="VALID"),
        "auto_pad VALID is not supported; NOTSET is",
    ),
    (
        {"attributes": {"strides": ((2, 2),)}},
        n("Conv", "x w", "y", strides=[2, 2]),
        CONV,
        "strides left out is not supported; 2x2 is",
    ),
    ({"opset": (18, None)}, CONV, CONV, "opset 17 is not supported; 18 and later are"),
    ({"opset": (11, 13)}, CONV, CONV, "opset 17 is not supported; 11 to 13 are"),
    ({"dtypes": ("float32",)}, CONV, n("Conv", "h hw", "y"), "float16 is not supported; float32 is"),
]
INPUTS = {**X, "x1": (1, 4, 6), "x2": (4, 4, 3, 3), "b2": (4,)}


@pytest.mark.parametrize(("conditions", "good", "bad", "words"), CASES, ids=lambda v: None)
def test_windows(conditions: dict[str, Any], good: NodeProto, bad: NodeProto, words: str) -> None:
    one = support(Conditions(**conditions))
    if "opset" in conditions:
        assert said(good, support(Conditions(opset=(13, 17)))) == ""
    else:
        assert said(good, one, INPUTS) == ""
    if "h" in bad.input:
        half = {"h": (1, 4, 6, 6), "hw": (4, 4, 3, 3)}
        assert said(bad, one, half, dtype=TensorProto.FLOAT16) == f"Conv: {words}"
    else:
        assert said(bad, one, INPUTS) == f"Conv: {words}"


RESIZE = n("Resize", "x - - sizes", "y", mode="linear")
OTHERS: list[tuple[str, dict[str, Any], NodeProto, NodeProto, str]] = [
    (
        "Resize",
        {"attributes": {"mode": ("nearest", "linear", None)}},
        RESIZE,
        n("Resize", "x - - sizes", "y", mode="cubic"),
        "mode cubic is not supported; nearest, linear are",
    ),
    (
        "Resize",
        {"upscales": (1, 2)},
        RESIZE,
        n("Resize", "x - - uneven", "y"),
        "scales of 1x2 are not supported; 1, 2 are, alike on every axis",
    ),
    (
        "Resize",
        {"upscales": (1, 2)},
        RESIZE,
        n("Resize", "x - - odd", "y"),
        "its scales are not supported; 1, 2 are, alike on every axis",
    ),
    (
        "Gather",
        {"input_ranks": {"indices": (1,)}},
        n("Gather", "x first", "y"),
        n("Gather", "x scalar", "y"),
        "input indices of rank 0 is not supported; rank 1 is",
    ),
    ("Gather", {"input_dtypes": {"indices": ("int64",)}}, n("Gather", "x first", "y"), n("Gather", "x first", "y"), ""),
    (
        "Gather",
        {"input_dtypes": {"indices": ("int32",)}},
        n("Gather", "x first", "y"),
        n("Gather", "x first", "y"),
        "input indices of int64 is not supported; int32 is",
    ),
    (
        "Add",
        {"broadcast": False},
        n("Add", "x x", "y"),
        n("Add", "x c4", "y"),
        "inputs of different shapes are not supported; they must be equal",
    ),
    (
        "Relu",
        {"ranks": (4, 5)},
        n("Relu", "x", "y"),
        n("Relu", "x1", "y"),
        "an input of rank 3 is not supported; rank 4, 5 are",
    ),
    (
        "Relu",
        {"max_rank": 3},
        n("Relu", "x1", "y"),
        n("Relu", "x", "y"),
        "an input of rank 4 is not supported; up to rank 3 is",
    ),
    ("Relu", {"batch": 1}, n("Relu", "x", "y"), n("Relu", "x2", "y"), "a batch of 4 is not supported; 1 is"),
    (
        "Relu",
        {"max_elements": 144},
        n("Relu", "x", "y"),
        n("Relu", "big", "y"),
        "an input of 1,440 elements is not supported; up to 144 are",
    ),
    (
        "MaxPool",
        {"outputs": 1},
        n("MaxPool", "x", "y", kernel_shape=[2, 2]),
        n("MaxPool", "x", "y i", kernel_shape=[2, 2]),
        "2 outputs are not supported; 1 is the most",
    ),
]


@pytest.mark.parametrize(("op", "conditions", "good", "bad", "words"), OTHERS, ids=lambda v: None)
def test_other_conditions(op: str, conditions: dict[str, Any], good: NodeProto, bad: NodeProto, words: str) -> None:
    one = support(Conditions(**conditions), op=op)
    inputs = {**INPUTS, "big": (10, 4, 6, 6)}
    if good != bad:
        assert said(good, one, inputs) == ""
    assert said(bad, one, inputs) == (f"{op}: {words}" if words else "")


def test_one_of_several_conditions_must_hold() -> None:
    """Where none does, the one with the fewest objections says why."""
    one = support(
        Conditions(spatial=(2,), kernel_sizes=(1, 3), strides=(1,)),
        Conditions(spatial=(1,), max_kernel=9, strides=(1,)),
    )
    assert said(n("Conv", "x1 line", "y"), one, INPUTS) == ""
    assert said(CONV, one, INPUTS) == ""
    assert said(n("Conv", "x k5", "y"), one, INPUTS) == "Conv: a kernel of 5x5 is not supported; 1x1, 3x3 are"
    assert said(n("Conv", "x1 line", "y", strides=[2]), one, INPUTS) == "Conv: strides 2 are not supported; 1 is"


def test_operators_that_are_not_there() -> None:
    one = SupportSet("s", "a set", (), Limits(), {("com.microsoft", "Gelu"): (Conditions(),)}, (), "s.yaml")
    assert said(n("Relu", "x", "y"), one) == "Relu: the operator is not supported"
    assert said(n("Gelu", "x", "y"), one, opset=20) == "Gelu: the operator is not supported; com.microsoft:Gelu is"
    assert said(n("Gelu", "x", "y", "com.microsoft"), one) == ""


@pytest.mark.parametrize(
    ("limits", "shape", "words"),
    [
        (Limits(fixed_shapes=True), (1, 4), ""),
        (Limits(fixed_shapes=True), ("batch", 4), "x is batchx4; fixed shapes are needed"),
        (Limits(max_rank=3), (1, 2, 3), ""),
        (Limits(max_rank=3), (1, 2, 3, 4), "x has rank 4; at most 3 is supported"),
        (Limits(max_inner_dims=2), (1, 1, 3, 4), ""),
        (Limits(max_inner_dims=2), (1, 2, 3, 4), "x is larger than 1 before its last 2 axes"),
        (Limits(dtypes=("float32",)), (1, 4), ""),
        (Limits(dtypes=("int8", "uint8")), (1, 4), "x is float32; int8, uint8 are supported"),
        (Limits(float_allowed=False), (1, 4), "x is float32; integers are needed: quantize it"),
        (Limits(opset=(18, 20)), (1, 4), "opset 17 is not supported; 18 to 20 are"),
        (Limits(opset=(17, None)), (1, 4), ""),
    ],
)
def test_limits_of_a_set(limits: Limits, shape: tuple[Any, ...], words: str) -> None:
    one = support(Conditions(), op="Relu", limits=limits)
    assert said(n("Relu", "x", "y"), one, {"x": shape}) == (f"Relu: {words}" if words else "")


def test_a_scale_per_channel_where_one_per_tensor_is_needed() -> None:
    one = support(Conditions(), limits=Limits(weight_quantization="per_tensor"))
    many = n("DequantizeLinear", "wq ws wz", "wd", axis=0)
    single = n("DequantizeLinear", "wq s z", "wd")
    for quantized, words in ((many, "Conv: wd has a scale per channel; one per tensor is needed"), (single, "")):
        found = graph(quantized, n("Conv", "x wd", "y"))
        assert unsupported(found, found.nodes[-1], one) == words
    linear = n("QLinearConv", "x s z wq ws wz s z", "y")
    one = support(Conditions(), op="QLinearConv", limits=Limits(weight_quantization="per_tensor"))
    found = graph(linear, dtype=TensorProto.INT8)
    assert (
        unsupported(found, found.nodes[-1], one) == "QLinearConv: wq has a scale per channel; one per tensor is needed"
    )


def test_what_is_not_known_is_not_met() -> None:
    """A rank nobody knows, an operator outside ONNX that makes it, and a node that is broken."""
    unknown = n("Mystery", "x", "t", "acme")
    for conditions, words in (
        (Conditions(ranks=(4,)), "an input of unknown rank is not supported; rank 4 is"),
        (Conditions(max_rank=4), "an input of unknown rank is not supported; up to rank 4 is"),
        (Conditions(batch=1), "a batch of unknown size is not supported; 1 is"),
        (Conditions(max_size=4), "the shape of its input is not known"),
        (Conditions(max_elements=9), "what it needs cannot be told"),
        (Conditions(dtypes=("int8",)), "unknown is not supported; int8 is"),
    ):
        found = graph(unknown, n("Relu", "t", "y"))
        assert unsupported(found, found.nodes[-1], support(conditions, op="Relu")).startswith(f"Relu: {words}")
    found = graph(unknown, n("Conv", "x t", "y"))
    assert unsupported(found, found.nodes[-1], support(Conditions(max_kernel=3))) == "Conv: its kernel is not known"
    limited = support(Conditions(), op="Relu", limits=Limits(fixed_shapes=True))
    found = graph(unknown, n("Relu", "t", "y"))
    assert unsupported(found, found.nodes[-1], limited) == "Relu: the shape of t is not known; fixed shapes are needed"
    broken = graph(n("Conv", "x w", "y", strides=[1, 2, 3]))
    assert "cannot be told" in unsupported(broken, broken.nodes[-1], support(Conditions(strides=(1,))))


def test_judging_reads_the_data_flow_once() -> None:
    """One function for all nodes of a graph says what `unsupported` says of each."""
    found = loaded(model(n("Relu", "x", "r"), n("Conv", "r w", "c", strides=[2, 2]), n("Erf", "c", "y")))
    one = SupportSet(
        "s", "", (), Limits(), {("", "Relu"): (Conditions(),), ("", "Conv"): (Conditions(strides=(1,)),)}, (), ""
    )
    judge = judging(found, one)
    assert [judge(node) for node in found.nodes] == [unsupported(found, node, one) for node in found.nodes]
    assert [bool(judge(node)) for node in found.nodes] == [False, True, True]
