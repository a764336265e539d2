"""A node of a model by the name a person types: its name, the name of an output, or the unique end of one."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from typing import Final

from effaudit.errors import UsageError
from effaudit.graph import Graph, Node
from effaudit.nearest import nearest, suggested
from effaudit.printable import printable

MAX_LISTED: Final = 8
MAX_COMPARED: Final = 2_000  # names that are compared letter by letter for suggestions
MAX_INNER: Final = 200_000  # nodes of bodies that are searched for a name the graph does not have


def find_node(graph: Graph, text: str, words: Iterable[str] = ()) -> int:
    """The index of the node with this name or output name, or of the only one whose name or output ends with it.

    Raises UsageError with what is near (a name of a node, or one of `words`), or with the choices where there are
    several.
    """
    for exactly in (True, False):
        found = [i for i, node in enumerate(graph.nodes) if _means(node, text, exactly)]
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(_several(graph, text, found))
    outer = _holder(graph, text)
    if outer is not None:
        what = f"is inside {printable(outer.label, 80)} ({printable(outer.op, 40)}); explain that node"
        raise UsageError(f"{graph.source.path}: node {printable(text, 80)!r} {what}")
    near = [*nearest(text, words, 2, 0.7), *_near(graph, text)]
    listed = f"effaudit report {shlex.quote(graph.source.path)} --nodes lists all of them"
    hint = suggested(near[:3]) or f"; {printable(listed)}"
    raise UsageError(f"{graph.source.path}: no node or tensor is named {printable(text, 80)!r}{hint}")


def _means(node: Node, text: str, exactly: bool) -> bool:
    if not text:
        return False
    if exactly:
        return node.name == text or text in node.outputs
    return node.name.endswith(text) or any(name.endswith(text) for name in node.outputs)


def _several(graph: Graph, text: str, found: list[int]) -> str:
    """The choices, each by a name that only it has."""
    shown = []
    for i in found[:MAX_LISTED]:
        node = graph.nodes[i]
        shown.append(printable(next((name for name in node.outputs if name), node.label), 80))
    more = f" and {len(found) - MAX_LISTED:,} more" if len(found) > MAX_LISTED else ""
    return f"{graph.source.path}: {len(found):,} nodes match {printable(text, 80)!r}; one of: {', '.join(shown)}{more}"


def _holder(graph: Graph, text: str) -> Node | None:
    """The node of the graph in one of whose bodies a node has this name."""
    left = MAX_INNER
    for node in graph.nodes:
        waiting, seen = list(node.bodies.values()), set()
        while waiting and left > 0:
            body = waiting.pop()
            if id(body) in seen:
                continue
            seen.add(id(body))
            left -= len(body.nodes)
            for inner in body.nodes:
                if _means(inner, text, exactly=True):
                    return node
                waiting.extend(inner.bodies.values())
    return None


def _near(graph: Graph, text: str) -> list[str]:
    last = text.rsplit("/", 1)[-1].lower()[:100]
    close = {name: None for name in _labels(graph) if last and last in name.lower()}
    names = list(close)[:MAX_COMPARED] or [name for name, _ in zip(_labels(graph), range(MAX_COMPARED), strict=False)]
    return [printable(name, 80) for name in nearest(text, names, alike=0.5)]


def _labels(graph: Graph) -> Iterator[str]:
    for node in graph.nodes:
        yield node.label
