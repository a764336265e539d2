"""The graph with fewer heads of keys and values: each attention that can have them, and why others cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited, examined
from effaudit.errors import UsageError
from effaudit.graph import Constant, Graph
from effaudit.load import infer
from effaudit.nearest import did_you_mean
from effaudit.printable import printable
from effaudit.whatif.constants import derived, holds_weights
from effaudit.whatif.draft import Draft
from effaudit.whatif.given import still_open
from effaudit.whatif.gqa import OPTION, Arguments, text
from effaudit.whatif.gqa.attention import Attention, attentions
from effaudit.whatif.gqa.unfused import unfused
from effaudit.whatif.gqa.way import Heads, Stuck, Together, Way
from effaudit.whatif.products import first, held, lost, matches, patterns, relative, together
from effaudit.whatif.quantize.grid import Error
from effaudit.whatif.types import Blocked, Change, Detail

if TYPE_CHECKING:
    import numpy as np

TABLE: Final = "attention with fewer key/value heads"


class Merging(msgspec.Struct, frozen=True):
    """One attention whose heads become fewer, and the way that they come."""

    attention: Attention
    way: Way


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """Fewer heads of keys and values, the means of those there were. Raises UsageError."""
    splits: list[int] = []
    draft = Draft(audited)
    for attention in _meant(audited, attentions(audited), arguments):
        try:
            _merging(audited, draft, attention, arguments)
        except Together as one:
            splits.append(one.split)
        except Stuck:
            pass
    graph, count = unfused(audited, splits) if splits else (audited.raw, 0)
    if not count:
        return _rewrite(audited, arguments)
    change = _rewrite(examined(graph, still_open(audited.given, graph)), arguments)
    products = "1 product that makes" if count == 1 else f"{count} products that make"
    note = f"{products} queries, keys and values together became one for each"
    return replace(change, notes=(*change.notes[:1], note, *change.notes[1:]))


def _rewrite(audited: Audited, arguments: Arguments) -> Change:
    draft, blocked = Draft(audited), list[Blocked]()
    mergings: list[Merging] = []
    for attention in _meant(audited, attentions(audited), arguments):
        try:
            mergings.append(_merging(audited, draft, attention, arguments))
        except Stuck as why:
            blocked.append(Blocked(attention.label, str(why)))
    mergings = _apart(audited, mergings, blocked)
    if not mergings:
        none = "" if blocked else "; it holds no attention that is spelled out or has heads of its own"
        raise UsageError(f"{audited.name}: {OPTION}: no attention can have fewer key/value heads{first(blocked)}{none}")
    sources = {name: _constant(draft, name) for merging in mergings for name in merging.way.weights}
    losses = _write(audited, draft, mergings)
    graph = draft.graph(f"{OPTION} {text(arguments)}")
    _verify(audited, graph, mergings)
    loss = together(losses.values()) if holds_weights(sources.values()) else None
    return Change(
        graph,
        notes=tuple(_notes(mergings, loss)),
        blocked=tuple(blocked),
        details=tuple(_detail(audited, merging, losses) for merging in mergings),
        loss=loss,
        retrain=True,
    )


def _meant(audited: Audited, found: Sequence[Attention], arguments: Arguments) -> list[Attention]:
    """The attentions that are asked for. Raises UsageError for a pattern that none has."""
    names = [(one.label, audited.raw.nodes[one.node].outputs[0]) for one in found]
    for pattern in (*patterns(arguments.only), *patterns(arguments.skip)):
        if found and not any(matches(one, (pattern,)) for one in names):
            hint = did_you_mean(pattern, [name for one in names for name in one])
            raise UsageError(f"{OPTION}: no attention has a name like {printable(repr(pattern), 80)}{hint}")
    only, skip = patterns(arguments.only), patterns(arguments.skip)
    pairs = zip(found, names, strict=True)
    return [one for one, name in pairs if (not only or matches(name, only)) and not matches(name, skip)]


def _merging(audited: Audited, draft: Draft, attention: Attention, arguments: Arguments) -> Merging:
    """The way of the keys and values of one attention. Raises Stuck."""
    if attention.why:
        raise Stuck(attention.why)
    heads, before = attention.heads, attention.kv_heads
    if arguments.groups and heads % arguments.groups:
        raise Stuck(f"{heads} query heads are no whole number of groups of {arguments.groups}")
    kept = arguments.kv_heads or heads // arguments.groups
    if before <= kept:
        raise Stuck(f"it has {before} key/value heads already")
    if before % kept:
        raise Stuck(f"{before} key/value heads cannot be shared out to {kept}: expected a divisor of {before}")
    way = Way(audited, draft, before, kept)
    for name, at in attention.enter:
        way.follow(name, at)
    for name, at in attention.made:
        way.seen[name] = at
    if not way.weights:
        raise Stuck("no weights make its keys and values")
    return Merging(attention, way)


def _apart(audited: Audited, mergings: list[Merging], blocked: list[Blocked]) -> list[Merging]:
    """Without those whose tensors something else reads, or that want other sizes of them than another does."""
    readers: dict[str, list[int]] = {}
    for i, node in enumerate(audited.raw.nodes):
        captured = [name for body in node.bodies.values() for name in body.captured]
        for name in (*node.inputs, *captured):
            readers.setdefault(name, []).append(i)
    while True:
        followed = {i for one in mergings for i in (*one.way.nodes, *one.attention.nodes)}
        wanted: dict[str, tuple[Heads, int]] = {}
        kept = []
        for one in mergings:
            why = _shared(audited, one, readers, followed) or _otherwise(one, wanted)
            if why:
                blocked.append(Blocked(one.attention.label, why))
            else:
                kept.append(one)
        if len(kept) == len(mergings):
            return kept
        mergings = kept


def _shared(audited: Audited, one: Merging, readers: dict[str, list[int]], followed: set[int]) -> str:
    """What else reads the tensors on a way; "" where nothing does."""
    for name in (*one.way.seen, *one.way.weights):
        for i in readers.get(name, ()):
            node = audited.raw.nodes[i]
            if i not in followed and not (node.op == "Shape" and not node.domain):
                return f"{node.op} {node.label} reads {name!r} too, with all its heads"
    return ""


def _otherwise(one: Merging, wanted: dict[str, tuple[Heads, int]]) -> str:
    tensors = {**one.way.seen, **one.way.weights}
    for name, at in tensors.items():
        if wanted.get(name, (at, one.way.kept)) != (at, one.way.kept):
            return f"{name!r} would have other heads for another attention"
    wanted.update({name: (at, one.way.kept) for name, at in tensors.items()})
    return ""


# ---- the new graph
def _write(audited: Audited, draft: Draft, mergings: Sequence[Merging]) -> dict[str, Error]:
    """Puts the nodes and averaged weights into the draft; what each weight that has elements lost."""
    losses: dict[str, Error] = {}
    put: set[int] = set()
    for one in mergings:
        way = one.way
        for i, node in way.nodes.items():
            if i not in put:
                draft.put(i, node)
                put.add(i)
    for one in mergings:
        for i, rewrite_node in one.attention.rewrites.items():
            draft.put(i, *rewrite_node(draft.own(i), draft, one.way))
        _average(draft, one.way, losses)
        for name, at in (*one.way.fed.items(), *one.way.seen.items()):
            declared = draft.declared.get(name)
            if declared is not None and declared.shape is not None:
                shape = list(declared.shape)
                shape[at.axis] = one.way.size(at)
                draft.declared[name] = replace(declared, shape=tuple(shape))
    return losses


def _constant(draft: Draft, name: str) -> Constant:
    constant = draft.constant(name)
    assert constant is not None
    return constant


def _average(draft: Draft, way: Way, losses: dict[str, Error]) -> None:
    for name, at in way.weights.items():
        source = _constant(draft, name)
        if source.shape[at.axis] == way.size(at):  # shared with an attention before
            continue
        shape = list(source.shape)
        shape[at.axis] = way.size(at)
        if len(source.shape) > 1 and holds_weights((source,)):
            losses[name] = _lost(source, at, way)
        made = derived(source, _Mean(at, way.heads, way.kept, source), shape=tuple(shape))
        draft.exchange(name, made)


class _Mean:
    """Averages the heads on an axis, in float64, and stores them as the weights were."""

    def __init__(self, at: Heads, heads: int, kept: int, source: Constant) -> None:
        self._at, self._heads, self._kept, self._encoding = at, heads, kept, source.encoding

    def __call__(self, array: np.ndarray) -> np.ndarray:
        import numpy as np

        from effaudit.whatif.fold._affine import as_stored

        split = array.astype(np.float64).reshape(_grouped(array.shape, self._at, self._heads, self._kept))
        return as_stored(split.mean(axis=self._at.axis + 1), self._encoding)


def _grouped(shape: tuple[int, ...], at: Heads, heads: int, kept: int) -> tuple[int, ...]:
    """A shape with the axis of the heads split: those that stay, those that each stands for, their elements."""
    return (*shape[: at.axis], kept, heads // kept, at.unit, *shape[at.axis + 1 :])


def _lost(source: Constant, at: Heads, way: Way) -> Error:
    """What the heads lost that became their mean."""
    import numpy as np

    split = held(source).reshape(_grouped(source.shape, at, way.heads, way.kept))
    return lost(split, np.broadcast_to(split.mean(axis=at.axis + 1, keepdims=True), split.shape))


def _verify(audited: Audited, graph: Graph, mergings: Iterable[Merging]) -> None:
    """Raises UsageError for the first tensor that has not the shape it must have."""
    sizes = {name: at for one in mergings for name, at in one.way.seen.items()}
    kept = {name: one.way.size(at) for one in mergings for name, at in one.way.seen.items()}
    found = infer(graph, still_open(audited.given, graph)).values
    repeats = {i for one in mergings for i in one.attention.rewrites if audited.raw.nodes[i].op == "Expand"}
    for i, node in enumerate(audited.raw.nodes):
        for name in node.outputs:
            old, new = audited.symbolic.values.get(name), found.get(name)
            if old is None or new is None or old.shape is None or i in repeats:
                continue
            wanted = list(old.shape)
            if name in sizes:
                wanted[sizes[name].axis] = kept[name]
            if new.shape is None or list(new.shape) != wanted:
                said = new.why or "unknown" if new.shape is None else "x".join(map(str, new.shape))
                raise UsageError(
                    f"{audited.name}: {OPTION}: {node.op} {node.label!r} does not follow: its output would be {said}, "
                    f"not {'x'.join(map(str, wanted))}; leave its attention out with skip="
                )


# ---- what is told
def _detail(audited: Audited, one: Merging, losses: dict[str, Error]) -> Detail:
    way = one.way
    weights = {name: _elements(audited, way, name) for name in way.weights}
    cache = [audited.graph.values[name] for name in way.fed]
    widths = [(dim, value.encoding.bits) for value in cache if type(dim := (value.shape or (0,))[-1]) is int]
    per_token = sum(way.heads * dim * bits // 8 for dim, bits in widths)
    known = [losses[name] for name in way.weights if name in losses]
    return Detail(
        TABLE,
        one.attention.label,
        {
            "error": relative(sum(known[1:], known[0])) if known else None,
            "query_heads": one.attention.heads,
            "kv_heads_before": way.heads,
            "kv_heads_after": way.kept,
            "params_before": sum(weights.values()),
            "params_after": sum(weights.values()) * way.kept // way.heads,
            "cache_bytes_per_token_before": per_token,
            "cache_bytes_per_token_after": per_token * way.kept // way.heads,
        },
    )


def _elements(audited: Audited, way: Way, name: str) -> int:
    constant = Draft(audited).constant(name)
    return 0 if constant is None else constant.numel


def _notes(mergings: Sequence[Merging], loss: float | None) -> Iterator[str]:
    layers = len(mergings)
    yield f"{layers} attention{'s have' if layers > 1 else ' has'} fewer key/value heads, each the mean of its group"
    if any(one.way.fed for one in mergings):
        yield "the caches that are fed, and those that come out, have fewer heads: their shapes changed"
    if loss is None:
        yield "what the heads lose is not known: the model holds no weights that would tell"
    yield "re-train: heads that are merged are trained on (5 % of the original steps in arXiv:2305.13245)"
