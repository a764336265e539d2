"""A graph while ONNX Runtime's optimizer rewrites it: who makes and who reads each tensor, kept as nodes come and go.

Edges are counted as there: a node that reads a tensor twice has two of them. What is added gets a new index, behind all
others, and the order of the finished graph is that in which ONNX Runtime runs it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import prod

from msgspec.structs import replace

from effaudit.dataflow import reads
from effaudit.dims import Dim
from effaudit.graph import Constant, Encoding, Graph, Node, Value
from effaudit.lower._rewrite import fused_with
from effaudit.lower.ort_order import reverse_depth_first


class Draft:
    """A sorted graph under construction. Names that bodies capture and graph outputs are pinned: no node that makes one
    is taken into another."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.nodes: dict[int, Node] = dict(enumerate(graph.nodes))
        self.values: dict[str, Value] = dict(graph.values)
        self.constants: dict[str, Constant] = dict(graph.constants)
        self.pinned: set[str] = set(graph.outputs)
        self._next = len(graph.nodes)
        self._changed = False
        self._maker: dict[str, int] = {}
        self._readers: dict[str, list[int]] = {}
        for i, node in self.nodes.items():
            self._enter(i, node)

    def _enter(self, i: int, node: Node) -> None:
        for name in reads(node) if node.bodies else node.inputs:
            self._readers.setdefault(name, []).append(i)
        self._maker.update((name, i) for name in node.outputs if name)
        for body in node.bodies.values():
            self.pinned.update(body.captured)

    def drop(self, i: int) -> None:
        """Takes a node out."""
        node = self.nodes.pop(i)
        for name in reads(node) if node.bodies else node.inputs:
            self._readers[name].remove(i)
        for name in node.outputs:
            if self._maker.get(name) == i:
                del self._maker[name]
        self._changed = True

    def add(self, node: Node) -> int:
        """Puts a node behind all others; its index."""
        i, self._next = self._next, self._next + 1
        self.nodes[i] = node
        self._enter(i, node)
        self._changed = True
        return i

    def put(self, i: int, node: Node) -> None:
        """Another node in the place of one."""
        self.drop(i)
        self.nodes[i] = node
        self._enter(i, node)

    def fuse(self, gone: Iterable[int], node: Node) -> int:
        """One node for several, the first of which it is named after; its index."""
        indices = list(dict.fromkeys(gone))
        others = [self.nodes[i].label for i in indices[1:]]
        inside = [name for i in indices for name in self.nodes[i].attrs.get("fused", ())]
        for i in indices:
            self.drop(i)
        return self.add(replace(node, attrs=fused_with(replace(node, attrs=without(node, "fused")), *inside, *others)))

    def indices(self) -> Iterator[int]:
        """Every node that is still there when its turn comes; none that is added meanwhile."""
        for i in list(self.nodes):
            if i in self.nodes:
                yield i

    def maker(self, name: str) -> int | None:
        """The node that makes a tensor."""
        return self._maker.get(name)

    def makes(self, name: str, *ops: str, domain: str = "") -> Node | None:
        """The node that makes a tensor, where it is one of these operators."""
        i = self._maker.get(name) if name else None
        node = None if i is None else self.nodes[i]
        return node if node is not None and node.op in ops and node.domain == domain else None

    def edges(self, name: str) -> list[int]:
        """Who reads a tensor, once for every time."""
        return self._readers.get(name, [])

    def sole(self, name: str) -> int | None:
        """The one node that reads a tensor, once, where nothing else needs it."""
        readers = self._readers.get(name, ())
        return readers[0] if len(readers) == 1 and name not in self.pinned else None

    def reader(self, name: str, *ops: str, domain: str = "") -> int | None:
        """`sole`, where it is one of these operators."""
        i = self.sole(name)
        return i if i is not None and self.nodes[i].op in ops and self.nodes[i].domain == domain else None

    def is_constant(self, name: str) -> bool:
        """True for what is stored with the model."""
        return name in self.constants

    def number(self, name: str) -> float | None:
        """The one element of a constant."""
        value = self.values.get(name)
        if value is None or name not in self.constants or value.data is None or len(value.data) != 1:
            return None
        one = value.data[0]
        return float(one) if type(one) in (int, float) else None

    def whole(self, name: str) -> tuple[int, ...] | None:
        """The elements of a constant of whole numbers."""
        value = self.values.get(name)
        data = None if value is None or name not in self.constants else value.data
        return data if data is not None and all(type(one) is int for one in data) else None

    def shape(self, name: str) -> tuple[int, ...] | None:
        """The shape of a tensor, in numbers."""
        value = self.values.get(name)
        if value is None or value.shape is None or not all(type(dim) is int for dim in value.shape):
            return None
        return tuple(dim for dim in value.shape if type(dim) is int)

    def dims(self, name: str) -> tuple[Dim, ...] | None:
        """The shape of a tensor, open dims as they are."""
        value = self.values.get(name)
        return None if value is None else value.shape

    def ranked(self, name: str) -> tuple[Dim, ...]:
        """`dims`. Raises ValueError where it is not known."""
        found = self.dims(name)
        if found is None:
            raise ValueError(f"the shape of {name} is not known")
        return found

    def sized(self, name: str) -> tuple[int, ...]:
        """`shape`. Raises ValueError where it is not known."""
        found = self.shape(name)
        if found is None:
            raise ValueError(f"the shape of {name} is not known")
        return found

    def dtype(self, name: str) -> str:
        """The type of a tensor's elements."""
        value = self.values.get(name)
        return "" if value is None else value.encoding.dtype

    def tensor(self, name: str, like: str, shape: tuple[Dim, ...] | None = None) -> str:
        """A new tensor of the type, and where no shape is given of the shape, of another; its name."""
        value = self.values[like]
        self.values[name] = Value(value.encoding, value.shape if shape is None else shape)
        return name

    def stored(self, name: str, encoding: Encoding, shape: tuple[int, ...]) -> str:
        """A new constant whose elements nobody computed; its name."""
        size = encoding.nbytes(prod(shape))
        assert type(size) is int
        why = "made by a fusion, of which only the size matters"
        self.constants[name] = Constant(name, encoding, shape, "initializer", prod(shape), size, missing=why)
        self.values[name] = Value(encoding, shape)
        return name

    def graph(self) -> Graph:
        """What has become of the graph; itself where nothing was changed."""
        if not self._changed:
            return self._graph
        nodes = tuple(self.nodes[i] for i in sorted(self.nodes))
        return reverse_depth_first(replace(self._graph, nodes=nodes, values=self.values, constants=self.constants))


def without(node: Node, *names: str) -> dict[str, object]:
    """The attributes of a node but these."""
    return {key: value for key, value in node.attrs.items() if key not in names}
