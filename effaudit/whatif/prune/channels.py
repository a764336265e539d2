"""Structured pruning: whole channels go, wherever they lie, and the network is the one built with fewer.

Channels that can only go together are a group: the filters that make them, the norms they pass, the residuals they
meet in and the weights that read them. Criteria by magnitude: Li et al., https://arxiv.org/abs/1608.08710; by the
scale of batch norms: Liu et al., https://arxiv.org/abs/1708.06519.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from fractions import Fraction
from typing import TYPE_CHECKING, Final

import msgspec

from effaudit.audited import Audited
from effaudit.axes import Coupling, Group, couple, groups
from effaudit.axes.terms import Term
from effaudit.errors import UsageError
from effaudit.graph import Graph
from effaudit.nearest import did_you_mean
from effaudit.whatif.prune.saliency import UNRANKED, Saliency, Unranked
from effaudit.whatif.prune.slicing import Uncut, sliced
from effaudit.whatif.prune.verify import accepted
from effaudit.whatif.types import Blocked, Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "channel groups"
OPTION: Final = "--prune"
MAX_CHANNELS: Final = 1 << 20  # of one group: a header of a few bytes may claim any number
MAX_TRIES: Final = 24  # graphs made before a network is given up whose shapes do not follow


class Channels(msgspec.Struct, frozen=True):
    """Which channels go: the share `ratio` of every group (`scope` group) or of all groups together (global), those
    that matter least by `criterion`: l1, l2, bn (|scale| of batch norms), first (the first ones stay), or the `indices`
    that go by name of group. `round_to`: what stays is a multiple of it, never less than without. `only` and `skip` are
    patterns of groups, or of the nodes that make them. `stay`, in place of all these, says of the groups that may
    change, and of all, how many channels stay; `option` is what asks, for messages."""

    ratio: Fraction | None = None
    criterion: str = "l1"
    scope: str = "group"
    round_to: int = 1
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    indices: Mapping[str, tuple[int, ...]] = {}
    stay: Callable[[Sequence[Group], Sequence[Group]], Mapping[Term, int]] | None = None
    option: str = OPTION


class Choice(msgspec.Struct, frozen=True):
    """One group with the channels that stay, ascending, and the saliency of all where weights `told` it."""

    group: Group
    kept: tuple[int, ...]
    saliency: np.ndarray
    told: bool

    @property
    def removed(self) -> float | None:
        """The share of its squared saliency that goes."""
        if not self.told:
            return None
        squares = self.saliency**2
        total = float(squares.sum())
        return 1 - float(squares[list(self.kept)].sum()) / total if total else 0.0


def rewrite(audited: Audited, channels: Channels) -> Change:
    """The model without the channels. Raises UsageError where no group may be pruned, for a name that no group has, and
    for a criterion that reads weights where there are none."""
    found = couple(audited.graph, audited.symbolic, audited.flow)
    every = groups(audited.graph, found)
    refused: dict[Term, str] = {}
    wanted = _wanted(audited, every, channels)
    saliency = _ranked(audited, found, wanted, channels, refused)
    for _ in range(MAX_TRIES):
        chosen = _chosen([g for g in wanted if g.term not in refused], every, saliency, channels)
        if not chosen:
            break
        graph = _cut(audited, found, chosen, channels, refused)
        if graph is not None:
            return _change(graph, every, chosen, refused)
    raise UsageError(_nothing(audited, every, refused, channels.option))


def _cut(
    audited: Audited, found: Coupling, chosen: Sequence[Choice], channels: Channels, refused: dict[Term, str]
) -> Graph | None:
    """The pruned graph; None where some group turned out not to be prunable, which is then refused."""
    kept = {c.group.term: c.kept for c in chosen if len(c.kept) < c.group.length}
    try:
        graph = sliced(audited, found, kept).graph(text(channels))
    except Uncut as error:
        to_blame = {leaf for leaf in kept if any(m.tensor == error.name for c in chosen for m in c.group.members)}
        to_blame = {c.group.term for c in chosen if any(m.tensor == error.name for m in c.group.members)} or to_blame
        refused.update(dict.fromkeys(to_blame or kept, f"{error.name}: {error}"))
        return None
    return accepted(audited, found, kept, graph, refused)


def text(channels: Channels) -> str:
    """What a graph's history says of the change."""
    if channels.stay is not None:
        return channels.option
    if channels.indices:
        return f"{OPTION} indices of {len(channels.indices)} groups"
    assert channels.ratio is not None
    return f"{OPTION} channels={float(channels.ratio):.4g},criterion={channels.criterion},scope={channels.scope}"


# ---- which groups
def _wanted(audited: Audited, every: Sequence[Group], channels: Channels) -> list[Group]:
    """The groups that may be pruned and are meant. Raises UsageError for a name or pattern that none has."""
    free = [group for group in every if not group.blocked]
    if channels.indices:
        return [group for group in free if group.name in _checked(audited, every, channels.indices)]
    for pattern in (*channels.only, *channels.skip):
        if not any(_matches(group, (pattern,)) for group in every):
            names = [name for group in every for name in (group.name, *group.producers)]
            hint = did_you_mean(pattern, names)
            said = f"no group of channels has a name like {pattern!r}{hint}"
            raise UsageError(f"{audited.name}: {channels.option}: {said}")
    meant = [g for g in free if not channels.only or _matches(g, channels.only)]
    return [g for g in meant if not _matches(g, channels.skip)]


def _matches(group: Group, patterns: Iterable[str]) -> bool:
    names = (group.name, *group.producers)
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns for name in names)


def _checked(
    audited: Audited, every: Sequence[Group], indices: Mapping[str, tuple[int, ...]]
) -> Mapping[str, tuple[int, ...]]:
    by_name = {group.name: group for group in every}
    for name, gone in indices.items():
        group = by_name.get(name)
        if group is None:
            raise UsageError(
                f"{audited.name}: {OPTION}: no group of channels is named {name!r}{did_you_mean(name, by_name)}"
            )
        if group.blocked:
            raise UsageError(f"{audited.name}: {OPTION}: {name} keeps its {group.length} channels: {group.blocked}")
        if any(i >= group.length for i in gone):
            raise UsageError(
                f"{audited.name}: {OPTION}: {name} has no channel {max(gone)}: there are {group.length}, from 0"
            )
        if len(set(gone)) >= group.length:
            raise UsageError(f"{audited.name}: {OPTION}: {name}: one of its {group.length} channels must stay")
    return indices


# ---- which channels
def _ranked(
    audited: Audited, found: Coupling, wanted: Sequence[Group], channels: Channels, refused: dict[Term, str]
) -> dict[Term, np.ndarray]:
    ranks = Saliency(audited, found, channels.criterion)
    result = {}
    for group in wanted:
        if group.length > MAX_CHANNELS:
            refused[group.term] = f"{group.length:,} channels, more than the {MAX_CHANNELS:,} that are told apart"
            continue
        try:
            result[group.term] = ranks.of(group)
        except Unranked as error:
            refused[group.term] = str(error)
    return result


def _chosen(
    wanted: Sequence[Group], every: Sequence[Group], saliency: Mapping[Term, np.ndarray], channels: Channels
) -> list[Choice]:
    """The channels that stay in each group."""
    told = channels.criterion not in UNRANKED
    if channels.stay is not None:
        counted = channels.stay(wanted, every)
        return [Choice(g, _largest(saliency[g.term], counted[g.term]), saliency[g.term], told) for g in wanted]
    if channels.indices:
        gone = {group.term: set(channels.indices[group.name]) for group in wanted}
        kept = {g.term: tuple(i for i in range(g.length) if i not in gone[g.term]) for g in wanted}
        return [Choice(g, kept[g.term], saliency[g.term], told) for g in wanted]
    assert channels.ratio is not None
    counts = (_together if channels.scope == "global" else _each)(wanted, saliency, channels.ratio)
    result = []
    for group, removed in zip(wanted, counts, strict=True):
        stay = max(group.length - removed, 1)
        stay = min(-(-stay // channels.round_to) * channels.round_to, group.length)
        result.append(Choice(group, _largest(saliency[group.term], stay), saliency[group.term], told))
    return result


def _each(wanted: Sequence[Group], saliency: Mapping[Term, np.ndarray], ratio: Fraction) -> list[int]:
    return [int(group.length * ratio) for group in wanted]


def _together(wanted: Sequence[Group], saliency: Mapping[Term, np.ndarray], ratio: Fraction) -> list[int]:
    """How many go of each group, when those go that matter least of all, each measured by the mean of its group; one
    of every group stays."""
    ranked = []
    for at, group in enumerate(wanted):
        scores = saliency[group.term]
        mean = float(scores.mean()) or 1.0
        ascending = sorted(float(score) / mean for score in scores)
        ranked += [(score, at, i) for i, score in enumerate(ascending[:-1])]
    ranked.sort()
    counts = [0] * len(wanted)
    for _, at, _ in ranked[: int(sum(group.length for group in wanted) * ratio)]:
        counts[at] += 1
    return counts


def _largest(scores: np.ndarray, count: int) -> tuple[int, ...]:
    """The places of the largest scores, ascending; of equal ones the first."""
    order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
    return tuple(sorted(order[:count]))


# ---- what is told
def _change(graph: Graph, every: Sequence[Group], chosen: Sequence[Choice], refused: Mapping[Term, str]) -> Change:
    blocked = [
        Blocked(group.name, group.blocked or refused[group.term])
        for group in every
        if (group.blocked and not group.instead) or group.term in refused
    ]
    names = {one.group for one in blocked}
    whole = [group for group in every if not group.instead]
    held = sum(group.length for group in whole if group.name in names)
    total = sum(group.length for group in whole)
    before = sum(c.group.length for c in chosen)
    after = sum(len(c.kept) for c in chosen)
    squares = sum(float((c.saliency**2).sum()) for c in chosen)
    lost = sum((c.removed or 0.0) * float((c.saliency**2).sum()) for c in chosen)
    notes = [f"{before - after:,} of {before:,} channels in {len(chosen)} groups are gone"]
    if blocked:
        part = f"{held:,} of {total:,} ({100 * held / total:.1f} %)" if total else "none"
        notes.append(f"{len(names)} of {len(whole)} groups keep their channels: {part}")
    instead = sum(group.instead for group in every)
    if instead:
        notes.append(f"{instead} groups are parts of others that go whole, as elements of heads are")
    if after < before:
        notes.append("re-train: outputs change with every channel that is gone")
    return Change(
        graph=graph,
        notes=tuple(notes),
        blocked=tuple(blocked),
        details=tuple(_detail(c) for c in chosen),
        loss=0.0 if after == before else lost / squares if squares and all(c.told for c in chosen) else None,
        retrain=after < before,
    )


def _detail(choice: Choice) -> Detail:
    group = choice.group
    return Detail(
        TABLE,
        group.name,
        {
            "channels_before": group.length,
            "channels_after": len(choice.kept),
            "tensors": len({member.tensor for member in group.members}),
            "made_by": group.label,
            "saliency_removed": choice.removed,
        },
    )


def _nothing(audited: Audited, every: Sequence[Group], refused: Mapping[Term, str], option: str) -> str:
    reasons = [group.blocked or refused.get(group.term, "") for group in every]
    first = next(((g.name, why) for g, why in zip(every, reasons, strict=True) if why), None)
    if not every:
        return f"{audited.name}: {option}: no weights of convolutions or matrix products make channels"
    said = f"; {first[0]}: {first[1]}" if first else ""
    return f"{audited.name}: {option}: none of the {len(every)} groups of channels can be pruned{said}"
