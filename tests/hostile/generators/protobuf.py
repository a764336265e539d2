"""Mischief below ONNX: the protobuf encoding itself, and the fields every model needs."""

from __future__ import annotations

import struct
from typing import Any

from ..case import NODES, Case, broken, legal, odd
from ..wire import (
    END_GROUP,
    FIXED32,
    FIXED64,
    GROUP,
    LENGTH,
    VARINT,
    block,
    graph,
    integer,
    key,
    model,
    node,
    opset,
    pair,
    plain,
    tensor,
    value,
    varint,
)

RELU = node("Relu", ["x"], ["y"], "relu")
X, Y = value("x", [4]), value("y", [4])


def relu(extra: bytes = b"", tail: bytes = b"", **more: Any) -> bytes:
    return model(graph([RELU], [X], [Y], extra=extra), extra=tail, **more)


def beside(field_in_graph: bytes) -> bytes:
    return relu(extra=field_in_graph)


def varints() -> list[Case]:
    eleven = key(1, VARINT) + b"\xff" * 11 + b"\x01"
    return [
        broken("protobuf/varint-11-bytes", eleven + plain()),
        broken("protobuf/varint-1000-bytes", key(1, VARINT) + b"\x80" * 1000 + b"\x00" + plain()),
        broken("protobuf/varint-endless", key(1, VARINT) + b"\xff" * (1 << 20), parses=False),
        legal("protobuf/varint-not-shortest", key(1, VARINT) + b"\x88\x80\x80\x80\x00" + plain()[2:]),
        odd("protobuf/varint-overflow", key(1, VARINT) + b"\xff" * 9 + b"\x7f" + plain()),
        odd("protobuf/key-not-shortest", b"\x88\x80\x80\x80\x00\x08" + plain()[2:]),
        odd("protobuf/key-too-large", b"\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x01\x08" + plain()),
        broken("protobuf/field-zero", b"\x00\x01" + plain()),
        broken("protobuf/wire-type-6", key(60, 6) + plain()),
        broken("protobuf/wire-type-7", key(60, 7) + plain()),
    ]


def lengths() -> list[Case]:
    """A length that promises more than there is."""
    beyond = {"by-one": None, "2^31": 1 << 31, "2^62": 1 << 62, "2^63": 1 << 63, "2^64-1": (1 << 64) - 1}
    whole = graph([RELU], [X], [Y])
    cases = []
    for name, size in beyond.items():
        claimed = varint(len(whole) + 1 if size is None else size)
        cases.append(
            broken(f"protobuf/graph-longer-than-file-{name}", integer(1, 8) + key(7, LENGTH) + claimed + whole)
        )
        cut = key(5, LENGTH) + varint(len(whole) if size is None else size)  # an initializer longer than its graph
        cases.append(broken(f"protobuf/initializer-longer-than-graph-{name}", beside(cut)))
        raw = tensor("w", [2], extra=key(9, LENGTH) + varint(9 if size is None else size) + bytes(8))
        cases.append(broken(f"protobuf/raw-data-longer-than-tensor-{name}", beside(block(5, raw))))
    eats_opset = key(5, LENGTH) + varint(3)  # ends inside the file, yet outside the graph
    cases.append(broken("protobuf/initializer-over-the-graphs-end", beside(eats_opset)))
    string = key(3, LENGTH) + varint(1 << 40) + b"name"
    cases.append(broken("protobuf/name-longer-than-node", beside(block(1, RELU + string))))
    return cases


def groups() -> list[Case]:
    """Wire types 3 and 4: legal, long forgotten."""
    inner = integer(1, 5) + block(2, "text")
    deep = 100_000
    return [
        odd("protobuf/group-unknown", key(90, GROUP) + inner + key(90, END_GROUP) + plain()),
        odd("protobuf/group-in-graph", beside(key(90, GROUP) + inner + key(90, END_GROUP))),
        broken("protobuf/group-never-ends", plain() + key(90, GROUP) + inner),
        broken("protobuf/group-ends-as-another", key(90, GROUP) + inner + key(91, END_GROUP) + plain()),
        broken("protobuf/group-ends-only", key(90, END_GROUP) + plain()),
        broken("protobuf/group-ends-outside-message", beside(key(90, GROUP) + inner)),
        odd("protobuf/group-100000-deep", key(90, GROUP) * deep + key(90, END_GROUP) * deep + plain()),
        broken("protobuf/group-100000-deep-open", key(90, GROUP) * deep + plain()),
        odd("protobuf/group-as-graph", integer(1, 8) + key(7, GROUP) + inner + key(7, END_GROUP) + opset(17)),
    ]


def wrong_kinds() -> list[Case]:
    """A known field in another wire type: protobuf takes it for an unknown field, or for damage."""
    eight = struct.pack("<q", 1)
    files = {
        "ir-version-as-text": block(1, "eight") + plain()[2:],
        "graph-as-number": integer(1, 8) + integer(7, 5) + opset(17),
        "graph-as-fixed64": integer(1, 8) + key(7, FIXED64) + eight + opset(17),
        "node-as-fixed64": beside(key(1, FIXED64) + eight),
        "node-as-number": beside(integer(1, 77)),
        "node-name-as-number": beside(block(1, RELU + integer(3, 5))),
        "op-type-as-number": beside(block(1, block(1, "x") + block(2, "z") + integer(4, 5))),
        "attribute-as-number": beside(block(1, RELU + integer(5, 5))),
        "dims-as-fixed32": beside(block(5, key(1, FIXED32) + b"\x02\0\0\0" + integer(2, 1) + block(8, "w"))),
        "dims-as-text": beside(block(5, block(1, "not numbers") + integer(2, 1) + block(8, "w"))),
        "raw-data-as-number": beside(block(5, tensor("w", [2]) + integer(9, 8))),
        "data-type-as-text": beside(block(5, integer(1, 2) + block(2, "float") + block(8, "w"))),
        "input-as-number": beside(integer(11, 3)),
        "opset-as-number": integer(1, 8) + block(7, graph([RELU], [X], [Y])) + integer(8, 17),
        "opset-version-as-text": integer(1, 8) + block(7, graph([RELU], [X], [Y])) + block(8, block(2, "17")),
        "type-as-text": beside(block(13, block(1, "z") + block(2, "float"))),
        "packed-dims-cut": beside(block(5, block(1, b"\x02\xff") + integer(2, 1) + block(8, "w"))),
        "float-data-not-in-fours": beside(block(5, tensor("w", [2]) + block(4, b"\0" * 7))),
    }
    return [odd(f"protobuf/{name}", content) for name, content in files.items()]


def merged(entry: dict[str, Any]) -> None:
    """protobuf reads a message that comes twice as one: both graphs' nodes count."""
    assert entry["totals"]["nodes"] == 2


def essentials() -> list[Case]:
    first = graph([node("Relu", ["x"], ["m"], "first")], [X])
    second = graph([node("Relu", ["m"], ["y"], "second")], (), [Y])
    body = graph([RELU], [X], [Y])
    return [
        broken("protobuf/graph-missing", model(None), r"graph"),
        odd("protobuf/graph-empty", model(b"")),
        odd("protobuf/graph-without-nodes", model(graph([], [X], [X]))),
        odd("protobuf/two-graphs", model(first) + block(7, second), verify=merged),
        odd("protobuf/two-opsets-alike", model(body, opsets=opset(17) + opset(11))),
        odd("protobuf/opset-missing", model(body, opsets=b""), r"opset"),
        odd("protobuf/opset-0", model(body, opsets=opset(0)), r"opset"),
        odd("protobuf/opset-negative", model(body, opsets=opset(-5)), r"opset"),
        odd("protobuf/opset-10^9", model(body, opsets=opset(10**9)), r"opset"),
        odd("protobuf/opset-int64-min", model(body, opsets=opset(-(1 << 63))), r"opset"),
        odd("protobuf/opset-only-foreign", model(body, opsets=opset(1, "com.microsoft")), r"opset"),
        odd(
            "protobuf/opset-200000-domains",
            lambda: model(body, opsets=b"".join(map(far_opset, range(200_000)))),
        ),
        odd("protobuf/ir-version-missing", model(body, ir=None)),
        odd("protobuf/ir-version-0", model(body, ir=0)),
        odd("protobuf/ir-version-10^9", model(body, ir=10**9)),
        odd("protobuf/ir-version-negative", model(body, ir=-1)),
        odd("protobuf/model-version-int64-max", model(body, extra=integer(5, (1 << 63) - 1))),
    ]


def far_opset(index: int) -> bytes:
    return opset(1, f"domain{index}")


def side_matters() -> list[Case]:
    """Parts of a model that an audit has little use for, filled with junk."""
    annotation = block(1, "nobody") + block(2, pair("SCALE_TENSOR", "absent")) + block(2, pair("\x1b[2J", "\xff"))
    training = block(1, graph([RELU], [X], [Y])) + block(2, graph([node("F", ["q"], ["r"])])) + block(3, pair("a", "b"))
    functions = [block(1, "f"), b"", block(10, "d")]
    return [
        odd("protobuf/quantization-annotation-junk", beside(block(14, annotation) * 3)),
        odd("protobuf/quantization-annotation-cut", beside(block(14, block(1, "x") + b"\x12\x7f"))),
        legal("protobuf/training-info", relu(tail=block(20, training) * 2)),
        odd("protobuf/training-info-junk", relu(tail=block(20, b"\x0a\x02\xff\xff"))),
        legal(
            "protobuf/metadata-escapes",
            relu(
                tail=block(14, pair("\x1b[31mkey\x07", "\x1b]0;evil\x07\r\n\u202evalue")),
                producer="\x1b[2Jevil\x07",
            ),
            runs=((), NODES, ("--json",)),
        ),
        odd("protobuf/metadata-empty", relu(tail=block(14, b"") * 3)),
        legal(
            "protobuf/metadata-100000",
            lambda: relu(tail=b"".join(block(14, pair(f"k{n}", "v")) for n in range(100_000))),
        ),
        legal(
            "protobuf/doc-string-10mb",
            lambda: relu(extra=block(10, "long " * 2_000_000), tail=block(6, "d" * 1_000_000)),
        ),
        legal(
            "protobuf/unknown-fields",
            relu(extra=block(500, "?") + integer(501, 7), tail=key(502, FIXED32) + b"\0" * 4),
        ),
        odd("protobuf/functions-empty", relu(functions=functions)),
        odd("protobuf/device-configurations-junk", relu(tail=block(26, b"\x08\xff"))),
    ]


CASES: list[Case] = [*varints(), *lengths(), *groups(), *wrong_kinds(), *essentials(), *side_matters()]
