"""The order in which onnxruntime's quantizer writes nodes: what needs constants alone first, then breadth first.

https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/python/tools/quantization/onnx_model.py
(`ONNXModel.topological_sort`)
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from effaudit.graph import Node


def breadth_first(nodes: Sequence[Node], given: Iterable[str]) -> tuple[Node, ...]:
    """The nodes in that order; `given` are the graph's inputs and constants. What bodies capture counts as read, which
    onnxruntime forgets."""
    waiting = [0] * len(nodes)
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(nodes):
        captured = (name for body in node.bodies.values() for name in body.captured)
        for name in (*node.inputs, *captured):
            if name:
                waiting[i] += 1
                readers.setdefault(name, []).append(i)
    order = [i for i, count in enumerate(waiting) if not count]
    queue = deque((*sorted(set(given)), *(name for i in order for name in nodes[i].outputs)))
    while queue:
        for i in readers.get(queue.popleft(), ()):
            waiting[i] -= 1
            if not waiting[i]:
                order.append(i)
                queue.extend(nodes[i].outputs)
    assert len(order) == len(nodes), "a cycle, or a tensor that nothing makes"
    return tuple(nodes[i] for i in order)
