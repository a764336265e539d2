"""Inside a region of several kernels: which kernel computes which nodes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, TypeAlias

import msgspec

from effaudit.timing.attribute.anchors import unnumbered
from effaudit.timing.attribute.families import EPILOGUE, LAYOUT, Layout, family
from effaudit.timing.attribute.regions import Region
from effaudit.timing.attribute.shapes import agree
from effaudit.timing.attribute.side import Side

FUSION: Final = re.compile(r"/\w+(Fusion|Fuse)/?$")  # what ONNX Runtime adds to the name of a node that it fuses
ANY: Final = Layout(blocked=True, permuted=True, reshaped=True)
Pairs: TypeAlias = dict[int, int]


class Shared(msgspec.Struct, frozen=True):
    """`computes`: node of the optimized graph -> the nodes of the original one that it computes. `inserted`: nodes that
    only change the layout of tensors. `vague`: nodes that compute a part of what they are given, not told apart."""

    computes: Mapping[int, tuple[int, ...]]
    inserted: frozenset[int]
    vague: frozenset[int]


def shared(region: Region, original: Side, optimized: Side) -> Shared:
    """The nodes of a region, by the kernel that computes them."""
    if len(region.optimized) == 1:
        return _alone(region.optimized[0], region.original, optimized)
    pairs = _pairs(region, original, optimized)
    free = [i for i in region.optimized if i not in pairs and optimized.graph.nodes[i].op not in LAYOUT]
    owner = _owners(region, original, optimized, pairs, free)
    computes: dict[int, list[int]] = {i: [] for i in (*pairs, *free)}
    for node, i in owner.items():
        computes[i].append(node)
    empty = [i for i in free if not computes[i]]
    unpaired = tuple(n for n in region.original if n not in pairs.values()) or region.original
    for i in empty:
        computes[i] = list(unpaired)
    taken = {n for i in empty for n in computes[i]}
    vague = frozenset(i for i, nodes in computes.items() if i in empty or (empty and not taken.isdisjoint(nodes)))
    inserted = frozenset(i for i in region.optimized if i not in computes)
    if len(inserted) == len(region.optimized) and region.original:  # layout changes that do the work of others
        return Shared(dict.fromkeys(inserted, region.original), frozenset(), inserted)
    return Shared({i: tuple(sorted(nodes)) for i, nodes in computes.items()}, inserted, vague)


def _alone(i: int, nodes: tuple[int, ...], optimized: Side) -> Shared:
    if nodes or optimized.graph.nodes[i].op not in LAYOUT:
        return Shared({i: nodes}, frozenset(), frozenset())
    return Shared({}, frozenset((i,)), frozenset())


def _pairs(region: Region, original: Side, optimized: Side) -> Pairs:
    """Kernels and nodes of one family, by name, by the weights they read, then in order where their shapes agree;
    changes of layout last, and only where they stand between the same kernels."""
    pairs: Pairs = {}
    work = [i for i in region.optimized if optimized.graph.nodes[i].op not in LAYOUT]
    layout = [i for i in region.optimized if optimized.graph.nodes[i].op in LAYOUT]
    for same, members in ((_same_name, region.optimized), (_same_weights, work), (_same_shape, work)):
        _pair(pairs, members, region, partial(same, original=original, optimized=optimized), original, optimized)
    mine = _around(optimized, region.optimized, pairs)
    theirs = _around(original, region.original, {n: n for n in pairs.values()})

    def placed(i: int, n: int) -> bool:
        (before, after), (ahead, behind) = mine[i], theirs[n]
        return not before & behind and not after & ahead and _same_shape(i, n, original, optimized)

    _pair(pairs, layout, region, placed, original, optimized)
    return pairs


def _pair(
    pairs: Pairs,
    members: Iterable[int],
    region: Region,
    same: Callable[[int, int], bool],
    original: Side,
    optimized: Side,
) -> None:
    """Adds the pairs of one family that are the `same`."""
    left = [n for n in region.original if n not in set(pairs.values())]
    for i in members:
        if i in pairs:
            continue
        for n in left:
            if _related(i, n, original, optimized) and same(i, n):
                pairs[i] = n
                left.remove(n)
                break


def _related(i: int, n: int, original: Side, optimized: Side) -> bool:
    return family(optimized.graph.nodes[i].op) == family(original.graph.nodes[n].op)


def _same_name(i: int, n: int, original: Side, optimized: Side) -> bool:
    name, wanted = optimized.graph.nodes[i].name, original.graph.nodes[n].name
    return bool(wanted) and wanted in (name, unnumbered(name), FUSION.sub("", unnumbered(name)))


def _same_weights(i: int, n: int, original: Side, optimized: Side) -> bool:
    mine = {name for name in optimized.graph.nodes[i].inputs if name in optimized.graph.constants}
    theirs: set[str] = set()
    for name in original.graph.nodes[n].inputs:
        maker = original.maker.get(name)
        theirs.update((name,) if maker is None else original.graph.nodes[maker].inputs[:1])
    return any(name in mine for name in theirs & original.graph.constants.keys())


def _same_shape(i: int, n: int, original: Side, optimized: Side) -> bool:
    mine = optimized.graph.values.get(optimized.graph.nodes[i].outputs[0])
    theirs = original.graph.values.get(original.graph.nodes[n].outputs[0])
    return mine is None or theirs is None or agree(mine.shape, theirs.shape, ANY) is not False


def _owners(region: Region, original: Side, optimized: Side, pairs: Pairs, free: list[int]) -> dict[int, int]:
    """Node of the original graph -> the kernel that computes it."""
    owner = {n: i for i, n in pairs.items()}
    mine = _around(optimized, region.optimized, pairs)
    theirs = _around(original, region.original, {n: n for n in pairs.values()})
    for n in region.original:
        if n in owner:
            continue
        before = _makers(n, region.original, original)
        node = original.graph.nodes[n]
        if node.op == "BatchNormalization" and any(b in owner for b in before):
            owner[n] = next(owner[b] for b in before if b in owner)
            continue
        scored = [(sum(x == y for x, y in zip(mine[i], theirs[n], strict=True)), -i) for i in free]
        if scored and max(scored)[0]:
            owner[n] = -max(scored)[1]
        elif node.op in EPILOGUE and any(b in owner for b in before):
            owner[n] = next(owner[b] for b in before if b in owner)
    _spread(region, original, owner)
    kernels = sorted((*pairs, *free))
    if kernels:
        owner.update((n, kernels[-1]) for n in region.original if n not in owner)
    return owner


def _spread(region: Region, original: Side, owner: dict[int, int]) -> None:
    """Nodes without a kernel of their own go with what reads them, else with what feeds them."""
    inside = frozenset(region.original)
    for n in reversed(region.original):
        if n not in owner:
            readers = [r for o in original.graph.nodes[n].outputs for r in original.readers.get(o, ())]
            found = next((owner[r] for r in readers if r in inside and r in owner), None)
            if found is not None:
                owner[n] = found
    for n in region.original:
        if n not in owner:
            found = next((owner[b] for b in _makers(n, region.original, original) if b in owner), None)
            if found is not None:
                owner[n] = found


def _makers(n: int, inside: Iterable[int], side: Side) -> list[int]:
    members = set(inside)
    return [side.maker[name] for name in side.flow.reads[n] if side.maker.get(name) in members]


def _around(side: Side, members: tuple[int, ...], pivots: Mapping[int, int]) -> dict[int, tuple[int, int]]:
    """For each member the pivots before and after it, as bits by their place."""
    bit = {n: 1 << k for k, n in enumerate(sorted(pivots.values()))}
    before = _gathered(members, lambda i: _makers(i, members, side), pivots, bit)
    inside = frozenset(members)

    def next_ones(i: int) -> list[int]:
        return [r for o in side.graph.nodes[i].outputs for r in side.readers.get(o, ()) if r in inside]

    after = _gathered(tuple(reversed(members)), next_ones, pivots, bit)
    return {i: (before[i], after[i]) for i in members}


def _gathered(
    members: tuple[int, ...], near: Callable[[int], list[int]], pivots: Mapping[int, int], bit: Mapping[int, int]
) -> dict[int, int]:
    found: dict[int, int] = {}
    for i in members:
        mask = 0
        for other in near(i):
            mask |= found.get(other, 0) | (bit[pivots[other]] if other in pivots else 0)
        found[i] = mask
    return found
