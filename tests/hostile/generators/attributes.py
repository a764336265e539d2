"""Operators that do not exist, or whose attributes are of the wrong kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..case import Case, bad, odd
from ..wire import (
    INT64,
    INT64_MAX,
    Raw,
    block,
    f32,
    function,
    graph,
    integer,
    model,
    node,
    opset,
    single,
    single_float,
    tensor,
    value,
    weight,
)

X: Mapping[str, object] = {"x": [4, 4]}
KERNEL: Mapping[str, object] = {"x": [1, 3, 8, 8], "w": weight(4, 3, 3, 3)}


def conv(**attrs: Any) -> bytes:
    return single("Conv", KERNEL, **attrs)


def unknown() -> list[Case]:
    return [
        bad("attributes/operator-unknown", single("Frobnicate", X)),
        bad("attributes/operator-of-another-case", single("relu", X)),
        odd("attributes/operator-of-a-later-opset", single("Gelu", X, version=7)),
        bad("attributes/operator-unknown-in-microsoft", single("Frobnicate", X, domain="com.microsoft")),
        bad("attributes/domain-unknown", single("Relu", X, domain="com.example.evil")),
        bad(
            "attributes/domain-not-imported",
            model(graph([node("Op", ["x"], ["y"], "n", "absent")], [value("x", [4])], [value("y")])),
        ),
        odd("attributes/domain-spelled-out", single("Relu", X, domain="ai.onnx")),
        odd("attributes/relu-with-5-inputs", single("Relu", {f"x{n}": [4, 4] for n in range(5)})),
        bad("attributes/relu-without-inputs", single("Relu", {})),
        odd("attributes/relu-with-5-outputs", single("Relu", X, outputs=("y", "a", "b", "c", "d"))),
        bad("attributes/cast-to-999", single("Cast", X, to=999)),
        bad("attributes/cast-to-0", single("Cast", X, to=0)),
        bad("attributes/cast-to-minus-1", single("Cast", X, to=-1)),
        bad("attributes/cast-to-int64-max", single("Cast", X, to=INT64_MAX)),
        bad("attributes/cast-without-target", single("Cast", X)),
        bad("attributes/cast-to-a-word", single("Cast", X, to="float")),
        bad("attributes/constant-without-value", single("Constant", {})),
        odd("attributes/constant-with-two-values", single("Constant", {}, value_int=3, value_float=2.0)),
        bad("attributes/constant-value-lies", single("Constant", {}, value=tensor("v", [10**12], bytes(4)))),
        bad(
            "attributes/constant-value-of-type-999",
            single("Constant", {}, value=tensor("v", [4], bytes(16), 999)),
        ),
        bad(
            "attributes/constant-value-external",
            single("Constant", {}, value=tensor("v", [-4], external={"location": "../x"})),
        ),
        bad("attributes/constant-value-is-a-number", single("Constant", {}, value=3)),
        bad(
            "attributes/constant-sparse-empty",
            single("Constant", {}, sparse_value=Raw(block(22, b"") + integer(20, 11))),
        ),
    ]


def kinds() -> list[Case]:
    three = Raw(integer(3, 2) + single_float(2, 2.0) + block(4, "2") + block(8, b"\x02\x02") + integer(20, 7))
    unnamed: dict[str, Any] = {"": 5}
    lies = Raw(single_float(2, 2.5) + integer(20, 7))
    return [
        bad("attributes/strides-as-floats", conv(strides=[2.5, 2.5])),
        bad("attributes/strides-as-float", conv(strides=2.5)),
        bad("attributes/strides-as-text", conv(strides="22")),
        bad("attributes/strides-as-texts", conv(strides=["2", "2"])),
        bad("attributes/strides-as-tensor", conv(strides=tensor("", [2], bytes(16), INT64))),
        bad("attributes/strides-as-graph", conv(strides=graph([]))),
        odd("attributes/strides-as-one-int", conv(strides=2)),
        bad("attributes/strides-200000-long", lambda: conv(strides=[1] * 200_000)),
        odd("attributes/strides-empty", conv(strides=[])),
        odd("attributes/strides-without-kind", conv(strides=Raw(block(8, b"\x02\x02")))),
        odd("attributes/strides-of-every-kind", conv(strides=three)),
        odd("attributes/strides-kind-lies", conv(strides=lies)),
        odd("attributes/strides-kind-99", conv(strides=Raw(block(8, b"\x02\x02") + integer(20, 99)))),
        bad("attributes/strides-packed-cut", conv(strides=Raw(block(8, b"\x02\xff") + integer(20, 7)))),
        bad("attributes/group-as-text", conv(group="one")),
        bad("attributes/group-as-ints", conv(group=[1, 1])),
        bad("attributes/group-as-nan", conv(group=float("nan"))),
        bad("attributes/axis-as-text", single("Concat", {"x": [4], "z": [4]}, axis="0")),
        bad("attributes/axis-as-float", single("Concat", {"x": [4], "z": [4]}, axis=0.5)),
        bad("attributes/perm-as-text", single("Transpose", X, perm="10")),
        bad("attributes/perm-as-int", single("Transpose", {"x": [2, 3, 4]}, perm=2)),
        bad("attributes/equation-as-ints", single("Einsum", X, equation=[1, 2])),
        bad(
            "attributes/kernel-shape-as-floats",
            single("MaxPool", {"x": [1, 3, 8, 8]}, kernel_shape=[2.5, 2.5]),
        ),
        bad("attributes/auto-pad-as-int", conv(auto_pad=3)),
        bad("attributes/reshape-shape-as-floats", single("Reshape", {**X, "s": f32(2.0, 8.0)})),
        odd("attributes/same-name-twice", same_name_twice()),
        odd("attributes/without-name", single("Relu", X, **unnamed)),
        *references(),
    ]


def same_name_twice() -> bytes:
    """Two strides: which one counts?"""
    second = block(5, block(1, "strides") + integer(8, 4) + integer(8, 4) + integer(20, 7))
    body = node("Conv", ["x", "w"], ["y"], "conv", extra=second, strides=[1, 1])
    w = tensor("w", [4, 3, 3, 3], bytes(432))
    return model(graph([body], [value("x", [1, 3, 8, 8])], [value("y")], [w]))


def references() -> list[Case]:
    """ref_attr_name: an attribute of the function around, which only a function has."""
    reference = Raw(block(21, "outer") + integer(20, 7))
    called = function(
        "f",
        ["a", "b"],
        ["c"],
        [node("Conv", ["a", "b"], ["c"], "conv", strides=reference)],
        extra=block(6, "outer"),
    )
    w = tensor("w", [4, 3, 3, 3], bytes(432))

    def call(**attrs: Any) -> bytes:
        body = graph(
            [node("f", ["x", "w"], ["y"], "call", "local", **attrs)],
            [value("x", [1, 3, 8, 8])],
            [value("y")],
            [w],
        )
        return model(body, opsets=opset(17) + opset(1, "local"), functions=[called])

    return [
        bad("attributes/reference-outside-a-function", conv(strides=reference)),
        odd("attributes/reference-given", call(outer=[2, 2])),
        odd("attributes/reference-not-given", call()),
        bad("attributes/reference-given-as-text", call(outer="22")),
    ]


CASES: list[Case] = [*unknown(), *kinds()]
