"""Sizes that were given for a model, and what of them a rewritten one still leaves open."""

from __future__ import annotations

from effaudit import dims
from effaudit.graph import Graph
from effaudit.load import Given


def still_open(given: Given, graph: Graph) -> Given:
    """What was given, without the dims and inputs that the graph states as numbers by now."""
    declared = {name: graph.declared[name].shape for name in graph.inputs}
    left = {symbol.name for shape in declared.values() for dim in shape or () for symbol in dims.symbols(dim)}
    fixed = {name for name, shape in declared.items() if shape is not None and all(type(d) is int for d in shape)}
    if len(graph.inputs) == 1 and fixed:
        fixed.add("")
    return Given(
        {name: size for name, size in given.dims.items() if name in left},
        {name: shape for name, shape in given.shapes.items() if name not in fixed},
        {name: size for name, size in given.assumed.items() if name in left},
    )


def assumed_sizes(graph: Graph) -> dict[str, int]:
    """The sizes that were assumed for dims left open."""
    found = {name: info.value for name, info in graph.dims.items() if info.origin == "assumed"}
    return {name: size for name, size in found.items() if size is not None}
