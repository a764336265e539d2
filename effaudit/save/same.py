"""Whether a node is still the one that was read: equal in everything a file states, whatever was inferred since."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from effaudit.graph import Constant, Graph, Node, Value, nested


def same_value(a: Any, b: Any) -> bool:
    """Equal values of one attribute: of one type (1 is not 1.0), a NaN equal to itself."""
    if isinstance(a, (Constant, Value)) or isinstance(b, (Constant, Value)):
        return bool(a == b)
    return a is b or (type(a) is type(b) and repr(a) == repr(b))


def same_node(a: Node, b: Node) -> bool:
    if (a.name, a.domain, a.op, a.inputs, a.outputs) != (b.name, b.domain, b.op, b.inputs, b.outputs):
        return False
    return _same(a.attrs, b.attrs, same_value) and _same(a.bodies, b.bodies, same_graph)


def same_graph(a: Graph, b: Graph) -> bool:
    """Equal bodies."""
    if a is b:
        return True
    if (a.name, a.inputs, a.outputs, len(a.nodes)) != (b.name, b.inputs, b.outputs, len(b.nodes)):
        return False
    if a.constants != b.constants or a.declared != b.declared:
        return False
    return all(map(same_node, a.nodes, b.nodes))


def _same(a: Mapping[str, Any], b: Mapping[str, Any], equal: Callable[[Any, Any], bool]) -> bool:
    return a is b or (a.keys() == b.keys() and all(equal(value, b[name]) for name, value in a.items()))


def held(node: Node) -> Iterator[Constant]:
    """The tensors inside a node: of its attributes, and in its bodies, however deep."""
    yield from (value for value in node.attrs.values() if isinstance(value, Constant))
    for body in nested(node.bodies.values()) if node.bodies else ():
        yield from body.constants.values()
        for inner in body.nodes:
            yield from (value for value in inner.attrs.values() if isinstance(value, Constant))
