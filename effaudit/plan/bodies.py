"""What is alive inside the body of a node: which of its names vary, and the activations that are its own."""

from __future__ import annotations

from collections.abc import Iterator

from effaudit.dataflow import Flow, flow
from effaudit.graph import Graph, Node
from effaudit.plan.lifetimes import Lifetime, lifetimes


def varying(node: Node, body: Graph, known: Flow) -> tuple[str, ...]:
    """The names a body gets from outside that depend on the model's inputs, a loop's own state included."""
    return tuple(_varying(node, body, known))


def _varying(node: Node, body: Graph, known: Flow) -> Iterator[str]:
    yield from (name for name in body.captured if name in known.varying)
    if "function" in node.bodies:
        yield from (inner for inner, name in zip(body.inputs, node.inputs, strict=False) if name in known.varying)
    else:
        yield from body.inputs


def within(body: Graph, outside: tuple[str, ...]) -> tuple[Flow, list[Lifetime]]:
    """The flow of a body and its activations, without what the graph around it keeps already.

    `outside` are the names from outside that vary; the other inputs of the body are weights handed in.
    """
    known = flow(body, outside)
    held = set(body.inputs) - set(outside)
    return known, [one for one in lifetimes(body, known) if one.name not in body.captured and one.name not in held]
