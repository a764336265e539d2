"""path -> Graph, exactly the file as written."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

from effaudit.graph import Graph, Source
from effaudit.load.binding import NOTHING_GIVEN, Given
from effaudit.load.convert import convert
from effaudit.load.files import open_model
from effaudit.load.shapes import infer, infer_adapted
from effaudit.load.skeleton import read_skeleton
from effaudit.load.tensors import Home

__all__ = ["NOTHING_GIVEN", "Given", "infer", "infer_adapted", "load", "read"]


def read(name: str | os.PathLike[str], operators: Mapping[tuple[str, str], Any] | None = None) -> Graph:
    """The graph of a model file, a sample (`sample:NAME`), standard input (`-`) or an http(s) address, without shapes;
    weights stay unread. `operators` are definitions that `effaudit.operators.read` gave.

    Raises LoadError where it is no ONNX model, LimitError past the documented bounds.
    """
    name = os.fspath(name)
    with open_model(name) as opened:
        skeleton = read_skeleton(opened.feed, opened.name)
        seen = opened.feed.read_bytes  # windows overlap at their edges
        size = opened.feed.size or seen
        source = Source(opened.name, file_bytes=size, read_bytes=min(seen, size))
    graph = convert(skeleton, Home(opened.name, opened.folder, opened.path, opened.unread), source)
    return msgspec.structs.replace(graph, operators=operators) if operators else graph


def load(
    name: str | os.PathLike[str],
    given: Given = NOTHING_GIVEN,
    operators: Mapping[tuple[str, str], Any] | None = None,
) -> Graph:
    """`read`, then shape inference under the sizes `given`."""
    return infer(read(name, operators), given)
