"""Coupling -> groups: the classes of channels that constants make, and which of them may become fewer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

import msgspec

from effaudit.axes.call import Producer
from effaudit.axes.couple import Coupling, tensors
from effaudit.axes.terms import PRODUCT, Term, factors, leaves, root
from effaudit.graph import Graph

TWICE: Final = "it occurs twice in one axis"


class Member(msgspec.Struct, frozen=True):
    """An axis that a group is, or is a part of."""

    tensor: str
    axis: int


class Group(msgspec.Struct, frozen=True):
    """Channels that can only go together.

    `length` of them; `members` are the axes they lie on, `producers` the labels of the nodes whose weights make them,
    the first of which names the group (numbered where that makes several). `blocked` says why they keep their number;
    `instead` is True where that is because another factor of the same axes may go.
    """

    name: str
    length: int
    members: tuple[Member, ...]
    producers: tuple[str, ...]
    blocked: str
    term: Term
    made_by: tuple[Producer, ...]
    instead: bool = False

    @property
    def label(self) -> str:
        """All producers, the first few by name."""
        first, count = self.producers[:3], len(self.producers)
        return ", ".join(first) + (f" and {count - 3} more" if count > 3 else "")


def groups(graph: Graph, found: Coupling) -> tuple[Group, ...]:
    """The groups of a coupled graph, in the order of the nodes that make them; those of one channel are left out."""
    made: dict[Term, list[Producer]] = {}
    for producer in found.producers:
        for leaf in dict.fromkeys(leaves(producer.made)):
            if leaf.size > 1:
                made.setdefault(leaf, []).append(producer)
    others, within = _left_alone(found, made)
    members: dict[Term, dict[Member, None]] = {leaf: {} for leaf in made}
    for name, axes in tensors(found):
        for axis, term in enumerate(axes):
            for leaf in leaves(term):
                if leaf in members:
                    members[leaf][Member(name, axis)] = None
    names: dict[str, int] = {}
    result = []
    for leaf, producers in made.items():
        labels = tuple(dict.fromkeys(graph.nodes[p.node].label for p in producers))
        names[labels[0]] = names.get(labels[0], 0) + 1
        number = names[labels[0]]
        result.append(
            Group(
                labels[0] if number == 1 else f"{labels[0]}#{number}",
                leaf.size,
                tuple(members[leaf]),
                labels,
                leaf.blocked or others.get(leaf, ""),
                leaf,
                tuple(producers),
                leaf in within,
            )
        )
    return tuple(result)


def _left_alone(found: Coupling, made: Iterable[Term]) -> tuple[dict[Term, str], set[Term]]:
    """Of the factors of one axis a single one is pruned, so that asking for half of the channels takes half of them:
    the outermost that may (whole heads, whole groups), but for a shuffle, whose outermost are its groups. Returns the
    reasons of the others, and all factors, blocked ones too, beside one that may go."""
    candidates = {leaf for leaf in made if not leaf.blocked}
    # not of vectors, which may hold the scales of several axes in one
    several = list(dict.fromkeys(_products(term for axes in found.axes.values() for term in axes)))
    order: dict[tuple[Term, Term], int] = {}
    for position, term in enumerate(several):
        parts = factors(term)
        for pair in pairwise(parts):
            order.setdefault((root(pair[0]), root(pair[1])), position)
    alone: dict[Term, str] = {}
    within: set[Term] = set()
    for term in several:
        parts = factors(term)
        sets = [dict.fromkeys(leaf for leaf in leaves(part) if leaf in candidates) for part in parts]
        chosen: set[Term] | None = None
        for i in _by_preference(parts, order):
            free = {leaf for leaf in sets[i] if leaf not in alone}
            if chosen is None:
                chosen = free or None
            for leaf in free - (chosen or set()):
                alone[leaf] = f"{_sizes(parts)}: another factor of the axis goes instead"
        if chosen:
            within.update(leaf for part in parts for leaf in leaves(part) if leaf not in chosen)
        for leaf in chosen or ():
            if sum(leaf in found for found in sets) > 1:
                alone[leaf] = TWICE
    return alone, {leaf for leaf in within if leaf.blocked or leaf in alone}


def _by_preference(parts: list[Term], order: dict[tuple[Term, Term], int]) -> list[int]:
    """The places of the factors, the first to be pruned first."""
    places = list(range(len(parts)))
    for i in range(len(parts) - 1):
        a, b = root(parts[i]), root(parts[i + 1])
        shuffled = order.get((b, a))
        if a is b or shuffled is None:
            continue
        # a shuffle has both orders: the one met first has its groups outermost
        here = places.index(i), places.index(i + 1)
        if (order[a, b] < shuffled) == (here[0] < here[1]):
            places[here[0]], places[here[1]] = places[here[1]], places[here[0]]
    return places


def _sizes(parts: list[Term]) -> str:
    return " x ".join(str(part.size) for part in parts)


def _products(terms: Iterable[Term]) -> Iterator[Term]:
    """Every product among terms and their parts."""
    seen: set[Term] = set()
    waiting = list(terms)[::-1]
    while waiting:
        term = root(waiting.pop())
        if term in seen:
            continue
        seen.add(term)
        if term.form == PRODUCT:
            yield term
        waiting.extend(reversed(term.parts))
