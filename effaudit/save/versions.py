"""The IR version a model needs.

What each brought: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (enum Version); which release, and so which
opset, came with which: https://github.com/onnx/onnx/blob/main/docs/Versioning.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from effaudit.graph import Constant, Encoding, Graph, nested

MAX_IR: Final = 13  # the newest that ONNX Runtime 1.20 and later read
_OPSET_IR: Final = ((25, 13), (24, 12), (23, 11), (21, 10), (19, 9), (15, 8), (12, 7), (11, 6), (10, 5), (9, 4), (1, 3))
_ENCODING_IR: Final = {
    "bfloat16": 4,
    "float8e4m3fn": 9,
    "float8e4m3fnuz": 9,
    "float8e5m2": 9,
    "float8e5m2fnuz": 9,
    "int4": 10,
    "uint4": 10,
    "float4e2m1": 11,
    "float8e8m0": 12,
    "int2": 13,
    "uint2": 13,
}
_SEPARATE_IR: Final = 4  # initializers that are no inputs
_FUNCTIONS_IR: Final = 8


def ir_version(graph: Graph, origin: Graph | None) -> int:
    """The version the file had, raised to what the graph needs beyond what was there, `MAX_IR` at most."""
    known = origin.source.ir_version if origin else 0
    needed = [known]
    opset = graph.opsets.get("", 1)
    if origin is None or opset > origin.opsets.get("", 1):
        needed.append(next(ir for since, ir in _OPSET_IR if opset >= since))
    before = set(_encodings(origin)) if origin else set()
    needed += [_ENCODING_IR.get(encoding.dtype, 0) for encoding in _encodings(graph) if encoding not in before]
    hidden = {name for name in graph.constants if name not in graph.declared}
    if hidden - (set(origin.constants) if origin else set()):
        needed.append(_SEPARATE_IR)
    if graph.functions:
        needed.append(_FUNCTIONS_IR)
    return min(max(needed), MAX_IR)


def _encodings(graph: Graph) -> Iterator[Encoding]:
    for part in nested((graph,)):
        yield from (constant.encoding for constant in part.constants.values())
        yield from (value.encoding for value in part.declared.values())
        for node in part.nodes:
            yield from (value.encoding for value in node.attrs.values() if isinstance(value, Constant))
