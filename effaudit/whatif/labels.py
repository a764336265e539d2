"""Names of the nodes that a rewrite makes: ONNX Runtime refuses a graph in which two nodes have one."""

from __future__ import annotations

from msgspec.structs import replace

from effaudit.graph import Graph


def distinct(before: Graph, after: Graph) -> Graph:
    """The rewritten graph, with names of their own for new nodes that are called like others. What was read keeps its
    name, and so do equal names that were read."""
    old = {(node.name, node.outputs) for node in before.nodes}
    taken = {node.name for node in after.nodes if (node.name, node.outputs) in old}
    nodes = []
    for node in after.nodes:
        if node.name and (node.name, node.outputs) not in old:
            name, number = node.name, 1
            while name in taken:
                number += 1
                name = f"{node.name}_{number}"
            taken.add(name)
            nodes.append(node if name == node.name else replace(node, name=name))
        else:
            nodes.append(node)
    return replace(after, nodes=tuple(nodes))
