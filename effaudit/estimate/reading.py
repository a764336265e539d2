"""Bytes of constants that one run reads at least, however the graph is executed: each constant once.

A constant that several nodes read may stay on the chip between them. Of a table that is looked up one entry counts, as
all indices may be the same; of experts those that one token is sent to. A body that is known to run counts once; of an
If what every branch reads, and what its cheapest branch reads beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, TypeAlias

import msgspec

from effaudit import dims
from effaudit.dataflow import Flow, flow
from effaudit.device.dtypes import BITS
from effaudit.dims import Dim
from effaudit.errors import Undecided
from effaudit.graph import Constant, Encoding, Graph, Node
from effaudit.quantity import between
from effaudit.table import CostTable, Row, price
from effaudit.weights import BUFFER, PARAM, Weights

AS_STORED: Final[Mapping[str, str]] = {}
MAX_NODES: Final = 2_000_000  # of all bodies together; of those past it nothing is counted
# Rows of these kinds read the elements that indices pick.
_PICKING: Final = frozenset(("movement", "embedding"))
_EXPERTS: Final = frozenset(("MoE", "QMoE"))
# A constant by its identity, or, in a body, a tensor from outside by its name.
Key: TypeAlias = int | str


class _Found(msgspec.Struct):
    """`certain` constants are read in full: key -> bytes. Of each of `parts`, (constants touched, bytes), at least so
    many bytes are read of them together."""

    certain: dict[Key, int]
    parts: list[tuple[Mapping[Key, int], int]]

    def least(self) -> int:
        """Bytes read, none counted twice: what a part may share with others is taken off it."""
        seen, total = set(self.certain), sum(self.certain.values())
        for touched, size in self.parts:
            total += max(size - sum(n for key, n in touched.items() if key in seen), 0)
            seen.update(touched)
        return total

    def touched(self) -> dict[Key, int]:
        every = dict(self.certain)
        for some, _ in self.parts:
            every.update(some)
        return every


def unique_reads(
    graph: Graph,
    known: Flow | None = None,
    table: CostTable | None = None,
    computes: Mapping[str, str] = AS_STORED,
    only: Weights | None = None,
) -> int:
    """The bytes for a lowered graph with inferred shapes; `known` and `table` are its data flow and prices where the
    caller has them. Constants of an element type in `computes` are as wide as the type it names. Where `only` is given,
    no constants count but its parameters and buffers."""
    known = known or flow(graph)
    counted = None if only is None else frozenset(id(t.constant) for t in only.of(PARAM, BUFFER))
    return _Reader(computes, counted).graph(graph, known, table or price(graph, known)).least()


class _Reader:
    """Walks every body once for each set of its inputs that vary."""

    def __init__(self, computes: Mapping[str, str], counted: frozenset[int] | None) -> None:
        self.computes, self.counted = computes, counted
        self.bodies: dict[tuple[int, frozenset[str]], _Found] = {}
        self.left = MAX_NODES
        self.nothing = _Found({}, [])

    def graph(self, graph: Graph, known: Flow, table: CostTable) -> _Found:
        found, keys = _Found({}, []), _Keys(graph, known, self.computes, self.counted)
        called: set[int] = set()
        for i, (node, row) in enumerate(zip(graph.nodes, table.rows, strict=True)):
            if not row.live or known.varying.isdisjoint(node.outputs):
                continue
            if row.bodies:
                self._bodies(node, row, known, keys, found, called)
            elif not row.why:
                _node(node, row, known.reads[i], keys, found)
        return found

    def _body(self, body: Graph, table: CostTable, varying: frozenset[str]) -> _Found:
        key = (id(body), varying)
        if key not in self.bodies:
            self.left -= len(body.nodes) + 1
            if self.left < 0:
                return self.nothing
            self.bodies[key] = self.graph(body, flow(body, varying), table)
        return self.bodies[key]

    def _bodies(self, node: Node, row: Row, known: Flow, keys: _Keys, found: _Found, called: set[int]) -> None:
        """Adds what the bodies of a node read."""
        is_if = node.op == "If" and not node.domain and "function" not in node.bodies
        branches = []
        for name, body in node.bodies.items():
            if name not in row.bodies or not body.runs:
                continue
            if not is_if and (body.times[0] is None or not dims.bounds(body.times[0])[0]):
                continue
            handed = _handed(node, body, is_function=name == "function")
            outside = set(body.inputs) - handed.keys() if name != "function" else set()
            varying = outside | {inner for inner, outer in handed.items() if outer in known.varying}
            inside = self._body(body, row.bodies[name], frozenset(varying))
            # The body's own constants need adding but once, however often it is called.
            again = not is_if and id(inside) in called
            called.add(id(inside))
            branches.append(_outside(inside, handed, keys, again=again))
        if is_if:
            _cheapest(branches, found)
            return
        for one in branches:
            found.certain.update(one.certain)
            found.parts.extend(one.parts)


class _Keys:
    """The constants of a graph, and in a body the tensors from outside that may be some."""

    def __init__(self, graph: Graph, known: Flow, computes: Mapping[str, str], counted: frozenset[int] | None) -> None:
        self.graph, self.known, self.computes, self.counted = graph, known, computes, counted
        self.outer = frozenset((*graph.inputs, *graph.captured))
        self.constants = {**graph.constants, **dict(_written(graph))}

    def of(self, name: str) -> Key | None:
        """The key of a tensor; None of one that is no constant that counts."""
        constant = self.constants.get(name)
        if constant is not None:
            return id(constant) if self.counted is None or id(constant) in self.counted else None
        return name if name in self.outer and name not in self.known.varying else None

    def size(self, name: str) -> int | None:
        """Bytes as computed; None where they are not known."""
        constant = self.constants.get(name)
        if constant is not None:
            return self._wide(constant.nbytes, constant.encoding)
        raw = self.raw(name)
        return self._wide(raw, self.graph.values[name].encoding) if type(raw) is int else None

    def raw(self, name: str) -> Dim | None:
        """Bytes as stored; None where they are not known."""
        value = self.graph.values.get(name)
        try:
            return None if value is None or value.shape is None else value.nbytes
        except Undecided:
            return None

    def _wide(self, size: int, encoding: Encoding) -> int:
        before, after = encoding.bits, BITS.get(self.computes.get(encoding.dtype, ""), 0)
        return size * after // before if before and after and after < before else size


def _written(graph: Graph) -> Iterator[tuple[str, Constant]]:
    """The constants that stay nodes, as in the bodies of functions."""
    for node in graph.nodes:
        value = node.attrs.get("value") if node.op == "Constant" else None
        if isinstance(value, Constant) and node.outputs:
            yield node.outputs[0], value


def _node(node: Node, row: Row, read: Iterable[str], keys: _Keys, found: _Found) -> None:
    """Adds what one node reads of constants: of those that are read in full all, of others a part."""
    sizes: dict[Key, int] = {}
    fed: list[str] = []
    names = []
    for name in read:
        key = keys.of(name)
        size = None if key is None else keys.size(name)
        if key is None:
            fed.append(name)
        elif size is not None:
            sizes[key] = size
            names.append(name)
    if not sizes or node.op == "Where":  # which of its elements are taken is decided at run time
        return
    if node.op in _EXPERTS:
        _experts(node, names, keys, found)
        return
    rest, whole = _beside(row, fed, keys), sum(_whole(keys.raw(name)) for name in names)
    if row.kind not in _PICKING:
        if rest >= whole:
            found.certain.update(sizes)
        return
    picks = max(sum(_count(keys, name) for name in fed), 1)
    part = min(rest // picks, whole)
    if part:
        found.parts.append((sizes, part * sum(sizes.values()) // whole))


def _experts(node: Node, names: Iterable[str], keys: _Keys, found: _Found) -> None:
    """A token is sent to k of the experts, whose number is the first size of each of the tensors."""
    chosen = node.attrs.get("k", 1)
    for name in names:
        key, size, shape = keys.of(name), keys.size(name), keys.graph.values[name].shape
        if key is None or not size or not shape or type(shape[0]) is not int or type(chosen) is not int:
            continue
        found.parts.append(({key: size}, size * min(max(chosen, 0), shape[0]) // max(shape[0], 1)))


def _beside(row: Row, fed: Iterable[str], keys: _Keys) -> int:
    """Bytes that a node reads beside what it is fed."""
    rest = row.low.reads
    try:
        for name in fed:
            size = keys.raw(name)
            if rest is None or size is None:
                return 0
            rest = rest - size
        return 0 if rest is None else between(rest, rest).low
    except Undecided:
        return 0


def _whole(size: Dim | None) -> int:
    return size if type(size) is int else 0


def _count(keys: _Keys, name: str) -> int:
    """Elements of a tensor at the most, so that no more than these pick something."""
    try:
        most = dims.bounds(keys.graph.values[name].numel)[1]
    except Undecided:
        most = None
    return 2**62 if most is None else most


def _handed(node: Node, body: Graph, *, is_function: bool) -> dict[str, str]:
    """Names in a body -> those around it: what it captures, and the arguments of a function."""
    handed = {name: name for name in body.captured}
    if is_function:
        handed |= dict(zip(body.inputs, node.inputs, strict=False))
    return handed


def _outside(inside: _Found, handed: Mapping[str, str], keys: _Keys, *, again: bool) -> _Found:
    """What a body reads, in the keys of what is around it; without its own constants where they were counted."""

    def key_of(key: Key) -> Key | None:
        return key if isinstance(key, int) else keys.of(handed.get(key, ""))

    found = _Found({}, [])
    for key, size in inside.certain.items():
        outer = None if again and isinstance(key, int) else key_of(key)
        if outer is not None:
            found.certain[outer] = size
    for touched, part in () if again else inside.parts:
        size = part
        kept: dict[Key, int] = {}
        for key, whole in touched.items():
            outer = key_of(key)
            if outer is None:
                size -= whole
            else:
                kept[outer] = whole
        if size > 0:
            found.parts.append((kept, size))
    return found


def _cheapest(branches: list[_Found], found: _Found) -> None:
    """Adds what every branch reads, and beside it as many bytes as the branch that reads least."""
    if not branches:
        return
    common = {k: n for k, n in branches[0].certain.items() if all(k in one.certain for one in branches[1:])}
    shared = sum(common.values())
    rest = min(one.least() for one in branches) - shared
    found.certain.update(common)
    if rest > 0:
        touched = {key: size for one in branches for key, size in one.touched().items() if key not in common}
        found.parts.append((touched, rest))
