"""Where in a model file its nodes lie, and which other files it names.

Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec

from effaudit.errors import LoadError, UsageError
from effaudit.load.feed import Feed, take
from effaudit.load.wire import Malformed, fields, skip, text, varint

MODEL_GRAPH, GRAPH_NODE, NODE_INPUT, NODE_OUTPUT = 7, 1, 1, 2
TENSOR_EXTERNAL, TENSOR_LOCATION = 13, 14
EXTERNAL: Final = 1  # TensorProto.DataLocation
MAX_HEADER: Final = 20  # bytes of a tag and a length, or of a tag and a number

# The messages that may hold a tensor, by field number.
Spec = Mapping[int, "Spec"]
_TENSOR: Final[dict[int, Spec]] = {}
_SPARSE: Final[dict[int, Spec]] = {1: _TENSOR, 2: _TENSOR}
_ATTRIBUTE: Final[dict[int, Spec]] = {5: _TENSOR, 10: _TENSOR, 22: _SPARSE, 23: _SPARSE}
_NODE: Final[dict[int, Spec]] = {5: _ATTRIBUTE}
_GRAPH: Final[dict[int, Spec]] = {1: _NODE, 5: _TENSOR, 15: _SPARSE}
_ATTRIBUTE[6] = _ATTRIBUTE[11] = _GRAPH
_MODEL: Final[dict[int, Spec]] = {7: _GRAPH, 20: {1: _GRAPH, 2: _GRAPH}, 25: {7: _NODE, 11: _ATTRIBUTE}}


class NodeBytes(msgspec.Struct, frozen=True, gc=False):
    """The bytes [start, stop) of a node, its tag and length included."""

    start: int
    stop: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def node_bytes(feed: Feed, name: str) -> list[NodeBytes]:
    """The nodes of a model's graph (not those in bodies), in the order of the file; weights are jumped over.

    Raises UsageError for a graph in several pieces, which protobuf permits: a node then may not change its place
    without changing the size of two of them. LoadError where the bytes are no model.
    """
    found: list[NodeBytes] = []
    pieces = 0
    try:
        for number, wire, _, start, stop in scan(feed, 0, feed.size or 0):
            if number == MODEL_GRAPH and wire == 2:
                pieces += 1
                found.extend(_nodes(feed, start, stop, name))
    except (Malformed, IndexError):
        raise LoadError(f"{name}: not an ONNX model; is this an ONNX file?") from None
    if pieces != 1:
        raise UsageError(f"{name}: the file holds its graph in {pieces} pieces; write it anew with onnx.save first")
    return found


def _nodes(feed: Feed, at: int, end: int, name: str) -> Iterator[NodeBytes]:
    for number, wire, tag, start, stop in scan(feed, at, end):
        if number == GRAPH_NODE and wire == 2:
            names: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: []}
            for part, inner, _, begin, close in scan(feed, start, stop):
                if part in names and inner == 2:
                    names[part].append(text(take(feed, begin, close - begin, name), 0, close - begin))
            yield NodeBytes(tag, stop, tuple(names[NODE_INPUT]), tuple(names[NODE_OUTPUT]))


def scan(feed: Feed, at: int, end: int) -> Iterator[tuple[int, int, int, int, int]]:
    """(number, wire type, begin of the tag, begin and end of the content) of every field of the message at at..end."""
    while at < end:
        tag_at = at
        if at + MAX_HEADER > feed.base + len(feed.buf):
            feed.fill(at, min(MAX_HEADER, end - at))
        base = feed.base
        tag, inside = varint(feed.buf, at - base)
        wire = tag & 7
        if wire == 2:
            length, inside = varint(feed.buf, inside)
            start, at = base + inside, base + inside + length
        else:
            start, at = base + inside, base + skip(feed.buf, inside, wire)
        if at > end:
            raise Malformed("a field runs past the end of its message")
        yield tag >> 3, wire, tag_at, start, at


def external(skeleton: bytes) -> set[str]:
    """The files that the tensors of a model lie in, as it names them; `skeleton` is the model without its weights."""
    found: set[str] = set()
    if b"location" in skeleton:
        _external(skeleton, 0, len(skeleton), _MODEL, found)
    return found


def _external(buf: bytes, at: int, end: int, spec: Spec, found: set[str]) -> None:
    location, entries = 0, {}
    for number, wire, start, stop in fields(buf, at, end):
        if spec is _TENSOR:
            if number == TENSOR_LOCATION and wire == 0:
                location = start
            elif number == TENSOR_EXTERNAL and wire == 2:
                pair = {n: text(buf, a, b) for n, w, a, b in fields(buf, start, stop) if w == 2}
                entries[pair.get(1, "")] = pair.get(2, "")
        elif wire == 2 and number in spec:
            _external(buf, start, stop, spec[number], found)
    if location == EXTERNAL:
        found.add(entries.get("location", ""))
