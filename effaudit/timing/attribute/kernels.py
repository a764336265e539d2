"""The kernels of a profile -> the nodes of the optimized graph that they ran."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

import msgspec

from effaudit.graph import Graph, Node, Shape
from effaudit.run.timed_types import KernelRun

_UNNAMED: Final = re.compile(r"_\d+$")


class Place(msgspec.Struct, frozen=True):
    """A node of the optimized graph, or of a body in it: `top` is the index of the outermost node, `inner` leads from
    there, as names of bodies and indices in them."""

    node: Node
    graph: Graph
    top: int
    inner: tuple[tuple[str, int], ...] = ()


def places(graph: Graph) -> Iterator[Place]:
    """Every node, those of bodies after the node they belong to."""
    for i, node in enumerate(graph.nodes):
        yield from _within(Place(node, graph, i))


def _within(place: Place) -> Iterator[Place]:
    yield place
    for name, body in place.node.bodies.items():
        for i, node in enumerate(body.nodes):
            yield from _within(Place(node, body, place.top, (*place.inner, (name, i))))


def located(optimized: Graph, kernels: Sequence[KernelRun]) -> tuple[Place | None, ...]:
    """For each kernel the node that it ran, None where there is none of its name and operator.

    ONNX Runtime calls a kernel by its node's name, one without a name by operator and index (`Relu_7`). Where several
    nodes could be meant, one with the shapes that the kernel wrote is taken, then the first that is left.
    https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/framework/sequential_executor.cc
    """
    named: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places(optimized):
        named[place.node.name, place.node.op].append(place)
    found: dict[int, Place] = {}
    for i in sorted(range(len(kernels)), key=lambda i: _order(kernels[i], i)):
        kernel = kernels[i]
        left = named.get((kernel.name, kernel.op)) or (
            named.get(("", kernel.op)) if _UNNAMED.sub("", kernel.name) == kernel.op else None
        )
        if left:
            place = next((place for place in left if _wrote(kernel, place)), left[0])
            left.remove(place)
            found[i] = place
    return tuple(found.get(i) for i in range(len(kernels)))


def _order(kernel: KernelRun, i: int) -> tuple[int, int]:
    """By index where it is known: nodes are saved in about that order."""
    tail = _UNNAMED.search(kernel.name)
    index = kernel.index if kernel.index is not None else int(tail.group()[1:]) if tail else 0
    return index, i


def _wrote(kernel: KernelRun, place: Place) -> bool:
    """Whether a kernel wrote tensors of the inferred shapes, as far as these are known."""
    outputs = [name for name in place.node.outputs if name]
    if len(outputs) != len(kernel.output_shapes):
        return False
    for name, shape in zip(outputs, kernel.output_shapes, strict=True):
        value = place.graph.values.get(name)
        if value is None or value.shape is None:
            continue
        if len(value.shape) != len(shape):
            return False
        if any(isinstance(a, int) and a != b for a, b in zip(value.shape, shape, strict=True)):
            return False
    return True


def measured(kernels: Iterable[KernelRun], found: Iterable[Place | None]) -> Mapping[str, Shape]:
    """The shapes that kernels wrote, by tensor of the optimized graph."""
    shapes: dict[str, Shape] = {}
    for kernel, place in zip(kernels, found, strict=True):
        outputs = [name for name in place.node.outputs if name] if place else []
        if len(outputs) == len(kernel.output_shapes):
            shapes.update(zip(outputs, kernel.output_shapes, strict=True))
    return shapes


def inner_calls(kernels: Sequence[KernelRun], found: Sequence[Place | None]) -> tuple[float, ...]:
    """For each kernel the calls of the kernels in its bodies, however deep."""
    steps = [None if place is None else (place.top, *place.inner) for place in found]
    owner = {step: i for i, step in enumerate(steps) if step is not None}
    total = [0.0] * len(kernels)
    for kernel, step in zip(kernels, steps, strict=True):
        for depth in range(1, len(step or ())):
            i = owner.get(step[:depth]) if step else None
            if i is not None:
                total[i] += kernel.calls
    return tuple(total)
