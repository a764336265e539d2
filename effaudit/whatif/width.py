"""Width: the network with fewer channels everywhere, as a student of the same family would have been built.

Every group of channels is scaled by the multiplier, through everything that is coupled to it, as pruning does. Rounded
to a multiple as the published families are, `round=8`, lengths follow their rule: the nearest multiple, at least one of
them, and the next one where rounding down would lose more than a tenth
(https://github.com/tensorflow/models/blob/master/research/slim/nets/mobilenet/mobilenet.py, `_make_divisible`).

A layer that is wider than what it reads and what reads it, the hidden one of an inverted residual or of an MLP, keeps
its ratio to what it reads: https://arxiv.org/abs/1801.04381 (expansion factors), as MobileNetV2 and EfficientNet have
it. `expand=round` scales and rounds it by itself: https://arxiv.org/abs/1905.02244 (MobileNetV3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from math import gcd
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec.structs import replace

from effaudit.audited import Audited
from effaudit.axes import Group
from effaudit.axes.call import Producer
from effaudit.axes.terms import PRODUCT, Term, leaves, pieces, root
from effaudit.errors import UsageError
from effaudit.nearest import did_you_mean
from effaudit.whatif.products import patterns
from effaudit.whatif.prune.channels import Channels
from effaudit.whatif.prune.channels import rewrite as pruned
from effaudit.whatif.spec import only as only_known
from effaudit.whatif.spec import share, whole, words_of
from effaudit.whatif.types import Change

OPTION: Final = "--width"
EXPECTED: Final = "expected a multiplier such as 0.5, then round=8, keep=PATTERN"
LEAST: Final = Fraction(9, 10)  # of a length, that rounding to a multiple may leave

Criterion: TypeAlias = Literal["first", "l1", "l2", "bn"]
Expand: TypeAlias = Literal["ratio", "round"]
_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "criterion": ("first", "l1", "l2", "bn"),
    "expand": ("ratio", "round"),
}


class Arguments(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The multiplier `width`, between 0 and 1; lengths are multiples of `round` (1: the nearest whole number). `keep`
    and `only` are patterns of groups of channels, or of the nodes that make them: those that keep their width, and
    those alone that change. `criterion` says which channels a network with weights keeps. Raises UsageError."""

    width: Fraction
    round: int = 1
    expand: Expand = "ratio"
    keep: str = ""
    only: str = ""
    criterion: Criterion = "first"

    def __post_init__(self) -> None:
        if not 0 < self.width < 1:
            raise UsageError(f"{OPTION}: {_decimal(self.width)}: {EXPECTED}, between 0 and 1")
        if self.round < 1:
            raise UsageError(f"{OPTION}: round={self.round}: expected a whole number from 1")


def parse(text: str) -> Arguments:
    """`0.5,round=8,keep=head` -> arguments. Raises UsageError."""
    words, pairs = words_of(text, OPTION)
    only_known(pairs, Arguments.__struct_fields__, OPTION)
    if len(words) + ("width" in pairs) != 1:
        raise UsageError(f"{OPTION} {text!r}: {EXPECTED}")
    for key, choices in _CHOICES.items():
        if (value := pairs.get(key, choices[0])) not in choices:
            raise UsageError(f"{OPTION} {key}={value}: expected {' or '.join(choices)}{did_you_mean(value, choices)}")
    held = {key: value for key, value in pairs.items() if key not in ("width", "round")}
    multiplier = share(words[0] if words else pairs["width"], OPTION)
    multiple = whole(pairs["round"], f"{OPTION} round") if "round" in pairs else 1
    return Arguments(multiplier, multiple, **held)  # type: ignore[arg-type]


def text(arguments: Arguments) -> str:
    """The shortest text that parses to the arguments."""
    found = [_decimal(arguments.width)]
    for key, value in msgspec.structs.asdict(arguments).items():
        if key != "width" and value != getattr(Arguments(arguments.width), key):
            found.append(f"{key}={value}")
    return ",".join(found)


def _decimal(part: Fraction) -> str:
    return f"{(Decimal(part.numerator) / part.denominator).normalize():f}"


def rewrite(audited: Audited, arguments: Arguments) -> Change:
    """The model at the width. Raises UsageError where no group of channels may change, for a pattern that no group has,
    and for a criterion that reads weights where there are none."""
    chosen = Channels(
        criterion=arguments.criterion,
        only=patterns(arguments.only),
        skip=patterns(arguments.keep),
        stay=_lengths(arguments),
        option=OPTION,
    )
    change = pruned(audited, chosen)
    return replace(change, graph=replace(change.graph, history=(*audited.raw.history, f"width {text(arguments)}")))


def divisible(length: Fraction, multiple: int) -> int:
    """The multiple that a published family has for a length: the nearest, halves up, at least one of them, and the next
    one where less than nine tenths would be left. A multiple of 1 is the nearest whole number."""
    nearest = max(multiple, int(length / multiple + Fraction(1, 2)) * multiple)
    return nearest + multiple if nearest < LEAST * length and multiple > 1 else nearest


# ---- lengths of groups
def _lengths(arguments: Arguments) -> Callable[[Sequence[Group], Sequence[Group]], Mapping[Term, int]]:
    """What says how many channels stay in each of some groups, of all that a network has."""

    def stay(wanted: Sequence[Group], every: Sequence[Group]) -> Mapping[Term, int]:
        found = {group.term: _scaled(group, arguments) for group in wanted}
        narrow = _hidden(wanted, every) if arguments.expand == "ratio" else {}
        for group in wanted:
            source = narrow.get(group.term)
            if source in found and source not in narrow:
                assert source is not None
                found[group.term] = found[source] * (group.length // source.size)
        return found

    return stay


def _scaled(group: Group, arguments: Arguments) -> int:
    """A group at the width, its channels a multiple; where each of it is several channels (a head), these count."""
    multiple = arguments.round // gcd(arguments.round, _each(group))
    return min(divisible(group.length * arguments.width, multiple), group.length)


def _each(group: Group) -> int:
    """Channels that go with one of a group: 64 for a head of 64 elements."""
    sizes = [
        piece.size // group.length
        for producer in group.made_by
        for piece in pieces(producer.made)
        if root(piece).form == PRODUCT and group.term in set(leaves(piece))
    ]
    return min(sizes, default=1)


def _hidden(wanted: Sequence[Group], every: Sequence[Group]) -> Mapping[Term, Term]:
    """Group -> what it reads, for those that are a multiple of it and wider than all that reads them: what a gate in
    between makes of the group itself (squeeze and excitation) is not counted. A group that reaches an output of the
    graph is no narrow end."""
    reads: dict[Term, set[Term]] = {}  # a group -> those that the weights which make it read
    for group in every:
        found = (_inner(producer, group.term) for producer in group.made_by)
        reads[group.term] = {leaf for several in found for leaf in several if leaf.size > 1}
    readers: dict[Term, list[Group]] = {}
    for group in every:
        for source in reads[group.term]:
            readers.setdefault(source, []).append(group)
    result = {}
    for group in wanted:
        sources, after = reads[group.term], readers.get(group.term, [])
        if len(sources) > 1:  # a gate is made of nothing else
            sources = {leaf for leaf in sources if reads.get(leaf) != {group.term}}
        narrowed = bool(after) and all(one.length < group.length and not one.blocked for one in after)
        for leaf in sources if len(sources) == 1 and narrowed else ():
            if leaf.size < group.length and group.length % leaf.size == 0:
                result[group.term] = leaf
    return result


def _inner(producer: Producer, made: Term) -> Iterable[Term]:
    """The channels that a weight is multiplied with, as far as they are another group: those of its first two axes."""
    for term in producer.weight[:2]:
        several = set(leaves(term))
        if made not in several:
            yield from several
