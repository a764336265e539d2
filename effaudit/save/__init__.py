"""Writing a model: a copy of its file with its nodes in another order, or a rewritten graph as a model of its own.
Weights are copied or streamed, never loaded together."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence

from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.load import read
from effaudit.load.files import SCHEMES, open_model
from effaudit.load.skeleton import read_skeleton
from effaudit.plan.order.rewrite import check
from effaudit.save.layout import NodeBytes, external, node_bytes
from effaudit.save.model import save_model
from effaudit.save.target import copy, writable

__all__ = ["save_model", "save_reordered"]

Key = tuple[tuple[str, ...], tuple[str, ...], int]


def save_reordered(model: Graph | str | os.PathLike[str], order: Sequence[int], path: str | os.PathLike[str]) -> None:
    """Writes the model to `path` with its nodes in `order`: indices of the nodes of `model`, the graph as it was read
    (of a path: what `effaudit.load.read` makes of it). Everything else stays, byte for byte; the file is complete, or
    it is not there.

    A `NodeProto` is a run of bytes of the `GraphProto` around it, whose size does not change with their order:
    https://protobuf.dev/programming-guides/encoding/

    Raises UsageError for a model on no disk, an order that is not topological, external data that would no longer be
    found, and a target that cannot be written or that is a file of the model; LoadError for what is no model.
    """
    name = model.source.path if isinstance(model, Graph) else os.fspath(model)
    if name in ("", "-") or name.lower().startswith(SCHEMES):
        raise UsageError(
            f"{name or 'this graph'}: not a file on disk, so it cannot be copied; download it and name the file"
        )
    graph = model if isinstance(model, Graph) else read(name)
    check(graph, order)
    with open_model(name) as opened:
        files = external(read_skeleton(opened.feed, name))
        source = opened.path
    with open_model(name) as opened:
        found = node_bytes(opened.feed, name)
        size = opened.feed.size or 0
    place = {key: i for i, key in enumerate(_keys((node.inputs, node.outputs) for node in found))}
    wanted = _keys((node.inputs, node.outputs) for node in graph.nodes)
    if place.keys() != set(wanted):
        raise UsageError(f"{name}: its nodes are not those of the graph that is to be saved; read the file again")
    goal = writable(os.fspath(path), source, files)
    copy(source, goal, _pieces(found, [place[wanted[i]] for i in order], size), size)


def _keys(nodes: Iterable[tuple[tuple[str, ...], tuple[str, ...]]]) -> list[Key]:
    """What a node reads and makes tells it from every other; those that make nothing are told apart by their number."""
    seen: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = Counter()
    keys = []
    for node in nodes:
        keys.append((*node, seen[node]))
        seen[node] += 1
    return keys


def _pieces(nodes: Sequence[NodeBytes], order: Sequence[int], size: int) -> list[tuple[int, int]]:
    """The byte ranges of a file of `size` bytes with its nodes in another order."""
    ranges = []
    at = 0
    for here, i in zip(nodes, order, strict=True):
        ranges += [(at, here.start), (nodes[i].start, nodes[i].stop)]
        at = here.stop
    pieces: list[tuple[int, int]] = []
    for start, stop in (*ranges, (at, size)):
        if pieces and pieces[-1][1] == start:
            pieces[-1] = (pieces[-1][0], stop)
        elif start < stop:
            pieces.append((start, stop))
    return pieces
