"""The order in which ONNX Runtime runs the nodes of a graph: depth first, backwards from the nodes nothing reads.

`GraphViewer` calls `Graph::ReverseDFSFrom` with all leaf nodes, ordered by node index, on a stack
(onnxruntime/core/graph/graph_viewer.cc and graph.cc, read at 1.27; the profiles of 1.31.1 show the same order). So the
leaf, and among a node's producers the one, with the highest index goes first. An index is the place in the file; nodes
that ONNX Runtime adds come after all of those. `ExecutionOrder::PRIORITY_BASED` is another order and not modelled.
"""

from __future__ import annotations

from effaudit.dataflow import reads
from effaudit.graph import Graph
from effaudit.lower._rewrite import rebuilt


def reverse_depth_first(graph: Graph) -> Graph:
    """The graph with its nodes in the order ONNX Runtime runs them; their places in `graph.nodes` are their indices,
    and need not be a topological order. The nodes of bodies stay."""
    return rebuilt(graph, (graph.nodes[i] for i in execution_order(graph)))


def execution_order(graph: Graph) -> list[int]:
    """The node indices in the order ONNX Runtime runs them."""
    maker = {name: i for i, node in enumerate(graph.nodes) for name in node.outputs if name}
    producers = [sorted({maker[name] for name in reads(node) if name in maker}) for node in graph.nodes]
    read = {i for row in producers for i in row}
    stack = [(i, False) for i in range(len(graph.nodes)) if i not in read]
    seen: set[int] = set()
    order: list[int] = []
    while stack:
        i, done = stack.pop()
        if done:
            order.append(i)
        elif i not in seen:
            seen.add(i)
            stack.append((i, True))
            stack.extend((producer, False) for producer in producers[i] if producer not in seen)
    return order
