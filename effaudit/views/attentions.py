"""Where a model attends: every attention of a graph and of the bodies that run in it, with its sizes.

A function's body is looked into per call; of an If, the branch that reads more of the model's inputs: of a decoder
exported with and without its cache, the one with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from effaudit.audited import Audited
from effaudit.dataflow import Flow, flow
from effaudit.graph import Graph
from effaudit.table import CostTable, Row
from effaudit.views.attends import attends, holds
from effaudit.views.transformer.attention import Core, cores
from effaudit.views.transformer.products import assign, blocks
from effaudit.views.transformer.residual import Branch, branches
from effaudit.views.transformer.signal import Signal, signal
from effaudit.views.transformer.sizes import Sizes, batch_of, fused_sizes, relation, spelled_sizes

MAX_DEPTH: Final = 8  # of bodies inside bodies
MAX_ATTENTIONS: Final = 20_000  # a few short functions can call each other very often


class Attended(msgspec.Struct, frozen=True):
    """One attention layer: its `cores` (several where heads run one after the other), the sizes of one of them, and
    whether keys come from where queries come from ("self", "cross", "unknown")."""

    cores: tuple[Core, ...]
    sizes: Sizes
    relation: str
    label: str


class Scope(msgspec.Struct, frozen=True):
    """A graph that holds attention, and how it is tied to the model.

    `outer` names the model's input behind a name inside, `handed` the model's output that a name inside becomes. `path`
    are the labels of the nodes it stands in, from the outside; `repeated`: it lies in a body that runs in a loop.
    """

    signal: Signal
    flow: Flow
    found: tuple[Attended, ...]
    outer: Mapping[str, str]
    handed: Mapping[str, str]
    path: tuple[str, ...] = ()
    repeated: bool = False


class Scopes(msgspec.Struct, frozen=True):
    """The scopes from the outside in, and why some attention may not be among them."""

    scopes: tuple[Scope, ...]
    why: tuple[str, ...] = ()


def attentions(audited: Audited) -> Scopes | None:
    """Every attention of a model; None where it holds none."""
    if not attends(audited):
        return None
    graph = audited.graph
    walk = _Walk(batch_of(graph, audited.flow))
    same = {name: name for name in graph.inputs}
    handed = {name: name for name in graph.outputs}
    walk.look(graph, graph.inputs, audited.table, _Place(same, handed))
    if not any(scope.found for scope in walk.scopes) and not walk.why:
        return None
    return Scopes(tuple(walk.scopes), tuple(dict.fromkeys(walk.why)))


class _Place(msgspec.Struct, frozen=True):
    outer: Mapping[str, str]
    handed: Mapping[str, str]
    path: tuple[str, ...] = ()
    repeated: bool = False


class _Walk:
    """One walk through a model; a body that calls share is analysed once."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.scopes: list[Scope] = []
        self.why: list[str] = []
        self.count = 0
        self.attending: dict[int, bool] = {}
        self.known: dict[tuple[int, frozenset[str]], tuple[Flow, Signal, tuple[Attended, ...]]] = {}

    def look(self, graph: Graph, changing: Iterable[str], table: CostTable, at: _Place) -> None:
        key = (id(graph), frozenset(changing))
        if key not in self.known:
            known = flow(graph, key[1])
            s = signal(graph, known, table)
            self.known[key] = known, s, _layers(s, self.batch)
        known, s, found = self.known[key]
        self.count += max(len(found), 1)
        self.scopes.append(Scope(s, known, found, at.outer, at.handed, at.path, at.repeated))
        for row in table.rows:
            if row.live and row.bodies:
                self._enter(row, known, at)

    def _enter(self, row: Row, known: Flow, at: _Place) -> None:
        node = row.node
        inside = [name for name in row.bodies if holds(node.bodies[name], self.attending)]
        if not inside:
            return
        if len(at.path) >= MAX_DEPTH or self.count > MAX_ATTENTIONS:
            self.why.append(f"what may attend inside {node.op} {node.label} is not looked at: there is too much of it")
            return
        name = max(inside, key=lambda n: (sum(c in at.outer for c in node.bodies[n].captured), n))
        body = node.bodies[name]
        outer = {c: at.outer[c] for c in body.captured if c in at.outer}
        changing = {c for c in body.captured if c in known.varying}
        if name == "function":
            pairs = list(zip(body.inputs, node.inputs, strict=False))
            outer |= {inner: at.outer[given] for inner, given in pairs if given in at.outer}
            changing |= {inner for inner, given in pairs if given in known.varying}
        else:
            changing |= set(body.inputs)
        handed = {}
        if name == "function" or node.op == "If":
            pairs = list(zip(body.outputs, node.outputs, strict=False))
            handed = {inner: at.handed[given] for inner, given in pairs if given in at.handed}
        repeated = at.repeated or (name != "function" and node.op != "If")
        place = _Place(outer, handed, (*at.path, node.label), repeated)
        self.look(body, changing, row.bodies[name], place)


def _layers(s: Signal, batch: int) -> tuple[Attended, ...]:
    """The attention layers of one graph, bodies apart."""
    own, _ = cores(s)
    if not own:
        return ()
    found, _ = branches(s)
    grouped = blocks(s, own, found)
    made = assign(s, grouped, found, frozenset(), frozenset())
    return tuple(_layer(s, group, made.qkv[b], grouped.branch[b], batch) for b, group in enumerate(grouped.cores))


def _layer(
    s: Signal, group: tuple[Core, ...], projections: dict[str, list[int]], branch: Branch | None, batch: int
) -> Attended:
    core = group[0]
    sizes = fused_sizes(s, core.fused) if core.fused is not None else spelled_sizes(s, core, projections, batch)
    node = s.nodes[core.end if core.fused is not None else core.softmax]
    return Attended(group, sizes, relation(s, core, projections, branch), node.label)


def labelled(scope: Scope, layer: Attended) -> str:
    """Where a layer is: its node, behind the nodes whose bodies hold it."""
    return " / ".join((*scope.path, layer.label))


def layers(found: Scopes) -> Iterator[tuple[Scope, Attended]]:
    """Every layer with its scope, in order."""
    for scope in found.scopes:
        for layer in scope.found:
            yield scope, layer
