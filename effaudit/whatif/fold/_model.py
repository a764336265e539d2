"""What every fold starts from and ends with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.dataflow import flow, reads
from effaudit.graph import Constant, Encoding, Graph, Node, Value, nested
from effaudit.lower._rewrite import Wiring
from effaudit.whatif.draft import Draft
from effaudit.whatif.types import Blocked, Detail


class Folded(msgspec.Struct, frozen=True):
    """What one kind of fold made of a graph; `note` says how much in one clause."""

    graph: Graph
    note: str
    blocked: tuple[Blocked, ...] = ()
    details: tuple[Detail, ...] = ()


class Model:
    """A graph that is being folded: its wiring, its draft, and what is known of its tensors whatever the open dims.

    Folds keep the meaning of a tensor's name, so `values`, inferred once, hold for every name that is left.
    """

    def __init__(self, audited: Audited, values: Mapping[str, Value]) -> None:
        self.raw = audited.raw
        self.values = values
        self.draft = Draft(audited)
        self.wiring = Wiring(audited.raw)

    @property
    def opset(self) -> int:
        return self.raw.opsets.get("", 1)

    def shape(self, name: str) -> tuple[Any, ...] | None:
        value = self.values.get(name)
        return None if value is None else value.shape

    def encoding(self, name: str) -> Encoding | None:
        value = self.values.get(name)
        return None if value is None else value.encoding

    def data(self, name: str) -> tuple[Any, ...] | None:
        """The elements of a small tensor where all are numbers whatever the open dims are."""
        value = self.values.get(name)
        data = None if value is None else value.data
        if data is None or not all(type(one) in (int, float, bool) for one in data):
            return None
        return data

    def alike(self, one: str, other: str) -> bool:
        """True where two tensors have the same type and, for every size that the open dims take, the same shape."""
        a, b = self.values.get(one), self.values.get(other)
        if a is None or b is None or a.shape is None or a.encoding.bits == 0:
            return False
        return a.shape == b.shape and a.encoding == b.encoding

    def alone(self, name: str, i: int) -> bool:
        """True where the node `i` is all that reads a tensor."""
        return self.wiring.only_reader(name) == i

    def graph(self) -> Graph:
        """The draft as a graph, without nodes that no output depends on any more."""
        made = replace(self.draft.graph(), stated=self.raw.stated)
        before, after = self.wiring.flow.live, flow(made).live
        if all(after):
            return made
        idle = {id_of(node) for node, live in zip(self.raw.nodes, before, strict=True) if not live}
        kept = tuple(n for n, live in zip(made.nodes, after, strict=True) if live or id_of(n) in idle)
        return _without_unread(replace(made, nodes=kept), self.raw)


def id_of(node: Node) -> tuple[str, ...]:
    """What tells a node from every other of its graph: the tensors it makes."""
    return node.outputs


def _without_unread(graph: Graph, before: Graph) -> Graph:
    """Without the constants that lost their readers; those that never had one stay."""
    now, then = _read(graph), _read(before)
    kept = {name: one for name, one in graph.constants.items() if name in now or name not in then}
    return replace(graph, constants=kept)


def _read(graph: Graph) -> set[str]:
    return {name for node in graph.nodes for name in reads(node)}.union(graph.outputs)


def stored_bytes(graph: Graph) -> int:
    """Bytes of the constants of a graph and its bodies, one held by several nodes once."""
    found: dict[int, Constant] = {}
    for part in nested([graph]):
        found.update((id(one), one) for one in part.constants.values())
        for node in part.nodes:
            found.update((id(held), held) for held in node.attrs.values() if isinstance(held, Constant))
    return sum(one.nbytes for one in found.values())


def grouped(refused: Iterable[tuple[Node, str]]) -> tuple[Blocked, ...]:
    """One row for all nodes of an operator that stay for the same reason."""
    found: dict[tuple[str, str], list[str]] = {}
    for node, reason in refused:
        found.setdefault((node.op, reason), []).append(node.label)
    return tuple(Blocked(_named(op, labels), reason) for (op, reason), labels in found.items())


def _named(op: str, labels: list[str]) -> str:
    return f"{op} {labels[0]!r}" if len(labels) == 1 else f"{op}: {len(labels)} nodes, the first {labels[0]!r}"
