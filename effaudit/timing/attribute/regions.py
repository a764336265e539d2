"""Parts of two graphs that belong together: cut at the tensors that stand for one another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from effaudit.timing.attribute.side import Side


class Region(msgspec.Struct, frozen=True):
    """Nodes of the optimized graph that no anchor parts, and the nodes of the original graph that they compute."""

    optimized: tuple[int, ...]
    original: tuple[int, ...]


def regions(original: Side, optimized: Side, stands: Mapping[str, str]) -> tuple[Region, ...]:
    """The regions, by their first node. Every node of the optimized graph is in one, a node of the original graph may
    be in several (computed twice) or in none (folded, merged, never run)."""
    cut = frozenset(stands.values())
    found = []
    for members in _components(optimized, stands):
        given = {stands[o] for i in members for o in optimized.graph.nodes[i].outputs if o in stands}
        taken = {stands[name] for i in members for name in optimized.flow.reads[i] if name in stands}
        inside = {stands[o] for o in _made_and_read(optimized, members) if o in stands}
        found.append(Region(members, behind(original, given - (taken - inside), cut)))
    return tuple(found)


def _made_and_read(side: Side, members: tuple[int, ...]) -> set[str]:
    made = {o for i in members for o in side.graph.nodes[i].outputs if o}
    return made & {name for i in members for name in side.flow.reads[i]}


def _components(side: Side, stands: Mapping[str, str]) -> list[tuple[int, ...]]:
    """Nodes joined by tensors that stand for nothing."""
    parent = list(range(len(side.graph.nodes)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, names in enumerate(side.flow.reads):
        for name in names:
            if name not in stands and name in side.maker:
                a, b = sorted((root(i), root(side.maker[name])))
                parent[b] = a
    groups: dict[int, list[int]] = {}
    for i in range(len(parent)):
        groups.setdefault(root(i), []).append(i)
    return [tuple(group) for group in groups.values()]


def behind(side: Side, tensors: Iterable[str], cut: frozenset[str]) -> tuple[int, ...]:
    """The nodes that make `tensors` out of those in `cut`, in order; what is folded before the model runs is left out,
    but for dequantized weights, which a quantized kernel takes in."""
    alike = frozenset(side.same.get(name, name) for name in cut)
    wanted = frozenset(tensors)
    found: set[int] = set()
    waiting = list(wanted)
    while waiting:
        name = waiting.pop()
        i = side.maker.get(name)
        if i is None or i in found:
            continue
        if name not in wanted:
            if name in cut or side.same.get(name, name) in alike:
                continue
            if side.folded(i) and side.graph.nodes[i].op != "DequantizeLinear":
                continue
        found.add(i)
        waiting.extend(side.flow.reads[i])
    return tuple(sorted(found))
